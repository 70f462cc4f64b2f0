"""Large products in panels: the same as numpy's, with the same bits on any number of threads."""

import numpy as np
import pytest

from picojoule.kernels.blas import matmul, one_blas_thread

RNG = np.random.Generator(np.random.Philox(key=[9, 0]))


@pytest.mark.parametrize("shape", [(3, 4, 5), (130, 300, 517), (256, 128, 1100), (4000, 40, 40)])
@pytest.mark.parametrize("relu", [False, True])
def test_products_are_numpys(shape, relu):
    n, k, m = shape
    a, b, bias = RNG.normal(size=(n, k)), RNG.normal(size=(k, m)), RNG.normal(size=m)
    plain = a @ b + bias
    plain = np.maximum(plain, 0) if relu else plain
    assert np.allclose(matmul(a, b, bias, relu), plain)
    assert np.allclose(matmul(np.asfortranarray(a), b.T.copy().T), a @ b)


def test_bits_do_not_depend_on_threads():
    a, b = RNG.normal(size=(130, 300)).astype(np.float32), RNG.normal(size=(300, 1100))
    b = b.astype(np.float32)
    with one_blas_thread():
        one, *others = (matmul(a, b, threads=threads) for threads in (1, 2, 5))
    assert all(np.array_equal(one, other) for other in others)
    assert one.dtype == np.float32
