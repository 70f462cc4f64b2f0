"""A spiking network as populations and the synapse groups into them: what cores must hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph
from picojoule.graph.ops import Dense, IntSynapse
from picojoule.passes.support import NEURONS, source_of
from picojoule.target import Target, axon_list_bits

DENSE_SHARE = 0.5  # groups with at most this share of weights other than 0 become sparse


@dataclass(frozen=True, eq=False)
class Group:
    """Synapses of one population from one source.

    present  bool (neurons, sources): which synapses there are
    delay    steps from spike to effect, the machine's own included
    bits     of memory for one synapse: its weight, delay and index
    """

    name: str
    source: str
    present: np.ndarray
    delay: int
    weight_bits: int
    delay_bits: int
    sparse: bool

    def axons(self, start: int, stop: int) -> tuple[int, int]:
        """The range of sources that have synapses on neurons start..stop; (0, 0): none."""
        used = np.flatnonzero(self.present[start:stop].any(axis=0))
        return (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)

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


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one node, and all synapses into them."""

    name: str
    size: int
    groups: tuple[Group, ...]


def populations(graph: Graph, target: Target, bits: int) -> tuple[Population, ...]:
    """All populations in order of evaluation, of a float or a quantized network.

    bits  what each weight of a float network will have
    """
    types = graph.types
    return tuple(
        Population(name, types[name].size, tuple(
            _group(graph, target, i, bits) for i in graph[name].inputs
        ))
        for name in graph.names(*NEURONS)
    )  # fmt: skip


def offered_bits(target: Target, field: str, largest: int) -> int:
    """The fewest bits that the target offers for a field holding 0..largest; 0 for nothing."""
    needed = max(1, largest.bit_length()) if field == "index_bits" else largest.bit_length()
    offered = [b for b in sorted(target.core.choice(field)) if b >= needed]
    return offered[0] if offered else needed


def _group(graph: Graph, target: Target, name: str, bits: int) -> Group:
    op = graph[name].op
    assert isinstance(op, Dense | IntSynapse)
    source, steps = source_of(graph, name)
    weight = np.asarray(graph.value(op.weight))
    present = weight != 0
    own = op.delay if isinstance(op, IntSynapse) else _own_delay(graph, target, source, steps)
    share = np.count_nonzero(present) / max(1, present.size)
    return Group(
        name=name, source=source, present=present, delay=steps,
        weight_bits=op.bits if isinstance(op, IntSynapse) else bits,
        delay_bits=offered_bits(target, "delay_bits", own),
        sparse=share <= DENSE_SHARE or (isinstance(op, IntSynapse) and op.sparse),
    )  # fmt: skip


def _own_delay(graph: Graph, target: Target, source: str, steps: int) -> int:
    """Synaptic delay that a user's Delay will need beyond the machine's own, at most."""
    profile = SPIKING[target.core.profile]
    spikes = isinstance(graph[source].op, NEURONS)
    return max(0, steps - (profile.spike_delay if spikes else profile.input_delay))
