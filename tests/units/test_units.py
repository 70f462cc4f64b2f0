"""The quantity grammar: what it reads, and what it must refuse."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule import units


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("23.6 pJ", "energy", 2.36e-11),
        ("5.9 µJ", "energy", 5.9e-6),
        ("5.9 uJ", "energy", 5.9e-6),
        ("5.9 \N{GREEK SMALL LETTER MU}J", "energy", 5.9e-6),
        ("3.5 ns", "time", 3.5e-9),
        ("-2e3 ps", "time", -2e-9),
        ("104 mW", "power", 0.104),
        ("500 MHz", "frequency", 5e8),
        ("1048576 bit", "memory", 131072.0),
        ("64 KiB", "memory", 65536.0),
        ("0 J", "energy", 0.0),
    ],
)
def test_reads_to_the_nearest_double(text, kind, value):
    assert units.parse(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("23,6 pJ", "energy", "comma"),
        ("1 cycle", "energy", "no unit of energy"),
        ("1 cycle", "time", "no unit of time"),
        ("nan pJ", "energy", "not a number"),
        ("inf pJ", "energy", "not a number"),
        ("1e999 J", "energy", "out of range"),
        ("1e-999 J", "energy", "out of range"),
        ("1e99999 J", "energy", "not a number"),
        ("23.6", "energy", "has no unit"),
        ("23.6 ", "energy", "has no unit"),
        ("", "energy", "not a number"),
        (" 1 pJ", "energy", "not a number"),
        ("23.6pJ", "energy", "not a number"),
        ("23.6  pJ", "energy", "no unit of energy"),
        ("1_000 pJ", "energy", "not a number"),
        ("0x10 pJ", "energy", "not a number"),
        (".5 pJ", "energy", "not a number"),
        ("5. pJ", "energy", "not a number"),
        ("١ pJ", "energy", "not a number"),
        ("1 ns", "energy", "no unit of energy"),
        ("1 PJ", "energy", "no unit of energy"),
        ("1 MW", "power", "no unit of power"),
        ("1 kB", "memory", "no unit of memory"),
        ("1 pJ pJ", "energy", "no unit of energy"),
        ("1 pJ\n", "energy", "no unit of energy"),
        (23.6, "energy", "has no unit"),
        (True, "energy", "has no unit"),
        (None, "energy", "has no unit"),
    ],
)
def test_refuses(text, kind, words):
    with pytest.raises(ValueError, match=words):
        units.parse(text, kind)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.367e-6, "J", "2.37 µJ"),
        (23.6e-12, "J", "23.6 pJ"),
        (0.104, "W", "104 mW"),
        (999.96e-9, "s", "1.00 µs"),
        (9.996, "W", "10.0 W"),
        (1e-15, "J", "1.00 fJ"),
        (1e-18, "J", "1.00e-18 J"),
        (1e16, "Hz", "1.00e+16 Hz"),
        (5e8, "Hz", "500 MHz"),
        (1000.0, "J", "1.00 kJ"),
        (-0.0025, "J", "-2.50 mJ"),
        (0.0, "J", "0 J"),
        (65536, "B", "64 KiB"),
        (1000, "B", "1000 B"),
        (1.5 * 2**20, "B", "1.5 MiB"),
    ],
)
def test_prints_three_digits_and_a_prefix(value, unit, text):
    assert units.format(value, unit) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_does_not_print_what_is_not_finite(value):
    with pytest.raises(ValueError, match="not finite"):
        units.format(value, "J")


@given(st.floats(min_value=1e-15, max_value=9e-1))
def test_what_is_printed_reads_back_within_half_a_digit(value):
    assert math.isclose(units.parse(units.format(value, "J"), "energy"), value, rel_tol=5.01e-3)


@given(st.text(max_size=12), st.sampled_from(sorted(units.UNITS)))
def test_any_text_gives_a_finite_number_or_a_value_error(text, kind):
    try:
        value = units.parse(text, kind)
    except ValueError:
        return
    assert math.isfinite(value)
