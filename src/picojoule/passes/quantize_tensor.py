"""Give every layer of a tensor network its integers, as derivations over live parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.format import Format
from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import Dense, Flatten, Input, IntAdd, IntDense, Relu
from picojoule.passes.as_real import real
from picojoule.passes.bits import Bits
from picojoule.passes.canonicalise import fresh, only_reader
from picojoule.passes.search_steps import one_step, row_steps

INPUT_FORMAT = Format(8)
NOTHING = 2.0**-64  # a step so small that its term of a sum scales to 0 (rule T4)
CLIPPED_MAX = 0.5  # a larger share of clipped activations is worth a warning


@dataclass(frozen=True)
class Edge:
    """What the integers of an edge mean: step (a constant's name), zero point."""

    step: str
    zero: int = 0


def quantize_tensor(
    graph: Graph, profile: str, seen: dict[str, np.ndarray], bits: Bits
) -> tuple[Graph, list[Fault]]:
    """Turn Dense, Add and Relu into IntDense and IntAdd; returns also PJ211 faults to warn of.

    A Relu that alone reads a Dense or an Add becomes its lower clamp; any other becomes an
    IntAdd of its input and, for nothing, its input again at a step too small to count.
    """
    faults: list[Fault] = []
    edges: dict[str, Edge] = {}
    for name in graph.names():
        if name not in graph:
            continue  # a Relu that its producer has taken in
        node = graph[name]
        if isinstance(node.op, Input):
            graph, edges[name] = _input(graph, name, seen)
        elif isinstance(node.op, Flatten):
            edges[name] = edges[node.inputs[0]]
        elif isinstance(node.op, IntDense | IntAdd):
            edges[name] = Edge(node.op.step_out or "", node.op.zero)
        else:
            graph, edges[name], found = _layer(graph, name, profile, edges, seen, bits)
            faults += found
    return graph, faults


def _input(graph: Graph, name: str, seen: dict[str, np.ndarray]) -> tuple[Graph, Edge]:
    encoder = graph.encoder
    if not any(isinstance(n.op, IntDense | IntAdd) for n in graph.nodes):
        x = seen[name]
        zero = INPUT_FORMAT.low if x.min() >= 0 else 0
        step = one_step(x, INPUT_FORMAT.low - zero, INPUT_FORMAT.high - zero)
        encoder = replace(encoder, step=step, zero=zero, format=INPUT_FORMAT)
        graph = replace(graph, encoder=encoder)
    graph = graph.with_params({"input.step": np.array(encoder.step)})
    return graph, Edge("input.step", encoder.zero)


def _layer(
    graph: Graph, name: str, profile: str, edges: dict[str, Edge],
    seen: dict[str, np.ndarray], bits: Bits,
) -> tuple[Graph, Edge, list[Fault]]:  # fmt: skip
    node = graph[name]
    last = _gives_accumulators(graph, name)
    low, high, values = -(1 << (bits.activation - 1)), (1 << (bits.activation - 1)) - 1, seen[name]
    reader = only_reader(graph, name)
    if isinstance(node.op, Relu) or (reader is not None and isinstance(reader.op, Relu)):
        low, high = 0, (1 << bits.activation) - 1
    if low == 0 and not isinstance(node.op, Relu) and reader is not None:
        values = seen[reader.name]
        graph = graph.bypass(reader.name)
    clamp = {"low": low, "high": high}
    faults: list[Fault] = []
    if not last:
        step = one_step(values, low, high)
        graph = graph.with_params({f"{name}.step_out": np.array(step)})
        faults = _activation_faults(name, values, step, high)
    if isinstance(node.op, Dense):
        graph, found = _dense(graph, name, profile, edges, bits, clamp, last)
        faults += found
    else:
        graph = _add(graph, name, profile, edges, clamp)
    return graph, Edge(f"{name}.step_out"), faults


def _gives_accumulators(graph: Graph, name: str) -> bool:
    """Whether a node's accumulators are the answer: the last Dense, all channels in one unit.

    Pinned weights with a step for each channel need requantization to be comparable.
    """
    op = graph[name].op
    if not isinstance(op, Dense) or name != graph.output or graph.readers(name):
        return False
    pin = graph.pinned.get(op.weight)
    return pin is None or pin.scale is None or len(set(pin.scale.step)) == 1


def _dense(
    graph: Graph, name: str, profile: str, edges: dict[str, Edge], bits: Bits,
    clamp: dict[str, int], last: bool,
) -> tuple[Graph, list[Fault]]:  # fmt: skip
    dense, source = graph[name].op, edges[graph[name].inputs[0]]
    assert isinstance(dense, Dense)
    graph, weight = _weight(graph, name, dense, bits, last, source.step)
    graph, bias = _bias(graph, name, dense, source.step)
    steps = (source.step, f"{name}.step_w", f"{name}.step_out")
    scaling: dict[str, str] = {}
    if not last:
        scaling = {f: f"{name}.{f}" for f in ("multiplier", "exponent")}
        graph = graph.with_derived({n: Derivation(f, steps) for f, n in scaling.items()})
        scaling["step_out"] = steps[2]
    op = IntDense(
        weight=weight, bias=bias, step_in=source.step, step_w=steps[1], zero_in=source.zero,
        weight_bits=_stored_bits(graph, weight, bits), features=dense.features, profile=profile,
        **scaling, **clamp,
    )  # fmt: skip
    return graph.swap(name, op), _weight_faults(graph, name, dense, weight)


def _least_step(graph: Graph, dense: Dense, step_in: str) -> float:
    """The weight step below which the largest bias would leave half of the accumulator."""
    if dense.bias is None or dense.bias in graph.pinned:
        return 0.0
    bias = float(np.abs(real(graph, dense.bias)).max(initial=0.0))
    return bias / (float(graph.value(step_in)) * 2.0**30)


def _weight(
    graph: Graph, name: str, dense: Dense, bits: Bits, last: bool, step_in: str
) -> tuple[Graph, str]:
    """A step for each channel, or one for all where accumulators are compared as they are."""
    pin = graph.pinned.get(dense.weight)
    if pin is not None:
        steps = np.asarray(pin.scale.step if pin.scale else (1.0,))
        steps = np.broadcast_to(steps, (dense.features,)).copy()
        return graph.with_params({f"{name}.step_w": steps}), dense.weight
    high = (1 << (bits.weight - 1)) - 1
    values = graph.value(dense.weight)
    steps = np.array(one_step(values, -high, high)) if last else row_steps(values, -high, high)
    steps = np.maximum(steps, _least_step(graph, dense, step_in))
    graph = graph.with_params({f"{name}.step_w": steps})
    options = (("low", -high), ("high", high))
    made = Derivation("quantize", (dense.weight, f"{name}.step_w"), options)
    return graph.with_derived({f"{name}.weight_q": made}), f"{name}.weight_q"


def _stored_bits(graph: Graph, weight: str, bits: Bits) -> int:
    pin = graph.pinned.get(weight)
    return bits.weight if pin is None else pin.format.bits


def _bias(graph: Graph, name: str, dense: Dense, step_in: str) -> tuple[Graph, str]:
    bias = dense.bias
    if bias in graph.pinned:
        return graph, str(bias)
    if bias is None:
        bias = fresh(graph.params, f"{name}.bias")
        graph = graph.with_params({bias: np.zeros(dense.features)})
    step, low = f"{name}.step_bias", -(1 << 31)
    return graph.with_derived({
        step: Derivation("product", (step_in, f"{name}.step_w")),
        f"{name}.bias_q": Derivation("quantize", (bias, step), (("low", low), ("high", -low - 1))),
    }), f"{name}.bias_q"  # fmt: skip


def _add(
    graph: Graph, name: str, profile: str, edges: dict[str, Edge], clamp: dict[str, int]
) -> Graph:
    """An Add, or a Relu as the sum of its input and nothing."""
    inputs = graph[name].inputs
    a, b = edges[inputs[0]], edges[inputs[-1]]
    if isinstance(graph[name].op, Relu):
        nothing = Derivation("times", (a.step,), (("factor", NOTHING),))
        graph = graph.with_derived({f"{name}.step_none": nothing})
        inputs, b = (inputs[0], inputs[0]), Edge(f"{name}.step_none", a.zero)
    op = IntAdd(
        scaling=f"{name}.scaling", step_a=a.step, step_b=b.step, step_out=f"{name}.step_out",
        zero_a=a.zero, zero_b=b.zero, profile=profile, **clamp,
    )  # fmt: skip
    options = (("left_shift", op.left_shift),)
    made = Derivation("add_scaling", (op.step_a, op.step_b, op.step_out), options)
    return graph.with_derived({op.scaling: made}).swap(name, op, inputs)


def _activation_faults(name: str, values: np.ndarray, step: float, high: int) -> list[Fault]:
    acting = np.any(values != 0)
    if acting and not np.any(np.rint(values / step)):
        return [Fault("PJ211", f"every activation of {name!r} quantizes to 0",
                      fix="more activation bits, or other calibration samples")]  # fmt: skip
    clipped = float((values / step > high + 0.5).mean())
    if clipped <= CLIPPED_MAX:
        return []
    return [Fault("PJ211", f"{clipped:.0%} of the activations of {name!r} are clipped,"
                  f" more than {CLIPPED_MAX:.0%}", fix="more activation bits")]  # fmt: skip


def _weight_faults(graph: Graph, name: str, dense: Dense, weight: str) -> list[Fault]:
    if np.any(graph.value(weight)) or not np.any(real(graph, dense.weight)):
        return []
    return [Fault("PJ211", f"every weight of {name!r} quantizes to 0", fix="more weight bits")]
