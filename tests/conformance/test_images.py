"""Rules T9 to T12 by their definitions, one sum at a time: no peer's recordings, but ours."""

import itertools

import numpy as np
import pytest

from picojoule.graph.derive import lookup_table
from picojoule.kernels.tensor_image import conv_rows, max_rows, sum_rows

pytestmark = pytest.mark.golden

RNG = np.random.default_rng(90)
HEIGHT, WIDTH = 5, 6
X = RNG.integers(-128, 128, (2, HEIGHT, WIDTH, 4))
PLACES = {"stride_y": 2, "stride_x": 1, "top": 1, "left": 2, "first_row": 1, "columns": 7,
          "rows": 2}  # fmt: skip


def seen(sample, row, column, a, b, channel, dilation=(1, 1)):
    """What the window of a result has at a place; None outside the image."""
    y = (PLACES["first_row"] + row) * PLACES["stride_y"] + a * dilation[0] - PLACES["top"]
    x = column * PLACES["stride_x"] + b * dilation[1] - PLACES["left"]
    inside = 0 <= y < HEIGHT and 0 <= x < WIDTH
    return int(X[sample, y, x, channel]) if inside else None


def results(channels):
    return itertools.product(range(2), range(PLACES["rows"]), range(PLACES["columns"]),
                             range(channels))  # fmt: skip


@pytest.mark.parametrize("first, count", [(0, 6), (3, 3), (1, 2)])
def test_t9_convolution(first, count):
    weight = RNG.integers(-127, 128, (count, 2, 3, 2))
    bias, zero_in, dilation = RNG.integers(-500, 500, count), -7, (1, 2)
    found = conv_rows(
        X, weight, bias, x_limit=135, zero_in=zero_in, dilation_y=1, dilation_x=2, groups=2,
        channels=6, first=first, **PLACES,
    )  # fmt: skip
    for n, p, q, o in results(count):
        total = int(bias[o])
        for i, a, b in itertools.product(range(2), range(3), range(2)):
            value = seen(n, p, q, a, b, (first + o) // 3 * 2 + i, dilation)
            total += 0 if value is None else (value - zero_in) * int(weight[o, i, a, b])
        assert found[n, p, q, o] == total


def windows(channels=4):
    for n, p, q, c in results(channels):
        values = [seen(n, p, q, a, b, c) for a in range(2) for b in range(3)]
        yield (n, p, q, c), [v for v in values if v is not None]


POOL = {"kernel_y": 2, "kernel_x": 3, **PLACES}


def test_t10_largest_of_a_window():
    found = max_rows(X.astype(np.int8), **POOL)
    assert all(found[place] == max(values) for place, values in windows())


def test_t11_sum_of_a_window():
    found = sum_rows(X, zero_in=-3, **POOL)
    assert all(found[place] == sum(v + 3 for v in values) for place, values in windows())


def test_t12_table():
    made = lookup_table(
        np.array(0.25), np.array(0.5), function=1, argument=0.5, first=-8, entries=16, zero_in=-2,
        zero=1, low=-1, high=3,
    )  # fmt: skip
    # (q + 2) / 4, halved below 0, in steps of 0.5: -0.75, -0.625, .. 0.25 .. to even; 1; clip
    exact = [(q + 2) / 4 * (1 if q > -2 else 0.5) / 0.5 for q in range(-8, 8)]
    assert exact[2] == -1.0 and exact[4] == -0.5 and exact[7] == 0.5
    assert made.tolist() == [-1, 0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3]
