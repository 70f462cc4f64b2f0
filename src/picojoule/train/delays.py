"""Learned delays of synapse groups: reals beside the parameters, whole steps in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.graph import Graph
from picojoule.graph.ops import Delay
from picojoule.kernels.train_spiking import DELAY, SOURCE, TARGET
from picojoule.train.spiking import profile_of
from picojoule.train.wiring import Flat, flatten, with_delays, write_delays

Array = np.ndarray
DELAYS = "<delays>"  # what they are called among parameters; no graph has one of that name


@dataclass(frozen=True, eq=False)
class Learned:
    """Delays (G,) float32 of the groups of a network: where they start, and how far they may go."""

    start: Array
    low: Array
    high: Array

    def clip(self, delays: Array) -> None:
        """Keep delays within their limits, in place."""
        np.clip(delays, self.low, self.high, out=delays)


def learned(graph: Graph, flat: Flat | None, most: int) -> Learned:
    """What the delays of a graph may become: at most `most` steps, of a quantized graph beyond
    those that its machine needs, and never more than its field holds.

    Raises UsageError PJ806 for a network without spikes, TrainError PJ704 where one group of
    synapses leads to several populations.
    """
    if flat is None:
        what = "delay_lr is for networks of spiking neurons"
        raise UsageError(Fault("PJ806", what, fix="delay_lr=0"))
    shared = sorted({name for name in flat.synapses if flat.synapses.count(name) > 1})
    if shared:
        raise TrainError([
            Fault("PJ704", f"synapses {name!r} lead to several populations: one delay for all of"
                  " them cannot be learned", fix="a Dense for each population, or delay_lr=0")
            for name in shared
        ])  # fmt: skip
    start = flat.wiring.groups[:, DELAY].astype(np.float32)
    low = np.array([_least(graph, flat, g) for g in range(len(start))], np.float32)
    high = np.array([_most(graph, flat, g, most) for g in range(len(start))], np.float32)
    return Learned(start, low, np.maximum(high, np.maximum(start, low)))


def _least(graph: Graph, flat: Flat, g: int) -> int:
    """Steps that a group cannot do without: a loop's, its machine's, those behind its synapses."""
    source, target, steps = flat.wiring.groups[g, [SOURCE, TARGET, DELAY]].tolist()
    node = graph[graph[flat.synapses[g]].inputs[0]]
    while isinstance(node.op, Delay):
        steps -= node.op.steps
        node = graph[node.inputs[0]]
    return max(steps, int(source >= target), _of_machine(graph, flat, g))


def _of_machine(graph: Graph, flat: Flat, g: int) -> int:
    """Steps from a spike to where it acts that a machine always takes; 0 for a float graph."""
    if not flat.integer:
        return 0
    profile = profile_of(graph, flat)
    return profile.input_delay if flat.wiring.groups[g, SOURCE] < 0 else profile.spike_delay


def _most(graph: Graph, flat: Flat, g: int, most: int) -> int:
    if not flat.integer:
        return most
    return _of_machine(graph, flat, g) + min(most, profile_of(graph, flat).delay_max)


def with_learned(graph: Graph, flat: Flat, delays: Array) -> Graph:
    """The graph with delays (G,) of its groups, rounded to whole steps."""
    return write_delays(graph, with_delays(flat, delays))


def delays_of(graph: Graph, flat: Flat) -> Array:
    """Delays (G,) float32 of a graph, in the order of the groups of `flat`."""
    now = flatten(graph)
    steps = dict(zip(now.synapses, now.wiring.groups[:, DELAY].tolist()))
    return np.array([steps[name] for name in flat.synapses], np.float32)
