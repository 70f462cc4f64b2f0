"""A spiking program under construction, and what its passes need to look up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Graph
from picojoule.passes.draft import Draft
from picojoule.passes.partition import Slice
from picojoule.passes.populations import Group, SharedGroup
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


@dataclass
class Site:
    """axons    arrival -> the first source neuron, and the span of its axons
    arrived  arrival -> instructions that fill its axons within the step
    fired    slice -> the instruction that updates it
    """

    graph: Graph
    target: Target
    slices: tuple[Slice, ...]
    groups: dict[str, tuple[Group | SharedGroup, ...]]
    draft: Draft = field(default_factory=Draft)
    axons: dict[Arrival, tuple[int, Span]] = field(default_factory=dict)
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

    def readers(self, source: str) -> Iterator[tuple[Arrival, tuple[int, Span]]]:
        """Every arrival of a source; call it when all axons have been made."""
        yield from self._by_source.get(source, ())

    @cached_property
    def _by_source(self) -> dict[str, list[tuple[Arrival, tuple[int, Span]]]]:
        found: dict[str, list[tuple[Arrival, tuple[int, Span]]]] = {}
        for arrival, place in self.axons.items():
            found.setdefault(arrival.source, []).append((arrival, place))
        return found
