"""Synapse groups of a slice: their lists, and the instructions that deliver spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.fixed.format import Format, Scale
from picojoule.graph.ops import SYNAPSES, IntSynapse
from picojoule.passes.freeze import field_format
from picojoule.passes.groups import AnyGroup, Group, SharedGroup, SparseGroup
from picojoule.passes.lower_neurons import current_of, is_graded, region_name
from picojoule.passes.partition import Slice
from picojoule.passes.shared import lists
from picojoule.passes.site import Arrival, Axons, Site
from picojoule.program import Instruction, Source, Span

OFFSET = Format(32)  # row bounds, row numbers and bases of lists


@dataclass(frozen=True)
class _Part:
    """The lists of one instruction: its axons, of which `low` is the first source, and its
    other operands."""

    op: str
    low: int
    axons: Span
    reads: tuple[Span, ...]
    atoms: int = 1


def deliver(site: Site, piece: Slice, group: AnyGroup) -> Iterator[int]:
    """Add what has arrived through a group to a slice's accumulators; the instructions' indices.

    Where the profile shifts sums by a negative exponent, each part goes through a sum of its own.
    """
    low, high = group.axons(piece.start, piece.stop)
    if high == low:
        return
    for extra in group.extra_delays(piece.start, piece.stop):
        axons = site.axons[Arrival(piece.core, *group.port, extra)]
        if isinstance(group, SharedGroup):
            part = _shared_lists(site, piece, group, axons)
        elif isinstance(group, SparseGroup):
            part = _sparse_lists(site, piece, group, axons)
        else:
            part = _lists(site, piece, group, axons, extra)
        yield _emit(site, piece, group, part, extra)


def _emit(site: Site, piece: Slice, group: AnyGroup, part: _Part, extra: int) -> int:
    op = site.graph[group.name].op
    assert isinstance(op, SYNAPSES)
    arrival = Arrival(piece.core, *group.port, extra)
    current = region_name(piece, current_of(site.graph, piece.node, group.name))
    target = Span(current, 0, piece.size)
    late = op.exponent < 0 and site.profile.exponent_on == "sum"
    loops = (
        ("axons", part.axons.size), ("neurons", piece.size), ("weight_bits", group.weight_bits),
        ("delay_bits", group.delay_bits), ("index_bits", group.index_bits(piece.size, site.target)),
    )  # fmt: skip
    loops += (("atoms", part.atoms),) if isinstance(group, SharedGroup) else ()
    graded = int(op.graded and is_graded(site.graph, group.source))
    _source(site, group, part)
    index = site.draft.emit(Instruction(
        op=part.op, core=piece.core, reads=(part.axons, *part.reads),
        writes=(_sum(site, piece, group, extra) if late else target,),
        args=(0 if late else op.exponent, graded)[: 1 + graded],
        loops=loops, after=tuple(site.arrived.get(arrival, ())),
    ))  # fmt: skip
    return _accumulate(site, index, target, op.exponent) if late else index


def _accumulate(site: Site, delivered: int, target: Span, exponent: int) -> int:
    before = site.draft.instructions[delivered]
    return site.draft.emit(Instruction(
        op="accumulate", core=before.core, reads=before.writes, writes=(target,),
        args=(exponent,), loops=(("neurons", target.size),), after=(delivered,),
    ))  # fmt: skip


def _sum(site: Site, piece: Slice, group: AnyGroup, extra: int) -> Span:
    """Where a group's weights of one step are summed before the sum is shifted."""
    name, form = f"{_prefix(piece, group, extra)}.sum", Format(site.profile.state_bits)
    site.draft.source.append(Source(name, 0, piece.size, group.name, "sum", piece.start))
    return site.draft.region(name, "state", piece.core, form, (piece.size,), "buffer")


def _prefix(piece: Slice, group: AnyGroup, extra: int) -> str:
    return f"core{piece.core}.{group.name}" + (f"+{extra}" if extra else "")


def _source(site: Site, group: AnyGroup, part: _Part) -> None:
    op, weight = site.graph[group.name].op, part.reads[-1]
    assert isinstance(op, SYNAPSES)
    scale = None
    if op.step_w is not None:
        scale = Scale((float(site.graph.value(op.step_w)) / 2.0**op.dropped,))
    site.draft.source.append(
        Source(weight.region, 0, weight.size, group.name, "weight", part.low, scale)
    )


