"""How the layers of a tensor network fit the memories and the array of a machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.errors import Fault
from picojoule.fixed.format import Format, float_format
from picojoule.graph import Graph
from picojoule.graph.ops import (
    IMAGE_INTEGERS,
    Add,
    AveragePool,
    Concat,
    Conv,
    Dense,
    Flatten,
    Input,
    IntAdd,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntDense,
    IntLookup,
    IntMaxPool,
    MaxPool,
    Relu,
)
from picojoule.graph.ops_image import ACTIVATIONS
from picojoule.graph.ops_image_int import weight_form
from picojoule.passes.freeze import range_format
from picojoule.target import Target

ACCUMULATOR, INT8 = Format(32), Format(8)
PER_CHANNEL_BYTES = 4 + 4 + 1  # bias, multiplier, exponent


@dataclass(frozen=True)
class Tile:
    """Output channels start..stop of a layer, whose weights are on the chip together."""

    start: int
    stop: int


@dataclass(frozen=True)
class Folds:
    """How often a product is folded onto the array, and cycles of one fold."""

    n: int
    k: int
    cycles: int


def packed_bytes(elements: int, bits: int) -> int:
    """Bytes of elements packed without gaps."""
    return -(-elements * bits // 8)


def exact_most(target: Target) -> int:
    """The largest sum that an accumulator holds before it leaves (rule T14)."""
    limit: int = target.core.limits.get("accumulator_bits", ACCUMULATOR.bits)
    return (1 << (limit - 1)) - 1


def room(target: Target, memory: str) -> int:
    """Bytes of a memory; without limit where the machine names no such memory."""
    return target.memories.get(memory, 1 << 62)


def value_format(graph: Graph, name: str) -> Format:
    """The narrowest format of a node's integers: from its clamps, or 32 bits without them."""
    op = graph[name].op
    if isinstance(op, Input):
        return graph.encoder.format
    if isinstance(op, Flatten | IntMaxPool | IntConcat):
        return value_format(graph, graph[name].inputs[0])
    assert isinstance(op, IntDense | IntAdd | IntConv2d | IntAveragePool | IntLookup)
    if isinstance(op, IntDense) and op.multiplier is None:
        return ACCUMULATOR
    kind: str | None = getattr(op, "result_kind", None)
    return float_format(kind) if kind else range_format(op.low, op.high)


