"""Synapse lists that many axons share: convolution, pooling and population weights.

Outputs lie in positions of `grain` neurons (the channels of a pixel), inputs in positions of
`atoms` axons.  All positions of one class reach the same outputs relative to their own, through
the same taps of the kernel, so what is kept is a pattern a class, never a list a neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from picojoule.graph.ops import IntConv, IntPool, IntShared

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Shared:
    """All synapses of a group, by class of input position.

    cls      int (positions,)  class of each input position
    base     int (positions,)  output position that the pattern of a class counts from
    indptr   int (classes + 1,) into `place`, `tap`: outputs of a class, ascending
    place    int (entries,)    output position relative to the base, 0 for the first
    tap      int (entries,)    which tap of the kernel leads there
    kernel   int (taps, atoms or 1, run)  mantissas of a tap from an atom to `run` channels
    channel  int (atoms,)      first output channel that an atom reaches
    alike    all atoms share one list, moved by `channel`
    """

    cls: Array
    base: Array
    indptr: Array
    place: Array
    tap: Array
    kernel: Array
    channel: Array
    grain: int
    alike: bool = False

    @cached_property
    def extent(self) -> int:
        """The most positions that a pattern spans."""
        return int(self.place.max(initial=0))

    @cached_property
    def order(self) -> Array:
        """Input positions by base."""
        return np.argsort(self.base, kind="stable")

    @cached_property
    def bases(self) -> Array:
        """Bases, ascending."""
        return self.base[self.order]

    @cached_property
    def keys(self) -> Array:
        """Ascending numbers of the entries: class * (extent + 2) + place."""
        owner = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))
        return owner * (self.extent + 2) + self.place

    @property
    def atoms(self) -> int:
        return self.channel.size

    @property
    def run(self) -> int:
        return self.kernel.shape[2]


@dataclass(frozen=True, eq=False)
class Cut:
    """What of a group reaches neurons start..stop: some positions, each with part of a pattern.

    position  int (n,)  input positions, ascending       inner  int (n,)  their pattern
    base      int (n,)  output position relative to the first of the cut
    first, last  int (patterns,)  entries of the group that a pattern takes
    low, high    channels of a position that are in the cut
    """

    position: Array
    inner: Array
    base: Array
    first: Array
    last: Array
    low: int
    high: int

    @property
    def axons(self) -> int:
        """Input axons of the hardware: one a position; its atoms share it."""
        return self.position.size


def cut(shared: Shared, start: int, stop: int) -> Cut:
    """The synapses onto neurons start..stop: whole positions, or some channels of one."""
    grain = shared.grain
    whole = start % grain == 0 and stop % grain == 0
    assert whole or start // grain == (stop - 1) // grain, "a cut through several positions"
    low, high = (0, grain) if whole else (start % grain, (stop - 1) % grain + 1)
    p0, p1 = start // grain, -(-stop // grain)
    near = _near(shared, p0, p1)
    cls, base = shared.cls[near], shared.base[near]
    first, last = (_entries_below(shared, cls, p - base) for p in (p0, p1))
    used = last > first
    near, base, first, last = near[used], base[used], first[used], last[used]
    codes, inner = np.unique(first * (shared.place.size + 1) + last, return_inverse=True)
    begin, end = codes // (shared.place.size + 1), codes % (shared.place.size + 1)
    return Cut(near, inner, base + shared.place[first] - p0, begin, end, low, high)


def _near(shared: Shared, p0: int, p1: int) -> Array:
    """Input positions that may reach output positions p0..p1, ascending."""
    lo, hi = np.searchsorted(shared.bases, [p0 - shared.extent, p1])
    return np.sort(shared.order[lo:hi])


def _entries_below(shared: Shared, cls: Array, bound: Array) -> Array:
    """Index of the first entry of each class whose place is not below `bound`."""
    span = shared.extent + 2
    return np.searchsorted(shared.keys, cls * span + np.clip(bound, 0, span - 1))


def lengths(shared: Shared, made: Cut) -> Array:
    """Synapses in each list that the cut needs, int (patterns, lists of a pattern)."""
    places = (made.last - made.first)[:, None]
    if shared.alike:
        return places * shared.run
    begin = np.maximum(shared.channel, made.low)
    end = np.minimum(shared.channel + shared.run, made.high)
    return places * np.maximum(end - begin, 0)[None, :]


@dataclass(frozen=True, eq=False)
class Lists:
    """A cut as the operands of `deliver_shared`; axons low.. of the source in order."""

    low: int
    row: Array
    base: Array
    indptr: Array
    target: Array
    weight: Array


def lists(shared: Shared, made: Cut) -> Lists:
    """Rows, bases and lists of a cut; the last list is empty, for axons that reach nothing."""
    atoms, grain = shared.atoms, shared.grain
    kinds = made.first.size * (1 if shared.alike else atoms)
    first = int(made.position[0])
    count = int(made.position[-1]) + 1 - first
    row = np.full((count, atoms), kinds, np.int64)
    base = np.zeros((count, atoms), np.int64)
    here = made.position - first
    if shared.alike:
        inside = (shared.channel >= made.low) & (shared.channel < made.high)
        row[here] = np.where(inside, made.inner[:, None], kinds)
        base[here] = made.base[:, None] * grain + np.where(inside, shared.channel - made.low, 0)
    else:
        row[here] = made.inner[:, None] * atoms + np.arange(atoms)
        base[here] = made.base[:, None] * grain
    owner, target, weight = _entries(shared, made)
    indptr = np.zeros(kinds + 2, np.int64)
    np.cumsum(np.bincount(owner, minlength=kinds + 1), out=indptr[1:])
    return Lists(first * atoms, row.ravel(), base.ravel(), indptr, target, weight)


def _entries(shared: Shared, made: Cut) -> tuple[Array, Array, Array]:
    """(list, target, mantissa) of every synapse that is kept, list by list."""
    each = 1 if shared.alike else shared.atoms
    size = np.repeat(made.last - made.first, each)
    begin = np.repeat(made.first, each)
    owner = np.repeat(np.arange(size.size), size)
    entry = np.arange(owner.size) - np.repeat(np.cumsum(size) - size, size) + begin[owner]
    atom = owner % each
    place = shared.place[entry] - shared.place[begin[owner]]
    channel = np.arange(shared.run)[None, :]
    if not shared.alike:
        channel = channel + shared.channel[atom][:, None]
    weight = shared.kernel[shared.tap[entry], atom]
    inside = np.ones(weight.shape, bool)
    if not shared.alike:
        inside = (channel >= made.low) & (channel < made.high) & inside
        channel = channel - made.low
    target = place[:, None] * shared.grain + channel
    kept = np.repeat(owner, shared.run).reshape(weight.shape)[inside]
    return kept, np.broadcast_to(target, weight.shape)[inside], weight[inside]


# ------------------------------------------------------------------------------- of each node


def of_conv(op: IntConv, weight: Array) -> Shared:
    """weight int (out channels, in channels / groups, kernel height, kernel width)."""
    taps = weight[:, :, ::-1, ::-1] if op.flipped else weight
    height, width = op.kernel
    run, inputs = op.channels // op.groups, op.in_shape[2] // op.groups
    by_group = taps.reshape(op.groups, run, inputs, height * width)
    kernel = by_group.transpose(3, 0, 2, 1).reshape(height * width, op.in_shape[2], run)
    channel = np.repeat(np.arange(op.groups) * run, inputs)
    return Shared(*_windows(op), kernel, channel, op.channels)


def of_pool(op: IntPool, weight: Array) -> Shared:
    """weight int (): the same for all."""
    cls, base, indptr, place, tap = _windows(op)
    channels = op.in_shape[2]
    kernel = np.asarray(weight).reshape(1, 1, 1)
    return Shared(cls, base, indptr, place, tap * 0, kernel, np.arange(channels), channels, True)


def of_lists(row: Array, base: Array, indptr: Array, target: Array, weight: Array) -> Shared:
    """The constants of an IntShared; classes are its lists, sorted by target."""
    row, base, indptr = (np.asarray(a, np.int64) for a in (row, base, indptr))
    owner = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    order = np.lexsort((target, owner))
    place = np.asarray(target, np.int64)[order]
    full = np.diff(indptr) > 0
    least = np.zeros(full.size, np.int64)
    least[full] = place[indptr[:-1][full]]
    kernel = np.asarray(weight)[order].reshape(-1, 1, 1)
    return Shared(row, base + least[row], indptr, place - least[owner], np.arange(place.size),
                  kernel, np.zeros(1, np.int64), 1)  # fmt: skip


def shared_of(op: IntConv | IntPool | IntShared, value: dict[str, Array]) -> Shared:
    """The synapses of a node; value: its constants by field."""
    if isinstance(op, IntShared):
        fields = ("row", "base", "indptr", "target", "weight")
        return of_lists(*(value[name] for name in fields))
    make = of_conv if isinstance(op, IntConv) else of_pool
    return make(op, value["weight"])  # type: ignore[arg-type]  # each its own op


def _windows(op: IntConv | IntPool) -> tuple[Array, Array, Array, Array, Array]:
    """cls, base, indptr, place and tap of windows that slide over an image."""
    y, x = (_axis(op, k) for k in (0, 1))
    columns = op.out_shape[1]
    cls = y.cls[:, None] * len(x.taps) + x.cls[None, :]
    base = y.base[:, None] * columns + x.base[None, :]
    place, tap, size = [], [], []
    for rows, row_places in zip(y.taps, y.places):
        for cells, cell_places in zip(x.taps, x.places):
            place.append((row_places[:, None] * columns + cell_places).ravel())
            tap.append((rows[:, None] * op.kernel[1] + cells).ravel())
            size.append(place[-1].size)
    indptr = np.concatenate([[0], np.cumsum(size)])
    return cls.ravel(), base.ravel(), indptr, np.concatenate(place), np.concatenate(tap)


@dataclass(frozen=True, eq=False)
class _Axis:
    """Classes of the input places of one axis: which taps reach which outputs, ascending."""

    cls: Array
    base: Array
    taps: list[Array]
    places: list[Array]


def _axis(op: IntConv | IntPool, axis: int) -> _Axis:
    size, out = op.in_shape[axis], op.out_shape[axis]
    taps = np.arange(op.kernel[axis])
    stride = op.stride[axis]
    moved = np.arange(size)[:, None] + op.padding[axis] - taps * op.dilation[axis]
    place = moved // stride
    there = (moved % stride == 0) & (place >= 0) & (place < out)
    masks, cls = np.unique(there, axis=0, return_inverse=True)
    base = np.where(there, place, out).min(axis=1)
    base = np.where(there.any(axis=1), base, 0)
    found = [np.flatnonzero(mask)[::-1] for mask in masks]  # later taps reach earlier outputs
    gaps = [(t[:1] - t) * op.dilation[axis] // stride for t in found]
    return _Axis(cls.reshape(-1), base, found, gaps)
