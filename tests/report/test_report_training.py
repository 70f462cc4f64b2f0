"""The health of layers and gradients in every form of a report."""

from dataclasses import replace

import numpy as np
import pytest
from report_samples import full

import picojoule as pj
from picojoule import nn
from picojoule.errors import UsageError
from picojoule.report.html import to_html
from picojoule.report.store import from_json, to_json
from picojoule.report.text import to_text
from picojoule.report.training import measured, with_health
from picojoule.train import fit, start_quantized
from picojoule.train.health import watch

RNG = np.random.default_rng(4)
X, Y = RNG.random((60, 6)).astype(np.float32), np.arange(60) % 3


def networks():
    return {
        "systolic_int8": nn.dense_network([6, 8, 3], seed=1),
        "loihi1": nn.spiking_network([6, 8, 3], steps=6, seed=1, decay_u=0.6, decay_v=0.1),
    }


@pytest.mark.parametrize("name", ["systolic_int8", "loihi1"])
@pytest.mark.filterwarnings("ignore::picojoule.passes.PicojouleWarning")
def test_evaluating_a_float_network_measures_layers_and_gradients(name):
    report = pj.evaluate(networks()[name], pj.target(name), (X, Y), calibrate=X, bits=8)
    (row,) = report.rows
    layer = "fc1" if name == "systolic_int8" else "lif1"
    assert layer in {h.node for h in row.health}
    assert "fc1.weight" in {g.parameter for g in row.gradients}
    assert from_json(to_json(report)) == report
    page, text = to_html(report), to_text(report)
    for shown in (page, text):
        assert "dead or silent" in shown and "fc1.weight" in shown
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.filterwarnings("ignore::picojoule.passes.PicojouleWarning")
def test_a_frozen_network_has_layers_alone():
    chip = pj.target("systolic_int8")
    tuned = pj.finetune(networks()["systolic_int8"], chip, (X, Y), bits=4, epochs=1)
    (row,) = pj.evaluate(tuned, chip, (X, Y)).rows
    assert row.health and not row.gradients


def test_what_a_callback_saw_can_be_shown():
    seen = []
    graph = networks()["systolic_int8"]
    fit(graph, X, Y, epochs=1, callback=watch(lambda epoch, found: seen.append(found)))
    report = full()
    shown = replace(report, rows=(with_health(report.rows[0], seen[0]), *report.rows[1:]))
    assert from_json(to_json(shown)) == shown
    assert "Gradients" in to_text(shown) and "Gradients" not in to_text(report)
    assert "Gradients" in to_html(shown) and "Gradients" not in to_html(report)


def test_labels_that_are_no_classes_are_left_alone():
    live = start_quantized(networks()["systolic_int8"], pj.target("systolic_int8"), X, bits=8)
    assert measured(live, X, Y) is not None
    assert measured(live, X, Y + 1) is None and measured(live, X, Y * 1.0) is None


def test_statistics_that_are_not_finite_are_refused():
    report = full()
    bad = with_health(
        report.rows[0],
        measured(
            start_quantized(networks()["systolic_int8"], pj.target("systolic_int8"), X, bits=8),
            X,
            Y,
        ),
    )
    row = replace(bad, health=(replace(bad.health[0], mean=-1.0),))
    assert to_json(replace(report, rows=(row,)))
    row = replace(bad, health=(replace(bad.health[0], deviation=float("nan")),))
    with pytest.raises(UsageError, match="PJ807"):
        to_json(replace(report, rows=(row,)))
