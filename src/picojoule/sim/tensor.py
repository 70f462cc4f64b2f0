"""The compiled engine of tensor programs: instruction after instruction, a block of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from picojoule.kernels.tensor import add_array, int_matmul, requantize_array
from picojoule.program import OPCODES, Instruction, Program, Span
from picojoule.sim.layout import constants
from picojoule.sim.tensor_image import RUN_IMAGE, reach

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
        self.writable(span, len(values), values.dtype)[:] = values

    def writable(self, span: Span, samples: int, dtype: Any) -> Array:
        """A view of a span that may be written, for at least as many samples."""
        region = self.regions[span.region]
        before = self.held.get(span.region)
        before = np.zeros((1, *region.shape), dtype) if before is None else before
        if span.region not in self.own or len(before) < samples:
            shape = (max(len(before), samples), *region.shape)
            self.held[span.region] = np.broadcast_to(before, shape).copy()
            self.own.add(span.region)
        return self.held[span.region][:, span.start : span.stop]


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
    args = dict(zip(OPCODES["matmul"].args, i.args))
    memory[i.writes[0]] = int_matmul(
        memory[x], memory[weight][0], memory[bias][0], args["zero_in"],
        x_limit=reach(memory.regions[x.region].format, args["zero_in"]),
        shift=args.get("shift", 0),
    )  # fmt: skip


def _requantize(memory: Memory, i: Instruction) -> None:
    acc, multiplier, exponent = i.reads
    args = dict(zip(OPCODES["requantize"].args, i.args))
    limits = args["zero"], args["low"], args["high"]
    many = [np.broadcast_to(memory[m][0], acc.size) for m in (multiplier, exponent)]
    dtype = memory.regions[i.writes[0].region].format.dtype
    memory[i.writes[0]] = requantize_array(
        memory[acc], *many, *limits, dtype, fraction=args.get("fraction", 0)
    )


def _add(memory: Memory, i: Instruction) -> None:
    args = dict(zip(OPCODES["add"].args, i.args))
    del args["cycles"]
    dtype = memory.regions[i.writes[0].region].format.dtype
    a, b, scaling = (memory[span] for span in i.reads)
    memory[i.writes[0]] = add_array(a, b, scaling=scaling[0], dtype=dtype, **args)


RUN: dict[str, Callable[[Memory, Instruction], None]] = {
    "load": _move, "store": _move, "matmul": _matmul, "requantize": _requantize, "add": _add,
    **RUN_IMAGE,
}  # fmt: skip
