"""What the ops of convolutional networks compute, in float64; written to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from picojoule.graph.derive import ELEMENT_FUNCTIONS
from picojoule.graph.ops_image import (
    AveragePool,
    Concat,
    Conv,
    Elu,
    GlobalAveragePool,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Softmax,
    Tanh,
    windows,
)

Array = np.ndarray
Constants = dict[str, Array]


def window_parts(op: Any, x: Array, outside: float) -> Iterator[tuple[int, int, Array]]:
    """For each place (a, b) of the kernel, the values (n, p, q, channels) that windows have there.

    x (n, height, width, channels); `outside` is what lies around the image
    """
    top, left, bottom, right = op.padding
    dy, dx = getattr(op, "dilation", (1, 1))
    rows, columns = windows(x.shape[1:3], op.kernel, op.stride, op.padding, (dy, dx))
    wide = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=outside)
    for a in range(op.kernel[0]):
        for b in range(op.kernel[1]):
            y, z = a * dy, b * dx
            yield a, b, wide[:, y : y + op.stride[0] * rows : op.stride[0],
                             z : z + op.stride[1] * columns : op.stride[1]]  # fmt: skip


def _conv(op: Conv, constants: Constants, x: Array) -> Array:
    weight, bias = constants["weight"], constants["bias"]
    groups = np.split(np.asarray(x, np.float64), op.groups, axis=-1)
    found = [
        sum(part @ w[:, :, a, b].T for a, b, part in window_parts(op, piece, 0.0))
        for piece, w in zip(groups, np.split(weight, op.groups))
    ]
    return np.concatenate(found, axis=-1) + bias


def _max_pool(op: MaxPool, _: Constants, x: Array) -> Array:
    parts = window_parts(op, np.asarray(x, np.float64), -np.inf)
    return np.max([part for _, _, part in parts], axis=0)


def _average_pool(op: AveragePool, _: Constants, x: Array) -> Array:
    total = sum(part for _, _, part in window_parts(op, np.asarray(x, np.float64), 0.0))
    inside = np.ones((1, *x.shape[1:3], 1))
    counts = sum(part for _, _, part in window_parts(op, inside, float(op.count_padding)))
    return np.asarray(total / counts)


def _element(op: Any, _: Constants, x: Array) -> Array:
    argument = getattr(op, "slope", getattr(op, "alpha", 0.0))
    return ELEMENT_FUNCTIONS[type(op).__name__](np.asarray(x, np.float64), argument)


def _softmax(op: Softmax, _: Constants, x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


IMAGE_OPS: dict[type, Callable[..., Array]] = {
    Conv: _conv,
    MaxPool: _max_pool,
    AveragePool: _average_pool,
    GlobalAveragePool: lambda op, _, x: x.mean(axis=(1, 2)),
    Concat: lambda op, _, *inputs: np.concatenate(inputs, axis=-1),
    Softmax: _softmax,
    **dict.fromkeys((LeakyRelu, Elu, Sigmoid, Tanh), _element),
}
