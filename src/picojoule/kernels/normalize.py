"""Normalization over rows (m, features): moments, scaling, and gradients, in fixed blocks.

Sums run in the type of x over at most `ROWS` rows, and in float64 over blocks, so that their
bits depend on neither the number of threads nor, beyond rounding, on the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks, shared

Array = np.ndarray[Any, Any]
ROWS = 1024  # of a block, whose sums have the same bits on any number of threads


@jit
def moments_rows(x, pivot, sums, squares):
    """Sums (features,) of x - pivot and of its square, over the rows of flat x; written."""
    features = pivot.size
    sums[:] = 0
    squares[:] = 0
    for i in range(0, x.size, features):
        for c in range(features):
            value = x[i + c] - pivot[c]
            sums[c] += value
            squares[c] += value * value


@jit
def products_rows(g, x, mean, sums, products):
    """Sums (features,) of g and of g (x - mean), over the rows of flat g and x; written."""
    features = mean.size
    sums[:] = 0
    products[:] = 0
    for i in range(0, x.size, features):
        for c in range(features):
            value = g[i + c]
            sums[c] += value
            products[c] += value * (x[i + c] - mean[c])


@jit
def affine_rows(x, factor, offset, y):
    """y = factor x + offset for the rows of flat x and y."""
    features = factor.size
    for i in range(0, x.size, features):
        for c in range(features):
            y[i + c] = factor[c] * x[i + c] + offset[c]


@jit
def blend_rows(g, x, factor, slope, offset, of_x):
    """of_x = factor g + slope x + offset for the rows of flat g, x and of_x."""
    features = factor.size
    for i in range(0, x.size, features):
        for c in range(features):
            of_x[i + c] = factor[c] * g[i + c] + slope[c] * x[i + c] + offset[c]


@jit
def moments_blocks(first, last, x, pivot, parts):
    """`moments_rows` of blocks first..last of ROWS rows; parts (blocks, 2, features)."""
    size = ROWS * pivot.size
    for k in range(first, last):
        moments_rows(x[k * size : (k + 1) * size], pivot, parts[k, 0], parts[k, 1])


@jit
def products_blocks(first, last, g, x, mean, parts):
    """`products_rows` of blocks first..last of ROWS rows; parts (blocks, 2, features)."""
    size = ROWS * mean.size
    for k in range(first, last):
        at, to = k * size, (k + 1) * size
        products_rows(g[at:to], x[at:to], mean, parts[k, 0], parts[k, 1])


def _sums(x: Array, threads: int | None, work: Any) -> Array:
    """Two sums of rows x (m, features), float64 (2, features), from work(first, last, parts)."""
    blocks = -(-len(x) // ROWS)
    parts = np.empty((blocks, 2, x.shape[1]), x.dtype)
    over_blocks(blocks, threads, lambda lo, hi: work(lo, hi, parts), shared(blocks, threads))
    sums: Array = parts.sum(0, dtype=np.float64)
    return sums


def moments(x: Array, threads: int | None = None) -> tuple[Array, Array]:
    """(mean, biased variance), float64 (features,), of rows x (m, features), m >= 1."""
    pivot, flat = x[0].copy(), x.reshape(-1)
    sums = _sums(x, threads, lambda lo, hi, parts: moments_blocks(lo, hi, flat, pivot, parts))
    first, second = sums / len(x)
    return pivot + first, np.maximum(second - first * first, 0)


def gradient_sums(
    g: Array, x: Array, mean: Array, threads: int | None = None
) -> tuple[Array, Array]:
    """(sum of g, sum of g (x - mean)), float64 (features,); all of one type, (m, features)."""
    flat = g.reshape(-1), x.reshape(-1), mean
    sums, products = _sums(x, threads, lambda lo, hi, parts: products_blocks(lo, hi, *flat, parts))
    return sums, products


def _over_rows(x: Array, threads: int | None, work: Callable[[slice], None]) -> None:
    """work(slice of the rows of x); each row by itself."""
    size = shared(len(x), threads, ROWS)
    over_blocks(len(x), threads, lambda lo, hi: work(slice(lo, hi)), size)


def affine(x: Array, factor: Array, offset: Array, threads: int | None = None) -> Array:
    """factor x + offset for rows x (m, features), in the type of x."""
    many, y = [v.astype(x.dtype) for v in (factor, offset)], np.empty_like(x)
    _over_rows(x, threads, lambda at: affine_rows(x[at].reshape(-1), *many, y[at].reshape(-1)))
    return y


def blend(
    g: Array, x: Array, factor: Array, slope: Array, offset: Array, threads: int | None = None
) -> Array:
    """factor g + slope x + offset for rows (m, features), in the type of x."""
    many = [v.astype(x.dtype) for v in (factor, slope, offset)]
    out = np.empty_like(x)

    def work(at: slice) -> None:
        blend_rows(g[at].reshape(-1), x[at].reshape(-1), *many, out[at].reshape(-1))

    _over_rows(x, threads, work)
    return out
