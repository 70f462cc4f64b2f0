"""Nonlinear functions of single elements, and dropout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply

Array = np.ndarray
Grads = tuple[Array | None, ...]


def _times(slope: Array, g: Array) -> Grads:
    return (g * slope,)


def _leaky_relu(slope: float, x: Array) -> tuple[Array, Any]:
    slopes = np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))
    return x * slopes, slopes


def leaky_relu(x: Tensor, slope: float = 0.01) -> Tensor:
    """x where positive, else `slope` x; slope `slope` at 0."""
    return apply(partial(_leaky_relu, slope), _times, x)


def _elu(alpha: float, x: Array) -> tuple[Array, Any]:
    alpha = x.dtype.type(alpha)
    below = alpha * np.expm1(np.minimum(x, 0))
    y = np.where(x > 0, x, below)
    return y, np.where(x > 0, x.dtype.type(1), below + alpha)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha (e^x - 1)."""
    return apply(partial(_elu, alpha), _times, x)


def _sigmoid(x: Array) -> tuple[Array, Any]:
    small = np.exp(-np.abs(x))  # never overflows
    y = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return y, y * (1 - y)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return apply(_sigmoid, _times, x)


def _tanh(x: Array) -> tuple[Array, Any]:
    y = np.tanh(x)
    return y, 1 - y * y


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return apply(_tanh, _times, x)


# by the names of the graph's operations: (argument, x) -> (result, slope)
ELEMENTS: dict[str, Callable[[float, Array], tuple[Array, Array]]] = {
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Sigmoid": lambda _, x: _sigmoid(x),
    "Tanh": lambda _, x: _tanh(x),
}


def element(function: str, argument: float, x: Tensor) -> Tensor:
    """A function of ELEMENTS."""
    return apply(partial(ELEMENTS[function], argument), _times, x)


def _softmax(x: Array) -> tuple[Array, Any]:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    y = powers / powers.sum(axis=-1, keepdims=True)
    return y, y


def _softmax_vjp(y: Any, g: Array) -> Grads:
    return (y * (g - (g * y).sum(axis=-1, keepdims=True)),)


def softmax(x: Tensor) -> Tensor:
    """e^x by their sum, along the last axis."""
    return apply(_softmax, _softmax_vjp, x)


def _dropout(rate: float, key: tuple[int, int], x: Array) -> tuple[Array, Any]:
    draws = np.random.Generator(np.random.Philox(key=list(key))).random(x.shape, np.float32)
    kept = (draws >= np.float32(rate)).astype(x.dtype) / x.dtype.type(1 - rate)
    return x * kept, kept


def dropout(x: Tensor, rate: float, key: tuple[int, int]) -> Tensor:
    """x with a share `rate` < 1 of its elements at zero and the others scaled up for it.

    key  two numbers, say (seed, step): the same key draws the same elements again
    Raises ValueError for a rate outside 0 <= rate < 1.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of dropout must lie in 0 <= rate < 1, got {rate}")
    if rate == 0:
        return x
    return apply(partial(_dropout, rate, key), _times, x)
