"""Batch normalization of images, and layer normalization."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply
from picojoule.kernels.normalize import affine, blend, gradient_sums, moments

Array = np.ndarray
Grads = tuple[Array | None, ...]


def batch_moments(x: Array) -> tuple[Array, Array]:
    """(mean, biased variance), of x's type (features,), over all axes of x but the last."""
    mean, variance = moments(_rows(x))
    return mean.astype(x.dtype), variance.astype(x.dtype)


def _rows(x: Array) -> Array:
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]))


def _batch_norm(eps: float, x: Array, gain: Array, shift: Array) -> tuple[Array, Any]:
    rows = _rows(x)
    mean, variance = moments(rows)
    inverse = 1 / np.sqrt(variance + eps)
    y = affine(rows, gain * inverse, shift - mean * gain * inverse)
    return y.reshape(x.shape), (rows, mean, inverse, gain)


def _batch_norm_vjp(saved: Any, g: Array) -> Grads:
    rows, mean, inverse, gain = saved
    many = _rows(g)
    of_shift, products = gradient_sums(many, rows, mean.astype(rows.dtype))
    of_gain = products * inverse
    factor, n = gain * inverse, len(rows)
    slope = -factor * inverse * of_gain / n
    of_x = blend(many, rows, factor, slope, -factor * of_shift / n - slope * mean)
    return of_x.reshape(g.shape), of_gain.astype(g.dtype), of_shift.astype(g.dtype)


def batch_norm(x: Tensor, gain: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Normalize x (..., features) by mean and biased variance over all axes but the last."""
    return apply(partial(_batch_norm, eps), _batch_norm_vjp, x, gain, shift)


def _fixed_norm(
    mean: Array, variance: Array, eps: float, x: Array, gain: Array, shift: Array
) -> tuple[Array, Any]:
    rows = _rows(x)
    inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + eps)
    y = affine(rows, gain * inverse, shift - mean * gain * inverse)
    return y.reshape(x.shape), (rows, mean, inverse, gain)


def _fixed_norm_vjp(saved: Any, g: Array) -> Grads:
    rows, mean, inverse, gain = saved
    many = _rows(g)
    of_shift, products = gradient_sums(many, rows, mean.astype(rows.dtype))
    of_x = affine(many, gain * inverse, np.zeros_like(inverse))
    of_gain = (products * inverse).astype(g.dtype)
    return of_x.reshape(g.shape), of_gain, of_shift.astype(g.dtype)


def fixed_norm(
    x: Tensor, gain: Tensor, shift: Tensor, mean: Array, variance: Array, eps: float
) -> Tensor:
    """Normalize x (..., features) by given statistics (features,)."""
    return apply(partial(_fixed_norm, mean, variance, eps), _fixed_norm_vjp, x, gain, shift)


def _layer_norm(eps: float, x: Array, gain: Array, shift: Array) -> tuple[Array, Any]:
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt(np.square(centred).mean(-1, keepdims=True) + x.dtype.type(eps))
    centred *= inverse
    return centred * gain + shift, (centred, inverse, gain)


def _layer_norm_vjp(saved: Any, g: Array) -> Grads:
    centred, inverse, gain = saved
    axes = tuple(range(g.ndim - 1))
    inner = g * gain
    of_x = inner - inner.mean(-1, keepdims=True)
    of_x -= centred * (inner * centred).mean(-1, keepdims=True)
    return of_x * inverse, (g * centred).sum(axes), g.sum(axes)


def layer_norm(x: Tensor, gain: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalize each x[..., :] to mean 0 and variance 1, then times gain, plus shift (features,).

    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.
    """
    return apply(partial(_layer_norm, eps), _layer_norm_vjp, x, gain, shift)
