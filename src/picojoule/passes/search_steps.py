"""Choose the steps of integers: least squared error, started from LSQ's rule.

Never the largest absolute value: at two bits that costs most of the accuracy
(shared facts: training, section 1.3).
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.format import FLOATS
from picojoule.graph.derive_methods import float_levels

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
    return float(row_steps(_picked(x), low, high)[0])


def one_float_step(x: np.ndarray, kind: str) -> float:
    """The step of least squared error of all of x, each number alone."""
    return float(float_steps(_picked(x), kind, one=True))


def _picked(x: np.ndarray) -> np.ndarray:
    """At most ELEMENTS_MAX elements as one row."""
    flat = np.asarray(x, np.float64).reshape(1, -1)
    return flat[:, :: -(-flat.size // ELEMENTS_MAX)]


FLOAT_OCTAVES = np.arange(-16, 9) / 8  # around the step that the largest number just fills
SPARE = 2  # shared exponents that the largest block leaves free, for weights that grow


def float_options(kind: str) -> tuple[tuple[str, int], ...]:
    """What `derive_methods.float_levels` takes of a format."""
    found = FLOATS[kind]
    return (("fraction", found.fraction), ("high", found.high), ("block", found.block),
            ("lift", found.lift))  # fmt: skip


def float_steps(x: np.ndarray, kind: str, *, one: bool) -> np.ndarray:
    """The step of least squared error of each row of x (rows, n), or `one` for all: float64.

    Blocks (rule T13) make steps an octave apart alike, so one suffices to search.
    """
    x, found, options = np.asarray(x, np.float64), FLOATS[kind], dict(float_options(kind))
    largest = np.abs(x).max(axis=1, initial=0.0)
    largest = np.full(len(x), largest.max(initial=0.0)) if one else largest
    room = found.high << max(found.lift - SPARE, 0)
    start = np.where(largest > 0, largest / room, 1.0)
    tried = start * 2.0 ** FLOAT_OCTAVES[:, None]
    score = np.stack([
        np.square(float_levels(x, steps, **options) * steps[:, None] - x).mean(axis=1)
        for steps in tried
    ])  # fmt: skip
    if one:
        return np.array(tried[score.sum(axis=1).argmin(), 0])
    return np.array(tried[score.argmin(axis=0), np.arange(len(x))])
