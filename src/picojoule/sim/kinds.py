"""What neuron kinds of a program need beyond their tables: start values, payloads, noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.fixed.draws import node_number
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.program import Instruction, Program, Span
from picojoule.sim.layout import arguments, axon_bases, constants, kept, spans

Array = np.ndarray[Any, Any]
NOISY, CLOCKED = ("cuba_noise",), ("cuba_noise", "cuba_reset")


@dataclass(frozen=True)
class Noisy:
    """Where the draws of a noisy instruction come from.

    node     number of the graph node (N3)
    element  its first neuron among all of the node
    column   the same among all noisy neurons, in order of the nodes' names
    """

    instruction: Instruction
    node: int
    element: int
    column: int


@kept
def noisy(program: Program) -> list[Noisy]:
    """Noisy instructions in the order of their neurons: by name of node, then by element."""
    found = [(*_neurons(program, spans(i)["v"]), i) for i in program.instructions if i.op in NOISY]
    found.sort(key=lambda entry: entry[:2])
    rows, column = [], 0
    for name, element, i in found:
        rows.append(Noisy(i, node_number(name), element, column))
        column += spans(i)["v"].size
    return rows


def _neurons(program: Program, v: Span) -> tuple[str, int]:
    """(node, its element) of the first voltage of a span.

    A region stands for the node where the source map does not cover the span as one piece.
    """
    for s in program.source:
        if s.region == v.region and s.what == "v" and s.start <= v.start and v.stop <= s.stop:
            return s.node, s.first + v.start - s.start
    return v.region, v.start


@kept
def noise_columns(program: Program) -> int:
    """How many neurons draw a number each step."""
    return sum(spans(row.instruction)["v"].size for row in noisy(program))


@kept
def clocked(program: Program) -> bool:
    """Whether results depend on the number of the step."""
    return any(i.op in CLOCKED for i in program.instructions)


@kept
def carrying(program: Program) -> set[str]:
    """Axon regions whose spikes travel with payloads: those that a graded synapse reads."""
    return {spans(i)["axon"].region for i in program.instructions
            if i.op.startswith("deliver") and arguments(i)["graded"]}  # fmt: skip


@kept
def carrying_axons(program: Program) -> Array:
    """Bool (axons,): the same for all axons of the program."""
    carries, bases = carrying(program), axon_bases(program)
    return np.concatenate([
        np.full(program.regions[name].size, name in carries) for name in bases
    ] or [np.zeros(0, bool)])  # fmt: skip


@kept
def graded_spikes(program: Program) -> set[str]:
    """Spike regions that some graded kind writes."""
    return {spans(i)["spike"].region for i in program.instructions
            if i.op in KINDS and KINDS[i.op].graded}  # fmt: skip


@kept
def graded_output(program: Program) -> bool:
    """Whether what leaves the program are payloads."""
    graded = graded_spikes(program)
    return any(i.op == "output" and spans(i)["spike"].region in graded
               for i in program.instructions)  # fmt: skip


@kept
def start_values(program: Program) -> dict[str, Array]:
    """State region -> int64 (size,), of regions that do not start from zero."""
    found: dict[str, Array] = {}
    held, shift = constants(program), SPIKING[program.profile].weight_shift
    for i in program.instructions:
        for word, register in KINDS[i.op].start if i.op in KINDS else ():
            to, source = spans(i)[word], spans(i)[register]
            whole = found.setdefault(to.region, np.zeros(program.regions[to.region].size, np.int64))
            whole[to.start : to.stop] = _part(held, source) << shift
    return found


def _part(held: dict[str, Array], span: Span) -> Array:
    return np.asarray(held[span.region][span.start : span.stop], np.int64).ravel()
