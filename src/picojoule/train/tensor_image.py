"""Layers of images on the tape, in floating point or in the integers of a machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import activation, convolution
from picojoule.grad.tape import Tensor, apply
from picojoule.graph import Node
from picojoule.graph.derive import ELEMENT_FUNCTIONS
from picojoule.graph.ops import (
    AveragePool,
    Concat,
    Conv,
    Elu,
    GlobalAveragePool,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntLookup,
    IntMaxPool,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Softmax,
    Tanh,
)
from picojoule.graph.ops_image_int import result_fraction, sum_unit
from picojoule.kernels.convolution import convolution_gradients
from picojoule.kernels.pooling import (
    max_pool,
    max_pool_gradient,
    sum_pool,
    sum_pool_gradient,
    window_counts,
)
from picojoule.kernels.tensor import carrier_of
from picojoule.kernels.tensor_image import (
    conv_int,
    requantize_places,
    shifted,
    through_places,
)
from picojoule.kernels.window import Window
from picojoule.train.derivations import step_gradient
from picojoule.train.learned_edges import gradients, is_pact, learned

Array = np.ndarray
Grads = tuple[Array | None, ...]


def _window(op: Any) -> dict[str, Any]:
    return {"kernel": op.kernel, "stride": op.stride, "padding": op.padding}


# -------------------------------------------------------------------------------- floats


def _conv(values: Any, node: Node, x: Tensor) -> Tensor:
    op, weight = node.op, values.constant(node, "weight")
    assert isinstance(op, Conv)
    if op.bias is None:
        bias = Tensor(np.zeros(len(weight.data), weight.data.dtype))
    else:
        bias = values.constant(node, "bias")
    return convolution.conv(
        x, weight, bias, stride=op.stride, padding=op.padding, dilation=op.dilation,
        groups=op.groups,
    )  # fmt: skip


def _average_pool(values: Any, node: Node, x: Tensor) -> Tensor:
    counted = node.op.count_padding  # type: ignore[attr-defined]
    return convolution.average_pool(x, count_padding=counted, **_window(node.op))


def _element(values: Any, node: Node, x: Tensor) -> Tensor:
    argument = getattr(node.op, "slope", getattr(node.op, "alpha", 0.0))
    return activation.element(type(node.op).__name__, argument, x)


def _joined(*parts: Array) -> tuple[Array, Any]:
    return np.concatenate(parts, axis=-1), [part.shape[-1] for part in parts]


def _joined_vjp(sizes: Any, g: Array) -> Grads:
    return tuple(np.split(g, np.cumsum(sizes)[:-1], axis=-1))


def _concat(values: Any, node: Node, *inputs: Tensor) -> Tensor:
    return apply(_joined, _joined_vjp, *inputs)


# ------------------------------------------------------------------------------ integers


def narrow(op: Any) -> Any:
    """The type of a node's integers: one byte where they fit."""
    if op.low < -128 or op.high > 255 or (op.low < 0 and op.high > 127):
        return np.int32
    return np.int8 if op.low < 0 else np.uint8


def _int_conv(values: Any, node: Node, x: Tensor) -> Tensor:
    op = node.op
    names = ("multiplier", "exponent", "step_in", "step_w")
    numbers = [np.asarray(values.constant(node, name).data) for name in names]
    dtype = narrow(op)
    inputs = [x, *(values.constant(node, name) for name in ("weight", "bias"))]
    return apply(
        partial(convolved, op, numbers, dtype),
        partial(_convolved_vjp, op, numbers, x.wants, is_pact(values, node)),
        *inputs, *learned(values, node),
    )  # fmt: skip


def convolved(
    op: IntConv2d, numbers: list[Array], dtype: Any, x: Array, weight: Array, bias: Array,
    *edge: Array,
) -> tuple[Array, Any]:  # fmt: skip
    """Integers (n, rows, columns, out) in low..high (rules T9 and T6).

    numbers: multiplier, exponent, step_in, step_w; keeps the accumulators for the gradient
    """
    window = Window(dilation=op.dilation, **_window(op))
    wide = shifted(x, op.zero_in, carrier_of(reach(x, op.zero_in), weight, bias))
    acc = conv_int(wide, weight, bias, window, op.groups, shift=op.shift or 0)
    limits = op.zero, op.low, op.high, dtype
    out = requantize_places(acc, *numbers[:2], *limits, fraction=result_fraction(op))
    return out, (wide, weight, acc, out, edge)


def reach(x: Array, zero: int) -> int:
    """Largest |x - zero|: of the type where it is narrow, for that costs nothing."""
    if x.dtype.itemsize == 1:
        info = np.iinfo(x.dtype)
        return max(abs(info.min - zero), abs(info.max - zero))
    return max(abs(int(x.min(initial=0)) - zero), abs(int(x.max(initial=0)) - zero))


def _convolved_vjp(
    op: IntConv2d, numbers: list[Array], wants_x: bool, pact: bool, saved: Any, g: Array
) -> Grads:
    """Gradients with respect to the reals that x, weight and bias stand for, and of the edge."""
    wide, weight, acc, out, edge = saved
    step_in, step_w = numbers[2], np.broadcast_to(numbers[3], (op.features,))
    factor = step_in * step_w * sum_unit(op) / edge[0]
    g, of_edge = _through(op, g, out, acc, factor, len(edge), pact)
    real = (weight * step_w.reshape(-1, 1, 1, 1)).astype(np.float32)
    window = Window(dilation=op.dilation, **_window(op))
    made = convolution_gradients(
        g, wide.astype(np.float32, copy=False), real, window, groups=op.groups, wants_x=wants_x
    )
    return made.x, made.weight * np.float32(step_in), made.bias, *of_edge


