"""Formats, casts, encoders and readouts."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.fixed.contract import Encoder, Events, events_from_raster
from picojoule.fixed.format import Cast, Format, parse_format


@given(st.integers(1, 64), st.booleans())
def test_format_prints_and_parses(bits, signed):
    made = Format(bits, signed)
    assert parse_format(str(made)) == made
    assert np.iinfo(made.dtype).min <= made.low and made.high <= np.iinfo(made.dtype).max
    assert made.high - made.low + 1 == 2**bits


@pytest.mark.parametrize("text", ["int0", "int65", "float8", "int-3", "int8 ", "", "uint"])
def test_not_a_format(text):
    with pytest.raises(ValueError, match="format"):
        parse_format(text)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("half_even", [-2, -2, 0, 0, 2, 2]),
        ("half_away", [-3, -2, -1, 1, 2, 3]),
        ("to_zero", [-2, -1, 0, 0, 1, 2]),
        ("floor", [-3, -2, -1, 0, 1, 2]),
    ],
)
def test_rounding(rounding, expected):
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert Cast(Format(8), rounding)(x).tolist() == expected


def test_overflow():
    x = np.array([127.0, 128.0, -129.0, 400.0])
    assert Cast(Format(8))(x).tolist() == [127, 127, -128, 127]
    assert Cast(Format(8), overflow="wrap")(x).tolist() == [127, -128, 127, -112]


@given(st.lists(st.floats(-1, 20), min_size=1, max_size=6), st.integers(1, 24))
def test_rate_encoder_spreads_spikes_evenly(values, steps):
    encoder = Encoder(kind="rate", shape=(len(values),), steps=steps, high=16.0)
    raster = encoder.events(np.array([values])).raster()[0]
    for value, train in zip(values, raster.T, strict=True):
        p = Fraction(round(min(max(value / 16.0, 0), 1) * 65536), 65536)
        expected = [floor((t + 1) * p) > floor(t * p) for t in range(steps)]
        assert train.tolist() == expected


def test_affine_encoder_rounds_half_even_and_saturates():
    encoder = Encoder(kind="affine", shape=(5,), step=0.5, zero=3)
    x = np.array([[0.25, 0.75, -0.25, 1000.0, -1000.0]])
    assert encoder.integers(x).tolist() == [[3, 5, 3, 127, -128]]
    assert encoder.integers(x).dtype == np.int8


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
def test_events_and_rasters_are_the_same(samples, steps, channels, seed):
    raster = np.random.default_rng(seed).random((samples, steps, channels)) < 0.4
    events = events_from_raster(raster)
    assert (events.raster() == raster).all()
    assert (events.take(1, samples).raster() == raster[1:]).all()
    longer = events.padded(steps + 2).raster()
    assert (longer[:, :steps] == raster).all() and not longer[:, steps:].any()
    assert isinstance(events, Events) and (events.padded(1).raster() == raster[:, :1]).all()
    carried = events_from_raster(raster * np.arange(2, 2 + channels, dtype=np.int32))
    for length in (1, steps + 2):
        made = carried.padded(length)
        kept = carried.raster()[:, :length]
        assert made.payload is not None and (made.raster()[:, :steps] == kept).all()
