"""Events on disk, read piece by piece, so that a recording may be longer than memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from picojoule.container import existing, unopened
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events

Array = np.ndarray[Any, Any]
ROWS = 1 << 15  # events looked at together while a file is checked
STEP_MAX = 2**31 - 2  # the last step of a program that counts as many steps as it may
FORM = "numpy.save(path, numpy.column_stack([step, channel])), whole numbers in order of step"


class _Head(NamedTuple):
    """Where the rows of a file begin, and what they are."""

    offset: int
    rows: int
    columns: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Recording:
    """The spikes of one sample, of any length, in a file; only a part is ever in memory.

    path   `.npy` of whole numbers (events, 2 or 3), in order of step: step, channel, and for
           graded spikes the payload; channels of a step may come in any order
    start  the step of the file that the run begins with
    steps  how many steps from there; None: up to the last event
    chunk  steps that are read, and run, together
    Raises UsageError PJ801, PJ802, PJ803 or PJ806 for a file or a number that cannot be used.
    """

    path: str | Path
    start: int = 0
    steps: int | None = None
    chunk: int = 1024

    def __post_init__(self) -> None:
        low = {"start": 0, "steps": 1, "chunk": 1}
        faults = [
            Fault("PJ806", f"{name} of a recording must be a whole number from {least}, got {n!r}")
            for name, least in low.items()
            if (n := getattr(self, name)) is not None and (type(n) is not int or n < least)
        ]
        if not isinstance(self.path, str | Path):
            faults.append(Fault("PJ806", f"path of a recording must be a path, got {self.path!r}"))
        if faults:
            raise UsageError(faults)

    def __len__(self) -> int:
        """Steps from `start` to the end."""
        if self.steps is not None:
            return self.steps
        last = int(self._rows(self._head.rows - 1, self._head.rows)[0, 0])
        return max(0, min(last, STEP_MAX) + 1 - self.start)  # `check` refuses later steps

    def pieces(self, channels: int, payload_bits: int = 0) -> Iterator[Events]:
        """Events (1 sample) of `chunk` steps each, the last of fewer.

        The whole file is checked before the first.  Raises UsageError PJ802 with all its faults.
        """
        self.check(channels, payload_bits)
        end = self.start + len(self)
        row = self._row_of(self.start)
        for first in range(self.start, end, self.chunk):
            stop = min(first + self.chunk, end)
            until = self._row_of(stop, row)
            yield _events(self._rows(row, until), first, stop - first, channels)
            row = until

    def check(self, channels: int, payload_bits: int = 0) -> None:
        """Raises UsageError PJ802 with the first event of each kind that cannot be used."""
        found: dict[str, Fault] = {}
        tail = np.zeros((0, self._head.columns), np.int64)
        for low in range(0, self._head.rows, ROWS):
            rows = np.concatenate([tail, self._rows(low, min(low + ROWS, self._head.rows))])
            for kind, fault in _faults(rows, low - len(tail), channels, payload_bits):
                found.setdefault(kind, fault)
            tail = rows[rows[:, 0] == rows[-1, 0]]
        if found:
            raise UsageError([Fault(f.code, f.what, str(self.path), f.fix) for f in found.values()])

    # -------------------------------------------------------------------------------- the file

    @cached_property
    def _head(self) -> _Head:
        path = existing(self.path)
        try:
            with path.open("rb") as file:
                shape, fortran, dtype = _header(file)
                offset = file.tell()
            size = path.stat().st_size
        except OSError as error:
            raise unopened(path, "read", error) from None
        except ValueError as error:
            what = f"cannot be read as a recording: {error}"
            raise UsageError(Fault("PJ801", what, str(path), FORM)) from None
        formed = len(shape) == 2 and shape[0] >= 0 and shape[1] in (2, 3)
        if not formed or dtype.kind not in "iu" or fortran:
            what = f"a recording is whole numbers (events, 2 or 3), got {dtype} {list(shape)}"
            what += " in Fortran order" if fortran else ""
            raise UsageError(Fault("PJ802", what, str(path), FORM))
        if shape[0] == 0:
            raise UsageError(Fault("PJ803", "the recording has no events", str(path)))
        if size < offset + shape[0] * shape[1] * dtype.itemsize:
            what = f"the recording is cut short: {size} bytes for {shape[0]} events"
            raise UsageError(Fault("PJ801", what, str(path), "copy the file again"))
        return _Head(offset, shape[0], shape[1], dtype)

    def _rows(self, low: int, high: int) -> Array:
        """Rows low..high, int64.  Read, not mapped: mapped pages count as memory in use."""
        head = self._head
        width = head.columns * head.dtype.itemsize
        with Path(self.path).open("rb") as file:
            file.seek(head.offset + low * width)
            data = file.read((high - low) * width)
        return np.frombuffer(data, head.dtype).reshape(-1, head.columns).astype(np.int64)

    def _row_of(self, step: int, low: int = 0) -> int:
        """The first row from `low` on that is not before `step`."""
        high = self._head.rows
        while low < high:
            middle = (low + high) // 2
            if self._rows(middle, middle + 1)[0, 0] < step:
                low = middle + 1
            else:
                high = middle
        return low


def is_recording(path: str | Path) -> bool:
    """Whether a file is an `.npy` of two axes, which rasters never are."""
    try:
        with Path(path).open("rb") as file:
            return len(_header(file)[0]) == 2
    except (OSError, ValueError):
        return False


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)  # fmt: skip
    if read is None:
        raise ValueError(f"npy version {version} is unknown")
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(file)
    return found


def _events(rows: Array, first: int, steps: int, channels: int) -> Events:
    """Rows of steps first..first + steps as Events."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    indptr = np.searchsorted(rows[:, 0], np.arange(first, first + steps + 1)).astype(np.int64)
    payload = rows[:, 2].astype(np.int32) if rows.shape[1] == 3 else None
    return Events(indptr, rows[:, 1].astype(np.int32), 1, steps, channels, payload)


