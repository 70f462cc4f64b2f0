"""Rounding to a grid and back in one pass, and the gradients of a learned step in another.

Work is cut into segments of a row: rows are channels with a step of their own, or one row is
all.  Segments depend on shapes only, so bits do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks, shared

Array = np.ndarray[Any, Any]
SEGMENT = 1 << 15
LANES = 16  # partial sums, which vectors can hold


@jit
def round_segment(x, step, inverse, low, high, out):
    """out = step * clip(round(x / step), low, high), flat; all of one float type."""
    for k in range(x.size):
        out[k] = min(max(np.rint(x[k] * inverse), low), high) * step


@jit
def gradient_segment(x, g, inverse, low, high, of_x, sums):
    """of_x = g where nothing was clipped; sums (LANES,) = parts of the step's gradient.

    LSQ (Esser et al. 2020): each element gives g (round(v) - v), v = x / step, or, clipped,
    g times the bound.
    """
    sums[:] = 0
    zero = sums[0]
    whole = x.size - x.size % LANES
    for start in range(0, whole, LANES):
        for c in range(LANES):
            v, up = x[start + c] * inverse, g[start + c]
            inside = v >= low and v <= high
            level = min(max(np.rint(v), low), high)
            of_x[start + c] = up if inside else zero
            sums[c] += up * (level - (v if inside else zero))
    for k in range(whole, x.size):
        v = x[k] * inverse
        inside = v >= low and v <= high
        level = min(max(np.rint(v), low), high)
        of_x[k] = g[k] if inside else zero
        sums[0] += g[k] * (level - (v if inside else zero))


@jit
def round_segments(first, last, size, x, steps, inverses, low, high, out):
    """`round_segment` of segments first..last; x, out flat rows of `size`, steps (rows,)."""
    across = -(-size // SEGMENT)
    for k in range(first, last):
        row = k // across
        lo = row * size + k % across * SEGMENT
        hi = min(lo + SEGMENT, (row + 1) * size)
        round_segment(x[lo:hi], steps[row], inverses[row], low, high, out[lo:hi])


@jit
def gradient_segments(first, last, size, x, g, inverses, low, high, of_x, sums):
    """`gradient_segment` of segments first..last; sums (segments, LANES)."""
    across = -(-size // SEGMENT)
    for k in range(first, last):
        row = k // across
        lo = row * size + k % across * SEGMENT
        hi = min(lo + SEGMENT, (row + 1) * size)
        gradient_segment(x[lo:hi], g[lo:hi], inverses[row], low, high, of_x[lo:hi], sums[k])


def _over_segments(x: Array, threads: int | None, work: Callable[[int, int], Any]) -> None:
    """work(first, last) on all segments of x (rows, size), a few pieces a thread."""
    count = len(x) * -(-x.shape[1] // SEGMENT)
    least = max(1, SEGMENT // max(x.shape[1], 1))
    over_blocks(count, threads, work, shared(count, threads, least))


def fake_quantize(x: Array, step: Array, low: int, high: int, threads: int | None = None) -> Array:
    """step * clip(round(x / step), low, high), ties to even, in the type of x.

    step  one number, or (len(x),): one for each x[i];  quotients are x times 1 / step
    """
    rows, steps, bounds = _prepared(x, step, low, high)
    out = np.empty_like(rows)
    args = (rows.shape[1], _flat(rows), steps, 1 / steps, *bounds, _flat(out))
    _over_segments(rows, threads, lambda lo, hi: round_segments(lo, hi, *args))
    return out.reshape(x.shape)


def fake_quantize_gradients(
    g: Array, x: Array, step: Array, low: int, high: int, threads: int | None = None
) -> tuple[Array, Array]:
    """(gradient of x, gradient of step) of `fake_quantize`, straight through the rounding."""
    rows, steps, bounds = _prepared(x, step, low, high)
    many, out = np.ascontiguousarray(g).reshape(rows.shape), np.empty_like(rows)
    sums = np.zeros((len(rows) * -(-rows.shape[1] // SEGMENT), LANES), rows.dtype)
    args = (rows.shape[1], _flat(rows), _flat(many), 1 / steps, *bounds, _flat(out), sums)
    _over_segments(rows, threads, lambda lo, hi: gradient_segments(lo, hi, *args))
    of_step = sums.sum(1, dtype=np.float64).reshape(len(rows), -1).sum(1)
    return out.reshape(x.shape), of_step.reshape(np.shape(step)).astype(x.dtype)


def _flat(rows: Array) -> Array:
    return rows.reshape(-1)


def _prepared(x: Array, step: Array, low: int, high: int) -> tuple[Array, Array, tuple[Any, Any]]:
    """(x as rows, their steps, bounds), all of the type of x."""
    steps = np.asarray(step, x.dtype).reshape(-1)
    rows = np.ascontiguousarray(x).reshape(len(steps), -1)
    return rows, steps, (x.dtype.type(low), x.dtype.type(high))
