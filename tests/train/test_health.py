"""Statistics of layers and gradients."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor
from picojoule.train import fit, start_quantized
from picojoule.train.derivations import constants
from picojoule.train.health import health, watch
from picojoule.train.learned_edges import settled
from picojoule.train.methods import use
from picojoule.train.tensor import evaluate

RNG = np.random.Generator(np.random.Philox(key=[23, 0]))


def test_dead_units_and_zero_gradients_are_counted(dense, data):
    weight, bias = dense.params["fc1.weight"].copy(), dense.params["bn1.shift"].copy()
    bias[:4] = -1e3  # behind batch norm nothing gets through the Relu
    found = health(dense.with_params({"fc1.weight": weight, "bn1.shift": bias}), *data)
    assert found.activations["relu1"].dead >= 4 / 16
    assert found.gradients["bn1.shift"].zero >= 4 / 16
    whole = health(dense, *data)
    assert whole.activations["relu1"].dead < found.activations["relu1"].dead
    assert {"fc1.weight", "fc3.bias"} <= set(whole.gradients)
    assert all(np.isfinite(g.norm) for g in whole.gradients.values())


def test_means_are_those_of_the_layer(dense, data):
    x, y = data
    found = health(dense, x, y).activations["fc1"]
    values = x @ dense.params["fc1.weight"].T
    assert found.mean == pytest.approx(values.mean(), abs=1e-5)
    assert found.deviation == pytest.approx(values.std(), rel=1e-4)


def test_saturated_integers_are_counted(dense, array, data):
    live = start_quantized(dense, array, data[0], bits=4)
    wide = health(live, *data)
    narrow = health(live.with_params({"fc1.step_out": live.params["fc1.step_out"] / 8}), *data)
    assert narrow.activations["fc1"].saturated > wide.activations["fc1"].saturated + 0.2
    assert any("'fc1' are saturated" in text for text in narrow.worries(saturated=0.2))


def test_integers_of_a_byte_do_not_wrap_when_their_zero_is_taken_off(array):
    x = RNG.random((32, 8, 8, 1)).astype(np.float32)
    graph = nn.sequential(
        [nn.Conv(4), nn.Elu(), nn.Dense(4)], seed=0, readout=Readout(),
        encoder=Encoder(kind="affine", shape=(8, 8, 1), step=1 / 127),
    )  # fmt: skip
    live = use(start_quantized(graph, array, x, bits=8), activations="lsq+")
    offset = {"elu1.edge_offset": 100 * np.asarray(live.params["elu1.step_out"])}
    live = settled(live.with_params(offset))
    assert live["elu1"].op.zero == -100
    known = constants(live, {name: Tensor(a) for name, a in live.params.items()})
    out = evaluate(live, known, x, training=False).of["elu1"].data
    assert out.dtype == np.int8 and out.max() > 27  # less -100 it is no int8
    found = health(live, x, np.zeros(32, np.int64)).activations["elu1"]
    assert found.mean == pytest.approx((out.astype(np.int64) + 100).mean())


def test_silent_neurons_are_counted(spiking, data):
    high = spiking.with_params({"lif1.v_th": np.array(1e9, np.float32)})
    found = health(high, *data)
    assert found.activations["lif1"].dead == 1.0 and found.activations["lif1"].mean == 0.0
    assert any("'lif1' are dead" in text for text in found.worries())
    assert health(spiking, *data).activations["lif1"].dead < 1.0


def test_watching_measures_each_epoch_and_prints_as_a_table(dense, data):
    seen = []
    fit(dense, *data, epochs=2, callback=watch(lambda epoch, found: seen.append(found)))
    assert len(seen) == 2 and seen[0] != seen[1]
    lines = str(seen[0]).splitlines()
    assert lines[0].startswith("layer") and any(line.startswith("fc1.weight") for line in lines)


def test_a_layer_without_gradient_is_named(dense, data):
    cut = dense.with_params({"fc3.weight": np.zeros_like(dense.params["fc3.weight"])})
    assert "no gradient reaches 'fc1.weight'" in health(cut, *data).worries()
