"""A spiking program under construction, and what its passes need to look up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Graph
from picojoule.passes.draft import Draft
from picojoule.passes.groups import AnyGroup, Runs
from picojoule.passes.partition import Slice
from picojoule.program import Span
from picojoule.target import Target


@dataclass(frozen=True)
class Arrival:
    """Spikes of a source on the input axons of a core.

    delay  steps from spike to effect that its groups have in common
    owner  the group that alone reads them, where its lists are shared
    extra  steps that the synapses which read them add
    """

    core: int
    source: str
    delay: int
    owner: str = ""
    extra: int = 0

    @property
    def steps(self) -> int:
        return self.delay + self.extra

    @property
    def region(self) -> str:
        """The name of its axons."""
        owner = f".{self.owner}" if self.owner else ""
        extra = f"+{self.extra}" if self.extra else ""
        return f"core{self.core}.axon.{self.source}.{self.delay}{extra}{owner}"


@dataclass(frozen=True, eq=False)
class Axons:
    """Input axons: the sources of runs, one run after the other.

    first  int64 (runs,): element of the span at which each run begins
    """

    runs: Runs
    first: np.ndarray
    span: Span

    @property
    def pieces(self) -> Iterator[tuple[int, int, int]]:
        """(low, high, first element) of each run."""
        yield from zip(self.runs.low.tolist(), self.runs.high.tolist(), self.first.tolist())

    def part(self, low: int, high: int) -> Span:
        """The axons of sources low..high of the first run."""
        start = low - int(self.runs.low[0])
        return Span(self.span.region, start, start + high - low)


@dataclass
class Site:
    """axons    arrival -> its input axons
    arrived  arrival -> instructions that fill its axons within the step
    fired    slice -> the instruction that updates it
    """

    graph: Graph
    target: Target
    slices: tuple[Slice, ...]
    groups: dict[str, tuple[AnyGroup, ...]]
    draft: Draft = field(default_factory=Draft)
    axons: dict[Arrival, Axons] = field(default_factory=dict)
    arrived: dict[Arrival, list[int]] = field(default_factory=dict)
    fired: dict[Slice, int] = field(default_factory=dict)

    @property
    def profile(self) -> SpikingProfile:
        return SPIKING[self.target.core.profile]

    @cached_property
    def _by_core(self) -> dict[int, list[Slice]]:
        found: dict[int, list[Slice]] = {}
        for piece in self.slices:
            found.setdefault(piece.core, []).append(piece)
        return found

    def on_core(self, core: int) -> list[Slice]:
        """The slices of a core."""
        return self._by_core.get(core, [])

    def readers(self, piece: Slice) -> Iterator[tuple[Arrival, int, int, Span]]:
        """Where the spikes of a slice go: arrival, sources from..to of the slice's node, and
        their axons.  Call it when all axons have been made."""
        if piece.node not in self._by_source:
            return
        arrivals, low, high, first = self._by_source[piece.node]
        for k in np.flatnonzero((low < piece.stop) & (high > piece.start)).tolist():
            start, stop = max(int(low[k]), piece.start), min(int(high[k]), piece.stop)
            place = start - int(low[k]) + int(first[k])
            region = self.axons[arrivals[k]].span.region
            yield arrivals[k], start, stop, Span(region, place, place + stop - start)

    @cached_property
    def _by_source(self) -> dict[str, tuple[list[Arrival], np.ndarray, np.ndarray, np.ndarray]]:
        """Source -> all runs of its readers: arrival, low, high, first element."""
        found: dict[str, list[Arrival]] = {}
        for arrival in self.axons:
            found.setdefault(arrival.source, []).append(arrival)
        return {source: self._runs_of(arrivals) for source, arrivals in found.items()}

    def _runs_of(
        self, arrivals: list[Arrival]
    ) -> tuple[list[Arrival], np.ndarray, np.ndarray, np.ndarray]:
        axons = [self.axons[arrival] for arrival in arrivals]
        repeated = [a for a, place in zip(arrivals, axons) for _ in range(place.first.size)]
        columns = zip(*((*place.runs, place.first) for place in axons))
        low, high, first = (np.concatenate(column) for column in columns)
        return repeated, low, high, first
