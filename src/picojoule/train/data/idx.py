"""IDX files (MNIST and its relatives), plain or compressed with gzip.

Form: two zero bytes, the type, the number of axes; each size as a big-endian uint32; the values,
big-endian.  Source: the description on the MNIST page (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import IO

import numpy as np

from picojoule.train.data.npz import reading

Array = np.ndarray
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 2**30  # bytes of values
GZIP = b"\x1f\x8b"


def read_idx(path: str | Path) -> Array:
    """The array of an IDX file, in native byte order.

    Raises UsageError PJ801 where it cannot be read, is damaged, or is too large.
    """
    return reading(path, "IDX", _read)


def _read(path: Path) -> Array:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        return _parse(file)


def _parse(file: IO[bytes]) -> Array:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 8:
        raise ValueError(f"it does not begin like an IDX file: bytes {head.hex(' ') or 'none'}")
    dtype, axes = np.dtype(TYPES[head[2]]), head[3]
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise ValueError(f"it ends within the sizes of its {axes} axes")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    need = math.prod(shape) * dtype.itemsize
    if need > LARGEST:
        raise ValueError(f"shape {list(shape)} takes {need} bytes, more than {LARGEST}")
    values = file.read(need + 1)
    if len(values) != need:
        have = f"{len(values)} are there" if len(values) < need else "more follow"
        raise ValueError(f"shape {list(shape)} takes {need} bytes, but {have}")
    array = np.frombuffer(values, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