def _through(
    op: Any, g: Array, out: Array, acc: Array, factor: Array, count: int, pact: bool
) -> tuple[Array, tuple[Array, ...]]:
    """Straight through the rounding where nothing was clipped; what the edge learns."""
    factor = np.broadcast_to(np.asarray(factor, np.float64), acc.shape[-1:])
    inside, of_step = through_places(acc, out, g, factor, op.zero, op.low, op.high)
    return inside, gradients(op, count, pact, of_step, g, inside, out)


def _int_max_pool(values: Any, node: Node, x: Tensor) -> Tensor:
    """Of equal integers the gradient goes to the one with the largest sum before rounding."""
    window = Window(**_window(node.op))
    behind_conv = isinstance(values.graph[node.inputs[0]].op, IntConv2d) and x.saved is not None
    finer = x.saved[2] if behind_conv else x.data
    return apply(partial(_largest, window, finer), _largest_vjp, x)


def _largest(window: Window, finer: Array, x: Array) -> tuple[Array, Any]:
    y, which = max_pool(x, window)
    return y, (window, which if finer is x else max_pool(finer, window)[1], x.shape)


def _largest_vjp(saved: Any, g: Array) -> Grads:
    window, which, shape = saved
    return (max_pool_gradient(g, which, window, shape),)


def _int_average_pool(values: Any, node: Node, x: Tensor) -> Tensor:
    op = node.op
    names = ("multiplier", "exponent", "step_in")
    numbers = [np.asarray(values.constant(node, name).data) for name in names]
    dtype = narrow(op)
    vjp = partial(_averaged_vjp, op, numbers[2], is_pact(values, node))
    return apply(partial(averaged, op, numbers, dtype), vjp, x, *learned(values, node))


def averaged(
    op: IntAveragePool, numbers: list[Array], dtype: Any, x: Array, *edge: Array
) -> tuple[Array, Any]:
    """Integers in low..high (rules T11 and T6); numbers: multiplier, exponent, step_in."""
    window = Window(**_window(op))
    counts = window_counts(window, x.shape[1], x.shape[2], False)[..., None]
    acc = sum_pool(x, window, np.int32) - np.int32(op.zero_in) * counts.astype(np.int32)
    limits = op.zero, op.low, op.high, dtype
    out = requantize_places(acc, *numbers[:2], *limits, fraction=result_fraction(op))
    return out, (x.shape, acc, out, edge)


def _averaged_vjp(op: IntAveragePool, step_in: Array, pact: bool, saved: Any, g: Array) -> Grads:
    shape, acc, out, edge = saved
    elements = op.kernel[0] * op.kernel[1]
    g, of_edge = _through(op, g, out, acc, step_in / (elements * edge[0]), len(edge), pact)
    return sum_pool_gradient(g / np.float32(elements), Window(**_window(op)), shape), *of_edge


def _int_lookup(values: Any, node: Node, x: Tensor) -> Tensor:
    op = node.op
    step_in, table = values.constant(node, "step_in").data, values.constant(node, "table").data
    dtype = narrow(op)
    vjp = partial(_looked_up_vjp, op, step_in, is_pact(values, node))
    return apply(partial(looked_up, op, table.astype(dtype)), vjp, x, *learned(values, node))


def looked_up(op: IntLookup, table: Array, x: Array, *edge: Array) -> tuple[Array, Any]:
    """Integers table[x - first] (rule T12)."""
    out = table[x.astype(np.int64) - op.first]
    return out, (x, out, edge)


def _looked_up_vjp(op: IntLookup, step_in: Array, pact: bool, saved: Any, g: Array) -> Grads:
    x, out, edge = saved
    real = (x.astype(np.float64) - op.zero_in) * step_in
    y = ELEMENT_FUNCTIONS[op.function](real, op.argument)
    exact, level = y / edge[0], out.astype(np.float64) - op.zero
    inside = (exact >= op.low - op.zero) & (exact <= op.high - op.zero)
    of_step = float(step_gradient(g, level, exact, inside).sum())
    of_edge = gradients(op, len(edge), pact, of_step, g, g * inside, out)
    slope = activation.ELEMENTS[op.function](op.argument, real)[1]
    return (g * inside * slope).astype(g.dtype), *of_edge


def _widened(x: Array) -> tuple[Array, Any]:
    return x.astype(np.int32), None


def widen(x: Tensor) -> Tensor:
    """Answers are int32, as a Run has them."""
    return apply(_widened, lambda _, g: (g,), x) if x.data.dtype.kind in "iu" else x


IMAGE_RULES: dict[type, Callable[..., Tensor]] = {
    Conv: _conv,
    MaxPool: lambda values, node, x: convolution.max_pool(x, **_window(node.op)),
    AveragePool: _average_pool,
    GlobalAveragePool: lambda values, node, x: convolution.global_average_pool(x),
    Concat: _concat,
    Softmax: lambda values, node, x: activation.softmax(x),
    **dict.fromkeys((LeakyRelu, Elu, Sigmoid, Tanh), _element),
    IntConv2d: _int_conv,
    IntMaxPool: _int_max_pool,
    IntAveragePool: _int_average_pool,
    IntLookup: _int_lookup,
    IntConcat: _concat,
}
