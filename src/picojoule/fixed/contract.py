"""How samples enter a machine and how its answers are read.

Graph and Program carry the same `Encoder` and `Readout`, so both mean the same inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.format import Format


@dataclass(frozen=True)
class Events:
    """Spikes of a batch, by sample and step.

    indptr  int64 (samples * steps + 1,)  events of sample b, step t are
            index[indptr[b * steps + t] : indptr[b * steps + t + 1]]
    index   int32 (events,)  the channel of each event, ascending within a step
    payload int32 (events,)  what each event carries, never 0; None: 1 each
    """

    indptr: np.ndarray
    index: np.ndarray
    samples: int
    steps: int
    channels: int
    payload: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raises UsageError PJ802 for arrays that do not fit together."""
        faults = [Fault("PJ802", what) for what in self._misfits()]
        if faults:
            raise UsageError(faults)

    def _misfits(self) -> Iterator[str]:
        numbers = (self.samples, self.steps, self.channels)
        if not all(isinstance(n, int | np.integer) for n in numbers):
            yield f"samples, steps and channels of events are whole numbers, got {numbers}"
            return
        rows = self.samples * self.steps + 1
        if self.indptr.shape != (rows,):
            have = f"{self.samples} samples of {self.steps} steps"
            yield f"row starts of events have shape {self.indptr.shape}, {have} need ({rows},)"
        for what, array, dtype in (("row starts", self.indptr, np.int64),
                                   ("channels", self.index, np.int32)):  # fmt: skip
            if array.dtype != dtype:
                yield f"{what} of events must be {np.dtype(dtype)}, got {array.dtype}"
        if self.payload is not None and self.payload.shape != self.index.shape:
            have = f"{self.payload.shape} payloads for {self.index.shape} events"
            yield f"each event has a payload or none has: {have}"

    def raster(self) -> np.ndarray:
        """Dense bool (samples, steps, channels); int32 where events carry payloads."""
        dtype = bool if self.payload is None else np.int32
        out = np.zeros((self.samples * self.steps, self.channels), dtype)
        rows = np.repeat(np.arange(len(out)), np.diff(self.indptr))
        out[rows, self.index] = True if self.payload is None else self.payload
        return out.reshape(self.samples, self.steps, self.channels)

    def take(self, start: int, stop: int) -> Events:
        """Samples start..stop, as a view."""
        lo, hi = start * self.steps, stop * self.steps
        indptr = self.indptr[lo : hi + 1]
        part = slice(indptr[0], indptr[-1])
        payload = None if self.payload is None else self.payload[part]
        return Events(indptr - indptr[0], self.index[part], stop - start, self.steps,
                      self.channels, payload)  # fmt: skip

    def padded(self, steps: int) -> Events:
        """The same events followed by silence, or cut, to exactly `steps` steps."""
        counts = np.diff(self.indptr).reshape(self.samples, self.steps)
        kept = np.repeat(np.arange(counts.size) % self.steps < steps, counts.ravel())
        wanted = np.zeros((self.samples, steps), np.int64)
        wanted[:, : min(self.steps, steps)] = counts[:, :steps]
        payload = None if self.payload is None else self.payload[kept]
        indptr = np.concatenate([[0], np.cumsum(wanted)])
        return Events(indptr, self.index[kept], self.samples, steps, self.channels, payload)


def _resized(raster: np.ndarray, steps: int) -> np.ndarray:
    samples, before, channels = raster.shape
    out = np.zeros((samples, steps, channels), raster.dtype)
    out[:, : min(before, steps)] = raster[:, :steps]
    return out


def _spikes(x: np.ndarray) -> np.ndarray:
    """Bool where `x` holds 0 and 1 only, else int32."""
    if x.dtype == bool or ((x == 0) | (x == 1)).all():
        return x.astype(bool)
    return x.astype(np.int32)


def events_from_raster(raster: np.ndarray) -> Events:
    """Bool (samples, steps, channels) to Events; integers, where not 0, are payloads."""
    samples, steps, channels = raster.shape
    flat = raster.reshape(samples * steps, channels)
    indptr = np.zeros(len(flat) + 1, np.int64)
    np.cumsum(np.count_nonzero(flat, axis=1), out=indptr[1:])
    where = np.nonzero(flat)
    payload = None if raster.dtype == bool else flat[where].astype(np.int32)
    return Events(indptr, where[1].astype(np.int32), samples, steps, channels, payload)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Samples (samples, *shape) to what a machine takes in.

    'affine'  integers round_half_even(x / step) + zero, saturated to `format`
    'rate'    spikes: a value of `high` fires in each of `steps` steps, value x in
              x / high of them, evenly spread: channel c fires in step t when
              floor((t + 1) * p) > floor(t * p), p = clip(x / high, 0, 1) rounded to 2**-16
    'events'  samples are spikes already: bool or 0/1 (samples, steps, *shape), or Events;
              other integers are payloads of graded spikes, 0 is no spike
    """

    kind: Literal["affine", "rate", "events"]
    shape: tuple[int, ...]
    steps: int = 1
    high: float = 1.0
    step: float = 1.0
    zero: int = 0
    format: Format = Format(8)

    @property
    def channels(self) -> int:
        return int(np.prod(self.shape))

    def integers(self, x: np.ndarray) -> np.ndarray:
        """Affine: float (samples, *shape) to integers of `format`, in its dtype."""
        q = np.rint(np.asarray(x, np.float64) / self.step) + self.zero
        return np.clip(q, self.format.low, self.format.high).astype(self.format.dtype)

    def events(self, x: np.ndarray | Events, steps: int | None = None) -> Events:
        """Rate or events: samples to Events of `steps` steps (default: the encoder's)."""
        steps = self.steps if steps is None else steps
        if isinstance(x, Events):
            return x if x.steps == steps else x.padded(steps)
        if self.kind == "events":
            raster = _spikes(np.asarray(x)).reshape(len(x), -1, self.channels)
            return events_from_raster(_resized(raster, steps))
        p = np.rint(np.clip(np.asarray(x, np.float64) / self.high, 0, 1) * 65536).astype(np.int64)
        t = np.arange(self.steps, dtype=np.int64)[None, :, None]
        p = p.reshape(len(p), 1, self.channels)
        raster = ((t + 1) * p >> 16) > (t * p >> 16)
        return events_from_raster(_resized(raster, steps))


@dataclass(frozen=True, kw_only=True)
class Readout:
    """How an answer is read off the output node.

    'argmax'  largest output integer
    'count'   most spikes over steps start..; equal counts: the higher final voltage;
              equal voltages too: the lower index
    'none'    the outputs themselves are the answer
    """

    kind: Literal["argmax", "count", "none"] = "argmax"
    start: int = 0

    def most_spikes(self, spikes: np.ndarray, voltage: np.ndarray) -> np.ndarray:
        """'count' (rule E3): int64 (n,) from spikes (n, steps, out) and final voltage (n, out)."""
        counts = spikes[:, self.start :].sum(axis=1)
        most = counts == counts.max(axis=1, keepdims=True)
        lower = np.broadcast_to(-np.arange(voltage.shape[1]), voltage.shape)
        return np.lexsort((lower, voltage, most), axis=-1)[:, -1]
