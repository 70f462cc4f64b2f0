"""What quantization silences or saturates is said: by compile, evaluate and the command line."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import picojoule as pj
from picojoule.cli.app import app
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.files import save
from picojoule.graph.ops import CubaLif, Dense, Input
from picojoule.passes import PicojouleWarning
from picojoule.report.health import dead_layers, firing_faults

STEPS, INPUTS = 20, 12


def network(weight, v_th=1.0, decay_v=0.25):
    """`lif1` behind `weight` (features, inputs), and one neuron `lif2` that hears it."""
    features = len(weight)
    params = {"w1": weight, "w2": np.full((1, features), 0.5), "decay": np.array(decay_v),
              "one": np.array(1.0), "v_th": np.array(v_th), "v_th2": np.array(0.4)}  # fmt: skip
    nodes = (
        Node("input", Input(shape=(INPUTS,), kind="spike"), ()),
        Node("fc1", Dense(weight="w1", features=features), ("input",)),
        Node("lif1", CubaLif(decay_u="one", decay_v="decay", v_th="v_th"), ("fc1",)),
        Node("fc2", Dense(weight="w2", features=1), ("lif1",)),
        Node("lif2", CubaLif(decay_u="one", decay_v="decay", v_th="v_th2"), ("fc2",)),
    )
    encoder = Encoder(kind="events", shape=(INPUTS,), steps=STEPS)
    return Graph("net", nodes, "lif2", encoder, Readout(kind="count"), params=params, steps=STEPS)


def spikes(channels, seed=0, count=8):
    x = np.zeros((count, STEPS, INPUTS), bool)
    x[..., :channels] = np.random.default_rng(seed).random((count, STEPS, channels)) < 0.5
    return x


def ordinary():
    return network(np.random.default_rng(1).normal(0.1, 0.3, (10, INPUTS)))


def starved():
    """One huge weight, on a channel that stays silent here, leaves 0 of all others at 2 bits."""
    weight = np.full((10, INPUTS), 0.1)
    weight[:, -1] = -30.0
    return network(weight)


def told(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if w.category is PicojouleWarning]


def test_a_silenced_layer_is_named_with_its_share_and_a_remedy():
    x = spikes(INPUTS - 1)
    said = told(lambda: pj.compile(starved(), pj.target("loihi1"), calibrate=x, bits=2))
    assert said == [
        "PJ211  quantization silenced 100% of layer 'lif1': 10 of 10 neurons that fire in the"
        " network never fire on 'loihi1' over 8 samples\n       try: more weight bits, calibration"
        " samples like the real ones, or finetune",
        "PJ211  quantization silenced 100% of layer 'lif2': 1 of 1 neurons that fire in the"
        " network never fire on 'loihi1' over 8 samples\n       try: more weight bits, calibration"
        " samples like the real ones, or finetune",
    ]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_ordinary_networks_are_quiet(bits):
    x = spikes(INPUTS)
    assert not told(lambda: pj.compile(ordinary(), pj.target("loihi1"), calibrate=x, bits=bits))


def test_a_layer_that_never_stops_is_named():
    x, calm = spikes(INPUTS) | True, network(np.full((4, INPUTS), 0.5), v_th=10.0)
    program = pj.compile(network(np.full((4, INPUTS), 0.5), v_th=0.5), pj.target("loihi1"))
    found = firing_faults(calm, program, x)
    assert "saturated 100% of layer 'lif1': 4 of 4 neurons fire" in found[0].what
    assert not firing_faults(network(np.full((4, INPUTS), 0.5), v_th=0.5), program, x)


def test_clipped_weights_and_words_are_named():
    """A threshold pinned to few units fixes a unit that is too coarse, or too fine."""
    weight = np.full((4, INPUTS), 0.5)
    weight[:, ::2] *= -1
    said = []
    for step in (2.0**-30, 2.0**-4):
        pin = Pinned(np.array(100), Format(17, signed=False), Scale((step,)))
        graph = replace(network(weight), pinned={"v_th": pin})
        graph = replace(graph, params={k: v for k, v in graph.params.items() if k != "v_th"})
        said += told(lambda g=graph: pj.compile(
            g, pj.target("loihi1"), calibrate=spikes(INPUTS), bits=4))  # fmt: skip
    assert any("100% of the weights of 'fc1' are clipped" in each for each in said), said
    assert any("voltage of 'lif1' leave -2^23..2^23 and clip" in each for each in said), said


def test_evaluate_notes_it():
    x = spikes(INPUTS - 1)
    with pytest.warns(PicojouleWarning, match="PJ211"):
        report = pj.evaluate(starved(), pj.target("loihi1"), (x, np.zeros(len(x), int)),
                             calibrate=x, bits=2)  # fmt: skip
    notes = report.rows[0].notes
    assert "PJ211  quantization silenced 100% of layer 'lif1'" in notes[0]
    assert "'lif1' never fires on 8 samples" in notes


def test_the_command_line_says_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(starved(), "net.pjg")
    np.savez("x.npz", x=spikes(INPUTS - 1))
    words = ["compile", "net.pjg", "-t", "loihi1", "--calibrate", "x.npz", "--bits", "2"]
    said = told(lambda: CliRunner().invoke(app, words))
    assert "silenced 100% of layer 'lif1'" in said[0]
    done = CliRunner().invoke(app, ["report", "net.pjp", "x.npz"])
    assert "'lif1' never fires" in " ".join(done.output.split())


def test_dead_layers():
    on, off = np.ones((3, 4, 2), bool), np.zeros((3, 4, 2), bool)
    assert dead_layers({"a": on, "b": off, "c": np.eye(4, dtype=bool)[None]}) == [
        "'a' fires in every step on 3 samples", "'b' never fires on 3 samples",
    ]  # fmt: skip
