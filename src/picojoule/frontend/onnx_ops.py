"""ONNX nodes as nodes of a Graph: one function for each kind that is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from picojoule.frontend.onnx_file import Item
from picojoule.frontend.onnx_values import Draft, Unsupported, Value, flat_order, same_order
from picojoule.frontend.onnx_window import geometry, pool_window
from picojoule.graph import ops
from picojoule.graph.types import Op, TensorType

Array = np.ndarray[Any, Any]
EPS = 2.0**-40  # of a BatchNorm that only adds: its variance is 1 - EPS


# ---------------------------------------------------------------------------------- products


def gemm(draft: Draft, item: Item) -> None:
    """alpha A B + beta C, either transposed."""
    a, weight = draft.value(item.inputs[0]), draft.constant(item, 1, "second input")
    if item.attributes.get("transA", 0):
        raise Unsupported("transA=1 would mix the samples of a batch")
    weight = weight if item.attributes.get("transB", 0) else weight.T
    weight = weight * weight.dtype.type(item.attributes.get("alpha", 1.0))
    bias = draft.optional(item, 2, "third input")
    if bias is not None:
        bias = bias * bias.dtype.type(item.attributes.get("beta", 1.0))
    _dense(draft, item, a, weight, bias)


def matmul(draft: Draft, item: Item) -> None:
    weight = draft.constant(item, 1, "second input")
    if weight.ndim != 2:
        raise Unsupported(f"needs a matrix, got weights of shape {list(weight.shape)}")
    _dense(draft, item, draft.value(item.inputs[0]), weight.T, None)


def _dense(draft: Draft, item: Item, x: Value, weight: Array, bias: Array | None) -> None:
    if len(x.shape) != 1:
        raise Unsupported(f"takes vectors, got {list(x.shape)}", "a Flatten before it")
    if weight.ndim != 2 or weight.shape[1] != x.shape[0]:
        raise Unsupported(f"{x.shape[0]} features meet weights {list(weight.T.shape)}")
    if x.order is not None:
        weight = weight[:, x.order]
    features, named = len(weight), None
    if bias is not None:
        named = draft.param(f"{item.name}.bias", _spread(bias, features))
    op = ops.Dense(weight=draft.param(f"{item.name}.weight", weight), bias=named, features=features)
    draft.emit(item, op, (x.node,), (features,))


def _spread(values: Array, features: int) -> Array:
    """One value a feature.  Raises Unsupported for any other shape."""
    if values.size not in (1, features):
        raise Unsupported(f"{values.size} values for {features} features")
    return np.broadcast_to(values.reshape(-1), (features,)).copy()


def conv(draft: Draft, item: Item) -> None:
    x, weight = draft.value(item.inputs[0]), draft.constant(item, 1, "weights")
    if not x.is_image or weight.ndim != 4:
        raise Unsupported(f"takes images of two axes, got {list(x.shape)}")
    bias = draft.optional(item, 2, "bias")
    kernel, groups = weight.shape[2:], int(item.attributes.get("group", 1))
    if "kernel_shape" in item.attributes and tuple(item.attributes["kernel_shape"]) != kernel:
        raise Unsupported("kernel_shape is not the shape of its weights")
    stride, padding, dilation = geometry(item, kernel, x.shape[1:])
    features, named = len(weight), None
    if bias is not None:
        named = draft.param(f"{item.name}.bias", _spread(bias, features))
    op = ops.Conv(
        weight=draft.param(f"{item.name}.weight", weight), bias=named, features=features,
        kernel=kernel, stride=stride, padding=padding, dilation=dilation, groups=groups,
    )  # fmt: skip
    if groups < 1 or weight.shape[1] * groups != x.shape[0]:
        raise Unsupported(f"weights {list(weight.shape)} do not fit {x.shape[0]} channels")
    _image(draft, item, op, x)


def _image(draft: Draft, item: Item, op: Op, x: Value) -> None:
    """Emit an op of images, with the shape that the op itself says."""
    if op.complaints():
        raise Unsupported(op.complaints()[0])
    try:
        height, width, channels = op.out_type(TensorType(x.here)).shape
    except ValueError as error:
        raise Unsupported(str(error)) from None
    draft.emit(item, op, (x.node,), (channels, height, width))


# ------------------------------------------------------------------------------------- pools


def max_pool(draft: Draft, item: Item) -> None:
    if any(item.outputs[1:]) or item.attributes.get("storage_order", 0):
        raise Unsupported("gives the places of its values too", "leave them out")
    x = _pooled(draft, item)
    kernel, stride, padding = pool_window(item, x.shape[1:])
    _image(draft, item, ops.MaxPool(kernel=kernel, stride=stride, padding=padding), x)


def average_pool(draft: Draft, item: Item) -> None:
    x = _pooled(draft, item)
    kernel, stride, padding = pool_window(item, x.shape[1:])
    counted = bool(item.attributes.get("count_include_pad", 0)) or not any(padding)
    _image(draft, item, ops.AveragePool(
        kernel=kernel, stride=stride, padding=padding, count_padding=counted), x)  # fmt: skip


def _pooled(draft: Draft, item: Item) -> Value:
    x = draft.value(item.inputs[0])
    if not x.is_image:
        raise Unsupported(f"takes images, got {list(x.shape)}")
    return x


def global_average_pool(draft: Draft, item: Item) -> None:
    """An image of one place, as in ONNX; what flattens it is left out later."""
    x = _pooled(draft, item)
    _image(draft, item, ops.AveragePool(kernel=x.shape[1:], count_padding=True), x)


def reduce_mean(draft: Draft, item: Item) -> None:
    """The mean over height and width; over anything else it is refused."""
    x = _pooled(draft, item)
    axes = item.attributes.get("axes")
    if axes is None:
        axes = tuple(draft.constant(item, 1, "axes").reshape(-1).tolist())
    if sorted(a % 4 for a in axes) != [2, 3]:
        raise Unsupported(f"a mean over axes {list(axes)}", "a mean over height and width")
    if item.attributes.get("keepdims", 1):
        global_average_pool(draft, item)
    else:
        draft.emit(item, ops.GlobalAveragePool(), (x.node,), x.shape[:1])


# ----------------------------------------------------------------------- features, elements


def batch_normalization(draft: Draft, item: Item) -> None:
    x = draft.value(item.inputs[0])
    if item.attributes.get("training_mode", 0):
        raise Unsupported("normalizes by the batch", "export the network in evaluation mode")
    names = ("gain", "shift", "mean", "variance")
    arrays = {n: draft.constant(item, k + 1, n) for k, n in enumerate(names)}
    _norm(draft, item, x, arrays, float(item.attributes.get("epsilon", 1e-5)))


def _norm(draft: Draft, item: Item, x: Value, arrays: dict[str, Array], eps: float) -> None:
    found = {}
    for name, array in arrays.items():
        values = _spread(array, x.shape[0])
        values = values if x.order is None else values[x.order]
        found[name] = draft.param(f"{item.name}.{name}", values)
    draft.emit(item, ops.BatchNorm(eps=eps, **found), (x.node,), x.shape, x.order)


def add(draft: Draft, item: Item) -> None:
    if len(item.inputs) != 2:
        raise Unsupported(f"adds {len(item.inputs)} inputs", "two terms")
    constants = [n for n in item.inputs if n in draft.constants]
    if constants:
        x = draft.value(next((n for n in item.inputs if n not in draft.constants), ""))
        _add_constant(draft, item, x, draft.constants[constants[0]])
        return
    a, b = (draft.value(name) for name in item.inputs)
    if a.shape != b.shape or not same_order([a, b]):
        raise Unsupported(f"adds {list(a.shape)} and {list(b.shape)}", "terms of one shape")
    draft.emit(item, ops.Add(), (a.node, b.node), a.shape, a.order)


def _add_constant(draft: Draft, item: Item, x: Value, values: Array) -> None:
    """A bias: of the layer before, where it has none; else a BatchNorm that only adds."""
    shape = (1,) * (1 + len(x.shape) - values.ndim) + values.shape
    per_feature = (shape[0], *shape[2:]) == (1,) * len(x.shape)
    if len(shape) != 1 + len(x.shape) or not per_feature:
        raise Unsupported(f"adds a constant {list(values.shape)} to {list(x.shape)}",
                          "one value a channel or feature")  # fmt: skip
    values = _spread(values, x.shape[0])
    place = next(k for k, node in enumerate(draft.nodes) if node.name == x.node)
    layer = draft.nodes[place].op
    bare = isinstance(layer, ops.Dense | ops.Conv) and layer.bias is None and x.order is None
    if bare and draft.read_once(x.node):
        bias = draft.param(f"{x.node}.bias", values)
        draft.nodes[place] = replace(draft.nodes[place], op=replace(layer, bias=bias))
        draft.values[item.outputs[0]] = x
        return
    one = np.ones(x.shape[0], values.dtype)
    arrays = {"gain": one, "shift": values, "mean": 0 * one, "variance": one - one.dtype.type(EPS)}
    _norm(draft, item, x, arrays, EPS)


def concat(draft: Draft, item: Item) -> None:
    values = [draft.value(name) for name in item.inputs]
    axis = int(item.attributes.get("axis", 1)) % (1 + len(values[0].shape))
    if axis != 1 or len({v.shape[1:] for v in values}) != 1 or len(values) < 2:
        listed = " and ".join(str(list(v.shape)) for v in values)
        raise Unsupported(f"joins {listed} along axis {axis}", "join channels or features: axis 1")
    orders, first = [], 0
    for value in values:
        order = np.arange(value.shape[0]) if value.order is None else value.order
        orders.append(first + order)
        first += value.shape[0]
    plain = all(value.order is None for value in values)
    shape = (first, *values[0].shape[1:])
    order = None if plain else np.concatenate(orders)
    draft.emit(item, ops.Concat(), tuple(v.node for v in values), shape, order)


def element(make: Callable[[Item], Op]) -> Callable[[Draft, Item], None]:
    """A function of single elements, whatever their order."""

    def convert(draft: Draft, item: Item) -> None:
        x = draft.value(item.inputs[0])
        draft.emit(item, make(item), (x.node,), x.shape, x.order)

    return convert


def softmax(draft: Draft, item: Item) -> None:
    x = draft.value(item.inputs[0])
    axis = int(item.attributes.get("axis", -1)) % (1 + len(x.shape))
    if len(x.shape) != 1 or axis != 1:
        raise Unsupported(f"of {list(x.shape)} along axis {axis}", "a Softmax of a vector")
    draft.emit(item, ops.Softmax(), (x.node,), x.shape, x.order)


# ------------------------------------------------------------------------------------ shapes


def passes(draft: Draft, item: Item) -> None:
    """Identity, and Dropout where nothing is trained."""
    if item.inputs[0] in draft.constants:
        draft.constants[item.outputs[0]] = draft.constants[item.inputs[0]]
    else:
        draft.values[item.outputs[0]] = draft.value(item.inputs[0])


def flatten(draft: Draft, item: Item) -> None:
    x = draft.value(item.inputs[0])
    axis = int(item.attributes.get("axis", 1))
    if axis != 1:
        raise Unsupported(f"axis {axis} would mix the samples of a batch", "axis 1")
    _flat(draft, item, x)


def _flat(draft: Draft, item: Item, x: Value) -> None:
    if len(x.shape) == 1:
        draft.values[item.outputs[0]] = x
        return
    draft.emit(item, ops.Flatten(), (x.node,), (math.prod(x.shape),), flat_order(x))


def reshape(draft: Draft, item: Item) -> None:
    x = draft.value(item.inputs[0])
    wanted = [int(side) for side in draft.constant(item, 1, "shape").reshape(-1)]
    shape = _reshaped(wanted, x, bool(item.attributes.get("allowzero", 0)))
    if shape == x.shape:
        draft.values[item.outputs[0]] = x
    elif len(shape) == 1:
        _flat(draft, item, x)
    else:
        raise Unsupported(
            f"makes {list(shape)} of {list(x.shape)}", "images as the network's input"
        )


def _reshaped(wanted: list[int], x: Value, allow_zero: bool) -> tuple[int, ...]:
    """The new shape without the batch, which must stay the first axis."""
    size, rest = math.prod(x.shape), wanted[1:]
    full = (0, *x.shape)
    rest = [full[k + 1] if side == 0 and not allow_zero and k + 1 < len(full) else side
            for k, side in enumerate(rest)]  # fmt: skip
    if rest.count(-1) == 1:
        known = math.prod(side for side in rest if side != -1)
        rest[rest.index(-1)] = size // known if known > 0 else 0
    if not rest or min(rest) < 1 or math.prod(rest) != size:
        raise Unsupported(f"shape {wanted} for samples {list(x.shape)} would mix samples")
    return tuple(rest)


CONVERT: dict[str, Callable[[Draft, Item], None]] = {
    "Gemm": gemm, "MatMul": matmul, "Conv": conv, "BatchNormalization": batch_normalization,
    "Relu": element(lambda item: ops.Relu()),
    "LeakyRelu": element(lambda i: ops.LeakyRelu(slope=float(i.attributes.get("alpha", 0.01)))),
    "Elu": element(lambda i: ops.Elu(alpha=float(i.attributes.get("alpha", 1.0)))),
    "Sigmoid": element(lambda item: ops.Sigmoid()), "Tanh": element(lambda item: ops.Tanh()),
    "MaxPool": max_pool, "AveragePool": average_pool, "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_mean, "Add": add, "Concat": concat, "Flatten": flatten,
    "Reshape": reshape, "Softmax": softmax, "Identity": passes, "Dropout": passes,
}  # fmt: skip
