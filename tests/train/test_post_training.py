"""Equalisation, bias correction and calibration: same function, smaller error."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor
from picojoule.passes import freeze, lower
from picojoule.train import confirm, evaluate_outputs, fit, start_quantized, tensor
from picojoule.train.derivations import constants
from picojoule.train.post_training import correct_biases, equalise, recalibrate


@pytest.fixture
def conv(data):
    x, y = data[0].reshape(-1, 3, 4, 1), data[1]
    encoder = Encoder(kind="affine", shape=(3, 4, 1), step=1 / 127)
    layers = [nn.Conv(6, bias=False), nn.BatchNorm(), nn.Relu(), nn.Conv(5), nn.Relu(),
              nn.MaxPool(2), nn.Dense(8), nn.Relu(), nn.Dense(4, init="xavier")]  # fmt: skip
    graph = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
    return fit(graph, x, y, epochs=8, batch=16, lr=1e-2, seed=0), x


def uneven(graph):
    """Channels of the first layer of very different sizes."""
    factor = 2.0 ** np.random.Generator(np.random.Philox(key=[1, 1])).uniform(-4, 4, 6)
    gain, shift = (graph.params[n] * factor for n in ("bn1.gain", "bn1.shift"))
    name = next(n for n in graph.params if n.endswith("2.weight"))
    weight = graph.params[name] / factor.reshape(1, -1, 1, 1)
    return graph.with_params({
        "bn1.gain": gain.astype(np.float32), "bn1.shift": shift.astype(np.float32),
        name: weight.astype(np.float32),
    })  # fmt: skip


def test_equalising_changes_nothing_and_evens_channels_out(conv, array):
    graph, x = conv
    bad = uneven(graph)
    even = equalise(bad)
    outputs = [evaluate_outputs(g, x)["output"] for g in (graph, bad, even)]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs[0], outputs[2], rtol=1e-3, atol=1e-3)
    errors = [
        np.abs(answers(start_quantized(g, array, x, bits=4), x) - outputs[0]).mean()
        for g in (bad, even)
    ]
    assert errors[1] < 0.7 * errors[0]


def answers(live, x):
    """The scores of a quantized graph, in real units."""
    known = constants(live, {n: Tensor(a) for n, a in live.params.items()})
    return tensor.scores(tensor.evaluate(live, known, x, training=False)).data


def test_corrected_biases_bring_means_closer(conv, array):
    graph, x = conv
    want = evaluate_outputs(graph, x)["output"]
    live = start_quantized(graph, array, x, bits=2, activation_bits=8)
    found = [np.abs((answers(g, x) - want).mean(0)).mean() for g in (live, correct_biases(live, x))]
    assert found[1] < 0.6 * found[0]
    frozen = freeze(correct_biases(live, x))
    assert confirm(frozen, lower(frozen, array), x)


def test_percentiles_cut_outliers_and_lsq_starts_as_published(dense, array, data):
    x, _ = data
    live = start_quantized(dense, array, x, bits=4)
    all_of_it, most = (recalibrate(live, x, method="percentile", share=s) for s in (1.0, 0.9))
    assert most.params["fc1.step_out"] < all_of_it.params["fc1.step_out"]
    node = live["fc1"].op
    known = constants(live, {n: Tensor(a) for n, a in live.params.items()})
    weight, bias = (known[n].data for n in ("fc1.weight_q", "fc1.bias_q"))
    entering = live.encoder.integers(x).astype(np.int64) - node.zero_in
    unit = live.value("input.step") * np.asarray(live.value("fc1.step_w"))
    real = np.maximum((entering @ weight.T + bias) * unit, 0)
    largest = float(all_of_it.params["fc1.step_out"]) * (node.high - node.zero)
    assert largest == pytest.approx(real.max(), rel=0.02)
    lsq = float(recalibrate(live, x, method="lsq").params["fc1.step_out"])
    assert lsq == pytest.approx(2 * real[real > 0].mean() / np.sqrt(node.high), rel=0.05)
    with pytest.raises(UsageError, match="PJ806"):
        recalibrate(live, x, method="max")
