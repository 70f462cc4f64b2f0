"""Loops of tensor machines: integer matrix products, requantization, addition.

Simulator and trainer call the same three functions: `int_matmul`, `requantize_array` and
`add_array`.  Rules are numbered as in `docs/numerics.md`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.arithmetic import add_rescaled, narrow32, requantize, rounded_sum, significant
from picojoule.fixed.jit import jit
from picojoule.kernels.blas import matmul

Array = np.ndarray[Any, Any]


@jit
def matmul_rows(x, weight, bias, zero_in, out):
    """out[n, o] = narrow32(sum_i (x[n, i] - zero_in) * weight[o, i] + bias[o]).

    x, weight: any int (n, in), (out, in); bias int64 (out,); out int32 (n, out), written
    """
    for n in range(x.shape[0]):
        for o in range(weight.shape[0]):
            total = bias[o]
            for i in range(x.shape[1]):
                total += (np.int64(x[n, i]) - zero_in) * np.int64(weight[o, i])
            out[n, o] = narrow32(total)


@jit
def leave_rows(totals, shift, bias, out):
    """Rule T14 on each sum of rows (n, out).

    totals int64 (n, out); bias int64 (out,); out int32 (n, out), written
    """
    for n in range(totals.shape[0]):
        for o in range(totals.shape[1]):
            out[n, o] = rounded_sum(totals[n, o], shift, bias[o])


@jit
def requantize_rows(acc, multiplier, exponent, zero, low, high, out):
    """out[n, o] = requantize(acc[n, o], multiplier[o], exponent[o], zero, low, high).

    acc int32 (n, out); multiplier, exponent int64 (out,); out any int (n, out), written
    """
    for n in range(acc.shape[0]):
        for o in range(acc.shape[1]):
            value = np.int64(acc[n, o])
            out[n, o] = requantize(value, multiplier[o], exponent[o], zero, low, high)


@jit
def significant_rows(out, fraction):
    """Rule T15 on each integer of rows (n, out), in place."""
    for n in range(out.shape[0]):
        for o in range(out.shape[1]):
            out[n, o] = significant(np.int64(out[n, o]), fraction)


@jit
def add_rows(a, b, numbers, out):
    """out[i] = add_rescaled(a[i] - zero_a, b[i] - zero_b, ...), elementwise.

    a, b: any int (n,); out any int (n,), written
    numbers int64 (12,): zero_a, zero_b, left_shift, ma, ea, mb, eb, mo, eo, zero, low, high
    """
    for i in range(a.shape[0]):
        out[i] = add_rescaled(
            a[i] - numbers[0], b[i] - numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
            numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11],
        )  # fmt: skip


def matmul_carrier(reach: int) -> np.dtype[Any]:
    """The fastest type that holds every partial sum of magnitude up to `reach` exactly.

    A float product of integers is exact, in any order of summation, while no partial sum
    leaves the integers that the significand holds: 2**24 for float32, 2**53 for float64.
    """
    if reach < 1 << 24:
        return np.dtype(np.float32)
    return np.dtype(np.float64) if reach < 1 << 53 else np.dtype(np.int64)


def carrier_of(x_limit: int, weight: Array, bias: Array) -> np.dtype[Any]:
    """The fastest type in which every partial sum of a layer is exact, in any order.

    x_limit: largest magnitude of an input; weight int (out, ...); bias int (out,)
    """
    most = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1).max(initial=0)
    return matmul_carrier(x_limit * int(most) + _reach(bias))


def int_matmul(
    x: Array,
    weight: Array,
    bias: Array,
    zero_in: int = 0,
    *,
    x_limit: int | None = None,
    shift: int = 0,
    threads: int | None = 1,
) -> Array:
    """Rule T1: int32 (n, out) accumulators sum_i (x - zero_in) weight + bias, exactly.

    x int (n, in); weight int (out, in); bias int (out,).  Beyond 32 bits they wrap.
    x_limit: largest |x - zero_in|, where the caller knows it from formats; it is measured
    otherwise.  The carrier changes speed, never a bit.
    shift: sums are held whole and rounded by so many bits, then the bias is added (rule T14).
    """
    x_limit = _reach(x, zero_in) if x_limit is None else x_limit
    if shift:
        carrier = carrier_of(x_limit, weight, np.zeros(1, np.int64))
        totals = matmul(_shifted(x, zero_in, carrier), weight.astype(carrier).T, threads=threads)
        return leave(totals, shift, bias)
    carrier = carrier_of(x_limit, weight, bias)
    if carrier.kind == "i":
        out = np.empty((x.shape[0], weight.shape[0]), np.int32)
        matmul_rows(x, weight, np.asarray(bias, np.int64), zero_in, out)
        return out
    offset = bias.astype(carrier)
    acc = matmul(_shifted(x, zero_in, carrier), weight.astype(carrier).T, offset, threads=threads)
    return acc.astype(np.int64).astype(np.int32) if carrier.itemsize == 8 else acc.astype(np.int32)


def leave(totals: Array, shift: int, bias: Array) -> Array:
    """Rule T14 on every sum: int32 (..., out) of exact sums in any type that holds them."""
    rows = np.ascontiguousarray(totals.astype(np.int64)).reshape(-1, totals.shape[-1])
    out = np.empty(rows.shape, np.int32)
    leave_rows(rows, shift, np.array(bias, np.int64), out)
    return out.reshape(totals.shape)


def _reach(values: Array, zero: int = 0) -> int:
    if values.size == 0:
        return 0
    return max(abs(int(values.max()) - zero), abs(int(values.min()) - zero))


def _shifted(x: Array, zero: int, carrier: np.dtype[Any]) -> Array:
    if zero == 0:
        return x.astype(carrier)
    return np.subtract(x, zero, dtype=np.int64).astype(carrier)


def requantize_array(
    acc: Array,
    multiplier: Array,
    exponent: Array,
    zero: int,
    low: int,
    high: int,
    dtype: Any = np.int32,
    *,
    fraction: int = 0,
) -> Array:
    """Rule T6 on every element: int32 (n, out) accumulators to `dtype` (n, out) integers.

    multiplier int (out,), 0 or 2**30..2**31-1; exponent int (out,).
    `dtype` must hold low..high.  fraction: of results of few significant bits (T15), else 0.
    """
    out = np.empty(acc.shape, dtype)
    many = (np.array(multiplier, np.int64), np.array(exponent, np.int64))
    requantize_rows(np.ascontiguousarray(acc), *many, zero, low, high, out)
    if fraction:
        significant_rows(out, fraction)
    return out


def add_array(
    a: Array,
    b: Array,
    zero_a: int,
    zero_b: int,
    left_shift: int,
    scaling: Array,
    zero: int,
    low: int,
    high: int,
    dtype: Any = np.int32,
) -> Array:
    """Rule T7 on every element: the sum of two integer arrays of one shape, as `dtype`.

    scaling int (6,): multiplier and exponent of a, of b, and of the result
    """
    out = np.empty(a.shape, dtype)
    numbers = np.array([zero_a, zero_b, left_shift, *scaling, zero, low, high], np.int64)
    flat = (np.ascontiguousarray(a).ravel(), np.ascontiguousarray(b).ravel())
    add_rows(*flat, numbers, out.ravel())
    return out
