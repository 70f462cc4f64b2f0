"""Mantissas of synapses to the effective weights that the compiled loops add (rule S9)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from picojoule.kernels import delivery

Array = np.ndarray[Any, Any]

TABLE = 1 << 20  # most mantissas that are looked up rather than computed one by one


class Weights(NamedTuple):
    """Mantissas int (n,) of one delivery; values: the effective weights of all `codes`."""

    mantissa: Array
    codes: Array
    values: Array


def weigh(weight: Array, exponent: int, shift: int, weight_limit: int) -> Weights:
    """Effective weights of one delivery."""
    mantissa = _mantissas(weight)
    codes = _codes(mantissa)
    values = np.empty(codes.size, np.int64)
    delivery.effective_weights(codes, exponent, shift, weight_limit, values)
    return Weights(mantissa, codes, values)


def _mantissas(weight: Array) -> Array:
    """Flat, in one of two types, so that few kernels are compiled."""
    small = weight.dtype.itemsize == 1 or weight.dtype == np.int16
    return np.require(weight.ravel(), np.int16 if small else np.int64, ["C", "W"])


def _codes(mantissa: Array) -> Array:
    """All mantissas that can occur, ascending multiples of a power of two, int64.

    Where they are too many for a table: the mantissas as they come.
    """
    low, high = int(mantissa.min(initial=0)), int(mantissa.max(initial=0))
    if high - low > TABLE:
        return mantissa
    step = 1 << min(trailing_zeros(mantissa), 8)
    return np.arange(low - low % step, high + 1, step, dtype=np.int64)


def trailing_zeros(values: Array) -> int:
    together = int(np.bitwise_or.reduce(values)) if values.size else 0
    return min((together & -together).bit_length() - 1, 62) if together else 62


def packed(weights: Weights, unit: int) -> Array:
    """Effective weights / 2**unit in the smallest type that holds them, flat."""
    mantissa, codes, values = weights
    units = values >> unit
    low, high = int(units.min()), int(units.max())
    bits = next(b for b in (8, 16, 64) if -(1 << (b - 1)) <= low and high < 1 << (b - 1))
    if codes is mantissa:
        return units.astype(f"int{bits}")
    table = np.zeros(int(codes[-1] - codes[0]) + 1, f"int{bits}")
    table[codes - codes[0]] = units
    out = np.empty(mantissa.size, table.dtype)
    delivery.look_up(mantissa, int(codes[0]), table, out)
    return out
