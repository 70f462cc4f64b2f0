"""Choose the steps of integers: least squared error, started from LSQ's rule.

Never the largest absolute value: at two bits that costs most of the accuracy
(shared facts: training, section 1.3).
"""

from __future__ import annotations

import numpy as np

OCTAVES = np.arange(-40, 25) / 8  # first grid: 2**-5 .. 2**3 of LSQ's start
FINE = np.arange(-7, 8) / 64  # second grid, around the best of the first
ELEMENTS_MAX = 1 << 16  # of activations, evenly picked


def start_step(x: np.ndarray, high: int) -> np.ndarray:
    """LSQ's first step, 2 mean|x| / sqrt(high), along the last axis; 1 where x is all zero.

    Source: Esser et al., Learned step size quantization, ICLR 2020, section 2.1.
    """
    mean = np.abs(x).mean(axis=-1)
    return np.where(mean > 0, 2 * mean / np.sqrt(max(high, 1)), 1.0)


def errors(x: np.ndarray, step: np.ndarray, low: int, high: int) -> np.ndarray:
    """Mean squared error of quantized x (rows, n) with a step for each row."""
    step = step[:, None]
    return np.square(np.clip(np.rint(x / step), low, high) * step - x).mean(axis=1)


def row_steps(x: np.ndarray, low: int, high: int) -> np.ndarray:
    """The step of least squared error of each row of x (rows, n): float64 (rows,)."""
    x = np.asarray(x, np.float64)
    best = start_step(x, high)
    for grid in (OCTAVES, FINE):
        tried = best[:, None] * 2.0**grid
        score = np.stack([errors(x, column, low, high) for column in tried.T])
        best = tried[np.arange(len(x)), score.argmin(axis=0)]
    return best


def one_step(x: np.ndarray, low: int, high: int) -> float:
    """The step of least squared error of all of x."""
    flat = np.asarray(x, np.float64).reshape(1, -1)
    flat = flat[:, :: -(-flat.size // ELEMENTS_MAX)]
    return float(row_steps(flat, low, high)[0])
