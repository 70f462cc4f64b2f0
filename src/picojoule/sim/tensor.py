"""The compiled engine of tensor programs: instruction after instruction, a block of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from picojoule.fixed.format import Format
from picojoule.kernels.tensor import add_array, int_matmul, requantize_array
from picojoule.program import OPCODES, Instruction, Program, Span
from picojoule.sim.layout import constants

Array = np.ndarray[Any, Any]


class Memory:
    """Contents of regions while a block runs: (samples, *shape), or (1, *shape) if constant.

    A region written as a whole shares its array with what was written; `own` names the regions
    whose arrays are theirs alone and may be written in part.
    """

    def __init__(self, program: Program, x: Array) -> None:
        self.regions = program.regions
        self.own: set[str] = set()
        self.held = {name: array[None] for name, array in constants(program).items()}
        entries = [name for name, region in program.regions.items() if region.role == "input"]
        self.held[entries[0]] = x.reshape(len(x), *program.regions[entries[0]].shape)

    def __getitem__(self, span: Span) -> Array:
        return self.held[span.region][:, span.start : span.stop]

    def __setitem__(self, span: Span, values: Array) -> None:
        region = self.regions[span.region]
        if span.size == region.shape[0]:
            self.held[span.region] = values
            self.own.discard(span.region)
            return
        before = self.held.get(span.region, np.zeros((1, *region.shape), values.dtype))
        if span.region not in self.own or len(before) < len(values):
            shape = (max(len(before), len(values)), *region.shape)
            self.held[span.region] = np.broadcast_to(before, shape).copy()
            self.own.add(span.region)
        self.held[span.region][:, span.start : span.stop] = values


def forward(program: Program, x: Array) -> Mapping[str, Array]:
    """Run encoded integers (n, ...) through the program: contents of all regions at the end.

    In the program's own order: in a verified program each instruction follows all it waits for.
    """
    memory = Memory(program, x)
    for instruction in program.instructions:
        if instruction.op != "barrier":
            RUN[instruction.op](memory, instruction)
    return memory.held


def _move(memory: Memory, i: Instruction) -> None:
    values = memory[i.reads[0]]
    memory[i.writes[0]] = values.copy() if i.reads[0].region in memory.own else values


def _matmul(memory: Memory, i: Instruction) -> None:
    x, weight, bias = i.reads
    zero_in = i.args[0]
    memory[i.writes[0]] = int_matmul(
        memory[x], memory[weight][0], memory[bias][0], zero_in,
        x_limit=_reach(memory.regions[x.region].format, zero_in),
        w_limit=_reach(memory.regions[weight.region].format),
    )  # fmt: skip


def _reach(form: Format, zero: int = 0) -> int:
    """Largest |q - zero| of a format."""
    return max(abs(form.low - zero), abs(form.high - zero))


def _requantize(memory: Memory, i: Instruction) -> None:
    acc, multiplier, exponent = i.reads
    zero, low, high, _ = i.args
    many = [np.broadcast_to(memory[m][0], acc.size) for m in (multiplier, exponent)]
    dtype = memory.regions[i.writes[0].region].format.dtype
    memory[i.writes[0]] = requantize_array(memory[acc], *many, zero, low, high, dtype)


def _add(memory: Memory, i: Instruction) -> None:
    args = dict(zip(OPCODES["add"].args, i.args))
    del args["cycles"]
    dtype = memory.regions[i.writes[0].region].format.dtype
    a, b, scaling = (memory[span] for span in i.reads)
    memory[i.writes[0]] = add_array(a, b, scaling=scaling[0], dtype=dtype, **args)


RUN: dict[str, Callable[[Memory, Instruction], None]] = {
    "load": _move, "store": _move, "matmul": _matmul, "requantize": _requantize, "add": _add,
}  # fmt: skip
