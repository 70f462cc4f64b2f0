"""Tensor programs compute what the quantized graph says, however they are tiled."""

from itertools import pairwise

import numpy as np
import pytest
from passes_nets import Net, machine, samples, tensor_net

from picojoule.errors import CheckError, GraphError
from picojoule.fixed.arithmetic import add_rescaled, requantize
from picojoule.fixed.contract import Encoder
from picojoule.fixed.format import Format
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import Add, Flatten, Input, IntAdd, IntDense, Relu
from picojoule.passes import compile_graph, freeze, lower, quantize
from picojoule.passes.tiles import folds, packed_bytes, tiles
from picojoule.program.verify import verify
from picojoule.sim.run import run


def reference(graph, x):
    """The frozen graph, node by node."""
    seen = {}
    for name in graph.order:
        op, inputs = graph[name].op, graph[name].inputs
        if isinstance(op, Input):
            seen[name] = graph.encoder.integers(x).astype(np.int64)
        elif isinstance(op, Flatten):
            seen[name] = seen[inputs[0]].reshape(len(x), -1)
        elif isinstance(op, IntDense):
            acc = (seen[inputs[0]] - op.zero_in) @ graph.value(op.weight).T + graph.value(op.bias)
            seen[name] = acc
            if op.multiplier is not None:
                scaling = np.broadcast_arrays(graph.value(op.multiplier), graph.value(op.exponent))
                seen[name] = np.array([
                    [requantize(int(a), int(m), int(e), op.zero, op.low, op.high)
                     for a, m, e in zip(row, *scaling)] for row in acc
                ])  # fmt: skip
        elif isinstance(op, IntAdd):
            a, b = (seen[i] for i in inputs)
            scaling = [int(s) for s in graph.value(op.scaling)]
            seen[name] = np.array([
                add_rescaled(int(p) - op.zero_a, int(q) - op.zero_b, op.left_shift, *scaling,
                             op.zero, op.low, op.high) for p, q in zip(a.flat, b.flat)
            ]).reshape(a.shape)  # fmt: skip
    return seen


def forked_net():
    """A Relu whose input others read too, a Relu of the input, and an image to flatten."""
    net = Net(3)
    x = net.node("input", Input(shape=(2, 3)))
    flat = net.node("flat", Flatten(), x)
    fc1 = net.dense("fc1", net.node("relu0", Relu(), flat), 6, 6)
    net.node("add", Add(), net.node("relu1", Relu(), fc1), fc1)
    net.node("relu2", Relu(), net.dense("fc2", "add", 6, 4))
    return net.graph("relu2", Encoder(kind="affine", shape=(2, 3)))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("build", [tensor_net, forked_net])
def test_program_computes_the_quantized_graph(build, bits, systolic):
    graph = build()
    x = samples(graph) * 2 - (build is forked_net)
    frozen = freeze(quantize(graph, systolic, x, bits=bits, activation_bits=bits))
    program = lower(frozen, systolic)
    verify(program)
    seen = reference(frozen, x)[frozen.output]
    assert len(np.unique(seen)) > 3
    assert np.array_equal(run(program, x).outputs["output"], seen)


def test_eight_bits_stay_close_to_the_floats(systolic):
    graph = tensor_net()
    x = samples(graph, 200)
    frozen = freeze(quantize(graph, systolic, x))
    exact = interpret(graph, x)["fc3"]
    op = frozen["fc3"].op
    made = reference(frozen, x)["fc3"] * (frozen.value(op.step_in) * frozen.value(op.step_w))
    assert np.sqrt(np.mean((made - exact) ** 2)) < 0.03 * exact.std()


def test_ranges_follow_the_convention(systolic):
    graph = tensor_net()
    made = quantize(graph, systolic, samples(graph), bits=4, activation_bits=4)
    assert made.names() == ("input", "fc1", "fc2", "add1", "fc3")
    ranges = {n: (made[n].op.low, made[n].op.high) for n in ("fc1", "fc2", "add1")}
    assert ranges == {"fc1": (0, 15), "fc2": (-8, 7), "add1": (0, 15)}
    assert made["fc3"].op.multiplier is None and made.encoder.format.bits == 8
    weight = made.value("fc1.weight_q")
    assert weight.min() >= -7 and weight.max() == 7
    assert made.value("fc1.step_w").shape == (16,) and made.value("fc1.step_out").shape == ()
    two = quantize(graph, systolic, samples(graph), bits=2, activation_bits=2)
    assert set(np.unique(two.value("fc1.weight_q"))) == {-1, 0, 1}