def _weight_format(site: Site, group: AnyGroup) -> Format:
    return field_format(site.graph[group.name], "weight")


def _lists(site: Site, piece: Slice, group: Group, axons: Axons, extra: int) -> _Part:
    """Dense rows, or the synapses other than 0, or all that have one delay."""
    op = site.graph[group.name].op
    assert isinstance(op, IntSynapse)
    low, high = group.axons(piece.start, piece.stop)
    rows, columns = slice(piece.start, piece.stop), slice(low, high)
    mantissas = np.asarray(site.graph.value(op.weight))[rows, columns].T
    name, form = _prefix(piece, group, extra), _weight_format(site, group)
    if group.delays is None and not group.sparse:
        weight = site.draft.constant(f"{name}.weight", "synapse", piece.core, form, mantissas)
        return _Part("deliver_dense", low, axons.part(low, high), (weight,))
    kept = mantissas != 0 if group.sparse else np.ones(mantissas.shape, bool)
    if group.delays is not None:
        kept = kept & (extra == group.delays[rows, columns].T)
    reads = _sparse(site, piece, group, name, mantissas, kept)
    return _Part("deliver_sparse", low, axons.part(low, high), reads)


def _sparse(
    site: Site, piece: Slice, group: Group, name: str, mantissas: np.ndarray, kept: np.ndarray
) -> tuple[Span, ...]:
    axon, target = np.nonzero(kept)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(axon, minlength=len(kept)))])
    core, draft = piece.core, site.draft
    form, index = _weight_format(site, group), _index_format(site, piece, group)
    return (
        draft.constant(f"{name}.indptr", "synapse", core, OFFSET, bounds),
        draft.constant(f"{name}.target", "synapse", core, index, target),
        draft.constant(f"{name}.weight", "synapse", core, form, mantissas[axon, target]),
    )


def _sparse_lists(site: Site, piece: Slice, group: SparseGroup, axons: Axons) -> _Part:
    """The synapses of a slice, by axon instead of by neuron."""
    rows = group.weights.between(piece.start, piece.stop)
    axon = _numbered(rows.source, axons)
    order = np.argsort(axon, kind="stable")
    target = np.repeat(np.arange(piece.size), np.diff(rows.indptr))[order]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(axon, minlength=axons.span.size))])
    name, core, draft = _prefix(piece, group, 0), piece.core, site.draft
    form, index = _weight_format(site, group), _index_format(site, piece, group)
    reads = (
        draft.constant(f"{name}.indptr", "synapse", core, OFFSET, bounds),
        draft.constant(f"{name}.target", "synapse", core, index, target),
        draft.constant(f"{name}.weight", "synapse", core, form, rows.weight[order]),
    )
    return _Part("deliver_sparse", int(axons.runs.low[0]), axons.span, reads)


def _numbered(source: np.ndarray, axons: Axons) -> np.ndarray:
    """The axon of each source, uint16 where that is enough: numpy sorts it in linear time."""
    runs, small = axons.runs, axons.span.size <= 2**16
    run = np.searchsorted(runs.low, source, side="right") - 1
    moved = source + (axons.first - runs.low)[run]
    return moved.astype(np.uint16 if small else np.int64)


def _index_format(site: Site, piece: Slice, group: AnyGroup) -> Format:
    bits = group.index_bits(piece.size, site.target) or max(1, (piece.size - 1).bit_length())
    return Format(bits, signed=False)


def _shared_lists(site: Site, piece: Slice, group: SharedGroup, axons: Axons) -> _Part:
    made = lists(group.shared, group.cut(piece.start, piece.stop))
    name, core, draft = _prefix(piece, group, 0), piece.core, site.draft
    form, index = _weight_format(site, group), _index_format(site, piece, group)
    reads = (
        draft.constant(f"{name}.row", "axon_table", core, OFFSET, made.row),
        draft.constant(f"{name}.base", "axon_table", core, OFFSET, made.base),
        draft.constant(f"{name}.indptr", "synapse", core, OFFSET, made.indptr),
        draft.constant(f"{name}.target", "synapse", core, index, made.target),
        draft.constant(f"{name}.weight", "synapse", core, form, made.weight),
    )
    used = axons.part(made.low, made.low + made.row.size)
    return _Part("deliver_shared", made.low, used, reads, group.shared.atoms)
