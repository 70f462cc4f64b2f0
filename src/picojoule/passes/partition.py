"""Cut populations into slices and fill cores with them, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from picojoule.errors import Fault
from picojoule.passes.populations import Population
from picojoule.target import Target

ROUNDS = 12  # of learning how many cores each population sends to


@dataclass(frozen=True)
class Slice:
    """Neurons start..stop of a population, on a core."""

    node: str
    start: int
    stop: int
    core: int

    @property
    def size(self) -> int:
        return self.stop - self.start


@dataclass
class Load:
    """What a core holds while it is being filled.

    axons  (source, delay) -> range of sources whose spikes arrive
    """

    neurons: int = 0
    bits: int = 0
    out_axons: int = 0
    axons: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def in_axons(self) -> int:
        return sum(high - low for low, high in self.axons.values())

    def with_slice(
        self, population: Population, start: int, stop: int, fan: int, target: Target
    ) -> Load:
        """The load with neurons start..stop added; fan: cores that each of them sends to."""
        axons = dict(self.axons)
        for group in population.groups:
            low, high = group.axons(start, stop)
            if high > low:
                key = (group.source, group.delay)
                old = axons.get(key, (low, high))
                axons[key] = (min(low, old[0]), max(high, old[1]))
        bits = sum(group.bits(start, stop, target) for group in population.groups)
        more = stop - start
        return Load(self.neurons + more, self.bits + bits, self.out_axons + fan * more, axons)

    def excess(self, target: Target) -> tuple[str, str, int, int, str] | None:
        """(code, what, needed, offered, limit) of the first limit that this load breaks."""
        limits = target.core.limits
        memory = limits.synapse_words * limits.synapse_word_bits
        for code, what, needed, offered, limit in (
            ("PJ202", "neurons", self.neurons, limits.neurons, "neurons"),
            ("PJ204", "input axons", self.in_axons, limits.in_axons, "in_axons"),
            ("PJ205", "output axons", self.out_axons, limits.out_axons, "out_axons"),
            ("PJ203", "bits of synapse memory", self.bits, memory, "synapse_words"),
        ):
            if needed > offered:
                return code, what, needed, offered, limit
        return None


def partition(cells: Sequence[Population], target: Target) -> tuple[tuple[Slice, ...], list[Fault]]:
    """Slices in order of population and neuron, packed into cores; and all that does not fit.

    Cores are filled one after the other, each up to the first of its limits: neurons, input
    and output axons, synapse memory.  Output axons depend on how readers are cut, so packing
    repeats until the number of cores that each population sends to has settled.
    """
    fan = {p.name: 1 for p in cells}
    for _ in range(ROUNDS):
        slices, faults = _pack(cells, fan, target)
        found = fan_out(cells, slices)
        if faults or all(found[name] <= fan[name] for name in fan):
            break
        fan = {name: max(fan[name], found[name]) for name in fan}
    return slices, faults + _core_faults(slices, target)


def fan_out(cells: Sequence[Population], slices: Sequence[Slice]) -> dict[str, int]:
    """How many cores each population sends its spikes to."""
    groups = {p.name: p.groups for p in cells}
    cores: dict[str, set[int]] = {p.name: set() for p in cells}
    for piece in slices:
        for group in groups[piece.node]:
            low, high = group.axons(piece.start, piece.stop)
            if high > low and group.source in cores:
                cores[group.source].add(piece.core)
    return {name: len(found) for name, found in cores.items()}


def _pack(
    cells: Sequence[Population], fan: Mapping[str, int], target: Target
) -> tuple[tuple[Slice, ...], list[Fault]]:
    slices: list[Slice] = []
    faults: list[Fault] = []
    core, load = 0, Load()
    for population in cells:
        start = 0
        while start < population.size:
            count = _room(population, start, load, fan[population.name], target)
            if count == 0 and load.neurons == 0:
                faults.append(_fault(population, start, fan[population.name], target))
                break
            if count == 0:
                core, load = core + 1, Load()
                continue
            slices.append(Slice(population.name, start, start + count, core))
            load = load.with_slice(population, start, start + count, fan[population.name], target)
            start += count
    return tuple(slices), faults


def _room(population: Population, start: int, load: Load, fan: int, target: Target) -> int:
    """How many neurons from `start` on still fit; more neurons never need less."""

    def fits(count: int) -> bool:
        return load.with_slice(population, start, start + count, fan, target).excess(target) is None

    low, high = 0, min(population.size - start, target.core.limits.neurons - load.neurons)
    if high > 0 and fits(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _fault(population: Population, neuron: int, fan: int, target: Target) -> Fault:
    excess = Load().with_slice(population, neuron, neuron + 1, fan, target).excess(target)
    assert excess is not None, "an empty core held no neuron, yet no limit is broken"
    code, what, needed, offered, limit = excess
    fixes = {
        "PJ204": "fewer inputs to this layer, or sparser weights",
        "PJ205": "smaller layers behind it, so that its spikes go to fewer cores",
        "PJ203": "fewer weight bits, or sparser weights",
    }
    return Fault(
        code, f"one neuron of node {population.name!r} needs more {what} ({needed})"
        f" than a core of {target.name!r} has ({offered})",
        where=target.where(f"core.limits.{limit}"), fix=fixes.get(code, "another target"),
    )  # fmt: skip


def _core_faults(slices: Sequence[Slice], target: Target) -> list[Fault]:
    needed, offered = 1 + max((s.core for s in slices), default=-1), target.core.count
    if needed <= offered:
        return []
    sizes: dict[str, int] = {}
    for piece in slices:
        sizes[piece.node] = sizes.get(piece.node, 0) + piece.size
    largest = max(sizes, key=lambda name: sizes[name])
    return [Fault(
        "PJ201", f"the network needs {needed} cores; {target.name!r} has {offered}"
        f" (the largest node, {largest!r}, has {sizes[largest]} neurons)",
        where=target.where("core.count"), fix="smaller layers, or fewer weight bits",
    )]  # fmt: skip
