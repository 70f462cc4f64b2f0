"""Cut populations into slices and fill cores with them, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import Fault
from picojoule.passes.groups import Group, Runs, SynapseFormat, one_run, united
from picojoule.passes.populations import Population
from picojoule.target import Target

ROUNDS = 12  # of learning how many input axons each neuron sends to
FORWARDS = 3  # rounds that pack from front to back
Port = tuple[str, int, str]
Fan = dict[str, np.ndarray]


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

    axons      port -> range of sources whose spikes arrive
    own_axons  input axons of groups that share theirs with no other
    """

    neurons: int = 0
    bits: int = 0
    out_axons: int = 0
    own_axons: int = 0
    axons: dict[Port, tuple[int, int]] = field(default_factory=dict)
    profiles: frozenset[int] = frozenset()
    thresholds: frozenset[int] = frozenset()
    formats: frozenset[SynapseFormat] = frozenset()

    @property
    def in_axons(self) -> int:
        return self.own_axons + sum(high - low for low, high in self.axons.values())

    def with_slice(
        self, population: Population, start: int, stop: int, fan: np.ndarray, target: Target
    ) -> Load:
        """The load with neurons start..stop added; fan: output axons that each neuron needs."""
        load = Load(
            self.neurons + stop - start, self.bits, self.out_axons + int(fan[start:stop].sum()),
            self.own_axons, dict(self.axons),
            self.profiles | _ids(population.profiles, start, stop),
            self.thresholds | _ids(population.thresholds, start, stop), self.formats,
        )  # fmt: skip
        for group in population.groups:
            low, high = group.axons(start, stop)
            if high == low:
                continue
            load.bits += group.bits(start, stop, target)
            load.formats |= {group.format(stop - start, target)}
            if not isinstance(group, Group):
                load.own_axons += group.in_axons(start, stop)
                continue
            old = load.axons.get(group.port, (low, high))
            load.axons[group.port] = (min(low, old[0]), max(high, old[1]))
        return load

    def excess(self, target: Target) -> tuple[str, str, int, int, str] | None:
        """(code, what, needed, offered, limit) of the first limit that this load breaks."""
        limits = target.core.limits
        memory = limits.synapse_words * limits.synapse_word_bits
        for code, what, needed, offered, limit in (
            ("PJ202", "neurons", self.neurons, limits.neurons, "neurons"),
            ("PJ204", "input axons", self.in_axons, limits.in_axons, "in_axons"),
            ("PJ205", "output axons", self.out_axons, limits.out_axons, "out_axons"),
            ("PJ203", "bits of synapse memory", self.bits, memory, "synapse_words"),
            *((code, what, len(found), limits.get(limit, len(found)), limit) for
              code, what, found, limit in self._kinds()),
        ):  # fmt: skip
            if needed > offered:
                return code, what, needed, offered, limit
        return None

    def _kinds(self) -> tuple[tuple[str, str, frozenset[object], str], ...]:
        """What a core has a table of, where the machine limits its length."""
        return (
            ("PJ214", "compartment profiles", self.profiles, "compartment_profiles"),
            ("PJ214", "threshold profiles", self.thresholds, "v_th_profiles"),
            ("PJ214", "synapse formats", self.formats, "synapse_formats"),
        )


def _ids(numbers: np.ndarray, start: int, stop: int) -> frozenset[int]:
    part = numbers if numbers.size == 1 else np.unique(numbers[start:stop])
    return frozenset(part.tolist())


def partition(cells: Sequence[Population], target: Target) -> tuple[tuple[Slice, ...], list[Fault]]:
    """Slices in order of population and neuron, packed into cores; and all that does not fit.

    Cores are filled one after the other, each up to the first of its limits: neurons, input
    and output axons, synapse memory, profiles and formats.  Populations with shared lists are
    cut between positions where a core holds one.  Output axons depend on how readers are cut,
    so packing repeats until the number that each neuron needs has settled.  From front to back
    that may take many rounds: neurons that need more are fewer on a core, and then those before
    them need more.  So after a few it goes from back to front, where only loops need another.
    """
    least = {p.name: np.ones(p.size, np.int64) for p in cells}
    for done in range(ROUNDS):
        if done == FORWARDS:
            least = {p.name: np.ones(p.size, np.int64) for p in cells}
        pack = _pack if done < FORWARDS else _pack_backwards
        fan = dict(least)
        slices, faults, cuts = pack(cells, fan, target)
        found = slots_needed(cells, slices)
        if faults or all(np.all(found[name] <= fan[name]) for name in fan):
            break
        least = {name: np.maximum(least[name], found[name]) for name in fan}
    else:
        faults = _unsettled_faults(slices, found, target)
    return slices, faults + _core_faults(slices, target, cuts)


