"""Arrays of npz files, checked; and the faults that all readers share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from picojoule.container import DAMAGED, existing, unopened
from picojoule.errors import Fault, UsageError

Array = np.ndarray
LARGEST = 4 * 2**30  # bytes of all arrays of a file, unpacked
T = TypeVar("T")


def damaged(path: Path, what: str, fix: str = "another copy of the file") -> NoReturn:
    """Raise UsageError PJ801 for a file whose content is wrong."""
    raise UsageError(Fault("PJ801", what, where=str(path), fix=fix))


def reading(path: str | Path, form: str, work: Callable[[Path], T]) -> T:
    """What `work` makes of a file; whatever goes wrong in it as UsageError PJ801."""
    path = existing(path)
    try:
        return work(path)
    except OSError as error:
        if error.errno is not None:
            raise unopened(path, "read", error) from None
        damaged(path, f"cannot be read as {form}: {_sentence(error)}")
    except DAMAGED as error:
        damaged(path, f"cannot be read as {form}: {_sentence(error)}")


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()).strip("'\"") or type(error).__name__
    return "it holds pickled objects, which are never loaded" if "pickle" in text else text[:200]


def read_npz(path: str | Path, names: Sequence[str]) -> dict[str, Array]:
    """The named arrays of an npz file.

    Raises UsageError PJ801 where it cannot be read, is damaged, or lacks one of them.
    """
    return reading(path, "npz", lambda found: _arrays(found, names))


def _arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"its arrays would take {size} bytes, more than {LARGEST}")
    with np.load(path, allow_pickle=False) as arrays:
        lacking = [name for name in names if name not in arrays.files]
        if lacking:
            found = ", ".join(arrays.files[:20]) or "nothing"
            raise ValueError(f"it has no array {', '.join(map(repr, lacking))}; found {found}")
        return {name: arrays[name] for name in names}


def offsets_of(offsets: Array, clips: int, total: int) -> Array:
    """Checked offsets, int64 (clips + 1,), ascending from 0 to `total`.  Raises ValueError."""
    if offsets.shape != (clips + 1,) or offsets.dtype.kind not in "iu":
        raise ValueError(f"offsets must be {clips + 1} whole numbers, got {list(offsets.shape)}")
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must ascend from 0 to {total}")
    return offsets
