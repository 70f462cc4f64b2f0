"""Tensor loops three ways: compiled, as Python, and against integers written another way."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.kernels import tensor as k

seeds = st.integers(0, 10**6)


def wrapped(x):
    return ((np.asarray(x, object) + 2**31) % 2**32 - 2**31).astype(np.int64)


def plain_matmul(x, weight, bias, zero):
    """Object integers: cannot round, cannot overflow."""
    big = (x.astype(object) - zero) @ weight.astype(object).T + bias.astype(object)
    return wrapped(big)


bits = st.integers(1, 32)


@given(seed=seeds, x_bits=bits, w_bits=bits, zero=st.integers(-200, 200))
@settings(max_examples=80, deadline=None)
def test_matmul_is_exact_on_every_carrier(seed, x_bits, w_bits, zero):
    rng = np.random.default_rng(seed)
    n, size, out = rng.integers(1, 9), rng.integers(1, 40), rng.integers(1, 9)
    x = rng.integers(-(2 ** (x_bits - 1)), 2 ** (x_bits - 1), (n, size))
    w = rng.integers(-(2 ** (w_bits - 1)), 2 ** (w_bits - 1), (out, size))
    bias = rng.integers(-(2**31), 2**31, out) >> rng.integers(0, 31)
    got = k.int_matmul(x, w, bias, zero)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, plain_matmul(x, w, bias, zero))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("zero", [0, -128, 127])
def test_matmul_at_the_ends_of_types(dtype, zero):
    info = np.iinfo(dtype)
    x = np.array([[info.min, info.max, 0]], dtype).clip(-(2**40), 2**40)
    w = np.array([[-128, 127, 1], [127, -128, 1]], np.int8)
    bias = np.array([2**31 - 1, -(2**31)], np.int32)
    np.testing.assert_array_equal(k.int_matmul(x, w, bias, zero), plain_matmul(x, w, bias, zero))


@pytest.mark.parametrize("reach, carrier", [
    (0, "float32"), (2**24 - 1, "float32"), (2**24, "float64"), (2**53 - 1, "float64"),
    (2**53, "int64"),
])  # fmt: skip
def test_carrier_at_its_limits(reach, carrier):
    assert k.matmul_carrier(reach) == np.dtype(carrier)


@pytest.mark.parametrize("size", [1040, 1041])
def test_float32_at_its_limit(size):
    """Sums of 2**24 - 1 and just above: one odd too many and float32 would lose the last bit."""
    x, w = np.full((1, size), 127, np.int8), np.full((1, size), 127, np.int8)
    for bias in (np.array([1]), np.array([2**24 - 1 - size * 127**2])):
        want = plain_matmul(x, w, bias, 0)
        np.testing.assert_array_equal(k.int_matmul(x, w, bias), want)
        np.testing.assert_array_equal(k.int_matmul(x, w, bias, x_limit=128), want)


def test_matmul_of_nothing():
    none = np.zeros((0, 3), np.int8)
    assert k.int_matmul(none, np.ones((2, 3), np.int8), np.zeros(2, int)).shape == (0, 2)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_integer_loops_three_ways(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-(2**31), 2**31, (3, 5)), rng.integers(-(2**31), 2**31, (2, 5))
    x, w = x >> rng.integers(0, 31), w >> rng.integers(1, 31)
    bias = rng.integers(-(2**31), 2**31, 2)
    outs = [np.zeros((3, 2), np.int32) for _ in range(2)]
    k.matmul_rows(x, w, bias, 5, outs[0])
    _python(k.matmul_rows)(x, w, bias, 5, outs[1])
    for out in outs:
        np.testing.assert_array_equal(out, plain_matmul(x, w, bias, 5))


def _python(kernel):
    return getattr(kernel, "py_func", kernel)


def plain_requantize(acc, multiplier, exponent, zero, low, high):
    return max(low, min(high, plain_scale(acc, multiplier, exponent) + zero))


def plain_scale(acc, multiplier, exponent):
    """Fractions: x * m / 2**31 to nearest, ties up; then / 2**-e to nearest, ties away."""
    shifted = ((acc << exponent) + 2**31) % 2**32 - 2**31 if exponent > 0 else acc
    high = floor(Fraction(shifted * multiplier, 2**31) + Fraction(1, 2))
    if exponent >= 0:
        return high
    size = floor(Fraction(abs(high), 2**-exponent) + Fraction(1, 2))
    return size if high >= 0 else -size


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_requantize_three_ways(seed):
    rng = np.random.default_rng(seed)
    acc = (rng.integers(-(2**31), 2**31, (4, 3)) >> rng.integers(0, 31, (4, 3))).astype(np.int32)
    m, e = rng.integers(2**30, 2**31, 3), rng.integers(-31, 5, 3)
    m[rng.random(3) < 0.1] = 0
    zero, low, high = -3, -128, 127
    want = [[plain_requantize(int(a), int(i), int(j), zero, low, high)
             for a, i, j in zip(row, m, e)] for row in acc]  # fmt: skip
    got = k.requantize_array(acc, m, e, zero, low, high)
    small = k.requantize_array(acc, m.astype(np.int32), e.astype(np.int8), zero, low, high, np.int8)
    slow = np.zeros(acc.shape, np.int32)
    _python(k.requantize_rows)(acc, m, e, zero, low, high, slow)
    assert got.dtype == np.int32 and small.dtype == np.int8
    for out in (got, small, slow):
        np.testing.assert_array_equal(out, want)


@given(seed=seeds)
@settings(max_examples=40, deadline=None)
def test_add_three_ways(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-128, 128, (2, 3, 4)).astype(np.int8)
    scaling = np.array([rng.integers(2**30, 2**31), -rng.integers(0, 8),
                        rng.integers(2**30, 2**31), -rng.integers(0, 8),
                        rng.integers(2**30, 2**31), -rng.integers(14, 24)])  # fmt: skip
    ma, ea, mb, eb, mo, eo = map(int, scaling)
    want = np.zeros((3, 4), int)
    for at in np.ndindex(3, 4):
        wide = plain_scale((int(a[at]) + 7) << 20, ma, ea)
        wide += plain_scale((int(b[at]) - 9) << 20, mb, eb)
        want[at] = max(-100, min(90, plain_scale(wide, mo, eo) + 4))
    got = k.add_array(a, b, -7, 9, 20, scaling, 4, -100, 90)
    slow = np.zeros(12, np.int32)
    numbers = np.array([-7, 9, 20, *scaling, 4, -100, 90])
    _python(k.add_rows)(a.ravel(), b.ravel(), numbers, slow)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(slow.reshape(3, 4), want)
