"""Samples and labels from files: `.npz` (arrays x and, optionally, y), `.npy`, `.csv`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.container import regular, unopened
from picojoule.errors import Fault, UsageError

LARGEST = 4 * 2**30  # bytes of all arrays of an archive, unpacked


def read_samples(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(x, y or None).  Raises UsageError PJ801 or PJ802; never unpickles."""
    path = regular(path)
    readers = {".npz": _npz, ".npy": _npy, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(readers)
        raise UsageError(Fault("PJ801", f"{path.name!r} is no samples file", fix=f"one of {known}"))
    try:
        x, y = reader(path)
    except OSError as error:
        raise unopened(path, "read", error) from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError, MemoryError) as error:
        what = f"cannot be read as {path.suffix[1:]}: {str(error)[:200]}"
        raise UsageError(Fault("PJ801", what, where=str(path))) from None
    return x, y


def read_labelled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(x, y).  Raises UsageError PJ802 where the file has no labels."""
    x, y = read_samples(path)
    if y is None:
        fix = "save them as numpy.savez(path, x=samples, y=labels)"
        raise UsageError(Fault("PJ802", "the file has no labels", where=str(path), fix=fix))
    return x, y


def _npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"its arrays would take {size} bytes, more than {LARGEST}")
    with np.load(path, allow_pickle=False) as arrays:
        if "x" not in arrays:
            raise ValueError(f"it has no array 'x'; found {', '.join(arrays.files) or 'nothing'}")
        x: Any = arrays["x"]
        y: Any = arrays["y"] if "y" in arrays else None
    return _numeric(x), y


def _npy(path: Path) -> tuple[np.ndarray, None]:
    return _numeric(np.load(path, allow_pickle=False)), None


def _csv(path: Path) -> tuple[np.ndarray, None]:
    return np.loadtxt(path, delimiter=",", ndmin=2), None


def _numeric(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "biuf":
        raise ValueError(f"samples must be numbers, got {x.dtype}")
    return x
