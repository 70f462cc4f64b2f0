"""What the readers of HDF5 share; meant for a process of its own: see `nir_file`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ARRAY_BYTES = 1 << 29  # all arrays of a file together, unpacked
TEXT = 200  # characters of a name

# everything that h5py raises on damaged files
DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError,
           AttributeError)  # fmt: skip


class Refusal(Exception):
    """One thing in a file is wrong; the message says what."""


def write_out(found: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """Write what a file holds to standard output: a line of JSON, then the arrays."""
    sys.stdout.buffer.write(json.dumps(found).encode() + b"\n")
    for array in arrays:
        sys.stdout.buffer.write(array.tobytes())


def open_file(path: Path, read: Callable[[Any], None]) -> str | None:
    """Let `read` have the open file; a sentence where the file is damaged.

    Raises Refusal where `read` does.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            read(file)
    except DAMAGED as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        if "signature not found" in text:
            text = "it does not begin like one"
        return f"not a readable HDF5 file: {text}"
    return None


def _child(group: Any, name: str) -> Any:
    """A member of a group, not through a soft or external link (which leaves the file)."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise Refusal(f"{name!r} is missing")
    if not isinstance(link, h5py.HardLink):
        raise Refusal(f"{name!r} is a link, which is not followed")
    return group[name]


def member_group(group: Any, name: str) -> Any:
    import h5py

    found = _child(group, name)
    if not isinstance(found, h5py.Group):
        raise Refusal(f"{name!r} is not a group")
    return found


def member_dataset(group: Any, name: str) -> Any:
    import h5py

    found = _child(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise Refusal(f"{name!r} is not a dataset")
    if found.is_virtual or found.external:
        raise Refusal(f"{name!r} is stored in another file, which is not read")
    return found


def decoded(value: Any, what: str) -> str:
    """A short text as stored.  Raises Refusal about `what`."""
    text = value.decode("utf-8") if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) > TEXT:
        raise Refusal(f"{what} is not a short text")
    return text
