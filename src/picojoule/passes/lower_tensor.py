"""A frozen tensor network becomes a Program: tiles through the memories, one phase a layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import CheckError, Fault
from picojoule.fixed.format import Scale
from picojoule.graph import Graph
from picojoule.graph.ops import Flatten, IntAdd, IntDense
from picojoule.passes.draft import Draft
from picojoule.passes.freeze import field_format
from picojoule.passes.tiles import (
    ACCUMULATOR,
    Tile,
    folds,
    layers,
    memory_faults,
    packed_bytes,
    tiles,
    value_format,
    vector_cycles,
)
from picojoule.program import Instruction, Program, Source, Span
from picojoule.target import Target

CHANNEL_FIELDS = ("weight", "bias", "multiplier", "exponent")


@dataclass(frozen=True)
class _Value:
    """Where the integers of a node lie, and which instructions must have written them."""

    span: Span
    written: tuple[int, ...]


@dataclass
class _Site:
    """A tensor program under construction.

    worked  the last instruction of every tile so far: its weights may then be overwritten
    """

    graph: Graph
    target: Target
    draft: Draft = field(default_factory=Draft)
    values: dict[str, _Value] = field(default_factory=dict)
    worked: list[int] = field(default_factory=list)


def lower_tensor(graph: Graph, target: Target) -> Program:
    """Write the loads, products, requantizations and the store of a frozen network of Int ops.

    Each layer is a phase.  Weights come from DRAM in tiles of output channels; while one tile
    works the next is loaded, so a load waits for the tile before the last.  The input comes in
    with the first phase, the answer leaves with the last.
    Raises CheckError PJ208 where a memory is too small, PJ210 where 32 bits could overflow.
    """
    faults = memory_faults(graph, target) + overflow_faults(graph)
    if faults:
        raise CheckError(faults)
    site, phases = _Site(graph, target), layers(graph)
    _load_input(site)
    for name in graph.order:
        op, phase = graph[name].op, phases.index(name) if name in phases else 0
        if isinstance(op, Flatten):
            site.values[name] = site.values[graph[name].inputs[0]]
        elif isinstance(op, IntDense):
            site.values[name] = _dense(site, name, phase)
        elif isinstance(op, IntAdd):
            site.values[name] = _add(site, name, phase)
    _store_output(site, len(phases) - 1)
    return Program(
        name=graph.name, target=target.name, machine=target.machine_digest, kind="tensor",
        profile=target.core.profile, regions=site.draft.regions, arrays=site.draft.arrays,
        instructions=tuple(site.draft.instructions), encoder=graph.encoder,
        readout=graph.readout, phases=phases, positions=(target.core.position(0),),
        source=tuple(site.draft.source),
    )  # fmt: skip


def overflow_faults(graph: Graph) -> list[Fault]:
    """PJ210 for each layer whose 32-bit sums could overflow, whatever its input."""
    return [f for name in graph.names(IntDense) for f in _overflow(graph, name)]


def _overflow(graph: Graph, name: str) -> list[Fault]:
    op, source = graph[name].op, value_format(graph, graph[name].inputs[0])
    assert isinstance(op, IntDense)
    largest = max(source.high - op.zero_in, op.zero_in - source.low)
    weight = np.abs(np.asarray(graph.value(op.weight), np.int64)).sum(axis=1)
    bound = int((largest * weight + np.abs(graph.value(op.bias))).max())
    if bound <= ACCUMULATOR.high:
        return []
    return [Fault(
        "PJ210", f"sums of node {name!r} could reach {bound}; the accumulator holds"
        f" {ACCUMULATOR.high}", fix="fewer inputs to this layer, or fewer bits",
    )]  # fmt: skip


# ------------------------------------------------------------------------------- instructions


def _load_input(site: _Site) -> None:
    graph, draft = site.graph, site.draft
    name, form, size = graph.input.name, graph.encoder.format, graph.encoder.channels
    host = draft.region("input", "host", -1, form, (size,), "input")
    chip = draft.region(f"{name}.x", "sram_input", 0, form, (size,), "buffer")
    load = draft.emit(Instruction(
        op="load", core=0, reads=(host,), writes=(chip,), args=(packed_bytes(size, form.bits),),
    ))  # fmt: skip
    scale = Scale((graph.encoder.step,), graph.encoder.zero)
    draft.source.append(Source(chip.region, 0, size, name, "output", 0, scale))
    site.values[name] = _Value(chip, (load,))


def _store_output(site: _Site, phase: int) -> None:
    value, form = site.values[site.graph.output], value_format(site.graph, site.graph.output)
    size = value.span.size
    host = site.draft.region("output", "host", -1, form, (size,), "output")
    site.draft.emit(Instruction(
        op="store", core=0, reads=(value.span,), writes=(host,),
        args=(packed_bytes(size, form.bits),), after=value.written, phase=phase,
    ))  # fmt: skip
    scale = _scale(site.graph, site.graph.output)
    site.draft.source.append(Source("output", 0, size, site.graph.output, "answer", 0, scale))


def _scale(graph: Graph, name: str) -> Scale | None:
    """What one unit of a node's integers means."""
    op = graph[name].op
    if isinstance(op, IntDense) and op.multiplier is None:
        steps = graph.value(op.step_in) * np.broadcast_to(graph.value(op.step_w), (op.features,))
        return Scale(tuple(float(s) for s in steps), axis=0)
    step = getattr(op, "step_out", None)
    return Scale((float(graph.value(step)),), getattr(op, "zero", 0)) if step else None


