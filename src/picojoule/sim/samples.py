"""What a run takes in: samples and states, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Encoder, Events
from picojoule.fixed.profile import SPIKING
from picojoule.program import Program
from picojoule.sim import layout

Array = np.ndarray[Any, Any]


def checked_samples(encoder: Encoder, x: Any) -> Array | Events:
    """Samples in the shape that the encoder takes.

    Raises UsageError: PJ802 wrong shape or kind, PJ803 no samples, PJ807 not finite.
    """
    if isinstance(x, Events):
        return _checked_events(encoder, x)
    array = np.asarray(x)
    if array.dtype.kind not in "buif":
        raise _wrong(f"samples must be numbers, got {array.dtype}")
    free = 2 if encoder.kind == "events" else 1  # axes before the shape: samples, steps
    shape = array.shape[free:]
    if array.ndim < free or shape not in (encoder.shape, (encoder.channels,)):
        axes = "(samples, steps, " if free == 2 else "(samples, "
        wanted = axes + ", ".join(map(str, encoder.shape)) + ")"
        raise _wrong(f"samples have shape {array.shape}, the program takes {wanted}")
    if 0 in array.shape:
        raise UsageError(Fault("PJ803", f"there is nothing to run: shape {array.shape}"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(Fault("PJ807", _not_finite(array)))
    if encoder.kind == "events" and not ((array == 0) | (array == 1)).all():
        raise _wrong("a raster of events holds only 0 and 1")
    return array.reshape(*array.shape[:free], *encoder.shape)


def _not_finite(array: Array) -> str:
    where = np.argwhere(~np.isfinite(array))
    first = tuple(int(i) for i in where[0])
    return f"{len(where)} of {array.size} values are not finite; the first is at {first}"


def _wrong(what: str) -> UsageError:
    return UsageError(Fault("PJ802", what))


def _checked_events(encoder: Encoder, events: Events) -> Events:
    if encoder.kind == "affine":
        raise _wrong("the program takes numbers, not events")
    if events.channels != encoder.channels:
        raise _wrong(f"events have {events.channels} channels, the program {encoder.channels}")
    if events.samples < 1 or events.steps < 1:
        raise UsageError(Fault("PJ803", "there is nothing to run: no samples, or no steps"))
    faults = [Fault("PJ802", what) for what in _event_faults(events)]
    if faults:
        raise UsageError(faults)
    return events


def _event_faults(events: Events) -> Iterator[str]:
    indptr, index = events.indptr, events.index
    if indptr[0] != 0 or indptr[-1] != index.size or (np.diff(indptr) < 0).any():
        yield f"row starts of events must rise from 0 to {index.size}"
        return
    outside = np.flatnonzero((index < 0) | (index >= events.channels))
    if outside.size:
        first = int(outside[0])
        yield f"event {first} is on channel {index[first]}, not in 0..{events.channels - 1}"
    falls = np.diff(index.astype(np.int64)) <= 0
    falls[indptr[(indptr > 0) & (indptr < index.size)] - 1] = False
    if falls.any():
        first = int(np.flatnonzero(falls)[0]) + 1
        yield f"event {first} is not above the one before it in its step"


def start_state(
    program: Program, state: Mapping[str, Array] | None, samples: int
) -> tuple[dict[str, Array], Array]:
    """(region -> int64 (samples, size), spikes under way) at the start of a run.

    Zero, or the program's initial values, or `state` of an earlier run of the same program.
    Raises UsageError PJ802 for a state that does not belong to the program.
    """
    given = {**program.initial, **(state or {})}
    found, faults = {}, []
    for name in layout.state_regions(program):
        size = program.regions[name].size
        values = np.asarray(given.get(name, 0))
        fits = values.ndim == 0 or values.shape in ((size,), (1, size), (samples, size))
        if not fits or values.dtype.kind not in "biu":
            what = f"state {name!r} has shape {values.shape} and type {values.dtype}"
            faults.append(Fault("PJ802", f"{what}, expected integers ({samples}, {size})"))
            continue
        found[name] = np.broadcast_to(values.astype(np.int64), (samples, size))
    faults += [Fault("PJ802", what) for what in _state_faults(program, found, state or {})]
    if faults:
        raise UsageError(faults)
    return found, _inflight(program, given.get(layout.INFLIGHT), samples)


def _state_faults(
    program: Program, found: Mapping[str, Array], state: Mapping[str, Array]
) -> Iterator[str]:
    bits = SPIKING[program.profile].state_bits
    for name, values in found.items():
        declared = program.regions[name].format
        form = replace(declared, bits=min(declared.bits, bits))
        if values.min(initial=0) < form.low or values.max(initial=0) > form.high:
            yield f"state {name!r} has values outside {form}"
    for name in state.keys() - found.keys() - {layout.INFLIGHT} - program.arrays.keys():
        yield f"the program has no state {name!r}"


def _inflight(program: Program, rows: Array | None, samples: int) -> Array:
    if rows is None or not len(rows):
        return np.zeros((0, 4), np.int64)
    rows = np.asarray(rows)
    if rows.dtype.kind not in "iu" or rows.ndim != 2 or rows.shape[1] != 4:
        raise _wrong(f"state '{layout.INFLIGHT}' must be integers (rows, 4), got {rows.shape}")
    rows = rows.astype(np.int64)
    ends = (samples, layout.depth(program), layout.axons(program))
    if (rows[:, :3] < 0).any() or (rows[:, :3] >= ends).any() or (rows[:, 3] < 1).any():
        raise _wrong(f"state '{layout.INFLIGHT}' has spikes outside (samples, steps, axons) {ends}")
    if (rows[:, 3] > _most_inflight(program)[rows[:, 1], rows[:, 2]]).any():
        raise _wrong(f"state '{layout.INFLIGHT}' has spikes that nothing in the program sends")
    if len(np.unique(rows[:, :3], axis=0)) != len(rows):
        raise _wrong(f"state '{layout.INFLIGHT}' lists an axon twice")
    return rows[np.lexsort(rows[:, 2::-1].T)]


def _most_inflight(program: Program) -> Array:
    """int64 (steps ahead, axons): most spikes that can be under way."""
    bases = layout.axon_bases(program)
    most = np.zeros((layout.depth(program), layout.axons(program)), np.int64)
    for instruction in program.instructions:
        if instruction.op in ("input", "route"):
            axon = layout.spans(instruction)["axon"]
            base = bases[axon.region]
            most[: instruction.args[0], base + axon.start : base + axon.stop] += 1
    return most
