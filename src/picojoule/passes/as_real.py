"""What the integers of a graph stand for: real ops in the place of Int ops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph, Node
from picojoule.graph.derive import by_row
from picojoule.graph.ops import (
    IMAGE_INTEGERS,
    OPS,
    Add,
    AveragePool,
    Concat,
    Conv,
    CubaLif,
    Dense,
    IntAdd,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntCuba,
    IntDense,
    IntLookup,
    IntMaxPool,
    IntSynapse,
    LeakyRelu,
    MaxPool,
    Relu,
)
from picojoule.graph.ops_image_int import sum_unit
from picojoule.graph.types import Op
from picojoule.passes.canonicalise import fresh

NEGLIGIBLE = 2.0**-33  # a term of an IntAdd below this share of the other scales to 0


def as_real(graph: Graph) -> Graph:
    """A float graph near `graph`: every integer as the real number that it stands for.

    Leaves: no Int op, nothing pinned; nodes keep their names.  Rounding, upper clamps and the
    widths of words are lost, so it serves to look at a network, not to run it.
    """
    reals = {name: real(graph, name) for name in graph.pinned}
    whole = graph
    graph = replace(graph.with_params(reals), pinned={})
    for name in whole.names(IntDense, IntAdd, *IMAGE_INTEGERS, IntSynapse, IntCuba):
        graph = _CHANGE[type(whole[name].op)](graph, whole, name)
    return graph


def real(graph: Graph, name: str) -> np.ndarray:
    """A constant in real units: pinned integers with a scale become reals, all as float64."""
    values = np.asarray(graph.value(name), np.float64)
    pin = graph.pinned.get(name)
    if pin is None or pin.scale is None:
        return values
    step = np.asarray(pin.scale.step)
    if pin.scale.axis == 0:
        step = by_row(step, values.ndim)
    return step * (values - pin.scale.zero)


def _value(graph: Graph, name: str) -> np.ndarray:
    return np.asarray(graph.value(name), np.float64)


def _product(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntDense | IntConv2d)
    step_w = np.broadcast_to(_value(whole, op.step_w), (op.features,))
    step, weight = _value(whole, op.step_in) * step_w, _value(whole, op.weight)
    graph = graph.with_params(
        {
            f"{name}.weight_real": weight * by_row(step_w, weight.ndim),
            f"{name}.bias_real": _value(whole, op.bias) * step * sum_unit(op),
        }
    )
    named = {"weight": f"{name}.weight_real", "bias": f"{name}.bias_real"}
    rectifies = op.multiplier is not None and op.low == op.zero
    if isinstance(op, IntDense):
        return _put(graph, name, Dense(features=op.features, **named), rectifies)
    made = Conv(
        features=op.features, kernel=op.kernel, stride=op.stride, padding=op.padding,
        dilation=op.dilation, groups=op.groups, **named,
    )  # fmt: skip
    return _put(graph, name, made, rectifies)


def _pool(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntMaxPool | IntAveragePool)
    window = {"kernel": op.kernel, "stride": op.stride, "padding": op.padding}
    if isinstance(op, IntMaxPool):
        return graph.swap(name, MaxPool(**window))
    return _put(graph, name, AveragePool(count_padding=True, **window), op.low == op.zero)


def _lookup(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntLookup)
    field = {"LeakyRelu": "slope", "Elu": "alpha"}.get(op.function)
    made: Op = OPS[op.function](**({} if field is None else {field: op.argument}))
    return graph.swap(name, made)


def _add(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntAdd)
    if np.all(whole.value(op.step_b) < NEGLIGIBLE * _value(whole, op.step_a)):
        made = Relu() if op.low == op.zero else LeakyRelu(slope=1.0)  # the same in another step
        return graph.swap(name, made, graph[name].inputs[:1])
    return _put(graph, name, Add(), op.low == op.zero)


def _put(graph: Graph, name: str, op: Op, rectifies: bool) -> Graph:
    if not rectifies:
        return graph.swap(name, op)
    inner = fresh(graph, f"{name}_sum")
    inputs = graph[name].inputs
    return graph.add(Node(inner, op, inputs)).swap(name, Relu(), (inner,))


def _synapse(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntSynapse)
    weight = _value(whole, op.weight) * _value(whole, op.step_w) / 2.0**op.dropped
    graph = graph.with_params({f"{name}.weight_real": weight})
    return graph.swap(name, Dense(weight=f"{name}.weight_real", features=op.features))


def _cuba(graph: Graph, whole: Graph, name: str) -> Graph:
    op = whole[name].op
    assert isinstance(op, IntCuba)
    profile, step = SPIKING[op.profile], _value(whole, op.step)
    unit, bias = 2.0**-profile.decay_bits, None
    made = {
        "decay_u": (_value(whole, op.decay_u) + profile.u_decay_offset) * unit,
        "decay_v": _value(whole, op.decay_v) * unit,
        "v_th": _value(whole, op.v_th) * 2.0**profile.weight_shift * step,
    }
    if op.bias is not None:
        made["bias"] = _value(whole, op.bias) * 2.0**op.bias_exponent * step
        bias = f"{name}.bias_real"
    graph = graph.with_params({f"{name}.{field}_real": v for field, v in made.items()})
    lif = CubaLif(
        decay_u=f"{name}.decay_u_real", decay_v=f"{name}.decay_v_real",
        v_th=f"{name}.v_th_real", bias=bias, refractory=op.refractory,
    )  # fmt: skip
    return graph.swap(name, lif)


_CHANGE = {
    IntDense: _product, IntConv2d: _product, IntAdd: _add, IntSynapse: _synapse, IntCuba: _cuba,
    IntMaxPool: _pool, IntAveragePool: _pool, IntLookup: _lookup,
    IntConcat: lambda graph, _, name: graph.swap(name, Concat()),
}  # fmt: skip
