"""Steps are chosen by squared error, and beat both the largest value and LSQ's start."""

import numpy as np
import pytest

from picojoule.passes.search_steps import errors, one_step, row_steps, start_step


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
def test_step_is_near_the_best_of_a_fine_scan(bits, draw):
    rng = np.random.default_rng(bits)
    x = getattr(rng, draw)(size=(3, 4000))
    high = 2 ** (bits - 1) - 1
    found = errors(x, row_steps(x, -high, high), -high, high)
    scan = np.abs(x).max() / high * np.geomspace(0.02, 1.5, 800)
    best = np.min([errors(x, np.full(3, s), -high, high) for s in scan], axis=0)
    assert np.all(found <= 1.05 * best)


@pytest.mark.parametrize("bits", [2, 4])
def test_step_beats_max_abs_and_the_start(bits):
    x = np.random.default_rng(7).laplace(size=(1, 5000))
    high = 2 ** (bits - 1) - 1
    ours = errors(x, row_steps(x, -high, high), -high, high)
    assert np.all(ours < 0.7 * errors(x, np.abs(x).max(axis=1) / high, -high, high))
    assert np.all(ours < errors(x, start_step(x, high), -high, high))


def test_rows_are_independent_and_scale():
    x = np.random.default_rng(1).normal(size=(4, 300))
    together = row_steps(x, -7, 7)
    assert np.array_equal(together[2:3], row_steps(x[2:3], -7, 7))
    assert np.allclose(row_steps(x * 8, -7, 7), together * 8, rtol=1e-12)


def test_zeros_have_a_positive_step():
    assert row_steps(np.zeros((2, 5)), -7, 7).min() > 0
    assert one_step(np.zeros((3, 4)), 0, 15) > 0


def test_levels_that_are_already_integers_are_kept():
    levels = np.random.default_rng(3).integers(-7, 8, size=(1, 500)).astype(float)
    assert np.allclose(row_steps(levels * 0.3, -7, 7), 0.3, rtol=0.01)
