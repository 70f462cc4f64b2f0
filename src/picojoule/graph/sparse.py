"""Synapses that are too many to hold at once: weights given in pieces, on request."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from picojoule.errors import Fault, GraphError, UsageError

Array = np.ndarray[Any, Any]

CHUNK = 1024  # neurons whose synapses are asked for at once, unless told
HELD = 4  # pieces that are kept, since what asks for them moves on slowly
DENSE_MAX = 2**26  # elements of a matrix that `dense` makes
GAP = 16  # sources without synapses that a run of axons may hold
SPREAD = 8  # range of sources, in synapses, up to which a table by source is quicker than sorting


class Rows(NamedTuple):
    """The synapses onto consecutive neurons, in compressed rows.

    Those onto the k-th of them come from source[indptr[k] : indptr[k + 1]], in any order; a
    source may come more than once; a weight of 0 is no synapse.
    """

    indptr: Array
    source: Array
    weight: Array


class Reach(NamedTuple):
    """The sources of the synapses onto some neurons.

    low, high      int64 (runs,): they lie in low[k]..high[k], ascending
    length, many   int64 (n,): many[k] of them have length[k] of these synapses
    """

    low: Array
    high: Array
    length: Array
    many: Array

    @property
    def axons(self) -> int:
        """Input axons that hold all runs."""
        return int((self.high - self.low).sum())


class Seen(NamedTuple):
    """What one look at all synapses has shown; `faults`: sentences about bad pieces."""

    synapses: int
    low: int
    high: int
    digest: str
    faults: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sparse:
    """An integer matrix (neurons, sources) of weights that is never held as a whole.

    rows   rows(start, stop): the synapses onto neurons start..stop, as (indptr, source, weight),
           integers; the same each time, which `sums` holds them to.  It may compute them, or
           read a file
    chunk  how many neurons it is asked for at once: pieces start at its multiples

    Weights in it are mantissas of an IntSynapse, in the graph's `sparse` constants.
    """

    shape: tuple[int, int]
    rows: Callable[[int, int], tuple[Array, Array, Array]]
    chunk: int = CHUNK
    held: dict[int, Rows] = field(default_factory=dict, repr=False)
    reached: dict[tuple[int, int], Reach] = field(default_factory=dict, repr=False)
    sums: dict[int, int] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    def chunks(self) -> Iterator[Rows]:
        """All pieces in order."""
        for start in range(0, self.shape[0], self.chunk):
            yield self._piece(start)

    def between(self, start: int, stop: int) -> Rows:
        """The synapses onto neurons start..stop."""
        first = start - start % self.chunk
        parts = [
            _cut(self._piece(k), max(start - k, 0), stop - k)
            for k in range(first, stop, self.chunk)
        ]
        if len(parts) == 1:
            return parts[0]
        ends = np.cumsum([0] + [part.source.size for part in parts])
        bounds = [part.indptr[1:] + end for part, end in zip(parts, ends)]
        return Rows(
            np.concatenate([[0], *bounds]), np.concatenate([part.source for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )  # fmt: skip

    def reach(self, start: int, stop: int) -> Reach:
        """Where the synapses onto neurons start..stop come from, kept for the next time."""
        if (start, stop) not in self.reached:
            self.reached[start, stop] = _reach(self.between(start, stop).source)
        return self.reached[start, stop]

    @cached_property
    def seen(self) -> Seen:
        """All synapses looked at once: how many, least and largest weight, digest, faults."""
        parts = [hashlib.sha256() for _ in Rows._fields]  # apart, so that pieces do not matter
        count, low, high = 0, 0, 0
        faults: list[str] = []
        for start in range(0, self.shape[0], self.chunk):
            piece = self._looked_at(start, faults)
            count += piece.weight.size
            low = min(low, int(piece.weight.min(initial=0)))
            high = max(high, int(piece.weight.max(initial=0)))
            for sha, array in zip(parts, (np.diff(piece.indptr), piece.source, piece.weight)):
                sha.update(np.ascontiguousarray(array, "<i4").data)
        whole = hashlib.sha256(f"{self.shape}".encode() + b"".join(s.digest() for s in parts))
        return Seen(count, low, high, whole.hexdigest()[:16], tuple(faults))

    def dense(self) -> Array:
        """The whole matrix, int32: for small networks.

        Raises UsageError PJ804 where it is too large, PJ802 where two synapses are between the
        same two neurons.
        """
        if self.size > DENSE_MAX:
            what = f"{self.shape[0]} x {self.shape[1]} weights are too many to hold at once"
            raise UsageError(Fault("PJ804", what, fix="compile and run it; or a smaller network"))
        out = np.zeros(self.shape, np.int32)
        for piece, start in zip(self.chunks(), range(0, self.shape[0], self.chunk)):
            row = np.repeat(np.arange(piece.indptr.size - 1), np.diff(piece.indptr)) + start
            out[row, piece.source] = piece.weight
            if np.count_nonzero(out[start : start + self.chunk]) < piece.weight.size:
                what = "two synapses join the same two neurons, which one weight cannot say"
                raise UsageError(Fault("PJ802", what, fix="one synapse for each pair"))
        return out

    def _piece(self, start: int) -> Rows:
        piece = self.held.get(start)
        if piece is None:
            stop = min(start + self.chunk, self.shape[0])
            piece = self._same(start, _compact(Rows(*map(np.asarray, self.rows(start, stop)))))
            for old in list(self.held)[: 1 - HELD]:  # another thread may drop it first
                self.held.pop(old, None)
            self.held[start] = piece
        return piece

    def _same(self, start: int, piece: Rows) -> Rows:
        """The piece.  Raises GraphError PJ405 where it differs from what was given before: what
        follows relies on the first look."""
        found = 0
        for array in piece:
            found = zlib.crc32(np.ascontiguousarray(array).data, found)
        if self.sums.setdefault(start, found) != found:
            what = f"neurons {start}..{start + piece.indptr.size - 1}: other synapses than before"
            fix = "the same each time: seed draws by the first neuron that is asked for"
            raise GraphError(Fault("PJ405", what, fix=fix))
        return piece

    def _looked_at(self, start: int, faults: list[str]) -> Rows:
        """A piece, empty where it is faulty; what is wrong with it is added to `faults`."""
        stop = min(start + self.chunk, self.shape[0])
        none = np.zeros(0, np.int64)
        try:
            given = Rows(*map(np.asarray, self.rows(start, stop)))
        except (TypeError, ValueError) as error:
            found = [f"no three arrays (indptr, source, weight): {error}"]
            given = Rows(none, none, none)
        else:
            found = [*_array_faults(given, stop - start)] or [*_value_faults(given, self.shape[1])]
        faults += [f"neurons {start}..{stop}: {what}" for what in found]
        return Rows(none, none, none) if found else self._same(start, _compact(given))


def _array_faults(given: Rows, rows: int) -> Iterator[str]:
    for name, array in given._asdict().items():
        if array.ndim != 1 or array.dtype.kind not in "iu":
            yield f"{name} needs integers in one axis, got {array.dtype} {list(array.shape)}"
    if given.indptr.size != rows + 1:
        yield f"indptr has {given.indptr.size} bounds, needs {rows + 1}"
    if given.source.size != given.weight.size:
        yield f"{given.source.size} sources, but {given.weight.size} weights"


def _value_faults(given: Rows, sources: int) -> Iterator[str]:
    indptr, source = given.indptr, given.source
    if indptr[0] != 0 or indptr[-1] != source.size or np.any(indptr[1:] < indptr[:-1]):
        yield f"indptr must rise from 0 to {source.size}, the number of sources"
    if source.size and not (source.min() >= 0 and source.max() < sources):
        bad = int(np.flatnonzero((source < 0) | (source >= sources))[0])
        yield f"source[{bad}] is {source[bad]}, there are 0..{sources - 1}"


def _compact(piece: Rows) -> Rows:
    """The same synapses without weights of 0, in the smallest types that are convenient."""
    indptr, source, weight = piece
    kept = weight != 0
    if not kept.all():
        indptr = np.concatenate([[0], np.cumsum(kept)])[indptr]
        source, weight = source[kept], weight[kept]
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    small = low >= -(2**15) and high < 2**15
    return Rows(
        indptr.astype(np.int64, copy=False), source.astype(np.int32, copy=False),
        weight.astype(np.int16 if small else np.int64, copy=False),
    )  # fmt: skip


def _cut(piece: Rows, start: int, stop: int) -> Rows:
    """Neurons start..stop of a piece."""
    bounds = piece.indptr[start : stop + 1]
    part = slice(int(bounds[0]), int(bounds[-1]))
    return Rows(bounds - bounds[0], piece.source[part], piece.weight[part])


def _reach(source: Array) -> Reach:
    if not source.size:
        none = np.zeros(0, np.int64)
        return Reach(none, none, none, none)
    used, synapses = _used(source)
    ends = np.flatnonzero(np.diff(used) > GAP)
    low = used[np.concatenate([[0], ends + 1])]
    high = used[np.concatenate([ends, [-1]])] + 1
    many = np.bincount(synapses)
    length = np.flatnonzero(many)
    return Reach(low.astype(np.int64), high.astype(np.int64), length, many[length])


def _used(source: Array) -> tuple[Array, Array]:
    """Distinct sources, ascending, and how often each comes."""
    low, high = int(source.min()), int(source.max())
    if high - low > SPREAD * source.size:
        return np.unique(source, return_counts=True)
    many = np.bincount(source - low)
    used = np.flatnonzero(many)
    return used + low, many[used]


def from_arrays(shape: tuple[int, int], indptr: Array, source: Array, weight: Array) -> Sparse:
    """Weights from compressed rows by neuron; the arrays may be memory-mapped files.

    indptr int (neurons + 1,), source, weight int (synapses,)
    """

    def rows(start: int, stop: int) -> tuple[Array, Array, Array]:
        bounds = np.asarray(indptr[start : stop + 1], np.int64)
        if not 0 <= bounds[0] <= bounds[-1] <= min(len(source), len(weight)):
            raise ValueError(f"bounds {bounds[0]}..{bounds[-1]} of {len(source)} sources")
        part = slice(int(bounds[0]), int(bounds[-1]))
        return bounds - bounds[0], source[part], weight[part]

    return Sparse(shape, rows)