def fan_out(cells: Sequence[Population], slices: Sequence[Slice]) -> dict[str, int]:
    """The most output axons that a neuron of each population needs."""
    return {name: int(fan.max(initial=0)) for name, fan in slots_needed(cells, slices).items()}


def ports(
    cells: Sequence[Population], slices: Sequence[Slice]
) -> dict[tuple[int, Port], tuple[Runs, int]]:
    """By core and port: the sources whose spikes arrive, and output axons that each takes up
    where it is sent from."""
    groups = {p.name: p.groups for p in cells}
    found: dict[tuple[int, Port], tuple[Runs, int]] = {}
    for piece in slices:
        for group in groups[piece.node]:
            runs, key = group.runs(piece.start, piece.stop), (piece.core, group.port)
            if not runs.low.size:
                continue
            if key in found:
                runs = united(found[key][0], runs)
                ranged = isinstance(group, Group)
                runs = one_run(int(runs.low[0]), int(runs.high[-1])) if ranged else runs
            found[key] = (runs, group.slots)
    return found


def slots_needed(cells: Sequence[Population], slices: Sequence[Slice]) -> Fan:
    """Output axons that each neuron needs: one or two for each core and port it sends to."""
    changes = {p.name: np.zeros(p.size + 1, np.int64) for p in cells}
    for (_, (source, _, _)), (runs, slots) in ports(cells, slices).items():
        if source in changes:  # ends of runs differ from each other
            changes[source][runs.low] += slots
            changes[source][runs.high] -= slots
    return {name: np.cumsum(change)[:-1] for name, change in changes.items()}


def _pack_backwards(
    cells: Sequence[Population], fan: Fan, target: Target
) -> tuple[tuple[Slice, ...], list[Fault], Counter[str]]:
    """As `_pack`, the last population first; `fan` grows by what readers, once cut, ask for."""
    least, seen = dict(fan), {p.name: np.zeros(p.size, np.int64) for p in cells}

    def learn(pieces: Sequence[Slice]) -> None:
        for name, more in slots_needed(cells, pieces).items():
            seen[name] += more
            fan[name] = np.maximum(least[name], seen[name])

    slices, faults, cuts = _pack(cells[::-1], fan, target, learn)
    order = {p.name: k for k, p in enumerate(cells)}
    return tuple(sorted(slices, key=lambda s: (order[s.node], s.start))), faults, cuts


def _pack(
    cells: Sequence[Population], fan: Mapping[str, np.ndarray], target: Target,
    learn: Callable[[Sequence[Slice]], None] | None = None,
) -> tuple[tuple[Slice, ...], list[Fault], Counter[str]]:  # fmt: skip
    """The slices, what does not fit, and how often each limit ended a core.

    learn  is told the slices of each population as soon as it is cut
    """
    slices: list[Slice] = []
    faults: list[Fault] = []
    cuts: Counter[str] = Counter()
    core, load = 0, Load()
    for population in cells:
        start, guess, known = 0, 0, len(slices)
        while start < population.size:
            count = _room(population, start, load, fan[population.name], target, guess)
            if count == 0 and load.neurons == 0:
                faults.append(_fault(population, start, fan[population.name], target))
                break
            if count:
                slices.append(Slice(population.name, start, start + count, core))
                load = load.with_slice(
                    population, start, start + count, fan[population.name], target
                )
                start, guess = start + count, count
            if start < population.size:  # a core holds one slice of a population
                cuts[_binding(population, start, load, fan[population.name], target)] += 1
                core, load = core + 1, Load()
        if learn is not None:
            learn(slices[known:])
    return tuple(slices), faults, cuts


def _room(
    population: Population, start: int, load: Load, fan: np.ndarray, target: Target, guess: int
) -> int:
    """How many neurons from `start` on still fit; more neurons of a slice never need less.

    Whole positions where one fits on an empty core, else some channels of one; what is left of
    one has a core for itself, since a slice lies within a position or holds whole ones.
    """

    def fits(count: int) -> bool:
        return load.with_slice(population, start, start + count, fan, target).excess(target) is None

    grain = population.grain
    most = min(population.size - start, target.core.limits.neurons - load.neurons)
    within = -start % grain
    if within:
        return _most(fits, min(most, within), 1)
    count = _most(fits, most - most % grain, grain, guess)
    if count == 0 and load.neurons == 0 and grain > 1:
        count = _most(fits, min(most, grain - 1), 1)
    return count


