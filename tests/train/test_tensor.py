"""Networks without spikes: float and integer passes, their gradients, training."""

import numpy as np
import pytest
from whole_network import check_gradients

from picojoule import nn
from picojoule.fixed import arithmetic
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import IntAdd, IntDense
from picojoule.passes import freeze
from picojoule.train import Options, accuracy, evaluate_outputs, fit, start_quantized
from picojoule.train.derivations import constants, lsq_scale
from picojoule.train.model import trainable
from picojoule.train.tensor import evaluate, scores

RNG = np.random.Generator(np.random.Philox(key=[21, 0]))


def test_the_float_pass_is_that_of_the_interpreter(dense, data):
    x = data[0]
    trained = fit(dense, *data, epochs=2, seed=0)
    ours, theirs = evaluate_outputs(trained, x)["output"], interpret(trained, x)[trained.output]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_gradients_of_a_whole_network_are_those_of_differences(dense, data):
    check_gradients(dense, data[0][:9])


def test_running_statistics_are_learned_and_not_trained(dense, data):
    options = Options(momentum=0.5)
    trained = fit(dense, *data, epochs=20, batch=96, lr=1e-9, seed=0, options=options)
    z = interpret(dense, data[0])["fc1"]
    np.testing.assert_allclose(trained.params["bn1.mean"], z.mean(0), atol=1e-4)
    np.testing.assert_allclose(trained.params["bn1.variance"], z.var(0, ddof=1), rtol=1e-3)
    assert "bn1.mean" not in trainable(dense)


def reference(graph, x):
    """Integer outputs by the scalar definitions, one element at a time."""
    value = {graph.input.name: graph.encoder.integers(x).astype(object)}
    for name in graph.names(IntDense, IntAdd):
        op, inputs = graph[name].op, [value[i] for i in graph[name].inputs]
        rule = _dense if isinstance(op, IntDense) else _add
        value[name] = rule(graph, op, *inputs)
    return value[graph.output].astype(np.int64)


def _dense(graph, op, x):
    weight, bias = (graph.value(n).astype(object) for n in (op.weight, op.bias))
    acc = (x - op.zero_in) @ weight.T + bias
    if op.multiplier is None:
        return acc
    m, e = graph.value(op.multiplier), graph.value(op.exponent)
    return np.array([[
        arithmetic.requantize(int(a), int(m[k]), int(e[k]), op.zero, op.low, op.high)
        for k, a in enumerate(row)] for row in acc], object)  # fmt: skip


def _add(graph, op, a, b):
    scaling = [int(s) for s in graph.value(op.scaling)]
    sums = [
        arithmetic.add_rescaled(int(p) - op.zero_a, int(q) - op.zero_b, op.left_shift, *scaling,
                                op.zero, op.low, op.high)
        for p, q in zip(a.ravel(), b.ravel())
    ]  # fmt: skip
    return np.array(sums, object).reshape(a.shape)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_training_sees_the_scalar_definitions_live_and_frozen(dense, array, data, bits):
    live = start_quantized(dense, array, data[0], bits=bits, activation_bits=bits)
    live = fit(live, *data, epochs=2, seed=1)
    ours = evaluate_outputs(live, data[0][:9])["output"]
    assert ours.dtype == np.int32 and ours.any()
    assert np.array_equal(ours, reference(live, data[0][:9]))
    assert np.array_equal(ours, evaluate_outputs(freeze(live), data[0][:9])["output"])


def quantized_by_hand(x, weight, bias, steps, op):
    """Stand-in of an IntDense: exact reals, clipped; rounding errors held at this point."""
    exact = (x @ weight.T + bias) / steps
    return np.clip(exact, op.low - op.zero, op.high - op.zero) * steps


