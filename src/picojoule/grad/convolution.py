"""Convolution and pooling of images (n, height, width, channels) on the tape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply
from picojoule.kernels.convolution import convolution_gradients, convolve, convolve_pooled
from picojoule.kernels.pooling import max_pool as largest
from picojoule.kernels.pooling import (
    max_pool_gradient,
    sum_pool,
    sum_pool_gradient,
    window_counts,
)
from picojoule.kernels.window import Window

Array = np.ndarray
Grads = tuple[Array | None, ...]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
NONE = (0, 0, 0, 0)


@dataclass(frozen=True)
class _Plan:
    """How a convolution runs."""

    window: Window
    groups: int
    relu: bool
    pool: bool
    wants_x: bool


def _conv(plan: _Plan, x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
    how: dict[str, Any] = {"groups": plan.groups, "relu": plan.relu}
    if plan.pool:
        y, which = convolve_pooled(x, weight, bias, plan.window, **how)
        return y, (plan, x, weight, None, which)
    y = convolve(x, weight, bias, plan.window, **how)
    return y, (plan, x, weight, y if plan.relu else None, None)


def _conv_vjp(saved: Any, g: Array) -> Grads:
    plan, x, weight, y, which = saved
    found = convolution_gradients(
        g, x, weight, plan.window, groups=plan.groups, y=y, which=which, wants_x=plan.wants_x
    )
    return found.x, found.weight, found.bias


def conv(
    x: Tensor, weight: Tensor, bias: Tensor, *, stride: Pair = (1, 1), padding: Sides = NONE,
    dilation: Pair = (1, 1), groups: int = 1, relu: bool = False, pool: bool = False,
) -> Tensor:  # fmt: skip
    """Convolution of x (n, h, w, c) with weight (out, c // groups, kh, kw), plus bias (out,).

    padding (top, left, bottom, right), with zeros
    relu     rectify the result too, slope 0 at 0;  pool: and keep the largest of each 2 x 2
    """
    kernel = (weight.shape[2], weight.shape[3])
    window = Window(kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    plan = _Plan(window, groups, relu, pool, x.wants)
    return apply(partial(_conv, plan), _conv_vjp, x, weight, bias)


def _max_pool(window: Window, x: Array) -> tuple[Array, Any]:
    y, which = largest(x, window)
    return y, (window, which, x.shape)


def _max_pool_vjp(saved: Any, g: Array) -> Grads:
    window, which, shape = saved
    return (max_pool_gradient(g, which, window, shape),)


def max_pool(x: Tensor, *, kernel: Pair, stride: Pair, padding: Sides = NONE) -> Tensor:
    """Largest of each window of x (n, h, w, c); the gradient goes to the first of equals."""
    window = Window(kernel=kernel, stride=stride, padding=padding)
    return apply(partial(_max_pool, window), _max_pool_vjp, x)


def _average_pool(window: Window, count_padding: bool, x: Array) -> tuple[Array, Any]:
    counts = window_counts(window, x.shape[1], x.shape[2], count_padding)
    share = (1 / counts[..., None]).astype(x.dtype)
    y = sum_pool(x, window, x.dtype)
    y *= share
    return y, (window, share, x.shape)


def _average_pool_vjp(saved: Any, g: Array) -> Grads:
    window, share, shape = saved
    return (sum_pool_gradient(g * share, window, shape),)


def average_pool(
    x: Tensor, *, kernel: Pair, stride: Pair, padding: Sides = NONE, count_padding: bool = False
) -> Tensor:
    """Mean of each window of x (n, h, w, c), over all taps or over those in the image."""
    window = Window(kernel=kernel, stride=stride, padding=padding)
    return apply(partial(_average_pool, window, count_padding), _average_pool_vjp, x)


def _global_average(x: Array) -> tuple[Array, Any]:
    return x.mean((1, 2)), x.shape


def _global_average_vjp(shape: Any, g: Array) -> Grads:
    share = g / g.dtype.type(shape[1] * shape[2])
    return (np.ascontiguousarray(np.broadcast_to(share[:, None, None], shape)),)


def global_average_pool(x: Tensor) -> Tensor:
    """Mean (n, c) of every channel of x (n, h, w, c)."""
    return apply(_global_average, _global_average_vjp, x)
