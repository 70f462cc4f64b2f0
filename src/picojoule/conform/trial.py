"""What a reader makes of a vector: networks to run, and what must come out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.graph.graph import Graph

Array = np.ndarray[Any, Any]
OUTPUT = ""  # the probe that means: what leaves the machine


class NotYet(Exception):
    """A vector that is understood but cannot be replayed; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """One recorded array.

    name    as the vector calls it
    want    int64 (steps, n), or (samples, n) of a tensor machine
    pieces  (probe, columns of `want` that it fills); probe OUTPUT: what leaves the machine
    first   step of row 0
    unit    a recorded 1 stands for this much of ours
    fired   on silicon the voltage word of a neuron that fires holds its countdown: this much
    """

    name: str
    want: Array
    pieces: tuple[tuple[str, Array], ...]
    first: int = 0
    unit: int = 1
    fired: int | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One network on one sample.

    profile  arithmetic of the machine; '' for tensor machines
    samples  as `sim.run` takes them
    noise    draws int (steps, neurons), where the peer's were recorded
    noisy    (node, columns of `noise` that its neurons take)
    """

    graph: Graph
    profile: str
    samples: Array
    quantities: tuple[Quantity, ...]
    noise: Array | None = None
    noisy: tuple[tuple[str, Array], ...] = ()


def whole(name: str, node: str, what: str, want: Array) -> Quantity:
    """A quantity that one node's word gives, neuron for neuron."""
    want = np.asarray(want).astype(np.int64)
    return Quantity(name, want, ((f"{node}.{what}", np.arange(want.shape[1])),))