def test_an_integer_layer_has_the_gradient_of_its_clip(array, data):
    """Stand-in: the real layer whose outputs are clipped to what the integers can hold."""
    encoder = Encoder(kind="affine", shape=(12,), step=1 / 127)
    layers = [nn.Dense(16), nn.Relu(), nn.Dense(4)]
    graph = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=4)
    graph = start_quantized(graph, array, data[0], bits=4, activation_bits=4)
    op = graph["fc1"].op
    known = constants(graph, {n: Tensor(a) for n, a in graph.params.items()})
    for name in (op.weight, op.bias, op.step_out):
        known[name].wants = True
        known[name].inputs, known[name].vjp = (), None
    values = evaluate(graph, known, data[0], training=True)
    g = RNG.normal(size=(96, 16))
    backward(values.of["fc1"], g)
    step_in, step_w, step_out = (known[n].data for n in (op.step_in, op.step_w, op.step_out))
    x = (graph.encoder.integers(data[0]) - float(op.zero_in)) * step_in
    real = [known[op.weight].data * step_w[:, None], known[op.bias].data * step_in * step_w]
    for k, name in enumerate((op.weight, op.bias)):
        way = RNG.normal(size=real[k].shape)
        ends = [
            quantized_by_hand(
                x, *(r + s * 1e-6 * way if j == k else r for j, r in enumerate(real)), step_out, op
            )
            for s in (1, -1)
        ]
        slope = np.sum(g * (ends[0] - ends[1])) / 2e-6
        assert np.sum(known[name].grad * way) == pytest.approx(slope, rel=1e-4)
    exact = (x @ real[0].T + real[1]) / step_out
    level = values.of["fc1"].data - op.zero
    inside = (exact >= op.low) & (exact <= op.high)
    expected = np.sum(g * np.where(inside, level - exact, level)) * lsq_scale(16, op.high)
    assert known[op.step_out].grad == pytest.approx(expected, rel=1e-6)
    assert 0.1 < inside.mean() < 1


def test_an_integer_sum_passes_gradients_to_both_edges(dense, array, data):
    graph = start_quantized(dense, array, data[0], bits=8, activation_bits=8)
    known = constants(graph, {n: Tensor(a) for n, a in graph.params.items()})
    name = graph.names(IntAdd)[0]
    values = evaluate(graph, known, data[0], training=True)
    a, b = (Tensor(values.of[i].data, wants=True) for i in graph[name].inputs)
    from picojoule.train.tensor import RULES

    out = RULES[IntAdd](values, graph[name], a, b)
    backward(out, np.ones(out.shape))
    op = graph[name].op
    total = (a.data - op.zero_a) * known[op.step_a].data + (b.data - op.zero_b) * known[
        op.step_b
    ].data
    inside = (total >= 0) & (total <= (op.high - op.zero) * known[op.step_out].data)
    assert np.array_equal(a.grad, inside) and np.array_equal(b.grad, inside)
    assert (
        np.abs(out.data * known[op.step_out].data - np.clip(total, 0, None))[inside].max()
        <= 0.51 * known[op.step_out].data
    )


def test_scores_count_all_classes_in_one_unit(dense, array, data):
    graph = start_quantized(dense, array, data[0], bits=4, activation_bits=4)
    assert np.ndim(graph.value(graph[graph.output].op.step_w)) == 0
    known = constants(graph, {n: Tensor(a) for n, a in graph.params.items()})
    values = evaluate(graph, known, data[0], training=False)
    z, acc = scores(values).data, values.of[graph.output].data
    assert np.array_equal(z.argmax(1), acc.argmax(1))
    assert np.ptp(z[acc != 0] / acc[acc != 0]) < 1e-6


@pytest.mark.parametrize("bits", [None, 8, 2])
def test_a_batch_can_be_learned_by_heart(dense, array, data, bits):
    x, y = data[0][:16], np.roll(data[1][:16], 3) ^ (np.arange(16) % 2)  # any labels
    graph = dense if bits is None else start_quantized(
        fit(dense, x, y, epochs=20, batch=16, lr=1e-2, seed=0), array, x, bits=bits,
        activation_bits=bits)  # fmt: skip
    graph = fit(graph, x, y, epochs=100, batch=16, lr=1e-2, seed=0)
    assert accuracy(graph, x, y) == 1.0


def test_steps_stay_positive_and_the_input_step_stays(dense, array, data):
    live = start_quantized(dense, array, data[0], bits=2, activation_bits=2)
    tuned = fit(live, *data, epochs=4, lr=0.5, seed=0)
    steps = [n for n in tuned.params if ".step" in n]
    assert steps and all((tuned.params[n] > 0).all() for n in steps)
    assert tuned.params["input.step"] == live.params["input.step"]
    assert tuned.params["fc1.step_out"] != np.float32(live.params["fc1.step_out"])
