"""What a tensor program does, counted without running it: no count depends on the data."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from picojoule.activity import Activity
from picojoule.program import OPCODES, Instruction, Program, Span

Array = np.ndarray[Any, Any]

COMPONENTS = ("array", "vector", "sram", "dram", "chip")
ACTIONS = ("mac", "cycle", "requantize", "add", "read", "write", "inference")
POOLS = ("max_pool", "sum_pool")  # they add, or compare, which counts as adding


def tensor_activity(program: Program, samples: int, detail: str) -> Activity:
    """Counts of `samples` inferences.

    array: mac = outputs x inputs; cycle = the instruction's cycles a fold x its loops
    vector: requantize, add = elements; for a pool, add = elements times places of its kernel;
        cycle likewise
    sram, dram: bytes of spans in memories of that name ('sram_input' is sram), packed:
        load, store    their `bytes`, read at the source and written at the target
        matmul         reads its input fold_n times and its weights once; writes its
                       accumulators fold_k times (weight-stationary, one row; SCALE-Sim's
                       closed form).  Neither biases nor re-read partial sums are counted.
        conv           the same for the image as rows of a matrix (im2col), one a place of the
                       result: reads places x taps elements fold_n times, padding included
        max_pool, sum_pool   read every element of every window, write results once
        lookup, place  read and write their elements once
        requantize add read accumulators or operands once, write results once; constants
                       are not counted
    chip: inference, in the first window
    """
    once = _once(program)
    counts = np.repeat(once[None], samples, axis=0)
    if detail != "each":
        counts = counts.sum(axis=0, keepdims=True)
    if detail == "sum":
        counts = counts.sum(axis=1, keepdims=True)
    return Activity(counts, COMPONENTS, ACTIONS, samples, len(once), windows=program.phases,
                    machine=program.machine)  # fmt: skip


def _once(program: Program) -> Array:
    """int64 (windows, components, actions) of one inference."""
    windows = max([len(program.phases), *(1 + i.phase for i in program.instructions)])
    counts = np.zeros((windows, len(COMPONENTS), len(ACTIONS)), np.int64)
    for i in program.instructions:
        for component, action, many in _counted(program, i):
            counts[i.phase, COMPONENTS.index(component), ACTIONS.index(action)] += many
    counts[0, COMPONENTS.index("chip"), ACTIONS.index("inference")] = 1
    return counts


def _counted(program: Program, i: Instruction) -> list[tuple[str, str, int]]:
    """(component, action, how many) of one instruction."""
    if i.op in ("load", "store"):
        (number,) = i.args
        return [*_bytes(program, i.reads[0], "read", number),
                *_bytes(program, i.writes[0], "write", number)]  # fmt: skip
    if i.op == "barrier":
        return []
    folds = dict(i.loops)
    cycles = dict(zip(OPCODES[i.op].args, i.args))["cycles"] * prod(folds.values())
    if i.op in ("matmul", "conv"):
        return [("array", "cycle", cycles), *_product(program, i, folds)]
    work = [("vector", "cycle", cycles)]
    if i.op in POOLS:
        return work + _pool(program, i)
    target, size = i.writes[0], i.writes[0].size
    if i.op in ("requantize_channels", "place"):  # they write some channels of their target
        work += [("vector", "requantize", i.reads[0].size)] if i.op != "place" else []
        bits = i.reads[0].size * program.regions[target.region].format.bits
        written = _bytes(program, target, "write", -(-bits // 8))
        return work + _bytes(program, i.reads[0], "read") + written
    if i.op != "lookup":
        work.append(("vector", i.op, size))
    for operand in i.reads[: 2 if i.op == "add" else 1]:
        work += _bytes(program, operand, "read")
    return work + _bytes(program, target, "write")


def _product(program: Program, i: Instruction, folds: dict[str, int]) -> list[tuple[str, str, int]]:
    """A matrix of weights times the input, or times every window of an image."""
    x, weight, target = i.reads[0], i.reads[1], i.writes[0]
    taps = prod(program.regions[weight.region].shape[1:])
    streamed = x.size
    if i.op == "conv":
        streamed = target.size // weight.size * taps * folds.get("group", 1)
    number = -(-streamed * program.regions[x.region].format.bits // 8)
    return [
        ("array", "mac", target.size * taps),
        *_bytes(program, x, "read", number, times=folds.get("fold_n", 1)),
        *_bytes(program, weight, "read"),
        *_bytes(program, target, "write", times=folds.get("fold_k", 1)),
    ]


def _pool(program: Program, i: Instruction) -> list[tuple[str, str, int]]:
    args = dict(zip(OPCODES[i.op].args, i.args))
    many = i.writes[0].size * args["kernel_y"] * args["kernel_x"]
    number = -(-many * program.regions[i.reads[0].region].format.bits // 8)
    return [
        ("vector", "add", many),
        *_bytes(program, i.reads[0], "read", number),
        *_bytes(program, i.writes[0], "write"),
    ]


def _bytes(
    program: Program, span: Span, action: str, number: int | None = None, times: int = 1
) -> list[tuple[str, str, int]]:
    """Packed bytes of a span, where its memory is one that is counted."""
    region = program.regions[span.region]
    component = region.memory.partition("_")[0]
    if component not in ("sram", "dram"):
        return []
    if number is None:
        bits = region.format.packed_bits(span.size, prod(region.shape[1:]))
        number = -(-bits // 8)
    return [(component, action, number * times)]
