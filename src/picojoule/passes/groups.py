"""Synapse groups as cores see them: which axons they need, and how much memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from picojoule.graph.sparse import Sparse
from picojoule.passes.shared import Cut, Shared, cut, lengths
from picojoule.target import Target, axon_list_bits


class SynapseFormat(NamedTuple):
    """What the lists of a synapse format have in common."""

    weight_bits: int
    delay_bits: int
    index_bits: int
    exponent: int
    shared: bool


class Runs(NamedTuple):
    """Sources low[k]..high[k], int64 (runs,), ascending and apart."""

    low: np.ndarray
    high: np.ndarray


def one_run(low: int, high: int) -> Runs:
    """Sources low..high; none where they are equal."""
    ends = np.array([[low], [high]] if high > low else [[], []], np.int64)
    return Runs(ends[0], ends[1])


@dataclass(frozen=True, eq=False)
class Group:
    """Synapses of one population from one source, each with its own weight.

    present  bool (neurons, sources): which synapses there are
    delay    steps from spike to effect, the machine's own included
    delays   int (neurons, sources): what each synapse adds to that, where they differ
    bits     of memory for one synapse: its weight, delay and index
    """

    name: str
    source: str
    present: np.ndarray
    delay: int
    weight_bits: int
    delay_bits: int
    sparse: bool
    exponent: int = 0
    delays: np.ndarray | None = None

    grain = 1
    slots = 1

    @property
    def port(self) -> tuple[str, int, str]:
        """Groups of one port share their input axons on a core, so a spike is sent once."""
        return self.source, self.delay, ""

    def axons(self, start: int, stop: int) -> tuple[int, int]:
        """The range of sources that have synapses on neurons start..stop; (0, 0): none."""
        used = np.flatnonzero(self.present[start:stop].any(axis=0))
        return (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)

    def runs(self, start: int, stop: int) -> Runs:
        """The range of sources, as a run."""
        return one_run(*self.axons(start, stop))

    def in_axons(self, start: int, stop: int) -> int:
        """Input axons on a core that has no other synapses from this source and delay."""
        low, high = self.axons(start, stop)
        return high - low

    def bits(self, start: int, stop: int, target: Target) -> int:
        """Synapse memory that the lists of these synapses take on a core."""
        low, high = self.axons(start, stop)
        each = np.full(high - low, stop - start)
        if self.sparse:
            each = np.count_nonzero(self.present[start:stop, low:high], axis=0)
        return int(np.sum(axon_list_bits(
            each, self.weight_bits, limits=target.core.limits, delay_bits=self.delay_bits,
            index_bits=self.index_bits(stop - start, target),
        )))  # fmt: skip

    def index_bits(self, neurons: int, target: Target) -> int:
        """Bits of a synapse's index in a list onto `neurons` neurons; dense lists have none."""
        return offered_bits(target, "index_bits", neurons - 1) if self.sparse else 0

    def format(self, neurons: int, target: Target) -> SynapseFormat:
        """The format of its lists onto `neurons` neurons of a core."""
        index = self.index_bits(neurons, target)
        return SynapseFormat(self.weight_bits, self.delay_bits, index, self.exponent, False)

    def extra_delays(self, start: int, stop: int) -> tuple[int, ...]:
        """What the synapses onto neurons start..stop add to the delay, ascending."""
        if self.delays is None:
            return (0,)
        low, high = self.axons(start, stop)
        part = self.delays[start:stop, low:high]
        kept = part[self.present[start:stop, low:high]] if self.sparse else part
        return tuple(int(d) for d in np.unique(kept))


