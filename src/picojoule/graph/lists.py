"""Whether the lists of an IntShared hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from picojoule.graph.ops_spiking import IntShared

Array = np.ndarray


def list_faults(op: IntShared, values: Mapping[str, Array | None]) -> Iterator[str]:
    """What is wrong with the lists, by field; `values` None: faulty already."""
    parts = [values.get(field) for field in ("row", "base", "indptr", "target", "weight")]
    sound = [part for part in parts if part is not None]
    if len(sound) < len(parts):
        return
    row, base, indptr, target, weight = sound
    found = [*_index_faults(row, indptr, target, weight)]
    yield from found
    if not found:
        yield from _reach_faults(op, row, base, indptr, target)


def _index_faults(row: Array, indptr: Array, target: Array, weight: Array) -> Iterator[str]:
    for name, array in (("row", row), ("indptr", indptr), ("target", target)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            yield f"{name} needs integers in one axis, got {array.dtype} {list(array.shape)}"
            return
    if target.shape != weight.shape:
        yield f"target has {target.size} entries, weight {list(weight.shape)}"
    if indptr.size < 2 or indptr[0] != 0 or np.any(np.diff(indptr) < 0):
        yield "indptr must rise from 0, with one bound more than there are lists"
    elif indptr[-1] != target.size:
        yield f"indptr ends at {indptr[-1]}, target has {target.size} entries"
    elif row.size and not 0 <= row.min() <= row.max() < indptr.size - 1:
        yield f"row holds {row.min()}..{row.max()}, there are {indptr.size - 1} lists"


def reach(indptr: Array, target: Array) -> tuple[Array, Array, Array]:
    """(lowest, highest) target of each list, int64, and which lists have any."""
    starts, full = indptr[:-1].astype(np.int64), np.diff(indptr) > 0
    low, high = np.zeros((2, full.size), np.int64)
    if full.any():
        values = target.astype(np.int64)
        low[full] = np.minimum.reduceat(values, starts[full])
        high[full] = np.maximum.reduceat(values, starts[full])
    return low, high, full


def _reach_faults(
    op: IntShared, row: Array, base: Array, indptr: Array, target: Array
) -> Iterator[str]:
    low, high, full = reach(indptr, target)
    used, first = full[row], base.astype(np.int64)
    bad = used & ((first + low[row] < 0) | (first + high[row] >= op.features))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        yield (
            f"input {i} reaches neurons {first[i] + low[row[i]]}..{first[i] + high[row[i]]} of"
            f" 0..{op.features - 1}"
        )
