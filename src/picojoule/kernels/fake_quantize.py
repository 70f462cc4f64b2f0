"""Rounding to a grid and back in one pass, and the gradients of a learned step in another.

Work is cut into segments of a row: rows are channels with a step of their own, or one row is
all.  Segments depend on shapes only, so bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks

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


def _segments(rows: int, size: int) -> list[tuple[int, slice]]:
    return [
        (row, slice(lo, min(lo + SEGMENT, size)))
        for row in range(rows)
        for lo in range(0, size, SEGMENT)
    ]


def fake_quantize(x: Array, step: Array, low: int, high: int, threads: int | None = None) -> Array:
    """step * clip(round(x / step), low, high), ties to even, in the type of x.

    step  one number, or (len(x),): one for each x[i];  quotients are x times 1 / step
    """
    rows, steps, numbers = _prepared(x, step, low, high)
    out = np.empty_like(rows)
    segments = _segments(*rows.shape)

    def work(first: int, last: int) -> None:
        for row, at in segments[first:last]:
            round_segment(rows[row, at], steps[row], 1 / steps[row], *numbers, out[row, at])

    over_blocks(len(segments), threads, work, 1 if rows.shape[1] >= SEGMENT else 16)
    return out.reshape(x.shape)


def fake_quantize_gradients(
    g: Array, x: Array, step: Array, low: int, high: int, threads: int | None = None
) -> tuple[Array, Array]:
    """(gradient of x, gradient of step) of `fake_quantize`, straight through the rounding."""
    rows, steps, numbers = _prepared(x, step, low, high)
    many, out = np.ascontiguousarray(g).reshape(rows.shape), np.empty_like(rows)
    segments = _segments(*rows.shape)
    sums = np.zeros((len(segments), LANES), rows.dtype)

    def work(first: int, last: int) -> None:
        for k in range(first, last):
            row, at = segments[k]
            gradient_segment(
                rows[row, at], many[row, at], 1 / steps[row], *numbers, out[row, at], sums[k]
            )

    over_blocks(len(segments), threads, work, 1 if rows.shape[1] >= SEGMENT else 16)
    of_step = sums.sum(1, dtype=np.float64).reshape(len(rows), -1).sum(1)
    return out.reshape(x.shape), of_step.reshape(np.shape(step)).astype(x.dtype)


def _prepared(x: Array, step: Array, low: int, high: int) -> tuple[Array, Array, tuple[Any, Any]]:
    """(x as rows, their steps, bounds), all of the type of x."""
    steps = np.asarray(step, x.dtype).reshape(-1)
    rows = np.ascontiguousarray(x).reshape(len(steps), -1)
    return rows, steps, (x.dtype.type(low), x.dtype.type(high))
