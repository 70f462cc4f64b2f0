"""How full the cores of a program are, read from the program alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.program import Instruction, Program
from picojoule.target import Target, axon_list_bits


def utilisation(program: Program, target: Target) -> list[dict[str, Any]]:
    """One row a core: `core`, `x`, `y`, `nodes`, and used / limit of each of its resources.

    neurons, in_axons, out_axons, synapse_bits, each with `<name>_limit`; empty for tensor
    programs, whose memories are judged when they are lowered.
    """
    if program.kind != "spiking":
        return []
    limits = target.core.limits
    rows = []
    for core in range(program.cores):
        x, y = program.positions[core] if program.positions else (0, 0)
        rows.append({
            "core": core, "x": x, "y": y, "nodes": _nodes(program, core),
            "neurons": _neurons(program, core), "neurons_limit": limits.neurons,
            "in_axons": _in_axons(program, core), "in_axons_limit": limits.in_axons,
            "out_axons": _out_axons(program, core), "out_axons_limit": limits.out_axons,
            "synapse_bits": synapse_bits(program, core, target),
            "synapse_bits_limit": limits.synapse_words * limits.synapse_word_bits,
        })  # fmt: skip
    return rows


def synapse_bits(program: Program, core: int, target: Target) -> int:
    """Synapse memory that the lists of a core take."""
    return sum(
        _list_bits(program, instruction, target)
        for instruction in _of(program, core, "deliver_dense", "deliver_sparse")
    )


def _of(program: Program, core: int, *ops: str) -> list[Instruction]:
    return [i for i in program.instructions if i.core == core and i.op in ops]


def _nodes(program: Program, core: int) -> tuple[str, ...]:
    spikes = [s for s in program.source if s.what == "spike"]
    return tuple(s.node for s in spikes if program.regions[s.region].core == core)


def _neurons(program: Program, core: int) -> int:
    return sum(i.writes[0].size for i in _of(program, core, "cuba"))


def _in_axons(program: Program, core: int) -> int:
    return sum(r.size for r in program.regions.values() if r.core == core and r.memory == "axon")


def _out_axons(program: Program, core: int) -> int:
    """One for each neuron and core that its spikes go to."""
    reached: dict[int, list[tuple[str, int, int]]] = {}
    for route in _of(program, core, "route"):
        there = program.regions[route.writes[0].region].core
        span = route.reads[0]
        reached.setdefault(there, []).append((span.region, span.start, span.stop))
    return sum(_covered(spans) for spans in reached.values())


def _covered(spans: list[tuple[str, int, int]]) -> int:
    """Elements in at least one of the spans."""
    total, region, end = 0, "", 0
    for name, start, stop in sorted(spans):
        end = end if name == region else 0
        total += max(0, stop - max(start, end))
        region, end = name, max(end, stop)
    return total


def _list_bits(program: Program, instruction: Instruction, target: Target) -> int:
    loops = dict(instruction.loops)
    if instruction.op == "deliver_sparse":
        span = instruction.reads[1]
        each = np.diff(program.arrays[span.region][span.start : span.stop].astype(np.int64))
    else:
        each = np.full(loops["axons"], loops["neurons"], np.int64)
    return int(np.sum(axon_list_bits(
        each, loops["weight_bits"], limits=target.core.limits, delay_bits=loops["delay_bits"],
        index_bits=loops["index_bits"],
    )))  # fmt: skip
