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
from picojoule.sim import kinds, layout

Array = np.ndarray[Any, Any]


def checked_samples(encoder: Encoder, x: Any, payload_bits: int = 0) -> Array | Events:
    """Samples in the shape that the encoder takes; events may carry `payload_bits`.

    Raises UsageError: PJ802 wrong shape or kind, PJ803 no samples, PJ807 not finite.
    """
    if isinstance(x, Events):
        return _checked_events(encoder, x, payload_bits)
    array = np.asarray(x)
    if array.dtype.kind not in "buif":
        raise _wrong(f"samples must be numbers, got {array.dtype.name}", "an array of numbers")
    free = 2 if encoder.kind == "events" else 1  # axes before the shape: samples, steps
    shape = array.shape[free:]
    if array.ndim < free or shape not in (encoder.shape, (encoder.channels,)):
        axes = "(samples, steps, " if free == 2 else "(samples, "
        wanted = axes + ", ".join(map(str, encoder.shape)) + ")"
        what = f"samples have shape {array.shape}, the program takes {wanted}"
        raise _wrong(what, f"x.reshape({wanted[1:-1]})")
    if 0 in array.shape:
        what = f"there is nothing to run: shape {array.shape}"
        raise UsageError(Fault("PJ803", what, fix="at least one sample"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        fix = "numpy.nan_to_num(x), or leave those samples out"
        raise UsageError(Fault("PJ807", _not_finite(array), fix=fix))
    if encoder.kind == "events":
        _check_raster(array, payload_bits)
    return array.reshape(*array.shape[:free], *encoder.shape)


def _check_raster(array: Array, payload_bits: int) -> None:
    if array.dtype.kind == "b":
        return
    if not payload_bits:
        odd = (array != 0) & (array != 1)
        fix = "x > 0, if any number is a spike"
        _refuse(array, odd, "a raster of events holds only 0 and 1", fix)
        return
    if array.dtype.kind == "f":
        _refuse(array, array != np.rint(array), "a raster of events holds only integers")
    top = 1 << max(payload_bits - 1, 1)
    beyond = (array < -top) | (array > top - 1)
    _refuse(array, beyond, f"payloads of events must lie in {-top}..{top - 1}")


def _refuse(array: Array, wrong: Array, rule: str, fix: str = "") -> None:
    """Raises UsageError PJ802 naming the first that is wrong, and how many are."""
    if not wrong.any():
        return
    first = tuple(int(k) for k in np.argwhere(wrong)[0])
    what = f"{rule}, got {array[first]} at {first}"
    many = int(wrong.sum())
    raise _wrong(what + (f"; {many} such values" if many > 1 else ""), fix)


def _not_finite(array: Array) -> str:
    where = np.argwhere(~np.isfinite(array))
    first = tuple(int(i) for i in where[0])
    return f"{len(where)} of {array.size} values are not finite; the first is at {first}"


def _wrong(what: str, fix: str = "") -> UsageError:
    return UsageError(Fault("PJ802", what, fix=fix))


def _checked_events(encoder: Encoder, events: Events, payload_bits: int) -> Events:
    if encoder.kind == "affine":
        raise _wrong("the program takes numbers, not events")
    if events.channels != encoder.channels:
        raise _wrong(f"events have {events.channels} channels, the program {encoder.channels}")
    if events.samples < 1 or events.steps < 1:
        what = "there is nothing to run: no samples, or no steps"
        raise UsageError(Fault("PJ803", what, fix="at least one sample of one step"))
    faults = [*_event_faults(events), *_payload_faults(events.payload, payload_bits)]
    if faults:
        fix = f"ascending channels of 0..{events.channels - 1} within each step"
        raise UsageError([Fault("PJ802", what, fix=fix) for what in faults])
    return events


def _payload_faults(payload: Array | None, bits: int) -> Iterator[str]:
    if payload is None:
        return
    top = 1 << max(bits - 1, 0)
    if not bits:
        yield "events carry payloads, but spikes of this machine are binary"
    elif payload.dtype != np.int32:
        yield f"payloads must be int32, got {payload.dtype}"
    elif payload.size and (payload.min() < -top or payload.max() > top - 1 or 0 in payload):
        yield f"payloads of events must lie in {-top}..{top - 1} and not be 0"


def _event_faults(events: Events) -> Iterator[str]:
    indptr, index = events.indptr, events.index
    if indptr[0] != 0 or indptr[-1] != index.size or (np.diff(indptr) < 0).any():
        yield f"row starts of events must rise from 0 to {index.size}"
        return
    outside = np.flatnonzero((index < 0) | (index >= events.channels))
    if outside.size:
        first = int(outside[0])
        what = f"is on channel {index[first]}, not in 0..{events.channels - 1}"
        yield f"event {first} ({_when(events, first)}) {what}{_many(outside.size)}"
    falls = np.diff(index.astype(np.int64)) <= 0
    falls[indptr[(indptr > 0) & (indptr < index.size)] - 1] = False
    if falls.any():
        first = int(np.flatnonzero(falls)[0]) + 1
        what = f"on channel {index[first]} is not above the one before it in its step, on"
        what += f" {index[first - 1]}"
        yield f"event {first} ({_when(events, first)}) {what}{_many(int(falls.sum()))}"


def _when(events: Events, number: int) -> str:
    row = int(np.searchsorted(events.indptr, number, side="right")) - 1
    return f"sample {row // events.steps}, step {row % events.steps}"


def _many(count: int) -> str:
    return f"; {count} such events" if count > 1 else ""


def start_state(
    program: Program, state: Mapping[str, Array] | None, samples: int
) -> tuple[dict[str, Array], Array]:
    """(region -> int64 (samples, size), spikes under way) at the start of a run.

    Zero, or the kind's start, or the program's initial values, or `state` of an earlier run of
    the same program.  Spikes under way as in `Block.inflight`.
    Raises UsageError PJ802 for a state that does not belong to the program.
    """
    given = {**kinds.start_values(program), **program.initial, **(state or {})}
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
    for name in state.keys() - found.keys() - special(program) - program.arrays.keys():
        yield f"the program has no state {name!r}"


def _inflight(program: Program, rows: Array | None, samples: int) -> Array:
    if rows is None or not len(rows):
        return np.zeros((0, 5), np.int64)
    rows, columns = np.asarray(rows), 5 if kinds.carrying(program) else 4
    if rows.dtype.kind not in "iu" or rows.ndim != 2 or rows.shape[1] != columns:
        what = f"integers (rows, {columns}), got {rows.shape}"
        raise _wrong(f"state '{layout.INFLIGHT}' must be {what}")
    rows = rows.astype(np.int64)[:, [0, 1, 2, 3, columns - 1]]
    ends = (samples, layout.depth(program), layout.axons(program))
    if (rows[:, :3] < 0).any() or (rows[:, :3] >= ends).any() or (rows[:, 3] < 1).any():
        raise _wrong(f"state '{layout.INFLIGHT}' has spikes outside (samples, steps, axons) {ends}")
    if (rows[:, 3] > _most_inflight(program)[rows[:, 1], rows[:, 2]]).any():
        raise _wrong(f"state '{layout.INFLIGHT}' has spikes that nothing in the program sends")
    key = (rows[:, 0] * ends[1] + rows[:, 1]) * ends[2] + rows[:, 2]
    if (np.diff(key) > 0).all():
        return rows
    order = np.argsort(key)
    if (np.diff(key[order]) == 0).any():
        raise _wrong(f"state '{layout.INFLIGHT}' lists an axon twice")
    return rows[order]


def special(program: Program) -> set[str]:
    """Names in a state that are no regions."""
    return {layout.INFLIGHT, layout.STEP} if kinds.clocked(program) else {layout.INFLIGHT}


def start_steps(program: Program, state: Mapping[str, Array] | None, samples: int) -> Array:
    """int64 (samples,): steps run since each sample began.  Raises UsageError PJ802."""
    given = (state or {}).get(layout.STEP)
    if given is None or not kinds.clocked(program):
        return np.zeros(samples, np.int64)
    steps = np.asarray(given)
    if steps.shape != (samples, 1) or steps.dtype.kind not in "iu" or steps.min() < 0:
        raise _wrong(f"state '{layout.STEP}' must be counts ({samples}, 1), got {steps.shape}")
    return steps[:, 0].astype(np.int64)


def checked_noise(program: Program, noise: Any, samples: int, steps: int) -> Array:
    """Recorded draws int8 (samples, steps, noisy neurons), or (samples, steps, 0) without.

    Raises UsageError PJ802 for draws that do not fit.
    """
    if noise is None:
        return np.zeros((samples, steps, 0), np.int8)
    drawn = np.asarray(noise)
    shape = samples, steps, kinds.noise_columns(program)
    if drawn.shape != shape or drawn.dtype.kind not in "iu" or not drawn.size:
        raise _wrong(f"noise has shape {drawn.shape}, the program draws integers {shape}")
    if drawn.min() < -127 or drawn.max() > 127:
        raise _wrong(f"noise lies in {drawn.min()}..{drawn.max()}, draws lie in -127..127")
    return drawn.astype(np.int8)


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
