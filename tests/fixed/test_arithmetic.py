"""The scalar definitions against independent arithmetic on Python's exact numbers."""

import doctest
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picojoule.fixed import arithmetic as fixed
from picojoule.fixed.profile import CLIP, UNLIMITED, WRAP

DOCS = Path(__file__).parents[2] / "docs"
int32 = st.integers(-(2**31), 2**31 - 1)
multipliers = st.integers(2**30, 2**31 - 1)


def both(name, *args):
    """The compiled function and the plain Python function must agree; returns their value."""
    kernel = getattr(fixed, name)
    compiled, plain = kernel(*args), kernel.py_func(*args)
    assert compiled == plain
    return compiled


def half_away(x: Fraction) -> int:
    whole = floor(abs(x) + Fraction(1, 2))
    return whole if x >= 0 else -whole


def half_up(x: Fraction) -> int:
    return floor(x + Fraction(1, 2))


def test_examples_of_the_numerics_page():
    found = doctest.testfile(str(DOCS / "numerics.md"), module_relative=False)
    assert found.attempted > 15 and found.failed == 0


@given(st.integers(-(2**50), 2**50), st.integers(0, 40))
def test_shr_to_zero_divides_and_truncates(x, bits):
    assert both("shr_to_zero", x, bits) == int(Fraction(x, 2**bits))


@given(st.integers(-(2**40), 2**40), st.integers(1, 30))
@example(2**21, 21)
@example(-(2**21) - 1, 21)
def test_wrap_is_two_complement(x, bits):
    wrapped = both("limit", x, WRAP, bits)
    assert -(2**bits) <= wrapped < 2**bits and (wrapped - x) % 2 ** (bits + 1) == 0


@given(st.integers(-(2**40), 2**40), st.integers(1, 30))
def test_clip_is_symmetric(x, bits):
    assert both("limit", x, CLIP, bits) == max(-(2**bits) + 1, min(2**bits - 1, x))
    assert both("limit", x, UNLIMITED, bits) == x


@given(int32, int32)
@example(-(2**31), -(2**31))
def test_high_multiply_rounds_half_up(a, b):
    exact = half_up(Fraction(a * b, 2**31))
    assert both("high_multiply", a, b) == min(exact, 2**31 - 1)


@given(int32, st.integers(0, 31))
def test_rounding_shift_ties_away(x, bits):
    assert both("rounding_shift", x, bits) == half_away(Fraction(x, 2**bits))


@given(int32, multipliers, st.integers(-31, 0))
def test_scale_rounds_twice(x, multiplier, exponent):
    once = half_up(Fraction(x * multiplier, 2**31))
    assert both("scale_double_round", x, multiplier, exponent) == half_away(
        Fraction(once, 2**-exponent)
    )


@given(st.integers(-(2**63), 2**63 - 1))
def test_narrow32_keeps_the_low_bits(x):
    narrow = both("narrow32", x) if abs(x) < 2**62 else int(np.int64(x).astype(np.int32))
    assert narrow == int(np.int64(x).astype(np.int32))


@given(st.integers(-256, 255), st.integers(-8, 7))
def test_effective_weight_floors_the_exponent(mantissa, exponent):
    exact = floor(Fraction(mantissa) * Fraction(2) ** exponent) * 64
    assert both("effective_weight", mantissa, exponent, 6, 0) == exact
    top = 2**21 - 64
    assert both("effective_weight", mantissa, exponent, 6, top) == max(-top, min(top, exact))


@pytest.mark.parametrize("refractory", [1, 2, 5])
def test_refractory_period_lasts_r_minus_one_steps(refractory):
    v = wait = u = 0
    fired = []
    for _ in range(12):
        u, _, v, wait, spike = both(
            "cuba_neuron", u, v, wait, 640, 0, 0, 4096, 600, refractory, 12, 1, 21, 1, 23, 2, 23
        )
        fired.append(spike)
    assert np.diff(np.flatnonzero(fired)).tolist() == [refractory] * (
        len(np.flatnonzero(fired)) - 1
    )
