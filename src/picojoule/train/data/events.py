"""Recordings of event cameras: N-MNIST's binary files, and sets of them as npz.

An N-MNIST event is 40 bits, big-endian: x (8), y (8), polarity (1), microseconds (23).
Source: Orchard, Jayawant, Cohen, Thakor, Frontiers in Neuroscience 9:437, 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events, events_from_raster
from picojoule.train.data.npz import offsets_of, read_npz, reading

Array = np.ndarray
EVENT_BYTES = 5
LARGEST = 2**28  # bytes of one recording
SIDE = 34  # pixels of N-MNIST


@dataclass(frozen=True, eq=False)
class Recordings:
    """Events of several recordings, end to end, in the order of their times.

    x, y     uint8 (events,) column and row, p: polarity 0 or 1, t: microseconds uint32
    offsets  int64 (recordings + 1,);  label int64 (recordings,)
    """

    x: Array
    y: Array
    p: Array
    t: Array
    offsets: Array
    label: Array

    def __len__(self) -> int:
        return len(self.label)

    def binned(
        self, chosen: Sequence[int] | Array, steps: int, step_us: float, side: int = SIDE
    ) -> Events:
        """Some recordings as spikes of `2 * side * side` channels, at most one a step each.

        A channel is (polarity, row, column); what comes after `steps` is left out.
        Raises UsageError PJ802 for events outside of the image, PJ806.
        """
        if steps < 1 or not step_us > 0:
            what = f"steps={steps} of {step_us} microseconds are impossible"
            raise UsageError(Fault("PJ806", what, fix="steps=60, step_us=5000"))
        if len(self.x) and max(int(self.x.max()), int(self.y.max())) >= side:
            what = f"events lie outside of {side} x {side} pixels"
            raise UsageError(Fault("PJ802", what, fix="a larger side"))
        raster = np.zeros((len(chosen), steps, 2, side, side), bool)
        for row, k in enumerate(chosen):
            part = slice(self.offsets[k], self.offsets[k + 1])
            step = (self.t[part] // step_us).astype(np.int64)
            kept = step < steps
            where = (a[part][kept] for a in (self.p, self.y, self.x))
            raster[(row, step[kept], *where)] = True
        return events_from_raster(raster.reshape(len(chosen), steps, -1))


def read_events(path: str | Path) -> tuple[Array, Array, Array, Array]:
    """(x, y, p, t) of one N-MNIST file.  Raises UsageError PJ801."""
    return reading(path, "N-MNIST events", _read)


def _read(path: Path) -> tuple[Array, Array, Array, Array]:
    size = path.stat().st_size
    if size % EVENT_BYTES or size > LARGEST:
        raise ValueError(f"{size} bytes are no whole number of events, or more than {LARGEST}")
    raw = np.fromfile(path, np.uint8).reshape(-1, EVENT_BYTES)
    last = raw[:, 2:].astype(np.uint32)
    t = ((last[:, 0] & 0x7F) << 16) | (last[:, 1] << 8) | last[:, 2]
    return raw[:, 0].copy(), raw[:, 1].copy(), raw[:, 2] >> 7, t


def recordings(path: str | Path) -> Recordings:
    """A set of recordings: an npz file with x, y, p, t, offsets and label.

    Or a folder of folders '0' to '9' of N-MNIST files, as it is distributed.
    Raises UsageError PJ801.
    """
    path = Path(path)
    if path.is_dir():
        return _from_folder(path)
    found = read_npz(path, ("x", "y", "p", "t", "offsets", "label"))
    return reading(path, "a set of recordings", lambda _: _checked(**found))


def _checked(x: Array, y: Array, p: Array, t: Array, offsets: Array, label: Array) -> Recordings:
    if not all(a.ndim == 1 and a.dtype.kind in "iu" and len(a) == len(x) for a in (x, y, p, t)):
        raise ValueError("x, y, p and t must be whole numbers, one of each an event")
    if label.ndim != 1 or label.dtype.kind not in "iu":
        raise ValueError("label must be one whole number a recording")
    if len(x) and (min(int(a.min()) for a in (x, y, p, t)) < 0 or int(p.max()) > 1):
        raise ValueError("places and times must not be negative, and polarity is 0 or 1")
    if len(x) and max(int(x.max()), int(y.max())) > 255:
        raise ValueError("places must be below 256")
    offsets = offsets_of(offsets, len(label), len(x))
    small = (a.astype(np.uint8) for a in (x, y, p))
    return Recordings(*small, t, offsets, label.astype(np.int64))


def _from_folder(folder: Path) -> Recordings:
    paths = [p for digit in range(10) for p in sorted((folder / str(digit)).glob("*.bin"))]
    if not paths:
        what = "there are no folders '0' to '9' with .bin files"
        raise UsageError(
            Fault("PJ801", what, where=str(folder), fix="the folder 'Train' or 'Test'")
        )
    parts = [read_events(path) for path in paths]
    joined = [np.concatenate([part[k] for part in parts]) for k in range(4)]
    stops = np.cumsum([len(part[0]) for part in parts])
    labels = np.array([int(path.parent.name) for path in paths])
    return Recordings(*joined, np.concatenate([[0], stops]), labels)
