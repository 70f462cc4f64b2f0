"""A frozen tensor network becomes a Program: tiles through the memories, one phase a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picojoule.errors import CheckError, Fault
from picojoule.fixed.format import Scale
from picojoule.graph import Graph
from picojoule.graph.ops import Flatten, IntAdd, IntAveragePool, IntConv2d, IntDense
from picojoule.graph.ops_image_int import weight_form
from picojoule.passes.lower_image import LOWER_IMAGE
from picojoule.passes.tensor_site import (
    TensorSite,
    Value,
    dram_constants,
    fraction_of,
    load_constant,
    load_rows,
    result,
    scale_of,
    shift_of,
)
from picojoule.passes.tiles import (
    ACCUMULATOR,
    Tile,
    exact_most,
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


def lower_tensor(graph: Graph, target: Target) -> Program:
    """Write the loads, products, requantizations and the store of a frozen network of Int ops.

    Each layer is a phase.  Weights come from DRAM in tiles of output channels; while one tile
    works the next is loaded, so a load waits for the tile before the last.  The input comes in
    with the first phase, the answer leaves with the last.
    Raises CheckError PJ208 where a memory is too small, PJ210 where 32 bits could overflow.
    """
    faults = memory_faults(graph, target) + overflow_faults(graph, target)
    if faults:
        raise CheckError(faults)
    site, phases = TensorSite(graph, target), layers(graph)
    _load_input(site)
    for name in graph.order:
        op, phase = graph[name].op, phases.index(name) if name in phases else 0
        if isinstance(op, Flatten):
            site.values[name] = site.values[graph[name].inputs[0]]
        elif type(op) in LOWER:
            site.values[name] = LOWER[type(op)](site, name, phase)
    _store_output(site, len(phases) - 1)
    return Program(
        name=graph.name, target=target.name, machine=target.machine_digest, kind="tensor",
        profile=target.core.profile, regions=site.draft.regions, arrays=site.draft.arrays,
        instructions=tuple(site.draft.instructions), encoder=graph.encoder,
        readout=graph.readout, phases=phases, positions=(target.core.position(0),),
        source=tuple(site.draft.source),
    )  # fmt: skip


def overflow_faults(graph: Graph, target: Target) -> list[Fault]:
    """PJ210 for each layer whose sums could leave the accumulator, whatever its input."""
    most = exact_most(target)
    found = [f for name in graph.names(IntDense, IntConv2d) for f in _overflow(graph, name, most)]
    return found + [f for name in graph.names(IntAveragePool) for f in _pool_overflow(graph, name)]


def _pool_overflow(graph: Graph, name: str) -> list[Fault]:
    op, source = graph[name].op, value_format(graph, graph[name].inputs[0])
    assert isinstance(op, IntAveragePool)
    largest = op.kernel[0] * op.kernel[1] * max(source.high - op.zero_in, op.zero_in - source.low)
    return _too_large(name, largest << _left_shift(graph, op))


def _overflow(graph: Graph, name: str, exact: int) -> list[Fault]:
    op, source = graph[name].op, value_format(graph, graph[name].inputs[0])
    assert isinstance(op, IntDense | IntConv2d)
    largest = max(source.high - op.zero_in, op.zero_in - source.low)
    weight = np.abs(np.asarray(graph.value(op.weight), np.int64)).reshape(op.features, -1)
    # in Python's integers: the bound may exceed 64 bits where the sums of a machine may not
    sums, bias = largest * weight.sum(1).astype(object), np.abs(graph.value(op.bias))
    if not op.shift:
        return _too_large(name, int((sums + bias).max()) << _left_shift(graph, op))
    left = ((sums >> op.shift) + 1 + bias) << _left_shift(graph, op)
    return _too_large(name, int(sums.max()), exact) or _too_large(name, int(left.max()))


def _left_shift(graph: Graph, op: IntDense | IntConv2d | IntAveragePool) -> int:
    """Bits that sums are shifted left by before they become results of a wide format."""
    if op.result_kind is None or op.exponent is None:
        return 0
    return max(int(np.max(graph.value(op.exponent))), 0)


def _too_large(name: str, bound: int, most: int = ACCUMULATOR.high) -> list[Fault]:
    if bound <= most:
        return []
    return [Fault(
        "PJ210", f"sums of node {name!r} could reach {bound}; the accumulator holds"
        f" {most}", fix="fewer inputs to this layer, or fewer bits",
    )]  # fmt: skip


# ------------------------------------------------------------------------------- instructions


def _load_input(site: TensorSite) -> None:
    graph, draft = site.graph, site.draft
    name, form, size = graph.input.name, graph.encoder.format, graph.encoder.channels
    host = draft.region("input", "host", -1, form, (size,), "input")
    chip = draft.region(f"{name}.x", "sram_input", 0, form, (size,), "buffer")
    load = draft.emit(Instruction(
        op="load", core=0, reads=(host,), writes=(chip,), args=(packed_bytes(size, form.bits),),
    ))  # fmt: skip
    scale = Scale((graph.encoder.step,), graph.encoder.zero)
    draft.source.append(Source(chip.region, 0, size, name, "output", 0, scale))
    site.values[name] = Value(chip, (load,))


def _store_output(site: TensorSite, phase: int) -> None:
    value, form = site.values[site.graph.output], value_format(site.graph, site.graph.output)
    size = value.span.size
    host = site.draft.region("output", "host", -1, form, (size,), "output")
    site.draft.emit(Instruction(
        op="store", core=0, reads=(value.span,), writes=(host,),
        args=(packed_bytes(size, form.bits),), after=value.written, phase=phase,
    ))  # fmt: skip
    scale = scale_of(site.graph, site.graph.output)
    site.draft.source.append(Source("output", 0, size, site.graph.output, "answer", 0, scale))


def _dense(site: TensorSite, name: str, phase: int) -> Value:
    graph, draft, op = site.graph, site.draft, site.graph[name].op
    assert isinstance(op, IntDense)
    x = site.values[graph[name].inputs[0]]
    acc = draft.region(f"{name}.acc", "sram_output", 0, ACCUMULATOR, (op.features,), "buffer")
    out = acc
    if op.multiplier is not None:
        out = draft.region(
            f"{name}.y", "sram_input", 0, value_format(graph, name), (op.features,), "buffer"
        )
    draft.source.append(
        Source(out.region, 0, op.features, name, "output", 0, scale_of(graph, name))
    )
    dram = dram_constants(site, name)
    cut = tiles(site.target, x.span.size, op.features, weight_form(op))
    written = tuple(
        _tile(site, name, k, tile, dram, (x, acc, out), phase) for k, tile in enumerate(cut)
    )
    return Value(out, written)


def _tile(
    site: TensorSite, name: str, number: int, tile: Tile, dram: dict[str, Span],
    places: tuple[Value, Span, Span], phase: int,
) -> int:  # fmt: skip
    """One tile: load its constants, multiply, requantize; the index of its last instruction."""
    draft, op = site.draft, site.graph[name].op
    assert isinstance(op, IntDense)
    x, acc, out = places
    loaded = {
        what: load_rows(site, f"{name}.{what}.tile{number}", span, tile, phase)
        for what, span in dram.items()
    }
    fold = folds(site.target, x.span.size, tile.stop - tile.start)
    needs = (*x.written, loaded["weight"].written[0], loaded["bias"].written[0])
    here = Span(acc.region, tile.start, tile.stop)
    last = draft.emit(Instruction(
        op="matmul", core=0, reads=(x.span, loaded["weight"].span, loaded["bias"].span),
        writes=(here,), args=(op.zero_in, fold.cycles, *shift_of(op)),
        loops=(("fold_n", fold.n), ("fold_k", fold.k)), after=needs, phase=phase,
    ))  # fmt: skip
    if op.multiplier is not None:
        scaling = loaded["multiplier"], loaded["exponent"]
        last = draft.emit(Instruction(
            op="requantize", core=0, reads=(here, *(s.span for s in scaling)),
            writes=(Span(out.region, tile.start, tile.stop),),
            args=(op.zero, op.low, op.high, vector_cycles(site.target, here.size),
                  *fraction_of(op)),
            after=(last, *(s.written[0] for s in scaling)), phase=phase,
        ))  # fmt: skip
    site.worked.append(last)
    return last


def _add(site: TensorSite, name: str, phase: int) -> Value:
    graph, draft, op = site.graph, site.draft, site.graph[name].op
    assert isinstance(op, IntAdd)
    a, b = (site.values[i] for i in graph[name].inputs)
    scaling = load_constant(site, name, "scaling", graph.value(op.scaling), phase)
    y = result(site, name)
    index = draft.emit(Instruction(
        op="add", core=0, reads=(a.span, b.span, scaling.span), writes=(y,),
        args=(op.zero_a, op.zero_b, op.left_shift, op.zero, op.low, op.high,
              vector_cycles(site.target, y.size)),
        after=tuple(sorted({*a.written, *b.written, *scaling.written})), phase=phase,
    ))  # fmt: skip
    return Value(y, (index,))


LOWER: dict[type, Callable[[TensorSite, str, int], Value]] = {
    IntDense: _dense, IntAdd: _add, **LOWER_IMAGE,
}  # fmt: skip
