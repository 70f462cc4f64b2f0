"""Rules T13 to T15 by their definitions, on both engines: no peer's recordings, but ours."""

import itertools

import numpy as np
import pytest

from picojoule.fixed.format import FLOATS, float_format
from picojoule.graph.derive_methods import float_levels
from picojoule.kernels.tensor import int_matmul, requantize_array
from picojoule.kernels.tensor_image import conv_rows
from picojoule.sim.reference import _left as left
from picojoule.sim.reference_image import limited

pytestmark = pytest.mark.golden

RNG = np.random.default_rng(130)


def nearest(v, kind):
    """The number nearest to a quotient, of two the one with the even significand, by search."""
    found = FLOATS[kind]
    exponents = itertools.count(found.fraction)
    grid = set(range(2 << found.fraction))
    for e in itertools.takewhile(lambda e: 1 << e <= found.high, exponents):
        grid |= {m << (e - found.fraction) for m in range(1 << found.fraction, 2 << found.fraction)}
    numbers = sorted(n for n in grid if n <= found.high)
    order = {n: k for k, n in enumerate(numbers)}  # even places have even significands
    best = min(numbers, key=lambda n: (abs(abs(v) - n), order[n] % 2))
    return best if v >= 0 else -best


@pytest.mark.parametrize("kind", ["e4m3", "e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4"])
def test_t13_each_alone(kind):
    high = FLOATS[kind].high
    quarters = RNG.integers(-80, 80, 60) / 4
    v = np.concatenate([quarters, np.exp(RNG.uniform(0, np.log(1.5 * high), 60)), [-2.0 * high]])
    found = FLOATS[kind]
    level = float_levels(v[None], np.ones(1), fraction=found.fraction, high=high, block=0, lift=0)
    assert level[0].tolist() == [nearest(value, kind) for value in v]
    assert float_format(kind).strays(level) == 0


def test_t13_blocks():
    """Quotients of 1/2 a step; the second block has exponent 3, the last is short and has 7."""
    x = np.zeros((1, 70))
    x[0, :3], x[0, 32:35], x[0, 64:66] = (3, 7, 0.5), (40, 96, 24), (12 << 12, 128)
    level = float_levels(x / 2, np.full(1, 0.5), fraction=1, high=12, block=32, lift=7)
    assert level[0, :3].tolist() == [3, 8, 0]
    assert level[0, 32:35].tolist() == [32, 96, 24]
    assert level[0, 64:66].tolist() == [12 << 7, 128]
    assert float_format("mxfp4").strays(level) == 0


@pytest.mark.parametrize("fraction", [1, 3])
def test_t15_results(fraction):
    """Every integer of 9 bits, halved exactly, clamped to 288, which is a number of 4 bits."""
    acc = 2 * np.arange(-511, 512)[None]
    grid = [m << e for e in range(9) for m in range(2 << fraction)]
    size = acc.shape[1]
    one, none = np.full(size, 1 << 30), np.zeros(size, np.int64)
    args = {"zero": 0, "low": -288, "high": 288, "fraction": fraction, "channels": size, "first": 0}
    found = requantize_array(acc, one, none, 0, -288, 288, fraction=fraction)[0]
    engine = limited(args, acc // 2)[0]
    for value, got, also in zip((acc // 2)[0].tolist(), found, engine, strict=True):
        size_of = min(abs(value), 256 + 32)
        below = max(n for n in grid if n <= size_of)
        above = min(n for n in grid if n >= size_of)
        even = below if (below & -below).bit_length() > (above & -above).bit_length() else above
        two = size_of - below, above - size_of
        want = even if two[0] == two[1] else below if two[0] < two[1] else above
        assert got == also == (want if value >= 0 else -want), value


def rounded(total, shift, bias):
    """T14 in Python's own integers."""
    most = (abs(total) * 2 + (1 << shift)) // (2 << shift)
    return ((most if total >= 0 else -most) + bias + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("size", [12, 2**38])
def test_t14_products_leave_rounded(size):
    """Sums that float32, float64 and only int64 hold; every third a tie."""
    shift, zero = 5, -3
    x, weight = RNG.integers(-128, 128, (9, 6)), RNG.integers(-size, size, (3, 6))
    x[::3] = zero
    x[::3, 0], weight[:, 0] = zero + 1, [16, -48, 16 + 32 * size]
    bias = np.array([5, -7, 2**20])
    totals = (x - zero).astype(object) @ weight.T.astype(object)
    want = [[rounded(t, shift, int(b)) for t, b in zip(row, bias)] for row in totals]
    assert int_matmul(x, weight, bias, zero, shift=shift).tolist() == want
    assert left((x - zero) @ weight.T, shift, bias).tolist() == want


def test_t14_convolutions_leave_rounded():
    x, weight = RNG.integers(-9, 9, (1, 1, 5, 2)), RNG.integers(-(2**36), 2**36, (2, 2, 1, 1))
    x[0, 0, :2] = (1, 0), (-1, 0)
    weight[:, 0], bias = [[[8]], [[24]]], np.array([3, -3])
    found = conv_rows(
        x, weight, bias, x_limit=9, zero_in=0, stride_y=1, stride_x=1, top=0, left=0, dilation_y=1,
        dilation_x=1, groups=1, channels=2, first=0, first_row=0, columns=5, rows=1, shift=4,
    )  # fmt: skip
    for q, o in itertools.product(range(5), range(2)):
        total = sum(int(x[0, 0, q, i]) * int(weight[o, i, 0, 0]) for i in range(2))
        assert found[0, 0, q, o] == rounded(total, 4, int(bias[o]))
