"""Products of our own tiles: the same as numpy's, with the same bits on any number of threads."""

import numpy as np
import pytest

from picojoule.fixed.jit import config
from picojoule.kernels.blas import matmul
from picojoule.kernels.product import ROWS, fits, product

compiled = pytest.mark.skipif(config.DISABLE_JIT, reason="numba is switched off")
RNG = np.random.Generator(np.random.Philox(key=[9, 0]))
SHAPES = [(3, 4, 5), (32, 1, 64), (33, 17, 65), (130, 300, 517), (2 * ROWS + 1, 16, 100)]


def laid_out(a):
    """The same numbers row by row, column by column, and as a part of a larger array."""
    wide = np.zeros((len(a) + 3, a.shape[1] + 5), a.dtype)
    wide[2:-1, 1:-4] = a
    return a, np.asfortranarray(a), wide[2:-1, 1:-4], wide.T.copy().T[2:-1, 1:-4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("relu", [False, True])
def test_products_are_numpys_for_every_layout(shape, relu, dtype):
    n, k, m = shape
    a, b, bias = (RNG.normal(size=s).astype(dtype) for s in ((n, k), (k, m), m))
    plain = a.astype(np.float64) @ b + bias
    plain = np.maximum(plain, 0) if relu else plain
    near = k * (1e-6 if dtype == np.float32 else 1e-14)
    for left in laid_out(a):
        for right in laid_out(b):
            found = matmul(left, right, bias, relu)
            assert found.dtype == dtype
            assert np.allclose(found, plain, rtol=0, atol=near)


@compiled
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_whole_numbers_are_exact(shape):
    """The last tile and panel write over their neighbours, the same numbers."""
    n, k, m = shape
    a, b = (RNG.integers(-99, 99, s).astype(np.float32) for s in ((n, k), (k, m)))
    none = np.zeros(m, np.float32)
    assert fits(a, b, none)
    for threads in (1, 2, 5):
        assert np.array_equal(product(a, b, none, threads=threads), a @ b)


@compiled
def test_bits_depend_neither_on_threads_nor_on_neighbours():
    a, b, bias = (RNG.normal(size=s).astype(np.float32) for s in ((130, 300), (300, 1100), 1100))
    one, *others = (product(a, b, bias, threads=threads) for threads in (1, 2, 5))
    assert all(np.array_equal(one, other) for other in others)
    part = product(a[50:], np.ascontiguousarray(b[:, 200:]), bias[200:])
    assert np.array_equal(part, one[50:, 200:])


def test_what_does_not_fit_goes_to_blas():
    none = np.zeros(100, np.float32)
    few, deep = np.ones((4, 100), np.float32), np.ones((40, 9000), np.float32)
    square = np.ones((100, 100), np.float32)
    assert not fits(few, square, none)
    assert not fits(deep, np.ones((9000, 100), np.float32), none)
    assert not fits(square[::-1], square, none)
    assert not fits(square, square, none.astype(np.float64))
    assert not fits(square, square, np.zeros((1, 100), np.float32))
    packed = np.zeros((100, 100), [("a", np.float32), ("b", np.int16)])["a"]  # 6 bytes apart
    assert not fits(packed, square, none)
    assert np.array_equal(matmul(packed, square, none), np.zeros((100, 100)))
    assert np.array_equal(matmul(square[::-1, ::-1], square), np.full((100, 100), 100.0))
    assert matmul(square, square, none.astype(np.float64)).dtype == np.float32


@compiled
def test_shapes_that_differ_are_refused():
    a, b, bias = np.ones((40, 70), np.float32), np.ones((71, 80), np.float32), np.ones(79)
    with pytest.raises(ValueError, match="core dimension"):
        matmul(a, b)
    with pytest.raises(ValueError, match="broadcast"):
        matmul(a, b[1:], bias.astype(np.float32))


def test_what_is_no_number_stays():
    a, b = np.ones((40, 8), np.float32), np.ones((8, 70), np.float32)
    a[7, 3] = np.nan
    found = matmul(a, b, relu=True)
    assert np.isnan(found[7]).all() and (np.delete(found, 7, 0) == 8).all()
