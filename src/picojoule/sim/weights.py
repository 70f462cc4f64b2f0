"""Mantissas of synapses to the effective weights that the compiled loops add (rule S9)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from picojoule.kernels import delivery

Array = np.ndarray[Any, Any]

TABLE = 1 << 20  # most mantissas that are looked up rather than computed one by one


class Weights(NamedTuple):
    """Effective weights of one delivery: of the mantissas first, first + step, ..., or, with
    step 0, of each synapse.

    values  int64
    """

    first: int
    step: int
    values: Array


def weigh(weight: Array, exponent: int, shift: int, weight_limit: int) -> Weights:
    """Effective weights of one delivery; those of each synapse only where a table is too long."""
    mantissa = _mantissas(weight)
    low, high = int(mantissa.min(initial=0)), int(mantissa.max(initial=0))
    step = 1 << min(trailing_zeros(mantissa), 8)
    first, codes = low - low % step, mantissa
    if high - low > TABLE:
        first = step = 0
    else:
        codes = np.arange(first, high + 1, step, dtype=np.int64)
    values = np.empty(codes.size, np.int64)
    delivery.effective_weights(codes, exponent, shift, weight_limit, values)
    return Weights(first, step, values)


def _mantissas(weight: Array) -> Array:
    """Flat, in one of two types, so that few kernels are compiled."""
    small = weight.dtype.itemsize == 1 or weight.dtype == np.int16
    return np.require(weight.ravel(), np.int16 if small else np.int64, ["C", "W"])


def trailing_zeros(values: Array) -> int:
    together = int(np.bitwise_or.reduce(values)) if values.size else 0
    return min((together & -together).bit_length() - 1, 62) if together else 62


def bits_of(weights: Weights, unit: int) -> int:
    """Bits of the smallest type that holds effective weights / 2**unit."""
    units = weights.values >> unit
    low, high = int(units.min(initial=0)), int(units.max(initial=0))
    return next(b for b in (8, 16, 64) if -(1 << (b - 1)) <= low and high < 1 << (b - 1))


def fill(out: Array, weights: Weights, weight: Array, unit: int) -> None:
    """Write effective weights / 2**unit of the mantissas `weight`, flat."""
    units = weights.values >> unit
    if weights.step == 0:
        out[:] = units
        return
    table = np.zeros((units.size - 1) * weights.step + 1, out.dtype)
    table[:: weights.step] = units
    delivery.look_up(_mantissas(weight), weights.first, table, out)
