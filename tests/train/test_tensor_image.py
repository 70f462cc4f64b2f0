"""Networks of images: float and integer passes, their gradients, fine-tuning."""

from dataclasses import replace

import numpy as np
import pytest
from whole_network import check_gradients

from picojoule import nn
from picojoule.errors import TrainError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Graph, Node
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import (
    Concat,
    Input,
    IntAveragePool,
    IntConv2d,
    IntLookup,
    IntMaxPool,
    Softmax,
)
from picojoule.passes import freeze
from picojoule.sim.run import run
from picojoule.target import load
from picojoule.train import Options, evaluate_outputs, finetune, fit, start_quantized
from picojoule.train import tensor_image as rules
from picojoule.train.derivations import constants, lsq_scale
from picojoule.train.tensor import Values, evaluate

RNG = np.random.Generator(np.random.Philox(key=[22, 0]))
SHAPE = (8, 7, 2)
LAYERS = [
    nn.Conv(4, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2), nn.Conv(6, groups=2),
    nn.Elu(0.5), nn.Residual((nn.Conv(6, (1, 3), dilation=2), nn.Tanh())), nn.AveragePool((2, 1)),
    nn.Conv(3, 2, padding=(0, 1)), nn.LeakyRelu(0.2), nn.Sigmoid(), nn.GlobalAveragePool(),
    nn.Dense(4),
]  # fmt: skip


def network(layers=LAYERS, seed=0):
    encoder = Encoder(kind="affine", shape=SHAPE, step=1 / 127)
    return nn.sequential(layers, encoder=encoder, readout=Readout(), seed=seed)