def test_tiling_changes_no_integer(systolic):
    graph = tensor_net(hidden=40)
    x = samples(graph)
    small = machine("systolic_int8", filter="1 KiB")
    whole = compile_graph(graph, systolic, calibrate=x)
    cut = compile_graph(graph, small, calibrate=x)
    verify(cut)
    assert sum(i.op == "matmul" for i in whole.instructions) == 3
    assert sum(i.op == "matmul" for i in cut.instructions) > 3
    a, b = run(whole, x), run(cut, x)
    assert np.array_equal(a.outputs["output"], b.outputs["output"])
    assert a.activity.total("mac") == b.activity.total("mac")


def test_two_tiles_are_never_more_than_the_filter_memory():
    small = machine("systolic_int8", filter="1 KiB")
    graph = tensor_net(hidden=40)
    program = compile_graph(graph, small, calibrate=samples(graph))
    held = {}
    for name, region in program.regions.items():
        if region.memory == "sram_weight":
            node, _, tile = name.split(".")
            held[node, tile] = held.get((node, tile), 0) + region.packed_bytes
    sizes = list(held.values())
    assert len(sizes) > 5 and all(a + b <= 1024 for a, b in pairwise(sizes))


def test_loads_wait_until_their_memory_is_free():
    small = machine("systolic_int8", filter="1 KiB")
    graph = tensor_net(hidden=40)
    program = compile_graph(graph, small, calibrate=samples(graph))
    reads = {}
    for n, i in enumerate(program.instructions):
        if i.op == "matmul":
            reads[i.reads[1].region] = n
    tiles_in_order = sorted(reads, key=reads.get)
    loads = {i.writes[0].region: i for i in program.instructions if i.op == "load"}
    for old, new in zip(tiles_in_order, tiles_in_order[2:]):
        assert any(n >= reads[old] for n in loads[new].after), (old, new)


def test_folds_by_hand(systolic):
    assert (systolic.array.rows, systolic.array.columns) == (16, 16)
    found = folds(systolic, inputs=100, outputs=33)
    assert (found.n, found.k, found.cycles) == (3, 7, 47)  # 2 * 16 + 16 + 1 - 2
    assert packed_bytes(33, 4) == 17 and packed_bytes(7, 2) == 2


def test_tiles_by_hand():
    small = machine("systolic_int8", filter="4 KiB")
    # 2048 bytes a tile, 100 + 9 bytes a channel: 18 channels, of which one whole fold
    found = tiles(small, 100, 40, Format(8))
    assert [(t.start, t.stop) for t in found] == [(0, 16), (16, 32), (32, 40)]
    assert tiles(small, 4000, 40, Format(8)) == ()
    assert len(tiles(small, 4000, 40, Format(2))) == 20  # 1009 bytes a channel: two at a time


def test_an_accumulator_that_could_overflow_is_refused(systolic):
    net = Net(1)
    x = net.node("input", Input(shape=(4,)))
    net.dense("fc", x, 4, 2)
    graph = net.graph("fc", Encoder(kind="affine", shape=(4,)))
    made = quantize(graph.with_params({"fc.bias": np.zeros(2)}), systolic, samples(graph))
    top = float(made.value("fc.step_bias")) * (2**31 - 1000)
    far = made.with_params({"fc.bias": np.array([4 * top, 0.0])})
    with pytest.raises(CheckError, match=r"PJ207.*bias of node 'fc' would be"):
        freeze(far)
    near = made.with_params({"fc.bias": np.array([top, 0.0])})
    with pytest.raises(CheckError, match=r"PJ210.*could reach 2147\d{6}; the accumulator"):
        lower(freeze(near), systolic)


def test_live_graphs_are_not_lowered(systolic):
    graph = tensor_net()
    with pytest.raises(GraphError, match="PJ406"):
        lower(quantize(graph, systolic, samples(graph)), systolic)
