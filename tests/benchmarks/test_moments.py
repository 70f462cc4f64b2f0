"""Images as moments of spikes, for the accuracy script of spiking networks."""

import numpy as np
from benchmarks.accuracy.spiking import as_moments, mirrored


def test_the_brighter_a_pixel_the_earlier_it_fires_once():
    grey = np.array([1.0, 0.95, 0.93, 0.5, 0.13, 0.07, 0.06, 0.0], np.float32)
    raster = as_moments(grey.reshape(1, 2, 4, 1), 8)
    assert raster.dtype == bool and raster.shape == (1, 8, 2, 4, 1)
    fired = raster.reshape(8, 8)
    assert fired.sum(0).tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    assert fired[:, :6].argmax(0).tolist() == [0, 0, 1, 4, 7, 7]


def test_mirrored_swaps_left_and_right_of_whole_samples():
    x = np.random.default_rng(0).random((64, 3, 4, 5, 1)) < 0.3
    kept = x.copy()
    out = mirrored(x, np.random.default_rng(1))
    turned = (out == x[:, :, :, ::-1]).all((1, 2, 3, 4))
    same = (out == x).all((1, 2, 3, 4))
    assert (turned | same).all() and 16 < turned.sum() < 48
    assert np.array_equal(x, kept)