def images(n=40):
    """Four classes: the corner in which a bright blob lies."""
    y = np.arange(n) % 4
    x = 0.3 * RNG.random((n, *SHAPE))
    for k, label in enumerate(y):
        x[k, label // 2 * 4 : label // 2 * 4 + 4, label % 2 * 3 : label % 2 * 3 + 4] += 0.7
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def chip():
    return load("systolic_int8")


def test_the_float_pass_is_that_of_the_interpreter():
    x, y = images()
    trained = fit(network(), x, y, epochs=2, seed=0)
    ours, theirs = evaluate_outputs(trained, x)["output"], interpret(trained, x)[trained.output]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_gradients_of_a_whole_network_are_those_of_differences():
    check_gradients(network(), images(9)[0])


def test_softmax_and_joints_in_floats():
    graph = network([nn.Conv(3)])
    graph = graph.add(Node("joint", Concat(), ("conv1", "input")),
                      Node("soft", Softmax(), ("joint",)))  # fmt: skip
    graph = replace(graph, output="soft")
    x = images(6)[0]
    np.testing.assert_allclose(
        evaluate_outputs(graph, x)["output"], interpret(graph, x)["soft"].reshape(6, -1), atol=1e-5
    )


# ---------------------------------------------------------------------------------- integers


def live_at(graph, kind, x):
    """The one Int node of a kind, its values and constants as leaves, and its input."""
    (name,) = graph.names(kind)
    known = constants(graph, {n: Tensor(a) for n, a in graph.params.items()})
    values = evaluate(graph, known, x, training=True)
    node = graph[name]
    source = Tensor(values.of[node.inputs[0]].data, wants=True)
    held = {c: Tensor(known[c].data, wants=True) for c in graph.constants(node).values()}
    return node, source, held, rules.IMAGE_RULES[kind](Values(graph, held), node, source)


def quantized(chip, layers, x, bits=4):
    return start_quantized(network(layers), chip, x, bits=bits)


def test_a_convolution_has_the_gradient_of_its_clip(chip):
    """Stand-in: the real convolution, clipped to what the integers can hold."""
    x, _ = images(20)
    layers = [nn.Conv(4, groups=2, stride=2), nn.Relu(), nn.Dense(4)]
    graph = quantized(chip, layers, x)
    node, source, held, out = live_at(graph, IntConv2d, x)
    op, g = node.op, RNG.normal(size=out.shape).astype(np.float32)
    step_in, step_w, step_out = (held[n].data for n in (op.step_in, op.step_w, op.step_out))
    real = [
        (source.data.astype(float) - op.zero_in) * step_in,
        held[op.weight].data * step_w.reshape(-1, 1, 1, 1), held[op.bias].data * step_in * step_w,
    ]  # fmt: skip

    def clipped(x, weight, bias):
        layer = network([nn.Conv(4, groups=2, stride=2)])
        layer = replace(layer, params={"conv1.weight": weight, "conv1.bias": bias})
        exact = interpret(layer, x)["conv1"] / step_out
        return exact, np.clip(exact, op.low, op.high) * step_out

    exact = clipped(*real)[0]
    g[np.abs(exact) < 1e-6] = 0  # the kink of the clip
    backward(out, g)
    inside = (exact >= op.low) & (exact <= op.high)
    assert 0.1 < inside.mean() < 1
    for k, leaf in enumerate((source, held[op.weight], held[op.bias])):
        way = RNG.normal(size=real[k].shape)
        ends = [
            clipped(*(r + s * 1e-6 * way if j == k else r for j, r in enumerate(real)))[1]
            for s in (1, -1)
        ]
        slope = np.sum(g * (ends[0] - ends[1])) / 2e-6
        assert np.sum(leaf.grad * way) == pytest.approx(slope, rel=1e-4)
    expected = np.sum(g * np.where(inside, out.data - exact, out.data.astype(float)))
    scale = lsq_scale(out.data[0].size, op.high)
    assert held[op.step_out].grad == pytest.approx(expected * scale, rel=1e-5)


@pytest.mark.parametrize("kind, layer", [
    (IntAveragePool, nn.AveragePool(2, padding=1)), (IntLookup, nn.Tanh()),
    (IntLookup, nn.LeakyRelu(0.3)), (IntLookup, nn.Elu(0.8)), (IntLookup, nn.Sigmoid()),
    (IntMaxPool, nn.MaxPool(2)),
])  # fmt: skip
def test_other_layers_have_the_gradient_of_their_clip(kind, layer, chip):
    x = RNG.normal(size=(20, *SHAPE)).astype(np.float32)
    graph = quantized(chip, [nn.Conv(3), layer, nn.Dense(4)], x)
    node, source, _, out = live_at(graph, kind, x)
    op, g = node.op, RNG.normal(size=out.shape).astype(np.float32)
    backward(out, g)
    producer = graph[node.inputs[0]].op
    step_in = float(graph.value(producer.step_out))
    step_out = float(graph.value(op.step_out)) if kind is not IntMaxPool else step_in
    low, high = (op.low, op.high) if kind is not IntMaxPool else (-(2**31), 2**31)
    real = (source.data.astype(float) - producer.zero) * step_in
    alone = network([nn.Conv(3), layer]).swap("conv1", Input(shape=(*SHAPE[:2], 3)), ())
    alone = Graph("alone", tuple(n for n in alone.nodes if n.name != "input"), alone.output,
                  replace(alone.encoder, shape=(*SHAPE[:2], 3)))  # fmt: skip

    def clipped(x):
        return np.clip(interpret(alone, x)[alone.output] / step_out, low, high) * step_out

    way = RNG.normal(size=real.shape)
    way[real == 0] = 0  # where some of them have a kink
    if kind is IntMaxPool:  # moved alike, equal integers stay equal
        way[:] = 1
    slope = np.sum(g * (clipped(real + 1e-7 * way) - clipped(real - 1e-7 * way))) / 2e-7
    assert np.sum(source.grad * way) == pytest.approx(slope, rel=2e-4, abs=1e-6)


def test_among_equal_integers_the_largest_sum_gets_the_gradient(chip):
    x, _ = images(8)
    graph = quantized(chip, [nn.Conv(3), nn.Relu(), nn.MaxPool(2), nn.Dense(4)], x, bits=2)
    known = constants(graph, {n: Tensor(a, wants=True) for n, a in graph.params.items()})
    values = evaluate(graph, known, x, training=True)
    out, pooled = values.of["conv1"], values.of["pool1"]
    acc = out.saved[2][:, :8, :6].reshape(8, 4, 2, 3, 2, 3)
    level = out.data[:, :8, :6].reshape(8, 4, 2, 3, 2, 3)
    (g,) = pooled.vjp(pooled.saved, np.ones(pooled.shape, np.float32))
    g = g[:, :8, :6].reshape(8, 4, 2, 3, 2, 3)
    highest = acc.max(axis=(2, 4), keepdims=True)
    assert (acc[g > 0].size, g.sum()) == (8 * 4 * 3 * 3, 8 * 4 * 3 * 3)
    assert np.all((acc == highest)[g > 0])
    ties = (level == level.max(axis=(2, 4), keepdims=True)).sum(axis=(2, 4)) > 1
    assert ties.mean() > 0.1


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_fine_tuning_ends_in_a_program_that_agrees(bits, chip):
    x, y = images(160)
    layers = [nn.Conv(6, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2), nn.Conv(8),
              nn.Relu(), nn.Dense(4)]  # fmt: skip
    trained = fit(network(layers), x, y, epochs=6, batch=16, seed=0)
    frozen, program = finetune(trained, chip, x, y, bits=bits, epochs=4, batch=16, lr=2e-3)
    ours = evaluate_outputs(frozen, x)["output"]
    for engine in ("numba", "reference"):
        assert np.array_equal(ours, run(program, x, engine=engine).outputs["output"])
    assert (ours.argmax(1) == y).mean() > 0.9


def test_the_same_bits_on_any_number_of_threads(chip, monkeypatch):
    x, y = images(32)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("PICOJOULE_THREADS", threads)
        live = start_quantized(network(), chip, x, bits=4)
        trained = fit(live, x, y, epochs=2, batch=16, seed=0)
        found.append(trained.digest)
    assert found[0] == found[1]


def test_batch_norm_statistics_of_images():
    x, y = images(48)
    graph = network([nn.Conv(4), nn.BatchNorm(), nn.Relu(), nn.Dense(4)])
    options = Options(momentum=1.0)
    trained = fit(graph, x, y, epochs=1, batch=48, lr=1e-9, options=options)
    z = interpret(graph, x)["conv1"].reshape(-1, 4)
    np.testing.assert_allclose(trained.params["bn1.mean"], z.mean(0), atol=1e-5)
    np.testing.assert_allclose(trained.params["bn1.variance"], z.var(0, ddof=1), rtol=1e-4)


# name -> what the trainer does otherwise than the machine
def _floored(acc, multiplier, exponent, zero, low, high, dtype, fraction):
    exact = acc * (multiplier * 2.0 ** (exponent - 31.0))
    return np.clip(np.floor(exact) + zero, low, high).astype(dtype)


BROKEN = {
    "requantize_places": _floored,
    "conv_int": lambda wide, weight, *rest, shift: rules_conv(wide, weight[..., ::-1], *rest),
    "shifted": lambda x, zero, carrier: x.astype(carrier),
}
rules_conv = rules.conv_int


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_stops_fine_tuning(name, chip, monkeypatch):
    x, y = images(24)
    monkeypatch.setattr(rules, name, BROKEN[name])
    with pytest.raises(TrainError, match="PJ703"):
        finetune(network([nn.Conv(3), nn.Relu(), nn.AveragePool(2), nn.Dense(4)]), chip, x, y,
                 bits=4, epochs=1, batch=8)  # fmt: skip


def test_frozen_and_live_are_the_same(chip):
    x, _ = images(12)
    live = start_quantized(network(), chip, x, bits=4)
    want = evaluate_outputs(live, x)["output"]
    assert want.dtype == np.int32 and len(np.unique(want)) > 5
    assert np.array_equal(want, evaluate_outputs(freeze(live), x)["output"])
