"""What happened, in counts.  Simulators only count; `cost` prices.

Spiking machines (component `core<k>`, `chip` or `host`; a window is one step):

    neuron.active   updates of neurons with a state word, an input (after its width) or a bias
                    different from zero
    neuron.idle     updates of all other neurons (counted even where the engine skips them)
    synapse.event   synapses read because a spike arrived
    packet.out      packets sent: one a fired neuron and destination core, its own included
    hop.ew hop.ns   mesh links crossed by those packets, east-west and north-south
    hop.chip        those of them that lead from chip to chip
    chip: step      steps run      chip: reset       state resets (one a sample)
    host: event.in event.out       events exchanged with the host

Tensor machines (component `array`, `vector`, `sram`, `dram` or `chip`; a window is one phase,
that is one layer):

    array:  mac, cycle      vector: requantize, add, cycle
    sram:   read, write (bytes)     dram: read, write (bytes)      chip: inference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Activity:
    """Counts by sample, window, component and action.

    counts      int64 (samples, windows, components, actions)
    samples     how many samples the counts cover; `counts.shape[0]` is this, or 1 if summed
    steps       how many windows of each sample they cover; `counts.shape[1]` is this, or 1
    components  names of axis 2, such as 'core0'
    actions     names of axis 3, such as 'synapse.event'
    windows     names of axis 1 where windows are phases; empty where they are steps
    machine     digest of the machine that the program was compiled for
    nodes       component -> graph nodes that it holds, for tables by layer
    """

    counts: np.ndarray
    components: tuple[str, ...]
    actions: tuple[str, ...]
    samples: int
    steps: int
    windows: tuple[str, ...] = ()
    machine: str = ""
    nodes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, cols = self.counts.shape[:2]
        assert self.counts.ndim == 4 and self.counts.dtype == np.int64
        assert self.counts.shape[2:] == (len(self.components), len(self.actions))
        assert rows in (1, self.samples) and cols in (1, self.steps)

    def total(self, action: str, component: str | None = None) -> int:
        """The count of one action, over everything or over one component."""
        if action not in self.actions:
            return 0
        column = self.counts[..., self.actions.index(action)]
        if component is not None:
            column = column[..., self.components.index(component)]
        return int(column.sum())

    def summed(self, *, samples: bool = True, windows: bool = False) -> Activity:
        """The same activity with samples and/or windows added up."""
        counts = self.counts
        if samples:
            counts = counts.sum(axis=0, keepdims=True)
        if windows:
            counts = counts.sum(axis=1, keepdims=True)
        return replace(self, counts=counts)

    def sliced(self, samples: slice) -> Activity:
        """The activity of some samples only."""
        counts = self.counts[samples]
        return replace(self, counts=counts, samples=counts.shape[0])


def join(parts: Sequence[Activity]) -> Activity:
    """Put the activities of several batches one after the other.

    All parts must come from the same program with the same detail.
    """
    first = parts[0]
    counts = np.concatenate([part.counts for part in parts])
    samples = sum(part.samples for part in parts)
    if any(part.counts.shape[0] < part.samples for part in parts):
        counts = counts.sum(axis=0, keepdims=True)
    return replace(first, counts=counts, samples=samples)