def _most(fits: Callable[[int], bool], high: int, unit: int, guess: int = 0) -> int:
    """The largest multiple of `unit` up to `high`, one of them, that fits; 0: none does.

    guess  about what is expected: the nearer it is, the fewer tries it takes
    """
    if high < unit or not fits(unit):
        return 0
    low, high = _bracket(lambda units: fits(units * unit), guess // unit, high // unit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * unit) else (low, middle)
    return low * unit


def _bracket(fits: Callable[[int], bool], guess: int, end: int) -> tuple[int, int]:
    """Two numbers of which the lower fits and the higher does not, or is `end`; 1 fits."""
    low, high, step = 1, end, 1
    guess = guess if 1 < guess < end else end - 1
    if fits(guess):
        low = guess
        while low + step < high and fits(low + step):
            low, step = low + step, 2 * step
        return low, min(high, low + step)
    high = guess
    while guess < end - 1 and high - step > low and not fits(high - step):
        high, step = high - step, 2 * step
    return (low if guess == end - 1 else max(low, high - step)), high


def _binding(
    population: Population, start: int, load: Load, fan: np.ndarray, target: Target
) -> str:
    """What keeps the next neuron, or the rest of its position, off a core."""
    stop = min(start - start % population.grain + population.grain, population.size)
    excess = load.with_slice(population, start, stop, fan, target).excess(target)
    return "neurons" if excess is None else excess[1]


def _fault(population: Population, neuron: int, fan: np.ndarray, target: Target) -> Fault:
    excess = Load().with_slice(population, neuron, neuron + 1, fan, target).excess(target)
    assert excess is not None, "an empty core held no neuron, yet no limit is broken"
    code, what, needed, offered, limit = excess
    fixes = {
        "PJ204": "fewer inputs to this layer, or sparser weights",
        "PJ205": "smaller layers behind it, so that its spikes go to fewer cores",
        "PJ203": "fewer weight bits, or sparser weights",
        "PJ214": "synapse groups with the same bits, exponents and delays",
    }
    return Fault(
        code, f"one neuron of node {population.name!r} needs more {what} ({needed})"
        f" than a core of {target.name!r} has ({offered})",
        where=target.where(f"core.limits.{limit}"), fix=fixes.get(code, "another target"),
    )  # fmt: skip


def _unsettled_faults(slices: Sequence[Slice], fan: Fan, target: Target) -> list[Fault]:
    """PJ205 for the fullest core, where every other packing changed what its neurons need."""
    needed: Counter[int] = Counter()
    for piece in slices:
        needed[piece.core] += int(fan[piece.node][piece.start : piece.stop].sum())
    core, most = max(needed.items(), key=lambda item: item[1])
    if most <= target.core.limits.out_axons:
        return []
    return [Fault(
        "PJ205", f"core {core} needs more output axons ({most}) than a core of {target.name!r}"
        f" has ({target.core.limits.out_axons}), and no better cut was found",
        where=target.where("core.limits.out_axons"),
        fix="smaller layers behind it, so that its spikes go to fewer cores",
    )]  # fmt: skip


def _core_faults(slices: Sequence[Slice], target: Target, cuts: Counter[str]) -> list[Fault]:
    needed, offered = 1 + max((s.core for s in slices), default=-1), target.cores
    if needed <= offered:
        return []
    sizes: dict[str, int] = {}
    for piece in slices:
        sizes[piece.node] = sizes.get(piece.node, 0) + piece.size
    largest = max(sizes, key=lambda name: sizes[name])
    (what, count), *_ = cuts.most_common()
    full = "" if what == "neurons" else f"; {count} cores were full of {what}"
    return [Fault(
        "PJ201", f"the network needs {needed} cores; {target.name!r} has {offered}"
        f" (the largest node, {largest!r}, has {sizes[largest]} neurons{full})",
        where=target.where("core.count"), fix=_core_fix(cuts),
    )]  # fmt: skip


def _core_fix(cuts: Counter[str]) -> str:
    fixes = {
        "input axons": "smaller layers, or sparser weights",
        "output axons": "smaller layers, or fewer cores that each neuron sends to",
        "compartment profiles": "decays that more neurons share",
        "threshold profiles": "thresholds that more neurons share",
        "synapse formats": "synapse groups with the same bits, exponents and delays",
    }
    return fixes.get(max(cuts, key=lambda what: cuts[what]), "smaller layers, or fewer weight bits")