def folds(target: Target, inputs: int, outputs: int, vectors: int = 1) -> Folds:
    """Folds of some vectors times (outputs, inputs) weights on the target's array.

    Source: SCALE-Sim 3.0.0, closed form of its cycles (shared facts: accelerators, 3.2).
    """
    array = target.array
    assert array is not None, "a tensor target has an array"
    rows, columns = array.rows, array.columns
    n, k = -(-outputs // columns), -(-inputs // rows)
    if array.dataflow == "ws":
        return Folds(n, k, 2 * rows + columns + vectors - 2)
    if array.dataflow == "os":
        return Folds(n * -(-vectors // rows), 1, rows + columns + inputs - 2)
    return Folds(-(-vectors // columns), k, 2 * rows + columns + outputs - 2)


def tiles(target: Target, inputs: int, outputs: int, form: Format) -> tuple[Tile, ...]:
    """Output channels cut so that two tiles fit the filter memory: one works, one is loaded.

    Tiles are whole folds of the array where they can be; empty where not one channel fits.
    """
    half = room(target, "filter") // 2
    most = half * 8 // (form.packed_bits(1, inputs) + PER_CHANNEL_BYTES * 8)
    if most >= outputs:
        return (Tile(0, outputs),)
    assert target.array is not None
    columns = target.array.columns
    size = most // columns * columns or most
    return tuple(Tile(k, min(k + size, outputs)) for k in range(0, outputs, size)) if size else ()


def vector_cycles(target: Target, elements: int) -> int:
    """Cycles of the vector unit, which has a lane for each column of the array."""
    assert target.array is not None
    return -(-elements // target.array.columns)


# --------------------------------------------------------------------------------- does it fit

LAYERS = (
    Dense, IntDense, Add, IntAdd, Conv, MaxPool, AveragePool, Concat, *ACTIVATIONS,
    *IMAGE_INTEGERS,
)  # fmt: skip


def layers(graph: Graph) -> tuple[str, ...]:
    """Nodes that become a phase, in order; a Relu works within the phase of its input."""
    return graph.names(*LAYERS)


def memory_faults(
    graph: Graph, target: Target, form: Format = INT8, activation_bits: int = 8
) -> list[Fault]:
    """PJ208 for everything that does not fit a memory of the chip.

    form, activation_bits  of weights and activations of float nodes; Int nodes have their own
    """
    found = [*_weight_faults(graph, target, form)]
    found += _activation_faults(graph, target, activation_bits)
    return [
        Fault("PJ208", f"{what} {needed} bytes; the {memory} memory of {target.name!r} has"
              f" {target.memories[memory]}", where=target.where(f"memories.{memory}"), fix=fix)
        for what, needed, memory, fix in found
    ]  # fmt: skip


Misfit = tuple[str, int, str, str]


def layer_form(graph: Graph, name: str, form: Format) -> Format:
    """The format of a layer's weights: its own, or that which a float one will get."""
    op = graph[name].op
    return weight_form(op) if isinstance(op, IntDense | IntConv2d) else form


def _weight_faults(graph: Graph, target: Target, form: Format) -> Iterator[Misfit]:
    total = 0
    for name in graph.names(Dense, IntDense, Conv, IntConv2d):
        node = graph[name]
        shape = node.op.shapes(graph.types[node.inputs[0]])["weight"]
        outputs, inputs = shape[0], math.prod(shape[1:])
        each = layer_form(graph, name, form)
        total += -(-each.packed_bits(outputs, inputs) // 8) + PER_CHANNEL_BYTES * outputs
        if not tiles(target, inputs, outputs, each):
            needed = 2 * (-(-each.packed_bits(1, inputs) // 8) + PER_CHANNEL_BYTES)
            yield (f"two output channels of node {name!r} need", needed, "filter",
                   "fewer inputs to this layer, or fewer weight bits")  # fmt: skip
    for name in graph.names(Dense, IntDense, Conv, IntConv2d, AveragePool, IntAveragePool):
        accumulators = ACCUMULATOR.bits // 8 * _least_accumulators(graph, name)
        if accumulators > room(target, "output"):
            yield (f"the accumulators of node {name!r} need", accumulators, "output",
                   "a narrower layer")  # fmt: skip
    if total > room(target, "dram"):
        yield "all weights together need", total, "dram", "smaller layers, or fewer weight bits"


def _least_accumulators(graph: Graph, name: str) -> int:
    """Accumulators of the smallest tile of a layer, twice where tiles of images take turns."""
    shape = graph.types[name].shape
    if len(shape) == 1:
        return shape[0]
    pool = isinstance(graph[name].op, AveragePool | IntAveragePool)
    row = shape[1] * (shape[2] if pool else 1)
    return min(2 * row, math.prod(shape))


def _activation_faults(graph: Graph, target: Target, bits: int) -> Iterator[Misfit]:
    """What is alive while a layer runs: all that it or a later layer still reads."""
    order = [n for n in graph.order if not isinstance(graph[n].op, Flatten | Relu)]
    last_read = {n: max(map(order.index, _layer_readers(graph, n)), default=0) for n in order}
    size = {n: packed_bytes(graph.types[n].size, _edge_bits(graph, n, bits)) for n in order}
    for k, name in enumerate(order):
        alive = [n for n in order[: k + 1] if last_read[n] >= k or n == name]
        needed = sum(size[n] for n in alive)
        if needed > room(target, "input"):
            yield (f"activations alive during node {name!r} need", needed, "input",
                   "narrower layers, or fewer activation bits")  # fmt: skip


def _edge_bits(graph: Graph, name: str, bits: int) -> int:
    """Bits of a node's integers in the input memory; accumulators of the answer are not in it."""
    op = graph[name].op
    if name == graph.output and isinstance(op, Dense):
        return 0
    if isinstance(op, (IntDense, IntAdd, *IMAGE_INTEGERS)):
        form = value_format(graph, name)
        return 0 if form == ACCUMULATOR else form.bits
    return graph.encoder.format.bits if isinstance(op, Input) else bits


def _layer_readers(graph: Graph, name: str) -> list[str]:
    """Layers that read a node, looking through Flatten and Relu."""
    found: list[str] = []
    for reader in graph.readers(name):
        through = isinstance(reader.op, Flatten | Relu)
        found += _layer_readers(graph, reader.name) if through else [reader.name]
    return found
