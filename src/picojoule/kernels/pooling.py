"""Pooling of images (n, height, width, channels), real or integer, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picojoule.kernels.pool import over_blocks, shared
from picojoule.kernels.pooling_loops import (
    max_block,
    max_gradient_block,
    max_two_block,
    max_two_gradient_block,
    sum_block,
    sum_gradient_block,
)
from picojoule.kernels.window import Window

Array = np.ndarray[Any, Any]
TWO = Window(kernel=(2, 2), stride=(2, 2))


def _over_images(n: int, threads: int | None, work: Callable[[int, int], Any]) -> None:
    over_blocks(n, threads, work, shared(n, threads))


def max_pool(x: Array, window: Window, threads: int | None = None) -> tuple[Array, Array]:
    """(largest of each window (n, rows, columns, c), tap it came from int16, -1 for none).

    Padding never wins.  The first of equals wins; what is no number wins.
    """
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), *window.out_size(*x.shape[1:3]), x.shape[3]), x.dtype)
    which = np.empty(y.shape, np.int16)
    lowest = x.dtype.type(-np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    if window == TWO:
        _over_images(len(x), threads, lambda lo, hi: max_two_block(lo, hi, x, y, which))
        return y, which
    geometry = _geometry(window)
    args = (x, geometry, lowest, y, which)
    _over_images(len(x), threads, lambda lo, hi: max_block(lo, hi, *args))
    return y, which


def max_pool_gradient(
    g: Array, which: Array, window: Window, shape: tuple[int, ...], threads: int | None = None
) -> Array:
    """Gradient (n, h, w, c) = `shape` of `max_pool`, of the type of g."""
    g, of_x = np.ascontiguousarray(g), np.empty(shape, g.dtype)
    if window == TWO:
        args = (g, which, g.dtype.type(0), of_x)
        _over_images(len(g), threads, lambda lo, hi: max_two_gradient_block(lo, hi, *args))
        return of_x
    geometry = _geometry(window)
    args = (g, which, geometry, of_x)
    _over_images(len(g), threads, lambda lo, hi: max_gradient_block(lo, hi, *args))
    return of_x


def sum_pool(x: Array, window: Window, dtype: Any, threads: int | None = None) -> Array:
    """Sums (n, rows, columns, c) of each window as `dtype`, which must hold them."""
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), *window.out_size(*x.shape[1:3]), x.shape[3]), dtype)
    geometry = _geometry(window)
    _over_images(len(x), threads, lambda lo, hi: sum_block(lo, hi, x, geometry, y))
    return y


def sum_pool_gradient(
    g: Array, window: Window, shape: tuple[int, ...], threads: int | None = None
) -> Array:
    """Gradient (n, h, w, c) = `shape` of `sum_pool`, of the type of g."""
    g, of_x, geometry = np.ascontiguousarray(g), np.empty(shape, g.dtype), _geometry(window)
    _over_images(len(g), threads, lambda lo, hi: sum_gradient_block(lo, hi, g, geometry, of_x))
    return of_x


def window_counts(window: Window, height: int, width: int, count_padding: bool) -> Array:
    """Elements (rows, columns) that an average divides by: all taps, or those in the image."""
    if count_padding:
        return np.full(window.out_size(height, width), int(np.prod(window.kernel)))
    ones = np.ones((1, height, width, 1), np.int64)
    return sum_pool(ones, window, np.int64, 1)[0, :, :, 0]


def _geometry(window: Window) -> Array:
    return np.array([*window.kernel, *window.stride, *window.padding[:2]], np.int64)