@dataclass(frozen=True, eq=False)
class SharedGroup:
    """Synapses of one population from one source, in lists that many axons share.

    slots  output axons that a spike takes up where it is sent from
    cuts   what has been asked for already, by the neurons of a slice
    """

    name: str
    source: str
    shared: Shared
    delay: int
    weight_bits: int
    delay_bits: int
    exponent: int = 0
    slots: int = 1
    cuts: dict[tuple[int, int], Cut] = field(default_factory=dict, repr=False)

    @property
    def grain(self) -> int:
        return self.shared.grain

    @property
    def port(self) -> tuple[str, int, str]:
        """Bases and rows belong to the axons, so no other group can share them."""
        return self.source, self.delay, self.name

    def cut(self, start: int, stop: int) -> Cut:
        """The part onto neurons start..stop, kept for the next time."""
        if (start, stop) not in self.cuts:
            self.cuts[start, stop] = cut(self.shared, start, stop)
        return self.cuts[start, stop]

    def axons(self, start: int, stop: int) -> tuple[int, int]:
        """The range of sources that have synapses on neurons start..stop; (0, 0): none."""
        positions, atoms = self.cut(start, stop).position, self.shared.atoms
        return (int(positions[0]) * atoms, (int(positions[-1]) + 1) * atoms) if positions.size \
            else (0, 0)  # fmt: skip

    def runs(self, start: int, stop: int) -> Runs:
        """The range of sources, as a run."""
        return one_run(*self.axons(start, stop))

    def in_axons(self, start: int, stop: int) -> int:
        """Input axons on a core: one for all channels of a position, which the spikes name."""
        return self.cut(start, stop).axons

    def bits(self, start: int, stop: int, target: Target) -> int:
        """Synapse memory of its lists on a core; axons that share one pay for it once."""
        return int(np.sum(axon_list_bits(
            lengths(self.shared, self.cut(start, stop)), self.weight_bits,
            limits=target.core.limits, delay_bits=self.delay_bits,
            index_bits=self.index_bits(stop - start, target),
        )))  # fmt: skip

    def index_bits(self, neurons: int, target: Target) -> int:
        """Bits of a synapse's index in a list onto `neurons` neurons."""
        return offered_bits(target, "index_bits", neurons - 1)

    def format(self, neurons: int, target: Target) -> SynapseFormat:
        """The format of its lists onto `neurons` neurons of a core."""
        index = self.index_bits(neurons, target)
        return SynapseFormat(self.weight_bits, self.delay_bits, index, self.exponent, True)

    def extra_delays(self, start: int, stop: int) -> tuple[int, ...]:
        """Shared lists have one delay."""
        return (0,)


@dataclass(frozen=True, eq=False)
class SparseGroup:
    """Synapses of one population from one source, too many to hold at once: lists by axon."""

    name: str
    source: str
    weights: Sparse
    delay: int
    weight_bits: int
    delay_bits: int
    exponent: int = 0

    grain = 1
    slots = 1

    @property
    def port(self) -> tuple[str, int, str]:
        """Its axons are runs of sources, which no other group is likely to need."""
        return self.source, self.delay, self.name

    def axons(self, start: int, stop: int) -> tuple[int, int]:
        """The range of sources that have synapses on neurons start..stop; (0, 0): none."""
        low, high = self.runs(start, stop)
        return (int(low[0]), int(high[-1])) if low.size else (0, 0)

    def runs(self, start: int, stop: int) -> Runs:
        """The runs of sources that have synapses on neurons start..stop."""
        reach = self.weights.reach(start, stop)
        return Runs(reach.low, reach.high)

    def in_axons(self, start: int, stop: int) -> int:
        """Input axons on a core."""
        return self.weights.reach(start, stop).axons

    def bits(self, start: int, stop: int, target: Target) -> int:
        """Synapse memory that the lists of these synapses take on a core."""
        reach = self.weights.reach(start, stop)
        each = axon_list_bits(
            reach.length, self.weight_bits, limits=target.core.limits,
            delay_bits=self.delay_bits, index_bits=self.index_bits(stop - start, target),
        )  # fmt: skip
        return int(np.sum(each * reach.many))

    def index_bits(self, neurons: int, target: Target) -> int:
        """Bits of a synapse's index in a list onto `neurons` neurons."""
        return offered_bits(target, "index_bits", neurons - 1)

    def format(self, neurons: int, target: Target) -> SynapseFormat:
        """The format of its lists onto `neurons` neurons of a core."""
        index = self.index_bits(neurons, target)
        return SynapseFormat(self.weight_bits, self.delay_bits, index, self.exponent, False)

    def extra_delays(self, start: int, stop: int) -> tuple[int, ...]:
        """Such lists have one delay."""
        return (0,)


AnyGroup = Group | SharedGroup | SparseGroup


def united(a: Runs, b: Runs) -> Runs:
    """Runs that hold what either holds."""
    low, high = np.concatenate([a.low, b.low]), np.concatenate([a.high, b.high])
    order = np.argsort(low, kind="stable")
    low, high = low[order], np.maximum.accumulate(high[order])
    first = np.concatenate([[True], low[1:] > high[:-1]])
    return Runs(low[first], high[np.concatenate([first[1:], [True]])])


def offered_bits(target: Target, field: str, largest: int) -> int:
    """The fewest bits that the target offers for a field holding 0..largest; 0 for nothing."""
    needed = max(1, largest.bit_length()) if field == "index_bits" else largest.bit_length()
    offered = [b for b in sorted(target.core.choice(field)) if b >= needed]
    return offered[0] if offered else needed
