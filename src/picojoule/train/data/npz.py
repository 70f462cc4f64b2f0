"""Arrays of npz files, checked; and the faults that all readers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from picojoule.container import DAMAGED, existing, npz_entries, sentence, unopened
from picojoule.errors import Fault, UsageError

Array = np.ndarray
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
        damaged(path, f"cannot be read as {form}: {sentence(error)}")
    except DAMAGED as error:
        damaged(path, f"cannot be read as {form}: {sentence(error)}")


def read_npz(path: str | Path, names: Sequence[str]) -> dict[str, Array]:
    """The named arrays of an npz file.

    Raises UsageError PJ801 where it cannot be read, is damaged, or lacks one of them.
    """
    return reading(path, "npz", lambda found: _arrays(found, names))


def _arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    npz_entries(path)
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
