"""Give every layer of a tensor network its integers, as derivations over live parameters."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.format import FLOATS, Format
from picojoule.graph import Derivation, Graph
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
    IntConcat,
    IntConv2d,
    IntDense,
    IntMaxPool,
    MaxPool,
    Relu,
)
from picojoule.graph.ops_image import ACTIVATIONS
from picojoule.graph.ops_image_int import TABLE_BITS
from picojoule.passes.as_real import real
from picojoule.passes.bits import Bits
from picojoule.passes.canonicalise import fresh, only_reader
from picojoule.passes.edges import Choice, Edge, activation_faults, signed_range
from picojoule.passes.quantize_image import (
    average_pool,
    concat,
    int_add,
    lookup,
    max_pool,
    rescale,
)
from picojoule.passes.search_steps import (
    float_options,
    float_steps,
    one_float_step,
    one_step,
    row_steps,
)

INPUT_FORMAT = Format(8)
SUM_BITS = 30  # that sums keep when they leave an exact accumulator, their sign aside
SUMMING = (Dense, Conv, AveragePool)
INTEGERS = (IntDense, IntAdd, *IMAGE_INTEGERS)


def quantize_tensor(
    graph: Graph, profile: str, seen: dict[str, np.ndarray], bits: Bits
) -> tuple[Graph, list[Fault]]:
    """Turn real ops into Int ops; returns also PJ211 faults to warn of.

    A Relu that alone reads a layer with a clamp becomes its lower bound; any other becomes an
    IntAdd of its input and, for nothing, its input again at a step too small to count.  What
    feeds a table (LeakyRelu, Elu, Sigmoid, Tanh) has as many bits as the table has inputs.
    """
    faults: list[Fault] = []
    edges: dict[str, Edge] = {}
    for name in graph.names():
        if name not in graph:
            continue  # a Relu that its producer has taken in
        node = graph[name]
        if isinstance(node.op, Input):
            graph, edges[name] = _input(graph, name, seen)
        elif isinstance(node.op, MaxPool):
            graph, edges[name] = max_pool(graph, name), edges[node.inputs[0]]
        elif isinstance(node.op, Flatten | IntMaxPool | IntConcat):
            edges[name] = edges[node.inputs[0]]
        elif isinstance(node.op, INTEGERS):
            edges[name] = _standing(node.op)
        else:
            graph, edges[name], found = _layer(graph, name, profile, edges, seen, bits)
            faults += found
    return graph, faults


def _standing(op: object) -> Edge:
    """The edge behind a node that was integer already."""
    fields = {f: getattr(op, f) for f in ("zero", "low", "high")}
    kind = getattr(op, "result_kind", None)
    return Edge(getattr(op, "step_out", None) or "", **fields, kind=kind)


def _input(graph: Graph, name: str, seen: dict[str, np.ndarray]) -> tuple[Graph, Edge]:
    encoder = graph.encoder
    if not graph.names(*INTEGERS):
        x = seen[name]
        zero = INPUT_FORMAT.low if x.min() >= 0 else 0
        step = one_step(x, INPUT_FORMAT.low - zero, INPUT_FORMAT.high - zero)
        encoder = replace(encoder, step=step, zero=zero, format=INPUT_FORMAT)
        graph = replace(graph, encoder=encoder)
    graph = graph.with_params({"input.step": np.array(encoder.step)})
    form = encoder.format
    return graph, Edge("input.step", encoder.zero, form.low, form.high)


def _layer(
    graph: Graph, name: str, profile: str, edges: dict[str, Edge],
    seen: dict[str, np.ndarray], bits: Bits,
) -> tuple[Graph, Edge, list[Fault]]:  # fmt: skip
    last = _gives_accumulators(graph, name)
    kind = bits.activation_kind if not last and _floats(graph, name) else None
    graph, low, high, values = _range(graph, name, edges, seen, bits)
    if kind is not None:
        high = FLOATS[kind].high
        low = -high if low < 0 else 0
    limits = {"low": low, "high": high}
    choice = Choice(profile, limits if kind is None else {**limits, "result_kind": kind}, values)
    faults: list[Fault] = []
    if not last:
        step = one_step(values, low, high) if kind is None else one_float_step(values, kind)
        graph = graph.with_params({f"{name}.step_out": np.array(step)})
        faults = activation_faults(name, values, step, high)
    if isinstance(graph[name].op, Dense | Conv):
        graph, found = _product(graph, name, edges, bits, choice, last)
        faults += found
    else:
        graph = _without_weights(graph, name, choice, edges)
    return graph, Edge(f"{name}.step_out", 0, low, high, kind), faults


def _floats(graph: Graph, name: str) -> bool:
    """Whether a node's results can have few significant bits: it requantizes sums, and only
    sums are made of them."""
    behind = only_reader(graph, name)
    last = name if behind is None or not isinstance(behind.op, Relu) else behind.name
    every = (graph[name], *_layer_readers(graph, last))
    return all(isinstance(node.op, SUMMING) for node in every)


def _range(
    graph: Graph, name: str, edges: dict[str, Edge], seen: dict[str, np.ndarray], bits: Bits
) -> tuple[Graph, int, int, np.ndarray]:
    """Lowest and highest integer of a node, and its values; a Relu behind it is taken in."""
    node, reader, values = graph[name], only_reader(graph, name), seen[name]
    wide = any(isinstance(r.op, ACTIVATIONS) for r in _layer_readers(graph, name))
    width = TABLE_BITS if wide else bits.activation
    low, high = signed_range(width)
    taken = reader is not None and isinstance(reader.op, Relu) and not isinstance(node.op, Relu)
    if taken and reader is not None:
        values = seen[reader.name]
        graph = graph.bypass(reader.name)
    if taken or _positive(node.op, [edges[i] for i in node.inputs]):
        low, high = 0, (1 << width) - 1
    return graph, low, high, values


def _layer_readers(graph: Graph, name: str) -> list:  # type: ignore[type-arg]
    """What reads a node, looking through what keeps integers as they are."""
    found = []
    for reader in graph.readers(name):
        through = isinstance(reader.op, Flatten | MaxPool)
        found += _layer_readers(graph, reader.name) if through else [reader]
    return found


def _positive(op: object, inputs: list[Edge]) -> bool:
    """Whether a node gives no negative number, whatever reads it."""
    name = type(op).__name__
    if name in ("Relu", "Sigmoid"):
        return True
    return isinstance(op, AveragePool | Concat) and all(edge.positive for edge in inputs)


def _without_weights(graph: Graph, name: str, choice: Choice, edges: dict[str, Edge]) -> Graph:
    op, inputs, step_out = graph[name].op, graph[name].inputs, f"{name}.step_out"
    source = edges[inputs[0]]
    if isinstance(op, Relu):
        return rescale(graph, name, inputs[0], choice, source, step_out)
    if isinstance(op, Add):
        both = (inputs[0], inputs[1])
        return int_add(graph, name, both, choice, (source, edges[inputs[1]]), step_out)
    if isinstance(op, AveragePool):
        return average_pool(graph, name, choice, source)
    if isinstance(op, Concat):
        return concat(graph, name, choice, edges)
    return lookup(graph, name, choice, source)


def _gives_accumulators(graph: Graph, name: str) -> bool:
    """Whether a node's accumulators are the answer: the last Dense, all channels in one unit.

    Pinned weights with a step for each channel need requantization to be comparable.
    """
    op = graph[name].op
    if not isinstance(op, Dense) or name != graph.output or graph.readers(name):
        return False
    pin = graph.pinned.get(op.weight)
    return pin is None or pin.scale is None or len(set(pin.scale.step)) == 1


def _product(
    graph: Graph, name: str, edges: dict[str, Edge], bits: Bits, choice: Choice, last: bool
) -> tuple[Graph, list[Fault]]:
    layer, source = graph[name].op, edges[graph[name].inputs[0]]
    assert isinstance(layer, Dense | Conv)
    wide = _exact(graph, layer, bits, source)
    graph, weight = _weight(graph, name, layer, bits, last, source.step, wide)
    graph, unit = _unit(graph, name, wide)
    graph, bias = _bias(graph, name, layer, source.step, unit)
    steps = (source.step, unit, f"{name}.step_out")
    scaling: dict[str, Any] = {}
    if not last:
        scaling = {f: f"{name}.{f}" for f in ("multiplier", "exponent")}
        graph = graph.with_derived({n: Derivation(f, steps) for f, n in scaling.items()})
        scaling["step_out"] = steps[2]
    fields = dict(
        weight=weight, bias=bias, step_in=source.step, step_w=f"{name}.step_w",
        zero_in=source.zero, weight_bits=_stored_bits(graph, weight, bits),
        features=layer.features, profile=choice.profile, **wide, **scaling, **choice.clamp,
    )  # fmt: skip
    if isinstance(layer, Conv):
        op = IntConv2d(
            kernel=layer.kernel, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups, **fields,
        )  # fmt: skip
    else:
        op = IntDense(**fields)
    return graph.swap(name, op), _weight_faults(graph, name, layer, weight)


def _exact(graph: Graph, layer: Dense | Conv, bits: Bits, source: Edge) -> dict[str, Any]:
    """Fields of a layer whose weights or inputs are no plain integers (rules T13 and T14).

    The shift is the least that brings any sum of these formats below 2**30, and the bias has
    as much room.
    """
    pin = graph.pinned.get(layer.weight)
    form = bits.form if pin is None else pin.format
    if not form.kind and source.kind is None:
        return {}
    taps = math.prod(np.shape(graph.value(layer.weight))[1:])
    reach = max(source.high - source.zero, source.zero - source.low)
    shift = max((taps * reach * form.high).bit_length() - SUM_BITS, 0)
    return {"weight_kind": form.kind or None, "shift": shift}


def _unit(graph: Graph, name: str, wide: dict[str, Any]) -> tuple[Graph, str]:
    """The step of sums beside that of the input: that of weights, unless sums are shifted."""
    if not wide.get("shift"):
        return graph, f"{name}.step_w"
    made = Derivation("times", (f"{name}.step_w",), (("factor", 2.0 ** wide["shift"]),))
    return graph.with_derived({f"{name}.step_sum": made}), f"{name}.step_sum"


def _least_step(graph: Graph, layer: Dense | Conv, step_in: str) -> float:
    """The weight step below which the largest bias would leave half of the accumulator."""
    if layer.bias is None or layer.bias in graph.pinned:
        return 0.0
    bias = float(np.abs(real(graph, layer.bias)).max(initial=0.0))
    return bias / (float(graph.value(step_in)) * 2.0**30)


def _weight(
    graph: Graph, name: str, layer: Dense | Conv, bits: Bits, last: bool, step_in: str,
    wide: dict[str, Any],
) -> tuple[Graph, str]:  # fmt: skip
    """A step for each channel, or one for all where accumulators are compared as they are."""
    pin = graph.pinned.get(layer.weight)
    if pin is not None:
        steps = np.asarray(pin.scale.step if pin.scale else (1.0,))
        steps = np.broadcast_to(steps, (layer.features,)).copy()
        return graph.with_params({f"{name}.step_w": steps}), layer.weight
    values = graph.value(layer.weight)
    rows = np.reshape(values, (len(values), -1))
    if bits.kind is not None:
        options = float_options(bits.kind)
        steps = float_steps(rows, bits.kind, one=last)
    else:
        high = (1 << (bits.weight - 1)) - 1
        options = (("low", -high), ("high", high))
        steps = np.array(one_step(rows, -high, high)) if last else row_steps(rows, -high, high)
    least = _least_step(graph, layer, step_in) / 2.0 ** wide.get("shift", 0)
    steps = np.maximum(steps, least)
    graph = graph.with_params({f"{name}.step_w": steps})
    function = "quantize" if bits.kind is None else "float_levels"
    made = Derivation(function, (layer.weight, f"{name}.step_w"), options)
    return graph.with_derived({f"{name}.weight_q": made}), f"{name}.weight_q"


def _stored_bits(graph: Graph, weight: str, bits: Bits) -> int:
    pin = graph.pinned.get(weight)
    return bits.weight if pin is None else pin.format.bits


def _bias(
    graph: Graph, name: str, layer: Dense | Conv, step_in: str, unit: str
) -> tuple[Graph, str]:
    bias = layer.bias
    if bias in graph.pinned:
        return graph, str(bias)
    if bias is None:
        bias = fresh(graph.params, f"{name}.bias")
        graph = graph.with_params({bias: np.zeros(layer.features)})
    step, low = f"{name}.step_bias", -(1 << 31)
    return graph.with_derived({
        step: Derivation("product", (step_in, unit)),
        f"{name}.bias_q": Derivation("quantize", (bias, step), (("low", low), ("high", -low - 1))),
    }), f"{name}.bias_q"  # fmt: skip


def _weight_faults(graph: Graph, name: str, layer: Dense | Conv, weight: str) -> list[Fault]:
    if np.any(graph.value(weight)) or not np.any(real(graph, layer.weight)):
        return []
    return [Fault("PJ211", f"every weight of {name!r} quantizes to 0", fix="more weight bits")]