def _dense(site: _Site, name: str, phase: int) -> _Value:
    graph, draft, op = site.graph, site.draft, site.graph[name].op
    assert isinstance(op, IntDense)
    x = site.values[graph[name].inputs[0]]
    acc = draft.region(f"{name}.acc", "sram_output", 0, ACCUMULATOR, (op.features,), "buffer")
    out = acc
    if op.multiplier is not None:
        out = draft.region(
            f"{name}.y", "sram_input", 0, value_format(graph, name), (op.features,), "buffer"
        )
    draft.source.append(Source(out.region, 0, op.features, name, "output", 0, _scale(graph, name)))
    dram = _dram_constants(site, name)
    cut = tiles(site.target, x.span.size, op.features, op.weight_bits)
    written = tuple(
        _tile(site, name, k, tile, dram, (x, acc, out), phase) for k, tile in enumerate(cut)
    )
    return _Value(out, written)


def _dram_constants(site: _Site, name: str) -> dict[str, Span]:
    """The constants of a layer in DRAM, by field."""
    graph, draft, node, found = site.graph, site.draft, site.graph[name], {}
    for what, constant in graph.constants(node).items():
        if what not in CHANNEL_FIELDS:
            continue
        shape = node.op.shapes(graph.types[node.inputs[0]])[what]
        values = np.broadcast_to(graph.value(constant), shape)
        pin = graph.pinned[constant]
        found[what] = draft.constant(f"{name}.{what}", "dram", 0, field_format(node, what), values)
        draft.source.append(Source(found[what].region, 0, values.size, name, what, 0, pin.scale))
    return found


def _tile(
    site: _Site, name: str, number: int, tile: Tile, dram: dict[str, Span],
    places: tuple[_Value, Span, Span], phase: int,
) -> int:  # fmt: skip
    """One tile: load its constants, multiply, requantize; the index of its last instruction."""
    draft, op = site.draft, site.graph[name].op
    assert isinstance(op, IntDense)
    x, acc, out = places
    loaded = {
        what: _load(site, f"{name}.{what}.tile{number}", span, tile, phase)
        for what, span in dram.items()
    }
    fold = folds(site.target, x.span.size, tile.stop - tile.start)
    needs = (*x.written, loaded["weight"].written[0], loaded["bias"].written[0])
    here = Span(acc.region, tile.start, tile.stop)
    last = draft.emit(Instruction(
        op="matmul", core=0, reads=(x.span, loaded["weight"].span, loaded["bias"].span),
        writes=(here,), args=(op.zero_in, fold.cycles),
        loops=(("fold_n", fold.n), ("fold_k", fold.k)), after=needs, phase=phase,
    ))  # fmt: skip
    if op.multiplier is not None:
        scaling = loaded["multiplier"], loaded["exponent"]
        last = draft.emit(Instruction(
            op="requantize", core=0, reads=(here, *(s.span for s in scaling)),
            writes=(Span(out.region, tile.start, tile.stop),),
            args=(op.zero, op.low, op.high, vector_cycles(site.target, here.size)),
            after=(last, *(s.written[0] for s in scaling)), phase=phase,
        ))  # fmt: skip
    site.worked.append(last)
    return last


def _load(site: _Site, name: str, dram: Span, tile: Tile, phase: int) -> _Value:
    """Bring rows of a constant into the filter memory, once the tile before the last is done."""
    source, count = site.draft.regions[dram.region], tile.stop - tile.start
    shape = (count, *source.shape[1:])
    chip = site.draft.region(name, "sram_weight", 0, source.format, shape, "buffer")
    size = packed_bytes(int(np.prod(shape)), source.format.bits)
    index = site.draft.emit(Instruction(
        op="load", core=0, reads=(Span(dram.region, tile.start, tile.stop),), writes=(chip,),
        args=(size,), after=tuple(site.worked[-2:-1]), phase=phase,
    ))  # fmt: skip
    return _Value(chip, (index,))


def _add(site: _Site, name: str, phase: int) -> _Value:
    graph, draft, op = site.graph, site.draft, site.graph[name].op
    assert isinstance(op, IntAdd)
    a, b = (site.values[i] for i in graph[name].inputs)
    values = graph.value(op.scaling)
    stored = draft.constant(
        f"{name}.scaling", "dram", 0, field_format(graph[name], "scaling"), values
    )
    scaling = _load(site, f"{name}.scaling.tile0", stored, Tile(0, stored.size), phase)
    size = graph.types[name].size
    y = draft.region(f"{name}.y", "sram_input", 0, value_format(graph, name), (size,), "buffer")
    draft.source.append(Source(y.region, 0, size, name, "output", 0, _scale(graph, name)))
    index = draft.emit(Instruction(
        op="add", core=0, reads=(a.span, b.span, scaling.span), writes=(y,),
        args=(op.zero_a, op.zero_b, op.left_shift, op.zero, op.low, op.high,
              vector_cycles(site.target, size)),
        after=tuple(sorted({*a.written, *b.written, *scaling.written})), phase=phase,
    ))  # fmt: skip
    return _Value(y, (index,))
