"""Rectification of large arrays, over blocks of elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks, shared

Array = np.ndarray[Any, Any]
BLOCK = 1 << 14  # elements; fewer are not worth a thread


@jit
def rectify_flat(x, y, zero):
    """y = max(x, 0), flat; what is no number stays; zero: 0 of their type."""
    for k in range(x.size):
        value = x[k]
        y[k] = zero if value < zero else value


@jit
def rectify_gradient_flat(g, y, of_x, zero):
    """of_x = g where y > 0, else 0, flat; zero: 0 of their type."""
    for k in range(g.size):
        value, seen = g[k], y[k]
        of_x[k] = value if seen > zero else zero


def rectify(x: Array, threads: int | None = None) -> Array:
    """max(x, 0), elementwise."""
    x = np.ascontiguousarray(x)
    y, zero = np.empty_like(x), x.dtype.type(0)
    flat = x.reshape(-1), y.reshape(-1)
    over_blocks(
        x.size, threads, lambda lo, hi: rectify_flat(flat[0][lo:hi], flat[1][lo:hi], zero),
        shared(x.size, threads, BLOCK),
    )  # fmt: skip
    return y


def rectify_gradient(g: Array, y: Array, threads: int | None = None) -> Array:
    """Gradient of `rectify`, given its result y: slope 0 at 0."""
    g = np.ascontiguousarray(g)
    out, zero = np.empty_like(g), g.dtype.type(0)
    flat = g.reshape(-1), y.reshape(-1), out.reshape(-1)
    over_blocks(
        g.size,
        threads,
        lambda lo, hi: rectify_gradient_flat(*(a[lo:hi] for a in flat), zero),
        shared(g.size, threads, BLOCK),
    )
    return out
