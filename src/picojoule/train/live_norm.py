"""Batch norm of a quantized graph while its statistics still move.

Weights are quantized as they will be deployed, gain / sigma_run * w, by the running statistics.
What they accumulate is then corrected by sigma_run / sigma_batch and normalized by the batch, so
that training has batch norm's own gradient while the weights' levels do not flicker with every
batch.  Afterwards the statistics are frozen and the correction is gone: the machine's integers.
Source: Jacob et al., CVPR 2018, section 3.2; Krishnamoorthi 2018, section 3.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import ops
from picojoule.grad.norm import batch_moments
from picojoule.grad.tape import Tensor, apply
from picojoule.graph import Graph, Node
from picojoule.graph.ops import IntConv2d, IntDense
from picojoule.graph.ops_image_int import result_fraction, sum_unit
from picojoule.kernels.blas import matmul
from picojoule.kernels.convolution import convolution_gradients
from picojoule.kernels.tensor import carrier_of, int_matmul, significant_rows
from picojoule.kernels.tensor_image import conv_int, shifted
from picojoule.kernels.window import Window
from picojoule.train.derivations import step_gradient
from picojoule.train.learned_edges import gradients, is_pact, learned
from picojoule.train.tensor_image import narrow, reach

Array = np.ndarray
Grads = tuple[Array | None, ...]
SMALLEST = 1e-6  # |gain| that is divided by: below, a channel is as good as off


@dataclass(frozen=True)
class Folded:
    """Names of what a layer's weight and bias are folded from."""

    bias: str
    gain: str
    shift: str
    mean: str
    variance: str
    eps: float


def folded(graph: Graph, node: Node) -> Folded | None:
    """The batch norm within an integer layer that has one and gives requantized integers."""
    op = node.op
    if not isinstance(op, IntDense | IntConv2d) or op.step_out is None:
        return None
    made = [graph.derived.get(name) for name in (op.weight, op.bias)]
    real = [None if m is None else graph.derived.get(m.inputs[0]) for m in made]
    if real[1] is None or real[1].function != "fold_bn_bias":
        return None
    return Folded(*real[1].inputs, **dict(real[1].options))


def normalized(values: Any, node: Node, norm: Folded, x: Tensor) -> Tensor:
    """Integers of a layer whose batch norm uses this batch; remembers its statistics."""
    op: Any = node.op
    steps = [np.asarray(values.constant(node, f).data) for f in ("step_in", "step_w")]
    sums = apply(partial(_sums, op, *steps), partial(_sums_vjp, op, x.wants, *steps),
                 x, values.constant(node, "weight"))  # fmt: skip
    variance = values.constants[norm.variance].data
    sigma = np.sqrt(np.asarray(variance, np.float64) + norm.eps)
    gain, shift = values.constants[norm.gain], values.constants[norm.shift]
    plain = apply(partial(unfolded, sigma), _unfolded_vjp, sums, gain)
    _remember(values, norm, plain.data)
    out = ops.batch_norm(plain, gain, shift, norm.eps)
    return apply(partial(_rounded, op), partial(_rounded_vjp, op, is_pact(values, node)),
                 out, *learned(values, node))  # fmt: skip


def _remember(values: Any, norm: Folded, plain: Array) -> None:
    n = plain.size // max(plain.shape[-1], 1)
    mean, variance = batch_moments(plain)
    bias = np.asarray(values.constants[norm.bias].data, np.float32)
    values.statistics[norm.mean] = mean + bias
    values.statistics[norm.variance] = variance * np.float32(n / max(n - 1, 1))


def _window(op: Any) -> Window:
    return Window(
        kernel=op.kernel, stride=op.stride, padding=op.padding, dilation=op.dilation
    )  # fmt: skip


def _sums(op: Any, step_in: Array, step_w: Array, x: Array, weight: Array) -> tuple[Array, Any]:
    """What the layer accumulates without its bias, in reals, float32 (..., out)."""
    none = np.zeros(len(weight), np.int64)
    unit, shift = step_in * step_w * sum_unit(op), op.shift or 0
    factor = np.broadcast_to(unit, (len(weight),)).astype(np.float32)
    if isinstance(op, IntDense):
        acc = int_matmul(x, weight, none, op.zero_in, shift=shift, threads=None)
        return acc * factor, (x, weight)
    wide = shifted(x, op.zero_in, carrier_of(reach(x, op.zero_in), weight, none))
    acc = conv_int(wide, weight, none, _window(op), op.groups, shift=shift)
    return acc.astype(np.float32) * factor, (wide, weight)


def _sums_vjp(op: Any, wants_x: bool, step_in: Array, step_w: Array, saved: Any, g: Array) -> Grads:
    """Gradients with respect to the reals that x and weight stand for."""
    x, weight = saved
    steps = np.broadcast_to(step_w, (len(weight),)).reshape(-1, *(1,) * (weight.ndim - 1))
    real, g = (weight * steps).astype(np.float32), g.astype(np.float32, copy=False)
    if isinstance(op, IntDense):
        real_x = (x.astype(np.float32) - np.float32(op.zero_in)) * np.float32(step_in)
        return matmul(g, real), matmul(g.T, real_x)
    made = convolution_gradients(
        g, x.astype(np.float32, copy=False), real, _window(op), groups=op.groups, wants_x=wants_x
    )
    return made.x, made.weight * np.float32(step_in)


def unfolded(sigma: Array, y: Array, gain: Array) -> tuple[Array, Any]:
    """y sigma / gain: what entered batch norm, from sums of weights that hold gain / sigma.

    The gain counts as constant here and in the weights: it cancels but for their rounding.
    """
    safe = np.where(np.abs(gain) < SMALLEST, np.copysign(SMALLEST, gain), gain)
    factor = (sigma / safe).astype(y.dtype)
    return y * factor, factor


def _unfolded_vjp(factor: Any, g: Array) -> Grads:
    return g * factor, None


def _rounded(op: Any, x: Array, *edge: Array) -> tuple[Array, Any]:
    level = np.rint(x / np.float32(edge[0])) + np.float32(op.zero)
    out = np.clip(level, op.low, op.high).astype(narrow(op), order="C")
    if op.result_kind:
        significant_rows(out.reshape(-1, out.shape[-1]), result_fraction(op))
    return out, (edge, out, x)  # a pool behind it finds x at the place of accumulators


def _rounded_vjp(op: Any, pact: bool, saved: Any, g: Array) -> Grads:
    edge, out, x = saved
    exact, level = x / np.float64(edge[0]), out.astype(np.int64) - op.zero
    inside = (exact >= op.low - op.zero) & (exact <= op.high - op.zero)
    of_step = float(step_gradient(g, level, exact, inside).sum())
    on = (g * inside).astype(np.float32)
    return on, *gradients(op, len(edge), pact, of_step, g, on, out)
