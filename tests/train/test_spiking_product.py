"""The product of few rows that goes back through loops, against numpy's."""

import numpy as np
import pytest

from picojoule.kernels import train_product
from picojoule.kernels.train_product import HIGH, WIDE, add_product

SHAPES = [(4, 256, 256), (8, 20, 100), (5, 37, 83), (3, 9, WIDE), (1, 1, 1), (16, 2, WIDE + 1),
          (4, 0, 7)]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_adds_the_product_and_nothing_of_what_lies_behind(shape, dtype):
    rows, depth, columns = shape
    rng = np.random.Generator(np.random.Philox(key=[2, 0]))
    a = rng.normal(size=(rows, depth)).astype(dtype)
    flat = np.full(depth * columns + WIDE, np.nan, dtype)
    b = flat[: depth * columns].reshape(depth, columns)
    b[:] = rng.normal(size=b.shape)
    out = rng.normal(size=(rows + 1, columns)).astype(dtype)
    wanted, room = out.copy(), np.zeros((1 + HIGH, WIDE), dtype)
    wanted[:rows] += a @ b
    add_product(a, b, room, out[:rows])
    close = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(out, wanted, rtol=0, atol=close)
    assert np.array_equal(out[rows], wanted[rows]) and not room[0].any()


def test_rows_do_not_depend_on_how_many_there_are():
    """A block of four is the same alone or among others: cuts of a batch move no bit."""
    rng = np.random.Generator(np.random.Philox(key=[2, 1]))
    a = rng.normal(size=(12, 50)).astype(np.float32)
    flat = rng.normal(size=50 * 70 + WIDE).astype(np.float32)
    b, room = flat[: 50 * 70].reshape(50, 70), np.zeros((1 + HIGH, WIDE), np.float32)
    whole, parts = np.zeros((2, 12, 70), np.float32)
    add_product(a, b, room, whole)
    for i in range(0, 12, HIGH):
        add_product(a[i : i + HIGH], b, room, parts[i : i + HIGH])
    assert np.array_equal(whole, parts)


def test_loops_stand_in_where_there_are_no_tiles(monkeypatch):
    monkeypatch.setattr(train_product, "TILES", False)
    plain = getattr(add_product, "py_func", add_product)
    a, b = np.ones((6, 5), np.float32), np.ones((5, 3), np.float32)
    out = np.ones((6, 3), np.float32)
    plain(a, b, np.zeros((1 + HIGH, WIDE), np.float32), out)
    assert (out == 6).all()
