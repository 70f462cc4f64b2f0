"""Networks without spikes, node after node on the tape, in floating point or in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from picojoule.errors import Fault, TrainError
from picojoule.grad import ops
from picojoule.grad.norm import batch_moments
from picojoule.grad.tape import Tensor, apply
from picojoule.graph import Graph, Node
from picojoule.graph.ops import (
    IMAGE_INTEGERS,
    Add,
    BatchNorm,
    Dense,
    Flatten,
    Input,
    IntAdd,
    IntConcat,
    IntDense,
    IntMaxPool,
    Relu,
    Softmax,
)
from picojoule.graph.ops_image_int import result_fraction, sum_unit
from picojoule.kernels.blas import matmul
from picojoule.kernels.tensor import add_array, int_matmul, requantize_array
from picojoule.train.derivations import step_gradient
from picojoule.train.learned_edges import gradients, is_pact, learned
from picojoule.train.live_norm import folded, normalized
from picojoule.train.tensor_image import IMAGE_RULES, widen

Array = np.ndarray
Grads = tuple[Array | None, ...]
INT32 = (-(2**31), 2**31 - 1)


@dataclass(frozen=True, eq=False)
class Values:
    """Results of all nodes for one batch.

    training    whether batch norm normalizes by this batch
    live_norm   whether batch norm that is folded into integer layers does
    statistics  mean and (unbiased) variance of this batch, by parameter name
    """

    graph: Graph
    constants: Mapping[str, Tensor]
    training: bool = False
    live_norm: bool = False
    of: dict[str, Tensor] = field(default_factory=dict)
    statistics: dict[str, Array] = field(default_factory=dict)

    def constant(self, node: Node, where: str) -> Tensor:
        return self.constants[getattr(node.op, where)]


def evaluate(
    graph: Graph, constants: Mapping[str, Tensor], x: Array, training: bool,
    live_norm: bool = False,
) -> Values:  # fmt: skip
    """Run samples x (n, *shape) through a tensor graph.  Raises TrainError PJ704."""
    values = Values(graph, constants, training, live_norm)
    for name in graph.order:
        node = graph[name]
        if isinstance(node.op, Input):
            values.of[name] = Tensor(_entering(graph, x))
            continue
        rule = RULES.get(type(node.op))
        if rule is None:
            raise TrainError(Fault(
                "PJ704", f"{type(node.op).__name__} cannot be trained without spikes",
                where=f"node {name!r}",
            ))  # fmt: skip
        norm = folded(graph, node) if live_norm else None
        if norm is not None:
            values.of[name] = normalized(values, node, norm, values.of[node.inputs[0]])
            continue
        values.of[name] = rule(values, node, *(values.of[i] for i in node.inputs))
    values.of[graph.output] = widen(values.of[graph.output])
    return values


def is_integer(graph: Graph) -> bool:
    """Whether a tensor graph computes in integers."""
    return bool(graph.names(IntDense, IntAdd, *IMAGE_INTEGERS))


def _entering(graph: Graph, x: Array) -> Array:
    if is_integer(graph):
        return graph.encoder.integers(x)
    kind = graph.params[next(iter(graph.params))].dtype if graph.params else np.float32
    return np.asarray(x, kind)


# -------------------------------------------------------------------------------- floats


def _dense(values: Values, node: Node, x: Tensor) -> Tensor:
    weight = values.constant(node, "weight")
    if node.op.bias is None:
        bias = Tensor(np.zeros(len(weight.data), weight.data.dtype))
    else:
        bias = values.constant(node, "bias")
    return ops.linear(x, weight, bias)


def _batch_norm(values: Values, node: Node, x: Tensor) -> Tensor:
    """Statistics belong to the last axis: an image is as many rows as it has places."""
    gain, shift = values.constant(node, "gain"), values.constant(node, "shift")
    if values.training:
        n = x.data.size // max(x.shape[-1], 1)
        mean, variance = batch_moments(x.data)
        values.statistics[node.op.mean] = mean
        values.statistics[node.op.variance] = variance * x.data.dtype.type(n / max(n - 1, 1))
        return ops.batch_norm(x, gain, shift, node.op.eps)
    mean, variance = (values.constant(node, f).data for f in ("mean", "variance"))
    return ops.fixed_norm(x, gain, shift, mean, variance, node.op.eps)


def _flatten(values: Values, node: Node, x: Tensor) -> Tensor:
    return ops.reshape(x, (len(x.data), -1))


# ------------------------------------------------------------------------------ integers


def _int_dense(values: Values, node: Node, x: Tensor) -> Tensor:
    op = node.op
    inputs = [x, *(values.constant(node, f) for f in ("weight", "bias"))]
    step_in, step_w = (values.constant(node, f).data for f in ("step_in", "step_w"))
    if op.multiplier is None:
        forward = partial(accumulate, op.zero_in, op.shift or 0)
        return apply(forward, partial(_accumulate_vjp, op.zero_in, step_in, step_w), *inputs)
    made = [values.constant(node, f).data for f in ("multiplier", "exponent")]
    forward = partial(requantized, op, made[0], made[1])
    vjp = partial(_requantized_vjp, op, step_in, step_w, is_pact(values, node))
    return apply(forward, vjp, *inputs, *learned(values, node))


def accumulate(zero_in: int, shift: int, x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
    """int32 accumulators (n, out)."""
    return int_matmul(x, weight, bias, zero_in, shift=shift, threads=None), (x, weight)


def _accumulate_vjp(zero_in: int, step_in: Array, step_w: Array, saved: Any, g: Array) -> Grads:
    """Gradients with respect to the reals that x, weight and bias stand for."""
    x, weight = saved
    g = g.astype(np.float32)
    real_x = (x.astype(np.float32) - np.float32(zero_in)) * np.float32(step_in)
    real_w = weight.astype(np.float32) * np.reshape(step_w, (-1, 1)).astype(np.float32)
    return matmul(g, real_w), matmul(g.T, real_x), g.sum(0)


def requantized(
    op: IntDense, multiplier: Array, exponent: Array, x: Array, weight: Array, bias: Array,
    *edge: Array,
) -> tuple[Array, Any]:  # fmt: skip
    """Integers (n, out) in low..high; keeps the accumulators for the gradient.

    edge  what the result's integers learn: their step, and perhaps an offset
    """
    acc = int_matmul(x, weight, bias, op.zero_in, shift=op.shift or 0, threads=None)
    shape = (len(weight),)
    multiplier, exponent = np.broadcast_to(multiplier, shape), np.broadcast_to(exponent, shape)
    out = requantize_array(acc, multiplier, exponent, op.zero, op.low, op.high,
                           fraction=result_fraction(op))  # fmt: skip
    return out, (x, weight, acc, out, edge)


def _requantized_vjp(
    op: IntDense, step_in: Array, step_w: Array, pact: bool, saved: Any, g: Array
) -> Grads:
    x, weight, acc, out, edge = saved
    exact = acc * (np.asarray(step_in) * step_w * sum_unit(op) / edge[0])
    g, of_edge = _through(op, g, out, exact, len(edge), pact)
    grads = _accumulate_vjp(op.zero_in, step_in, step_w, (x, weight), g)
    return *grads, *of_edge


def _through(
    op: IntDense | IntAdd, g: Array, out: Array, exact: Array, count: int, pact: bool
) -> tuple[Array, tuple[Array, ...]]:
    """Straight through the rounding where nothing was clipped; what the edge learns."""
    inside = (exact >= op.low - op.zero) & (exact <= op.high - op.zero)
    of_step = float(step_gradient(g, out - op.zero, exact, inside).sum())
    return g * inside, gradients(op, count, pact, of_step, g, g * inside, out)


def _int_add(values: Values, node: Node, a: Tensor, b: Tensor) -> Tensor:
    op = node.op
    steps = [values.constant(node, f).data for f in ("step_a", "step_b")]
    forward = partial(added, op, values.constant(node, "scaling").data)
    vjp = partial(_added_vjp, op, steps[0], steps[1], is_pact(values, node))
    return apply(forward, vjp, a, b, *learned(values, node))


def added(op: IntAdd, scaling: Array, a: Array, b: Array, *edge: Array) -> tuple[Array, Any]:
    """Integers in low..high: the sum of two edges."""
    out = add_array(a, b, op.zero_a, op.zero_b, op.left_shift, scaling, op.zero, op.low, op.high)
    return out, (a, b, out, edge)


def _added_vjp(op: IntAdd, step_a: Array, step_b: Array, pact: bool, saved: Any, g: Array) -> Grads:
    a, b, out, edge = saved
    exact = ((a - np.int64(op.zero_a)) * step_a + (b - np.int64(op.zero_b)) * step_b) / edge[0]
    g, of_edge = _through(op, g, out, exact, len(edge), pact)
    return (g if step_a else None), (g if step_b else None), *of_edge


def _real_scores(factor: Array, acc: Array) -> tuple[Array, Any]:
    return acc.astype(np.float32) * np.float32(factor.mean()), factor


def _real_scores_vjp(factor: Array, g: Array) -> Grads:
    return (g * (factor.mean() / factor).astype(np.float32),)


def scores(values: Values) -> Tensor:
    """The output as reals on which a loss can be taken, (n, classes).

    Integers compare as they are, so all classes share one factor, whatever their steps.
    """
    node = values.graph[values.graph.output]
    if isinstance(node.op, Softmax):  # the loss takes its logarithm from the logits
        node = values.graph[node.inputs[0]]
    out = ops.reshape(values.of[node.name], (len(values.of[node.name].data), -1))
    if not is_integer(values.graph):
        return out
    while isinstance(node.op, Flatten | IntMaxPool | IntConcat):
        node = values.graph[node.inputs[0]]
    if isinstance(node.op, IntDense) and node.op.multiplier is None:
        factor = values.constant(node, "step_in").data * values.constant(node, "step_w").data
        factor = factor * sum_unit(node.op)
    else:
        factor = values.constant(node, "step_out").data
    return apply(partial(_real_scores, np.asarray(factor, np.float64)), _real_scores_vjp, out)


RULES: dict[type, Callable[..., Tensor]] = {
    Dense: _dense,
    BatchNorm: _batch_norm,
    Relu: lambda values, node, x: ops.relu(x),
    Add: lambda values, node, a, b: ops.add(a, b),
    Flatten: _flatten,
    IntDense: _int_dense,
    IntAdd: _int_add,
    **IMAGE_RULES,
}
