"""Floating-point and block formats: their grids equal those of ml_dtypes and of the OCP rule."""

import numpy as np
import pytest

from picojoule.fixed.arithmetic import rounded_sum
from picojoule.fixed.format import FLOATS, Format, float_format, parse_format
from picojoule.graph.derive_methods import float_levels
from picojoule.passes.search_steps import float_options

ml_dtypes = pytest.importorskip("ml_dtypes", minversion="0.5")  # comes with onnx
# kind -> the independent implementation of an element, and its bits behind the point
PEERS = {
    "e4m3": (ml_dtypes.float8_e4m3fn, 9), "e5m2": (ml_dtypes.float8_e5m2, 16),
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 9), "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 16),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 4), "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 3),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 1),
}  # fmt: skip
RNG = np.random.Generator(np.random.Philox(key=[13, 0]))


def alone(kind):
    """Options of the format without shared exponents."""
    return {**dict(float_options(kind)), "block": 0, "lift": 0}


def codes(kind):
    """Every finite number of a format, as an integer in units of its smallest."""
    dtype, point = PEERS[kind]
    every = np.arange(256 if FLOATS[kind].bits == 8 else 1 << FLOATS[kind].bits, dtype=np.uint8)
    values = every.view(dtype).astype(np.float64)
    return np.unique(values[np.isfinite(values)] * 2.0**point).astype(np.int64)


@pytest.mark.parametrize("kind", PEERS)
def test_every_code_is_a_number_and_stays_what_it_is(kind):
    known = codes(kind)
    assert known[-1] == FLOATS[kind].high == -known[0]
    assert known[known > 0][0] == 1
    assert np.array_equal(float_levels(known[None], np.ones(()), **alone(kind))[0], known)
    assert float_format(kind).strays(known[:, None]) == 0


@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_what_is_no_code_is_a_stray(kind):
    """All integers for E4M3; around each code for E5M2."""
    known = codes(kind)
    tried = np.arange(known[0], known[-1] + 1) if kind == "e4m3" else np.unique(
        np.clip(known[:, None] + np.arange(-3, 4), known[0], known[-1]))  # fmt: skip
    stray = np.array([float_format(kind).strays(part) for part in tried.reshape(-1, 1, 1)[::97]])
    assert np.array_equal(stray == 0, np.isin(tried[::97], known))
    assert float_format(kind).strays(tried) == tried.size - known.size
    assert float_format(kind).strays(np.array([known[-1] + 1])) == 1


@pytest.mark.parametrize("kind", PEERS)
def test_rounding_equals_the_peer_s(kind):
    """Numbers of every size, ties between neighbours, and beyond the largest."""
    dtype, point = PEERS[kind]
    known = codes(kind)
    middles = (known[1:] + known[:-1]) / 2
    spread = RNG.normal(size=200_000) * 2.0 ** RNG.integers(-6, point + 19, 200_000)
    x = np.concatenate([middles, known, np.clip(spread, -4.0 * known[-1], 4.0 * known[-1])])
    x = x.astype(np.float32).astype(np.float64)
    clipped = np.clip(x, known[0], known[-1])  # peers overflow to NaN or infinity
    want = (clipped * 2.0**-point).astype(np.float32).astype(dtype).astype(np.float64) * 2.0**point
    found = float_levels(x[None], np.ones(()), **alone(kind))[0]
    assert np.array_equal(found, want.astype(np.int64))


def by_the_specification(x, kind):
    """OCP Microscaling formats 1.0, section 6.3: X = 2^(floor log2 max - emax), P = x / X."""
    dtype, point = PEERS[kind]
    largest = FLOATS[kind].high * 2.0**-point
    out = np.zeros(x.shape)
    for row in range(len(x)):
        for at in range(0, x.shape[1], 32):
            part = x[row, at : at + 32]
            most = np.abs(part).max()
            scale = 2.0 ** (np.floor(np.log2(most)) - np.floor(np.log2(largest)))
            element = np.clip(part / scale, -largest, largest).astype(np.float32).astype(dtype)
            out[row, at : at + 32] = element.astype(np.float64) * scale
    return out


@pytest.mark.parametrize("kind", [k for k in PEERS if FLOATS[k].block])
def test_blocks_are_those_of_the_specification(kind):
    """Where a row's blocks differ by no more than `lift`, and its step is a power of two."""
    lift, point = FLOATS[kind].lift, PEERS[kind][1]
    x = RNG.normal(size=(40, 70)).astype(np.float32).astype(np.float64)
    x *= 2.0 ** np.repeat(RNG.integers(0, lift - 1, (40, 3)), [32, 32, 6], axis=1)
    smallest = np.stack([np.abs(part).max(1) for part in np.split(x, [32, 64], axis=1)]).min(0)
    emax = np.floor(np.log2(FLOATS[kind].high)) - point
    step = 2.0 ** (np.floor(np.log2(smallest)) - emax - point)
    level = float_levels(x, step, **dict(float_options(kind)))
    assert np.array_equal(level * step[:, None], by_the_specification(x, kind))
    assert float_format(kind).strays(level) == 0
    assert np.abs(level).max() > FLOATS[kind].high  # some exponent is shared


def test_mxint8_is_an_integer_in_each_block():
    x = RNG.normal(size=(3, 64)) * np.repeat([1.0, 8.0], 32)
    level = float_levels(x, np.full(3, 1 / 32), **dict(float_options("mxint8")))
    scale = 2 ** np.maximum(np.floor(np.log2(np.abs(x * 32).reshape(3, 2, 32).max(2))) - 6, 0)
    want = np.clip(np.rint(x * 32 / np.repeat(scale, 32, axis=1)), -127, 127)
    assert np.array_equal(level, want * np.repeat(scale, 32, axis=1))


def test_a_block_with_two_exponents_is_no_block():
    form = float_format("mxfp4")
    row = np.zeros((1, 40), np.int64)
    row[0, :2] = 12 << 7, 1 << 7  # one block: 12 and 1, shared exponent 7
    row[0, 32:] = 1  # another
    assert form.strays(row) == 0
    row[0, 2] = 1
    assert form.strays(row) == 1
    row[0, 2], row[0, 35] = 0, 5  # 2 significant bits
    assert form.strays(row) == 1
    assert form.strays(np.array(5)) == 1 and form.strays(np.array(6)) == 0
    assert [form.strays(np.zeros(shape, int)) for shape in [(0,), (0, 3), (3, 0)]] == [0, 0, 0]


@pytest.mark.parametrize("kind", FLOATS)
def test_formats_print_parse_and_count_their_bits(kind):
    form = float_format(kind)
    assert parse_format(str(form)) == form and str(form) == kind
    assert form.high <= np.iinfo(form.dtype).max and form.low == -form.high
    blocks = 3 if FLOATS[kind].block else 0
    assert form.packed_bits(5, 70) == 5 * (70 * form.bits + 8 * blocks)


def test_integers_have_no_strays_but_outside():
    assert Format(4).strays(np.array([-9, -8, 7, 8])) == 2
    assert Format(4).packed_bits(3, 7) == 84


def test_sums_leave_rounded_away_from_zero():
    """T14 against fractions, at ties and beside them."""
    for total in (*range(-40, 41), 2**50 + 4, -(2**50) - 4):
        exact = abs(total) / 8
        want = int(np.sign(total)) * int(np.floor(exact + 0.5))
        assert rounded_sum(total, 3, 0) == ((want + 2**31) % 2**32) - 2**31
    assert rounded_sum(11, 0, -4) == 7 and rounded_sum(2**31, 0, 0) == -(2**31)
