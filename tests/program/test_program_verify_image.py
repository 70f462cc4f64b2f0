"""The verifier on instructions of images: nothing outside their operands is ever touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from picojoule import nn
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Node
from picojoule.graph.ops import Concat
from picojoule.passes import compile_graph
from picojoule.program import OPCODES, Span
from picojoule.program.verify import faults
from picojoule.sim.run import run
from picojoule.target import load


def program():
    graph = nn.sequential(
        [nn.Conv(4, groups=2), nn.Tanh(), nn.MaxPool(2), nn.AveragePool(2), nn.Dense(2)],
        encoder=Encoder(kind="affine", shape=(8, 8, 2)), readout=Readout(), seed=0,
    )  # fmt: skip
    joined = _joined(graph)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 2))
    return compile_graph(joined, load("systolic_int8"), calibrate=x), x


def _joined(graph):
    """The same with a Concat before the average."""
    graph = graph.add(Node("joint", Concat(), ("pool1", "pool1")))
    graph = graph.swap("mean1", graph["mean1"].op, ("joint",))
    fc = graph["fc1"].op
    weight = np.concatenate([graph.params[fc.weight]] * 2, axis=1)
    return graph.with_params({fc.weight: weight})


PROGRAM, X = program()
AT = {i.op: n for n, i in enumerate(PROGRAM.instructions)}


def complaints(found) -> str:
    return "\n".join(fault.what for fault in faults(found))


def with_args(op, **changes):
    return _changed(op, lambda i: replace(
        i, args=tuple(changes.get(n, v) for n, v in zip(OPCODES[op].args, i.args))))  # fmt: skip


def with_span(op, side, place, **changes):
    def change(i):
        spans = list(getattr(i, side))
        spans[place] = replace(spans[place], **changes)
        return replace(i, **{side: tuple(spans)})

    return _changed(op, change)


def _changed(op, change):
    instructions = list(PROGRAM.instructions)
    instructions[AT[op]] = change(instructions[AT[op]])
    return replace(PROGRAM, instructions=tuple(instructions))


def test_all_opcodes_of_images_are_here():
    images = {"conv", "requantize_channels", "max_pool", "sum_pool", "lookup", "place"}
    assert images <= AT.keys()
    assert complaints(PROGRAM) == ""
    assert np.array_equal(run(PROGRAM, X).outputs["output"],
                          run(PROGRAM, X, engine="reference").outputs["output"])  # fmt: skip


BROKEN = {
    "height": (with_args("conv", height=9), "x has 128 elements, not 9 x 8 x 2"),
    "groups": (with_args("conv", groups=4), "x has 128 elements"),
    "no height": (with_args("conv", height=0), "height must lie in 1.."),
    "channels": (with_args("conv", channels=3), "output channels 0..3 of 3 in 2 groups"),
    "first": (with_args("conv", first=1), "output channels 1..4 of 4"),
    "columns": (with_args("conv", columns=5), "are not whole rows of 5 x 4"),
    "stride": (with_args("conv", stride_y=4096), "windows begin below"),
    "huge stride": (with_args("conv", stride_y=10**6), "stride_y must lie in 1..4096"),
    "far left": (with_args("conv", left=10**6), "left must lie in 0..4096"),
    "first row": (with_args("conv", first_row=60000), "windows begin below"),
    "bias": (with_span("conv", "reads", 2, stop=3), "bias has 3 elements, weight 4 rows"),
    "pool kernel": (with_args("max_pool", kernel_y=0), "kernel_y must lie in 1.."),
    "pool corner": (with_args("max_pool", top=2), "end above or left of the image"),
    "pool beyond": (with_args("max_pool", first_row=5), "windows begin below"),
    "pool size": (with_args("max_pool", height=7), "not a number of channels times 56"),
    "sum columns": (with_args("sum_pool", columns=3), "are not whole rows"),
    "table": (with_args("lookup", first=0), "x holds -128..127, the table 0..255"),
    "table size": (with_span("lookup", "reads", 1, stop=100), "the table -128..-29"),
    "requantize": (with_args("requantize_channels", channels=7), "do not fill"),
    "requantize first": (with_args("requantize_channels", first=1), "channels 1..8 of 8"),
    "place": (with_args("place", first=5), "channels 5..8 of 8"),
    "place channels": (with_args("place", channels=3), "do not fill"),
    "no multipliers": (
        with_span("requantize_channels", "reads", 1, start=8), "they must be equal"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_each_fault_is_named(name):
    broken, expected = BROKEN[name]
    assert expected in complaints(broken)


def test_weights_of_two_axes_are_no_convolution():
    i = PROGRAM.instructions[AT["conv"]]
    name = i.reads[1].region
    flat = replace(PROGRAM.regions[name], shape=(4, 9))
    broken = replace(PROGRAM, regions={**PROGRAM.regions, name: flat})
    assert "needs 4 axes" in complaints(broken)
    assert Span(name, 0, 4) == i.reads[1]
