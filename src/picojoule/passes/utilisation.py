"""How full the cores of a program are, read from the program alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from picojoule.fixed.neurons import KINDS
from picojoule.passes.groups import SynapseFormat
from picojoule.passes.populations import OWN, THRESHOLDS, shared_slots
from picojoule.program import OPCODES, Instruction, Program
from picojoule.target import Target, axon_list_bits

DELIVERIES = ("deliver_dense", "deliver_sparse", "deliver_shared")
OPTIONAL = ("compartment_profiles", "v_th_profiles", "synapse_formats")


def utilisation(program: Program, target: Target) -> list[dict[str, Any]]:
    """One row a core: `core`, `x`, `y`, `nodes`, and used / limit of each of its resources.

    neurons, in_axons, out_axons, synapse_bits, and compartment_profiles, v_th_profiles and
    synapse_formats where the machine limits them, each with `<name>_limit`; empty for tensor
    programs, whose memories are judged when they are lowered.
    """
    if program.kind != "spiking":
        return []
    seen = _Seen(program)
    rows = []
    for core in range(program.cores):
        x, y = program.positions[core] if program.positions else (0, 0)
        used = {
            "neurons": seen.neurons(core), "in_axons": seen.in_axons(core),
            "out_axons": seen.out_axons(core, shared_slots(target)),
            "synapse_bits": seen.synapse_bits(core, target),
            "compartment_profiles": len(seen.profiles(core)),
            "v_th_profiles": len(seen.thresholds(core)),
            "synapse_formats": len(seen.formats(core)),
        }  # fmt: skip
        row: dict[str, Any] = {"core": core, "x": x, "y": y, "nodes": seen.nodes[core]}
        for name, limit in _limits(target).items():
            row |= {name: used[name], f"{name}_limit": limit}
        rows.append(row)
    return rows


def synapse_bits(program: Program, core: int, target: Target) -> int:
    """Synapse memory that the lists of a core take."""
    return _Seen(program).synapse_bits(core, target)


def _limits(target: Target) -> dict[str, int]:
    """What is limited, by the name that reports use."""
    limits = target.core.limits
    found = {name: limits[name] for name in ("neurons", "in_axons", "out_axons")}
    found["synapse_bits"] = limits.synapse_words * limits.synapse_word_bits
    return found | {name: limits[name] for name in OPTIONAL if name in limits}


class _Seen:
    """A program by core: deliveries, neurons, routes; built once, read many times."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.deliveries: dict[int, list[Instruction]] = defaultdict(list)
        self.updates: dict[int, list[Instruction]] = defaultdict(list)
        self.routes: dict[int, list[Instruction]] = defaultdict(list)
        self.shifted: dict[str, int] = {}
        for i in program.instructions:
            place = self.deliveries if i.op in DELIVERIES else self.updates
            if i.op in DELIVERIES or i.op in KINDS:
                place[i.core].append(i)
            elif i.op == "route":
                self.routes[i.core].append(i)
            elif i.op == "accumulate":
                self.shifted[i.reads[0].region] = i.args[0]
        self.groups = {s.region: s.node for s in program.source if s.what == "weight"}
        spikes = [s for s in program.source if s.what == "spike"]
        self.nodes: dict[int, tuple[str, ...]] = defaultdict(tuple)
        for s in spikes:
            self.nodes[program.regions[s.region].core] += (s.node,)
        self.owner = self._owners()

    def _group(self, instruction: Instruction) -> str:
        """The synapse group of a delivery, by the source of its weights."""
        weight = instruction.reads[-1].region
        return self.groups.get(weight, weight)

    def _owners(self) -> dict[str, str]:
        """Axon region -> the region that stands for it: parts of a group that differ only in
        delay hear the same sources through one input axon of the hardware."""
        found: dict[str, str] = {}
        first: dict[tuple[int, str], str] = {}
        for core, deliveries in self.deliveries.items():
            for i in deliveries:
                region = i.reads[0].region
                owner = first.setdefault((core, self._group(i)), found.get(region, region))
                found.setdefault(region, owner)
        return found

    def neurons(self, core: int) -> int:
        return sum(i.writes[0].size for i in self.updates[core])

    def in_axons(self, core: int) -> int:
        """Regions that stand for themselves; of shared lists one axon a position."""
        shared = [i for i in self.deliveries[core] if i.op == "deliver_shared"]
        owned = {i.reads[0].region for i in self.deliveries[core]}
        owned = {self.owner[r] for r in owned} - {i.reads[0].region for i in shared}
        plain = sum(self.program.regions[name].size for name in owned)
        return plain + sum(self._positions(i) for i in shared)

    def _positions(self, instruction: Instruction) -> int:
        """Positions of which some axon reaches a neuron."""
        row, indptr = (self._values(instruction, k) for k in (1, 3))
        atoms = dict(instruction.loops).get("atoms", 1)
        return int(np.count_nonzero((np.diff(indptr)[row] > 0).reshape(-1, atoms).any(axis=1)))

    def _values(self, instruction: Instruction, operand: int) -> np.ndarray:
        span = instruction.reads[operand]
        return self.program.arrays[span.region][span.start : span.stop].astype(np.int64)

    def out_axons(self, core: int, shared: int) -> int:
        """One for each neuron and input axon that its spikes go to; `shared` into shared lists."""
        reached: dict[str, list[tuple[str, int, int]]] = {}
        for route in self.routes[core]:
            there = route.writes[0].region
            span = route.reads[0]
            place = reached.setdefault(self.owner.get(there, there), [])
            place.append((span.region, span.start, span.stop))
        slots = {name: shared for name in self._shared}
        return sum(_covered(spans) * slots.get(there, 1) for there, spans in reached.items())

    @cached_property
    def _shared(self) -> set[str]:
        """Axon regions of lists that axons share."""
        every = (i for deliveries in self.deliveries.values() for i in deliveries)
        return {i.reads[0].region for i in every if i.op == "deliver_shared"}

    def synapse_bits(self, core: int, target: Target) -> int:
        """Lists of one group onto one slice are one, however many parts deliver it."""
        parts: dict[str, list[Instruction]] = defaultdict(list)
        for i in self.deliveries[core]:
            parts[self._group(i)].append(i)
        return sum(self._list_bits(found, target) for found in parts.values())

    def _list_bits(self, parts: list[Instruction], target: Target) -> int:
        loops = dict(parts[0].loops)
        return int(np.sum(axon_list_bits(
            sum(self._lengths(i) for i in parts), loops["weight_bits"],
            limits=target.core.limits, delay_bits=loops["delay_bits"],
            index_bits=loops["index_bits"],
        )))  # fmt: skip

    def _lengths(self, instruction: Instruction) -> np.ndarray:
        """Synapses of each list."""
        loops = dict(instruction.loops)
        if instruction.op == "deliver_dense":
            return np.full(loops["axons"], loops["neurons"], np.int64)
        return np.diff(self._values(instruction, 3 if instruction.op == "deliver_shared" else 1))

    def formats(self, core: int) -> set[SynapseFormat]:
        return {self._format(i) for i in self.deliveries[core]}

    def _format(self, instruction: Instruction) -> SynapseFormat:
        loops = dict(instruction.loops)
        exponent = self.shifted.get(instruction.writes[0].region, instruction.args[0])
        bits = (loops[f"{field}_bits"] for field in ("weight", "delay", "index"))
        return SynapseFormat(*bits, exponent, instruction.op == "deliver_shared")

    def profiles(self, core: int) -> set[tuple[str | float, ...]]:
        return self._rows(core, lambda name: name not in (*OWN, *THRESHOLDS))

    def thresholds(self, core: int) -> set[tuple[str | float, ...]]:
        return self._rows(core, lambda name: name in THRESHOLDS)

    def _rows(self, core: int, wanted: Callable[[str], bool]) -> set[tuple[str | float, ...]]:
        """Distinct settings of neurons in the registers and options that are wanted."""
        found: set[tuple[str | float, ...]] = set()
        for i in self.updates[core]:
            opcode = OPCODES[i.op]
            registers = [
                self._values(i, k).ravel() for k, name in enumerate(opcode.reads) if wanted(name)
            ]
            options = [v for name, v in zip(opcode.args, i.args) if wanted(name)]
            flat = [*registers, *(np.array([v]) for v in options)] or [np.zeros(1)]
            rows = np.unique(np.stack(np.broadcast_arrays(*flat), axis=1), axis=0)
            found |= {(i.op, *map(float, row)) for row in rows}
        return found


def _covered(spans: list[tuple[str, int, int]]) -> int:
    """Elements in at least one of the spans."""
    total, region, end = 0, "", 0
    for name, start, stop in sorted(spans):
        end = end if name == region else 0
        total += max(0, stop - max(start, end))
        region, end = name, max(end, stop)
    return total