def _faults(rows: Array, number: int, channels: int, bits: int) -> Iterator[tuple[str, Fault]]:
    """(kind, fault) of events; `number`: of the first row in the file."""
    step, channel = rows[:, 0], rows[:, 1]
    late = np.concatenate([[False], step[1:] < step[:-1]])
    for kind, wrong, told, fix in (
        ("time", step < 0, "is at step {0}; steps count from 0", "rows[:, 0] - rows[:, 0].min()"),
        ("end", step > STEP_MAX, f"is at step {{0}}; a run ends at step {STEP_MAX}",
         "times in steps of the network: rows[:, 0] // ticks_of_a_step"),
        ("order", late, "is at step {0}, earlier than the event before it",
         "rows[numpy.argsort(rows[:, 0], kind='stable')]"),
        ("channel", (channel < 0) | (channel >= channels),
         f"is on channel {{1}}; the program has channels 0..{channels - 1}",
         f"rows[(rows[:, 1] >= 0) & (rows[:, 1] < {channels})], or another program"),
        ("twice", _repeats(step, channel), "repeats step {0}, channel {1}",
         "numpy.unique(rows[:, :2], axis=0)"),
        *_payloads(rows, bits),
    ):  # fmt: skip
        if wrong.any():
            k = int(np.flatnonzero(wrong)[0])
            what = f"event {number + k} {told.format(*rows[k])}"
            yield kind, Fault("PJ802", what, fix=fix)


def _payloads(rows: Array, bits: int) -> Iterator[tuple[str, Array, str, str]]:
    if rows.shape[1] == 2:
        return
    payload, top = rows[:, 2], 1 << max(bits - 1, 0)
    if not bits:
        told = "has a payload; spikes of this machine are binary"
        yield "payload", np.ones(len(rows), bool), told, "rows[:, :2]"
        return
    wrong = (payload < -top) | (payload >= top) | (payload == 0)
    told = f"has payload {{2}}; payloads lie in {-top}..{top - 1}, and 0 is none"
    yield "payload", wrong, told, f"rows[(rows[:, 2] != 0) & (abs(rows[:, 2]) < {top})]"


def _repeats(step: Array, channel: Array) -> Array:
    order = np.lexsort((channel, step))
    same = (np.diff(step[order]) == 0) & (np.diff(channel[order]) == 0)
    found = np.zeros(len(step), bool)
    found[order[1:][same]] = True
    return found
