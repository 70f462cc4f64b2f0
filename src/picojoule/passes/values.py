"""Integers of synapses that a machine cannot hold: which, where, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.format import Format
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph
from picojoule.graph.ops import Dense, IntSynapse
from picojoule.passes.support import NEURONS, source_of
from picojoule.target import Target

Array = np.ndarray[Any, Any]
MANTISSA = Format(9)  # of a weight of mixed sign


def place(values: Array, low: float, high: float) -> tuple[str, str]:
    """Of values outside low..high: index of the worst as text, and how many where several.

    The worst is the lowest of those below, else the highest; ("", "") for a single number.
    """
    array = np.asarray(values)
    outside = int(np.count_nonzero((array < low) | (array > high)))
    if array.size < 2 or not outside:
        return "", ""
    at = int(array.argmin() if array.min() < low else array.argmax())
    index = ", ".join(str(int(k)) for k in np.unravel_index(at, array.shape))
    return f"[{index}]", f" ({outside} such values)" if outside > 1 else ""


def value_faults(graph: Graph, target: Target, name: str) -> Iterator[Fault]:
    """PJ207 for weights and delays of a synapse group that the machine does not hold."""
    op = graph[name].op
    low, high = mantissas(op)
    if op.weight in graph.sparse:
        yield from _beyond(target, name, "weight", _ends(graph, op.weight), low, high)
    else:
        weight = graph.value(op.weight)
        yield from _beyond(target, name, "weight", weight, low, high)
        yield from _uneven(name, weight, op)
    if isinstance(op, IntSynapse) and op.delays is not None:
        top = SPIKING[target.core.profile].delay_max - op.delay
        yield from _beyond(target, name, "delays", graph.value(op.delays), 0, top)


def mantissas(op: Any) -> tuple[int, int]:
    """Lowest and highest mantissa of `bits` bits; of mixed sign unless more bits are kept."""
    if op.bits + op.dropped != MANTISSA.bits:
        return MANTISSA.low, MANTISSA.high
    top = 1 << (op.bits - 1)
    return -top << op.dropped, (top - 1) << op.dropped


def _ends(graph: Graph, name: str) -> Array:
    """Whichever end of a sparse constant is further out, as a single number."""
    seen = graph.sparse[name].seen
    return np.array(seen.low if seen.low < MANTISSA.low else seen.high)


def _beyond(
    target: Target, name: str, field: str, values: Array, low: int, high: int
) -> Iterator[Fault]:
    if not values.size or low <= values.min() <= values.max() <= high:
        return
    worst = int(values.min() if values.min() < low else values.max())
    index, many = place(values, low, high)
    limit = "core.limits.delay_max" if field == "delays" else "core.choices.weight_bits"
    yield Fault(
        "PJ207", f"{field}{index} of node {name!r} is {worst}; {target.name!r} holds"
        f" {low}..{high}{many}", where=target.where(limit), fix=f"a value in {low}..{high}",
    )  # fmt: skip


def _uneven(name: str, weight: Array, op: Any) -> Iterator[Fault]:
    grain = 1 << op.dropped
    uneven = weight % grain != 0
    if not uneven.any():
        return
    at = np.argwhere(uneven)[0]
    index = f"[{', '.join(map(str, at))}]" if len(at) else ""
    many = int(uneven.sum())
    more = f" ({many} such values)" if many > 1 else ""
    yield Fault(
        "PJ207", f"weight{index} of node {name!r} is {int(weight[tuple(at)])}, not a multiple of"
        f" {grain}: {op.bits} bits of mixed sign do not store the lowest{more}",
        fix=f"a multiple of {grain}" if op.bits >= MANTISSA.bits - 1 else
        f"a multiple of {grain}, or more weight bits",
    )  # fmt: skip


def late_faults(graph: Graph, target: Target) -> Iterator[Fault]:
    """PJ207 for synapses of a float network behind a Delay longer than the machine has."""
    profile = SPIKING[target.core.profile]
    for name in graph.names(Dense):
        source, steps = source_of(graph, name)
        own = profile.spike_delay if isinstance(graph[source].op, NEURONS) else profile.input_delay
        if steps - own > profile.delay_max:
            yield Fault(
                "PJ207", f"synapses {name!r} need a delay of {steps - own} steps; {target.name!r}"
                f" has at most {profile.delay_max}", where=target.where("core.limits.delay_max"),
                fix=f"a Delay of at most {profile.delay_max + own} steps",
            )  # fmt: skip
