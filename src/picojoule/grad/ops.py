"""Operations on tensors, each a pair of plain functions, and the function that applies them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import norm
from picojoule.grad.tape import Tensor, apply, unbroadcast
from picojoule.kernels.activation import rectify, rectify_gradient
from picojoule.kernels.blas import matmul

Array = np.ndarray
Grads = tuple[Array | None, ...]


# ---------------------------------------------------------------------------- arithmetic


def _add(a: Array, b: Array) -> tuple[Array, Any]:
    return a + b, (a.shape, b.shape)


def _add_vjp(saved: Any, g: Array) -> Grads:
    return unbroadcast(g, saved[0]), unbroadcast(g, saved[1])


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b, broadcast."""
    return apply(_add, _add_vjp, a, b)


def _multiply(a: Array, b: Array) -> tuple[Array, Any]:
    return a * b, (a, b)


def _multiply_vjp(saved: Any, g: Array) -> Grads:
    a, b = saved
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """a * b, broadcast."""
    return apply(_multiply, _multiply_vjp, a, b)


def _scale(factor: float, x: Array) -> tuple[Array, Any]:
    return x * x.dtype.type(factor), factor


def _scale_vjp(factor: float, g: Array) -> Grads:
    return (g * g.dtype.type(factor),)


def scale(x: Tensor, factor: float) -> Tensor:
    """x times a fixed number."""
    return apply(partial(_scale, factor), _scale_vjp, x)


def _one_minus(x: Array) -> tuple[Array, Any]:
    return 1 - x, None


def _one_minus_vjp(_: Any, g: Array) -> Grads:
    return (-g,)


def one_minus(x: Tensor) -> Tensor:
    """1 - x: what a decay keeps."""
    return apply(_one_minus, _one_minus_vjp, x)


def _total(axis: int, x: Array) -> tuple[Array, Any]:
    return x.sum(axis), (axis, x.shape)


def _total_vjp(saved: Any, g: Array) -> Grads:
    axis, shape = saved
    return (np.broadcast_to(np.expand_dims(g, axis), shape),)


def total(x: Tensor, axis: int) -> Tensor:
    """Sum over one axis."""
    return apply(partial(_total, axis), _total_vjp, x)


def _reshape(shape: tuple[int, ...], x: Array) -> tuple[Array, Any]:
    return x.reshape(shape), x.shape


def _reshape_vjp(shape: Any, g: Array) -> Grads:
    return (g.reshape(shape),)


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same elements in another shape."""
    return apply(partial(_reshape, shape), _reshape_vjp, x)


def _spread(shape: tuple[int, ...], x: Array) -> tuple[Array, Any]:
    return np.broadcast_to(x, shape).copy(), x.shape


def _spread_vjp(shape: Any, g: Array) -> Grads:
    return (unbroadcast(g, shape),)


def spread(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """x broadcast to `shape`, as an array of its own."""
    return apply(partial(_spread, shape), _spread_vjp, x)


# -------------------------------------------------------------------------------- layers


def _linear(relu: bool, wants_x: bool, x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
    y = matmul(x, weight.T, bias, relu)
    return y, (wants_x, x, weight, y if relu else None)


def _linear_vjp(saved: Any, g: Array) -> Grads:
    wants_x, x, weight, y = saved
    g = g if y is None else rectify_gradient(g, y)
    return matmul(g, weight) if wants_x else None, matmul(g.T, x), g.sum(0)


def linear(x: Tensor, weight: Tensor, bias: Tensor, relu: bool = False) -> Tensor:
    """x (n, in), weight (out, in), bias (out,) to (n, out), rectified if asked."""
    return apply(partial(_linear, relu, x.wants), _linear_vjp, x, weight, bias)


def _relu(x: Array) -> tuple[Array, Any]:
    if x.ndim > 2:  # images: large
        y = rectify(x)
        return y, y
    return np.maximum(x, 0), x > 0


def _relu_vjp(positive: Any, g: Array) -> Grads:
    if positive.dtype == bool:
        return (g * positive,)
    return (rectify_gradient(g, positive),)


def relu(x: Tensor) -> Tensor:
    """max(x, 0); slope 0 at 0."""
    return apply(_relu, _relu_vjp, x)


def _normalize(
    eps: float, mean: Array, variance: Array, x: Array, gain: Array, shift: Array
) -> tuple[Array, Any]:
    inverse = 1 / np.sqrt(variance + x.dtype.type(eps))
    centred = (x - mean) * inverse
    return centred * gain + shift, (centred, inverse, gain)


def _normalize_vjp(saved: Any, g: Array) -> Grads:
    centred, inverse, gain = saved
    return g * (gain * inverse), (g * centred).sum(0), g.sum(0)


def _normalize_batch_vjp(saved: Any, g: Array) -> Grads:
    centred, inverse, gain = saved
    of_gain, of_shift = (g * centred).sum(0), g.sum(0)
    n = g.dtype.type(len(g))
    of_x = (gain * inverse) * (g - of_shift / n - centred * (of_gain / n))
    return of_x, of_gain, of_shift


def _large(x: Array) -> bool:
    """Whether it is worth a pass through the fused kernels: images, or very many rows."""
    return x.ndim > 2 or len(x) > 1024


def batch_norm(x: Tensor, gain: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Normalize x (..., features) by the mean and (biased) variance of this batch.

    Statistics run over all axes but the last.
    """
    if _large(x.data):
        return norm.batch_norm(x, gain, shift, eps)
    mean, variance = x.data.mean(0), x.data.var(0)
    forward = partial(_normalize, eps, mean, variance)
    return apply(forward, _normalize_batch_vjp, x, gain, shift)


def fixed_norm(
    x: Tensor, gain: Tensor, shift: Tensor, mean: Array, variance: Array, eps: float
) -> Tensor:
    """Normalize x (..., features) by given statistics."""
    if _large(x.data):
        return norm.fixed_norm(x, gain, shift, mean, variance, eps)
    return apply(partial(_normalize, eps, mean, variance), _normalize_vjp, x, gain, shift)


# ---------------------------------------------------------------------------------- loss


def _cross_entropy(target: Array, z: Array) -> tuple[Array, Any]:
    shifted = z - z.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -np.mean((target * log_p).sum(1)), (log_p, target)


def _cross_entropy_vjp(saved: Any, g: Array) -> Grads:
    log_p, target = saved
    weight = target.sum(1, keepdims=True)
    return ((np.exp(log_p) * weight - target) * (g / log_p.dtype.type(len(log_p))),)


def softmax_cross_entropy(z: Tensor, target: Array) -> Tensor:
    """Mean over samples of -sum target log softmax(z); z, target (n, classes)."""
    return apply(partial(_cross_entropy, target), _cross_entropy_vjp, z)


def smoothed(labels: Array, classes: int, smoothing: float, dtype: type) -> Array:
    """Labels (n,) as probabilities (n, classes); `smoothing` is spread over all classes."""
    out = np.full((len(labels), classes), smoothing / classes, dtype)
    out[np.arange(len(labels)), labels] += 1 - smoothing
    return out
