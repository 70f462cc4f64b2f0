"""Layers of images: tiles, memories, instructions; no cut changes an integer."""

from dataclasses import replace

import numpy as np
import pytest
from passes_nets import machine

from picojoule import nn
from picojoule.errors import CheckError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import (
    AveragePool,
    Concat,
    Conv,
    Flatten,
    Input,
    IntAdd,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntDense,
    IntLookup,
    IntMaxPool,
    MaxPool,
    Relu,
    Softmax,
)
from picojoule.passes import check, compile_graph, quantize
from picojoule.passes.as_real import as_real
from picojoule.passes.canonicalise import canonicalise
from picojoule.passes.fold_batch_norm import fold_batch_norm
from picojoule.passes.freeze import freeze
from picojoule.passes.tiles import Tile
from picojoule.passes.tiles_image import channel_tiles, row_tiles
from picojoule.program.verify import verify
from picojoule.sim.run import run
from picojoule.target import load

SHAPE = (12, 10, 3)


def network(*layers, seed=0, shape=SHAPE):
    """A network of images with weights and statistics that are not those of a start."""
    graph = nn.sequential(
        list(layers), encoder=Encoder(kind="affine", shape=shape, step=1 / 127),
        readout=Readout(), seed=seed,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    moved = {
        name: array + 0.3 * rng.random(array.shape).astype(np.float32)
        for name, array in graph.params.items()
    }
    return graph.with_params(moved)


def samples(n=20, shape=SHAPE, seed=1):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def small_cnn():
    return network(
        nn.Conv(8, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2), nn.Conv(12, groups=4),
        nn.LeakyRelu(0.1), nn.AveragePool((3, 2)), nn.Dense(5),
    )  # fmt: skip


def test_float_and_integers_are_close(systolic):
    graph, x = small_cnn(), samples(200)
    exact = interpret(graph, x)[graph.output]
    live = quantize(graph, systolic, x)
    kinds = [type(live[n].op) for n in live.names()[1:]]
    assert kinds == [IntConv2d, IntMaxPool, IntConv2d, IntLookup, IntAveragePool, Flatten, IntDense]
    program = compile_graph(graph, systolic, calibrate=x)
    step = program.where("fc1", "answer")[0].scale.step[0]
    found = run(program, x).outputs["output"] * step
    assert np.sqrt(np.mean((found - exact) ** 2)) < 0.05 * exact.std()


@pytest.mark.parametrize("limits", [
    {"output": "2 KiB"}, {"filter": "300 B"}, {"output": "1 KiB", "filter": "200 B"},
])  # fmt: skip
def test_no_cut_changes_an_integer(limits, systolic):
    graph, x = small_cnn(), samples()
    whole = compile_graph(graph, systolic, calibrate=x, bits=4)
    cut = compile_graph(graph, machine("systolic_int8", **limits), calibrate=x, bits=4)
    verify(cut)
    count = [sum(i.op == "conv" for i in p.instructions) for p in (whole, cut)]
    assert count[0] == 2 < count[1]
    a, b = run(whole, x), run(cut, x)
    assert np.array_equal(a.outputs["output"], b.outputs["output"])
    assert np.array_equal(b.outputs["output"], run(cut, x, engine="reference").outputs["output"])
    for action in ("mac", "requantize", "add"):
        assert a.activity.total(action) == b.activity.total(action)


def test_accumulators_are_emptied_before_they_are_filled_again():
    program = compile_graph(small_cnn(), machine("systolic_int8", output="1 KiB"),
                            calibrate=samples())  # fmt: skip
    filled, emptied, checked = {}, {}, 0
    for index, i in enumerate(program.instructions):
        if i.op in ("conv", "sum_pool"):
            place = (i.writes[0].region, i.writes[0].start)
            if place in emptied:
                assert emptied[place] in i.after
                checked += 1
            filled[place] = index
        if i.op == "requantize_channels":
            emptied[i.reads[0].region, i.reads[0].start] = index
    assert checked > 3
    sizes = [r.packed_bytes for r in program.regions.values() if r.memory == "sram_output"]
    assert max(sizes) <= 1024


def test_row_tiles_by_hand():
    small = machine("systolic_int8", output="1 KiB")  # 256 accumulators, 128 a half
    found = [(t.first_row, t.rows, t.half) for t in row_tiles(small, (7, 4, 12), Tile(0, 12))]
    assert found == [(0, 2, 0), (2, 2, 1), (4, 2, 0), (6, 1, 1)]
    assert len([*row_tiles(small, (5, 4, 12), Tile(0, 12))]) == 1  # 240 accumulators


def test_narrow_last_tiles_share_the_accumulators_too():
    """59 channels of (10, 1) images: 50 whose rows take turns, and 9 that would not have to."""
    small = machine("systolic_int8", output="400 B")  # 100 accumulators
    graph = network(nn.Conv(59), nn.Relu(), nn.Dense(2), shape=(10, 1, 1))
    x = samples(shape=(10, 1, 1))
    program, whole = (compile_graph(graph, m, calibrate=x) for m in (small, load("systolic_int8")))
    assert program.regions["conv1.acc"].packed_bytes <= 400
    found = run(program, x).outputs["output"]
    assert np.array_equal(found, run(whole, x).outputs["output"])


def test_channel_tiles_hold_whole_groups_or_lie_in_one():
    small = machine("systolic_int8", filter="400 B")  # 200 bytes: 36 weights and 9: 4 channels
    cuts = {
        groups: [(t.start, t.stop) for t in channel_tiles(small, 36, (2, 2, 12), groups, Format(8))]
        for groups in (1, 2, 6)
    }
    assert cuts[1] == [(0, 4), (4, 8), (8, 12)] == cuts[6]
    assert cuts[2] == [(0, 4), (4, 6), (6, 10), (10, 12)]


def test_counts_by_hand(systolic):
    """A 3x3 convolution of (12, 10, 3) to 8 channels, then the largest of 2x2."""
    graph = network(nn.Conv(8), nn.Relu(), nn.MaxPool(2))
    activity = run(compile_graph(graph, systolic, calibrate=samples()), samples(1)).activity
    places, taps = 12 * 10, 27
    assert activity.total("mac") == places * 8 * taps
    assert activity.total("requantize") == places * 8
    assert activity.total("add") == 6 * 5 * 8 * 4
    array = activity.components.index("array")
    cycles = activity.counts[0, :, array, activity.actions.index("cycle")].sum()
    assert cycles == 2 * (2 * 16 + 16 + places - 2)  # 27 taps on 16 rows: two folds
    sram, read = activity.components.index("sram"), activity.actions.index("read")
    loads = 360 + 8 * taps + 8 * 9  # the input lies in the host's memory
    once = places * taps + 8 * taps + 4 * places * 8 + places * 8 + 240
    assert activity.counts[..., sram, read].sum() in (once, once + loads)


def test_batch_norm_folds_into_a_convolution():
    graph = small_cnn()
    folded = fold_batch_norm(graph)
    assert "bn1" not in folded
    x = samples()
    want, found = (interpret(g, x)[g.output] for g in (graph, folded))
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_canonical_images():
    graph = network(nn.Conv(4), nn.MaxPool(2), nn.Relu(), nn.GlobalAveragePool(), nn.Dense(3))
    made = canonicalise(graph)
    chain = [type(made[n].op) for n in made.names()]
    assert chain[1:5] == [Conv, Relu, MaxPool, AveragePool]
    x = samples()
    np.testing.assert_allclose(
        interpret(made, x)[made.output], interpret(graph, x)[graph.output], rtol=1e-12)  # fmt: skip


def test_softmax_is_left_out_of_an_answer(systolic):
    graph = network(nn.Conv(4), nn.Relu(), nn.Dense(3))
    soft = graph.add(Node("soft", Softmax(), (graph.output,)))
    soft = replace(soft, output="soft")
    x = samples()
    np.testing.assert_allclose(interpret(soft, x)["soft"].sum(1), 1)
    a, b = (run(compile_graph(g, systolic, calibrate=x), x) for g in (graph, soft))
    assert np.array_equal(a.outputs["output"], b.outputs["output"])


def test_joined_images_share_a_step(systolic):
    graph = network(nn.Conv(4), nn.Relu(), nn.Conv(2))
    joint = graph.add(Node("joint", Concat(), ("conv2", "relu1")))
    joint = replace(joint, output="joint")
    live = quantize(joint, systolic, samples())
    assert isinstance(live["joint"].op, IntConcat)
    steps = {live[i].op.step_out for i in live["joint"].inputs}
    assert steps == {"joint.step_out"}
    assert all(isinstance(live[i].op, IntAdd) for i in live["joint"].inputs)
    want, found = (interpret(g, samples())["joint"] for g in (joint, as_real(freeze(live))))
    assert want.min() < -0.1
    np.testing.assert_allclose(found, want, atol=0.05 * want.std())


def test_what_does_not_fit_is_said(systolic):
    wide = network(nn.Conv(40), nn.Relu(), nn.Conv(3), shape=(60, 40, 1))
    found = check(wide, systolic)
    assert {fault.code for fault in found} == {"PJ208"}
    assert "activations alive during node" in found[0].what
    with pytest.raises(CheckError, match="PJ208"):
        compile_graph(wide, systolic, calibrate=samples(shape=(60, 40, 1)))
    tiny = machine("systolic_int8", output="64 B")
    assert any("accumulators of node 'conv1'" in f.what for f in check(small_cnn(), tiny))


def test_integers_of_images_are_checked_like_those_of_vectors(systolic):
    live = quantize(network(nn.Conv(2), nn.Relu(), nn.AveragePool(2)), systolic, samples())
    other = replace(systolic, core=replace(systolic.core, profile="other"))
    found = {fault.what.split("'")[1] for fault in check(live, other)}
    assert found == {"conv1", "mean1"} and check(live, systolic) == []
    top = float(live.value("conv1.step_bias")[0]) * (2**31 - 1000)
    (fault,) = check(live.with_params({"conv1.bias": np.array([top, 0.0])}), systolic)
    assert fault.code == "PJ210" and "'conv1'" in fault.what


def test_windows_of_unequal_size_are_refused(systolic):
    pool = AveragePool(kernel=(2, 2), stride=(2, 2), padding=(1, 1, 0, 0))
    graph = Graph("pool", (Node("input", Input(shape=SHAPE)), Node("mean", pool, ("input",))),
                  "mean", Encoder(kind="affine", shape=SHAPE))  # fmt: skip
    (fault,) = check(graph, systolic)
    assert fault.code == "PJ206" and fault.fix == "count_padding=True, or no padding"


def test_images_are_no_spikes():
    faults = check(small_cnn(), load("loihi1"))
    assert {f.code for f in faults} == {"PJ206"}
    assert any("is a Conv; 'loihi1' can compute" in f.what for f in faults)


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.Sigmoid(), nn.Elu(), nn.LeakyRelu(0.3)])
def test_tables_between_layers_of_vectors(layer, systolic):
    """What a table is looked up with has 8 bits, whatever the activations have."""
    graph = network(nn.Dense(9), layer, nn.Dense(3), shape=(6,))
    x = samples(100, (6,))
    live = quantize(graph, systolic, x, bits=4, activation_bits=2)
    assert (live["fc1"].op.low, live["fc1"].op.high) == (-128, 127)
    table = next(live[n].op for n in live.names(IntLookup))
    assert table.high - table.low == 3 and table.entries == 256
    program = compile_graph(graph, systolic, calibrate=x)
    found = run(program, x).outputs["output"]
    assert np.array_equal(found, run(program, x, engine="reference").outputs["output"])
    step = program.where("fc2", "answer")[0].scale.step[0]
    exact = interpret(graph, x)["fc2"]
    assert np.sqrt(np.mean((found * step - exact) ** 2)) < 0.05 * exact.std()
