"""The axons of NengoLoihi vectors: from an input or a block, through weights that axons share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picojoule.conform.net import INPUT, Net, Part, matrices
from picojoule.conform.trial import Array
from picojoule.conform.vector import Vector
from picojoule.fixed.profile import SPIKING
from picojoule.graph.ops import IntShared

PEER = "nengo_loihi"
MANTISSA = (-256, 255)


@dataclass(frozen=True, eq=False)
class Lists:
    """The weights of one synapse group: row r of atom a has entries
    indptr[first[r] + a] : indptr[first[r] + a + 1].
    """

    first: Array
    atoms: Array
    indptr: Array
    target: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Source:
    """A node of the Graph that sends some of a projection's spikes.

    index  which sources of the projection; they are elements first, first + 1, ... of the node
    width  elements of the node
    late   steps from its spike to the effect
    """

    node: str
    index: Array
    first: int
    width: int
    late: int


def add_axons(
    vector: Vector, net: Net, cells: Sequence[tuple[Part, ...]], inputs: list[int], k: int
) -> None:
    """What projection k of the sidecar feeds: from an input ('i') or a block ('b')."""
    block = vector.integer("axons", k, "block", low=0, high=len(cells) - 1)
    group = vector.integer("axons", k, "syn", low=0)
    sources = _sources(vector, net, cells, inputs, k)
    count = sum(len(s.index) for s in sources)
    axon, atom = (vector.array(f"ax{k}_{what}", count) for what in ("map", "atom"))
    lists = _lists(vector, block, group)
    rows = _rows(vector, block, group, lists, axon, atom, f"ax{k}")
    exponent = _exponent(vector, block, group, lists.weight)
    mantissa = lists.weight >> (net.arithmetic.weight_shift + exponent)
    size = sum(p.size for p in cells[block])
    post, pre, weight = _triples(vector, lists, rows, mantissa, (size, count),
                                 f"b{block}_s{group}")  # fmt: skip
    if f"b{block}_s{group}_base" in vector.arrays and len(cells[block]) == 1:
        for source in sources:
            _shared(net, f"ax{k}", lists, rows, mantissa, source, cells[block][0], exponent)
        return
    for n, matrix in enumerate(matrices(post, pre, weight, (size, count))):
        for source in sources:
            _dense(net, f"ax{k}.{n}", matrix, source, cells[block], exponent)


def _sources(
    vector: Vector, net: Net, cells: Sequence[tuple[Part, ...]], inputs: list[int], k: int
) -> list[Source]:
    if vector.get("axons", k, "owner") == "i":
        which = vector.integer("axons", k, "src", low=0, high=len(inputs) - 1)
        first = sum(inputs[:which])
        return [Source(INPUT, np.arange(inputs[which]), first, net.channels, 0)]
    if vector.get("axons", k, "owner") != "b":
        raise vector.fail(f"axons.{k}.owner must be 'i' or 'b'")
    which = vector.integer("axons", k, "src", low=0, high=len(cells) - 1)
    return [Source(p.name, p.index, 0, p.size, 1) for p in cells[which]]


def _dense(
    net: Net, name: str, matrix: Array, source: Source, cells: tuple[Part, ...], exponent: int
) -> None:
    for part in cells:
        wide = np.zeros((part.size, source.width), np.int64)
        span = slice(source.first, source.first + len(source.index))
        wide[:, span] = matrix[np.ix_(part.index, source.index)]
        if wide.any():
            net.dense(f"{name}.{source.node}.{part.name}", wide, source.node, part.name,
                      source.late, exponent=exponent, dropped=0)  # fmt: skip


def _shared(
    net: Net, name: str, lists: Lists, rows: tuple[Array, Array], mantissa: Array, source: Source,
    part: Part, exponent: int,
) -> None:  # fmt: skip
    """Population weights as they are: a list for each row and atom, a base for each axon."""
    empty = len(lists.indptr) - 1
    row, base = np.full(source.width, empty), np.zeros(source.width, np.int64)
    span = slice(source.first, source.first + len(source.index))
    chosen = rows[0][source.index]
    row[span] = np.where(chosen < 0, empty, chosen)
    base[span] = rows[1][source.index]
    name = f"{name}.{source.node}"
    fields = {
        "row": row, "base": base, "indptr": np.append(lists.indptr, lists.indptr[-1]),
        "target": lists.target, "weight": mantissa,
    }  # fmt: skip
    named = {key: net.pin(f"{name}.{key}", values) for key, values in fields.items()}
    op = IntShared(features=part.size, exponent=exponent, dropped=0, **named)
    net.feed(name, op, source.node, part.name, source.late)


def _lists(vector: Vector, block: int, group: int) -> Lists:
    key = f"b{block}_s{group}"
    shape = vector.array(f"{key}_shape", None, 2)
    if shape.size and shape.min() < 0:
        raise vector.fail(f"array '{key}_shape' has a negative number")
    entries = int(shape.prod(axis=1).sum())
    weight = vector.array(f"{key}_w", entries)
    target = vector.array(f"{key}_idx", entries)
    lengths = np.repeat(shape[:, 1], shape[:, 0])
    first = np.concatenate([[0], np.cumsum(shape[:, 0])[:-1]]).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Lists(first, shape[:, 0], indptr, target, weight)


def _rows(
    vector: Vector, block: int, group: int, lists: Lists, axon: Array, atom: Array, name: str
) -> tuple[Array, Array]:
    """(list, base) of each source; list -1: it feeds nothing."""
    key = f"b{block}_s{group}"
    which = vector.array(f"{key}_map", None) if f"{key}_map" in vector.arrays else None
    base = vector.array(f"{key}_base", None) if f"{key}_base" in vector.arrays else None
    count = len(lists.first) if which is None else len(which)
    if axon.size and axon.max() >= count:
        raise vector.fail(f"array '{name}_map' names axon {axon.max()} of {count}")
    own = np.maximum(axon, 0)
    row = own if which is None else which[own]
    start = np.zeros(len(own), np.int64) if base is None else base[own]
    used = (axon >= 0) & (start >= 0)
    bad = used & ((row < 0) | (row >= len(lists.first)))
    row = np.where(used & ~bad, row, 0)
    if bad.any() or (used & ((atom < 0) | (atom >= lists.atoms[row]))).any():
        raise vector.fail(f"arrays '{name}_atom' and '{key}_map' name weights that do not exist")
    return np.where(used, lists.first[row] + atom, -1), np.where(used, start, 0)


def _exponent(vector: Vector, block: int, group: int, weight: Array) -> int:
    """An exponent that makes mantissas of effective weights, 0 where that does."""
    profile = SPIKING[PEER]
    shift = profile.weight_shift
    upwards = [*range(profile.weight_exponent_max + 1), *range(-1, -shift - 1, -1)]
    for exponent in upwards:
        mantissa = weight >> (shift + exponent)
        exact = (mantissa << (shift + exponent) == weight).all()
        low, high = mantissa.min(initial=0), mantissa.max(initial=0)
        if exact and MANTISSA[0] <= low <= high <= MANTISSA[1]:
            return exponent
    raise vector.fail(
        f"array 'b{block}_s{group}_w' holds weights that no mantissa and exponent give"
    )


def _triples(
    vector: Vector, lists: Lists, rows: tuple[Array, Array], mantissa: Array,
    shape: tuple[int, int], key: str,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """(neuron, source, mantissa) of every synapse."""
    row, base = rows
    source = np.flatnonzero(row >= 0)
    counts = np.diff(lists.indptr)[row[source]] if source.size else np.zeros(0, np.int64)
    starts = lists.indptr[:-1][row[source]] if source.size else np.zeros(0, np.int64)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    entry = np.repeat(starts, counts) + within
    post = np.repeat(base[source], counts) + lists.target[entry]
    if post.size and not 0 <= post.min() <= post.max() < shape[0]:
        raise vector.fail(f"array '{key}_idx' reaches neurons outside 0..{shape[0] - 1}")
    return post, np.repeat(source, counts), mantissa[entry]
