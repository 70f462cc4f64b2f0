"""Layers of images become instructions: convolutions, pools, tables, concatenations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from picojoule.graph.ops import IntAveragePool, IntConcat, IntConv2d, IntLookup, IntMaxPool
from picojoule.graph.ops_image_int import weight_form
from picojoule.passes.tensor_site import (
    TensorSite,
    Value,
    dram_constants,
    fraction_of,
    load_constant,
    load_rows,
    result,
    shift_of,
)
from picojoule.passes.tiles import ACCUMULATOR, Tile, folds, vector_cycles
from picojoule.passes.tiles_image import ImageTile, channel_tiles, row_tiles
from picojoule.program import Instruction, Span

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Layer:
    """A layer that fills accumulators tile by tile, and empties them into its result.

    x, shape  its input and (height, width, channels) of that; `out` of its result
    emptied   the instruction that emptied each half of the accumulators last
    """

    name: str
    phase: int
    x: Value
    shape: Shape
    out: Shape
    y: Span
    acc: str
    emptied: dict[int, int]

    def accumulators(self, tile: ImageTile, size: int) -> Span:
        first = tile.half * size
        return Span(self.acc, first, first + tile.rows * self.out[1] * (tile.stop - tile.start))

    def rows(self, tile: ImageTile) -> Span:
        """The rows of the result that a tile writes into."""
        row = self.out[1] * self.out[2]
        return Span(self.y.region, tile.first_row * row, (tile.first_row + tile.rows) * row)


def _layer(site: TensorSite, name: str, phase: int, size: int, count: int) -> _Layer:
    graph = site.graph
    source = graph[name].inputs[0]
    halves = min(count, 2)
    acc = site.draft.region(
        f"{name}.acc", "sram_output", 0, ACCUMULATOR, (halves * size,), "buffer")  # fmt: skip
    return _Layer(
        name, phase, site.values[source], graph.types[source].shape, graph.types[name].shape,
        result(site, name), acc.region, {},
    )  # fmt: skip


def _tile_size(cut: list[ImageTile], out: Shape) -> int:
    return max(t.rows * out[1] * (t.stop - t.start) for t in cut)


# ------------------------------------------------------------------------------- convolution


def _conv(site: TensorSite, name: str, phase: int) -> Value:
    graph, op = site.graph, site.graph[name].op
    assert isinstance(op, IntConv2d)
    out = graph.types[name].shape
    taps = math.prod(graph.value(op.weight).shape[1:])
    across = channel_tiles(site.target, taps, out, op.groups, weight_form(op))
    most = max(tile.stop - tile.start for tile in across)
    cut = {channels: [*row_tiles(site.target, out, channels, most)] for channels in across}
    every = [tile for rows in cut.values() for tile in rows]
    size = _tile_size(every, out)
    layer = _layer(site, name, phase, size, max(map(len, cut.values())))
    dram = dram_constants(site, name)
    written: list[int] = []
    for number, (channels, rows) in enumerate(cut.items()):
        loaded = {
            what: load_rows(site, f"{name}.{what}.tile{number}", span, channels, phase)
            for what, span in dram.items()
        }
        written += [_conv_tile(site, layer, tile, size, taps, loaded) for tile in rows]
        site.worked.append(written[-1])
    return Value(layer.y, tuple(written))


def _conv_tile(
    site: TensorSite, layer: _Layer, tile: ImageTile, size: int, taps: int,
    loaded: dict[str, Value],
) -> int:  # fmt: skip
    op = site.graph[layer.name].op
    assert isinstance(op, IntConv2d)
    acc, count = layer.accumulators(tile, size), tile.stop - tile.start
    group = op.features // op.groups
    fold = folds(site.target, taps, min(count, group), tile.rows * layer.out[1])
    loops = (("group", -(-count // group)),) if op.groups > 1 else ()
    needs = {*layer.x.written, *loaded["weight"].written, *loaded["bias"].written}
    needs |= {layer.emptied[tile.half]} if tile.half in layer.emptied else set()
    index = site.draft.emit(Instruction(
        op="conv", core=0, reads=(layer.x.span, loaded["weight"].span, loaded["bias"].span),
        writes=(acc,), loops=(*loops, ("fold_n", fold.n), ("fold_k", fold.k)),
        args=(op.zero_in, *layer.shape[:2], *op.stride, *op.padding[:2], *op.dilation, op.groups,
              op.features, tile.start, tile.first_row, layer.out[1], fold.cycles, *shift_of(op)),
        after=tuple(sorted(needs)), phase=layer.phase,
    ))  # fmt: skip
    return _empty(site, layer, tile, acc, index, (loaded["multiplier"], loaded["exponent"]))


def _empty(
    site: TensorSite, layer: _Layer, tile: ImageTile, acc: Span, filled: int,
    scaling: tuple[Value, Value],
) -> int:  # fmt: skip
    """Requantize the accumulators of a tile into the rows and channels of the result."""
    op = site.graph[layer.name].op
    assert isinstance(op, IntConv2d | IntAveragePool)
    layer.emptied[tile.half] = site.draft.emit(Instruction(
        op="requantize_channels", core=0, reads=(acc, *(s.span for s in scaling)),
        writes=(layer.rows(tile),),
        args=(op.zero, op.low, op.high, layer.out[2], tile.start,
              vector_cycles(site.target, acc.size), *fraction_of(op)),
        after=tuple(sorted({filled, *(i for s in scaling for i in s.written)})),
        phase=layer.phase,
    ))  # fmt: skip
    return layer.emptied[tile.half]


# ------------------------------------------------------------------------------------- pools


def _average_pool(site: TensorSite, name: str, phase: int) -> Value:
    graph, op = site.graph, site.graph[name].op
    assert isinstance(op, IntAveragePool)
    out = graph.types[name].shape
    cut = [*row_tiles(site.target, out, Tile(0, out[2]))]
    size = _tile_size(cut, out)
    layer = _layer(site, name, phase, size, len(cut))
    scaling = tuple(
        load_constant(site, name, what, np.full(out[2], graph.value(constant)), phase)
        for what, constant in (("multiplier", op.multiplier), ("exponent", op.exponent))
    )
    written = [_sum_tile(site, layer, tile, size, (scaling[0], scaling[1])) for tile in cut]
    site.worked.append(written[-1])
    return Value(layer.y, tuple(written))


def _sum_tile(
    site: TensorSite, layer: _Layer, tile: ImageTile, size: int, scaling: tuple[Value, Value]
) -> int:
    op = site.graph[layer.name].op
    assert isinstance(op, IntAveragePool)
    acc = layer.accumulators(tile, size)
    needs = {*layer.x.written, *layer.emptied.values()}
    index = site.draft.emit(Instruction(
        op="sum_pool", core=0, reads=(layer.x.span,), writes=(acc,),
        args=(op.zero_in, *_window(op, layer.shape), tile.first_row, layer.out[1],
              vector_cycles(site.target, acc.size * math.prod(op.kernel))),
        after=tuple(sorted(needs)), phase=layer.phase,
    ))  # fmt: skip
    return _empty(site, layer, tile, acc, index, scaling)


def _window(op: IntMaxPool | IntAveragePool, shape: Shape) -> Shape:
    return (*shape[:2], *op.kernel, *op.stride, *op.padding[:2])


def _max_pool(site: TensorSite, name: str, phase: int) -> Value:
    graph, op = site.graph, site.graph[name].op
    assert isinstance(op, IntMaxPool)
    x, y = site.values[graph[name].inputs[0]], result(site, name)
    shape = graph.types[graph[name].inputs[0]].shape
    index = site.draft.emit(Instruction(
        op="max_pool", core=0, reads=(x.span,), writes=(y,),
        args=(*_window(op, shape), 0, graph.types[name].shape[1],
              vector_cycles(site.target, y.size * math.prod(op.kernel))),
        after=x.written, phase=phase,
    ))  # fmt: skip
    return Value(y, (index,))


# ---------------------------------------------------------------------- tables, concatenation


def _lookup(site: TensorSite, name: str, phase: int) -> Value:
    graph, op = site.graph, site.graph[name].op
    assert isinstance(op, IntLookup)
    x = site.values[graph[name].inputs[0]]
    table = load_constant(site, name, "table", graph.value(op.table), phase)
    y = result(site, name)
    index = site.draft.emit(Instruction(
        op="lookup", core=0, reads=(x.span, table.span), writes=(y,),
        args=(op.first, vector_cycles(site.target, y.size)),
        after=tuple(sorted({*x.written, *table.written})), phase=phase,
    ))  # fmt: skip
    return Value(y, (index,))


def _concat(site: TensorSite, name: str, phase: int) -> Value:
    graph, y = site.graph, result(site, name)
    channels, first, written = graph.types[name].shape[-1], 0, []
    for source in graph[name].inputs:
        x = site.values[source]
        written.append(site.draft.emit(Instruction(
            op="place", core=0, reads=(x.span,), writes=(y,),
            args=(channels, first, vector_cycles(site.target, x.span.size)),
            after=x.written, phase=phase,
        )))  # fmt: skip
        first += graph.types[source].shape[-1]
    return Value(y, tuple(written))


LOWER_IMAGE: dict[type, Callable[[TensorSite, str, int], Value]] = {
    IntConv2d: _conv, IntMaxPool: _max_pool, IntAveragePool: _average_pool, IntLookup: _lookup,
    IntConcat: _concat,
}  # fmt: skip
