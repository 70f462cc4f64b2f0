"""A tensor program under construction, and what the lowering of every kind of layer needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from picojoule.fixed.format import Scale
from picojoule.graph import Graph
from picojoule.graph.ops import IntAveragePool, IntConv2d, IntDense
from picojoule.graph.ops_image_int import result_fraction, sum_unit
from picojoule.passes.draft import Draft
from picojoule.passes.freeze import field_format
from picojoule.passes.tiles import Tile, value_format
from picojoule.program import Instruction, Source, Span
from picojoule.target import Target

CHANNEL_FIELDS = ("weight", "bias", "multiplier", "exponent")


@dataclass(frozen=True)
class Value:
    """Where the integers of a node lie, and which instructions must have written them."""

    span: Span
    written: tuple[int, ...]


@dataclass
class TensorSite:
    """A tensor program under construction.

    worked  the last instruction of every tile so far: its weights may then be overwritten
    """

    graph: Graph
    target: Target
    draft: Draft = field(default_factory=Draft)
    values: dict[str, Value] = field(default_factory=dict)
    worked: list[int] = field(default_factory=list)


def scale_of(graph: Graph, name: str) -> Scale | None:
    """What one unit of a node's integers means."""
    op = graph[name].op
    if isinstance(op, IntDense) and op.multiplier is None:
        unit = graph.value(op.step_in) * sum_unit(op)
        steps = unit * np.broadcast_to(graph.value(op.step_w), (op.features,))
        return Scale(tuple(float(s) for s in steps), axis=0)
    step = getattr(op, "step_out", None)
    if step is None and graph[name].inputs:  # a node that keeps the integers of its input
        return scale_of(graph, graph[name].inputs[0])
    return Scale((float(graph.value(step)),), getattr(op, "zero", 0)) if step else None


def shift_of(op: IntDense | IntConv2d) -> tuple[int, ...]:
    """The last argument of a product: none where sums leave as they are."""
    return (op.shift,) if op.shift else ()


def fraction_of(op: IntDense | IntConv2d | IntAveragePool) -> tuple[int, ...]:
    """The last argument of a requantization: none where results are plain integers."""
    return (result_fraction(op),) if op.result_kind else ()


def result(site: TensorSite, name: str) -> Span:
    """Room in the input memory for the integers of a node."""
    graph, size = site.graph, site.graph.types[name].size
    form = value_format(graph, name)
    span = site.draft.region(f"{name}.y", "sram_input", 0, form, (size,), "buffer")
    site.draft.source.append(Source(span.region, 0, size, name, "output", 0, scale_of(graph, name)))
    return span


def dram_constants(site: TensorSite, name: str) -> dict[str, Span]:
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


def load_rows(site: TensorSite, name: str, dram: Span, tile: Tile, phase: int) -> Value:
    """Bring rows of a constant into the filter memory, once the tile before the last is done."""
    source, count = site.draft.regions[dram.region], tile.stop - tile.start
    shape = (count, *source.shape[1:])
    chip = site.draft.region(name, "sram_weight", 0, source.format, shape, "buffer")
    size = site.draft.regions[chip.region].packed_bytes
    index = site.draft.emit(Instruction(
        op="load", core=0, reads=(Span(dram.region, tile.start, tile.stop),), writes=(chip,),
        args=(size,), after=tuple(site.worked[-2:-1]), phase=phase,
    ))  # fmt: skip
    return Value(chip, (index,))


def load_constant(site: TensorSite, name: str, what: str, values: np.ndarray, phase: int) -> Value:
    """A constant of a node in DRAM, and the load that brings all of it onto the chip."""
    form = field_format(site.graph[name], what)
    stored = site.draft.constant(f"{name}.{what}", "dram", 0, form, np.atleast_1d(values))
    return load_rows(site, f"{name}.{what}.tile0", stored, Tile(0, stored.size), phase)
