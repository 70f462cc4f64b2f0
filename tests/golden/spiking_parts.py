"""What the designs of spiking networks share."""

from __future__ import annotations

import numpy as np

TOP = 131071  # largest threshold mantissa: silent unless a voltage clips there


def random_raster(rng, steps, channels, rate, quiet=0):
    raster = rng.random((steps, channels)) < rate
    raster[steps - quiet :] = False
    return raster


def random_weights(rng, shape, low, high, multiple=2, density=1.0):
    w = rng.integers(low // multiple, high // multiple + 1, shape) * multiple
    return np.where(rng.random(shape) < density, w, 0)
