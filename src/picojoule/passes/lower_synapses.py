"""Synapse groups of a slice: their lists, and the instructions that deliver spikes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from picojoule.fixed.format import Format, Scale
from picojoule.graph.ops import SYNAPSES, IntSynapse
from picojoule.passes.freeze import field_format
from picojoule.passes.lower_neurons import current_of, is_graded, region_name
from picojoule.passes.partition import Slice
from picojoule.passes.populations import Group, SharedGroup
from picojoule.passes.shared import lists
from picojoule.passes.site import Arrival, Site
from picojoule.program import Instruction, Source, Span

OFFSET = Format(32)  # row bounds, row numbers and bases of lists


@dataclass(frozen=True)
class _Part:
    """The lists of one instruction: axons low..low + count of a source, and its operands."""

    op: str
    low: int
    count: int
    reads: tuple[Span, ...]
    atoms: int = 1


def deliver(site: Site, piece: Slice, group: Group | SharedGroup) -> Iterator[int]:
    """Add what has arrived through a group to a slice's accumulators; the instructions' indices.

    Where the profile shifts sums by a negative exponent, each part goes through a sum of its own.
    """
    low, high = group.axons(piece.start, piece.stop)
    if high == low:
        return
    for extra in group.extra_delays(piece.start, piece.stop):
        if isinstance(group, SharedGroup):
            part = _shared_lists(site, piece, group)
        else:
            part = _lists(site, piece, group, extra)
        yield _emit(site, piece, group, part, extra)


def _emit(site: Site, piece: Slice, group: Group | SharedGroup, part: _Part, extra: int) -> int:
    op = site.graph[group.name].op
    assert isinstance(op, SYNAPSES)
    arrival = Arrival(piece.core, *group.port, extra)
    first, axon = site.axons[arrival]
    used = Span(axon.region, part.low - first, part.low - first + part.count)
    current = region_name(piece, current_of(site.graph, piece.node, group.name))
    target = Span(current, 0, piece.size)
    late = op.exponent < 0 and site.profile.exponent_on == "sum"
    loops = (
        ("axons", part.count), ("neurons", piece.size), ("weight_bits", group.weight_bits),
        ("delay_bits", group.delay_bits), ("index_bits", group.index_bits(piece.size, site.target)),
    )  # fmt: skip
    loops += (("atoms", part.atoms),) if isinstance(group, SharedGroup) else ()
    graded = int(op.graded and is_graded(site.graph, group.source))
    _source(site, group, part)
    index = site.draft.emit(Instruction(
        op=part.op, core=piece.core, reads=(used, *part.reads),
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


def _sum(site: Site, piece: Slice, group: Group | SharedGroup, extra: int) -> Span:
    """Where a group's weights of one step are summed before the sum is shifted."""
    name, form = f"{_prefix(piece, group, extra)}.sum", Format(site.profile.state_bits)
    site.draft.source.append(Source(name, 0, piece.size, group.name, "sum", piece.start))
    return site.draft.region(name, "state", piece.core, form, (piece.size,), "buffer")


def _prefix(piece: Slice, group: Group | SharedGroup, extra: int) -> str:
    return f"core{piece.core}.{group.name}" + (f"+{extra}" if extra else "")


def _source(site: Site, group: Group | SharedGroup, part: _Part) -> None:
    op, weight = site.graph[group.name].op, part.reads[-1]
    assert isinstance(op, SYNAPSES)
    scale = None
    if op.step_w is not None:
        scale = Scale((float(site.graph.value(op.step_w)) / 2.0**op.dropped,))
    site.draft.source.append(
        Source(weight.region, 0, weight.size, group.name, "weight", part.low, scale)
    )


def _weight_format(site: Site, group: Group | SharedGroup) -> Format:
    return field_format(site.graph[group.name], "weight")


def _lists(site: Site, piece: Slice, group: Group, extra: int) -> _Part:
    """Dense rows, or the synapses other than 0, or all that have one delay."""
    op = site.graph[group.name].op
    assert isinstance(op, IntSynapse)
    low, high = group.axons(piece.start, piece.stop)
    rows, columns = slice(piece.start, piece.stop), slice(low, high)
    mantissas = np.asarray(site.graph.value(op.weight))[rows, columns].T
    name, form = _prefix(piece, group, extra), _weight_format(site, group)
    if group.delays is None and not group.sparse:
        weight = site.draft.constant(f"{name}.weight", "synapse", piece.core, form, mantissas)
        return _Part("deliver_dense", low, high - low, (weight,))
    kept = mantissas != 0 if group.sparse else np.ones(mantissas.shape, bool)
    if group.delays is not None:
        kept = kept & (extra == group.delays[rows, columns].T)
    reads = _sparse(site, piece, group, name, mantissas, kept)
    return _Part("deliver_sparse", low, high - low, reads)


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


def _index_format(site: Site, piece: Slice, group: Group | SharedGroup) -> Format:
    bits = group.index_bits(piece.size, site.target) or max(1, (piece.size - 1).bit_length())
    return Format(bits, signed=False)


def _shared_lists(site: Site, piece: Slice, group: SharedGroup) -> _Part:
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
    return _Part("deliver_shared", made.low, made.row.size, reads, group.shared.atoms)
