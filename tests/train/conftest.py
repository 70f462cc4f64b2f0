"""Small networks and data for training tests."""

import numpy as np
import pytest

from picojoule import nn


@pytest.fixture(scope="session")
def chip():
    from picojoule.target import load

    return load("loihi1")


@pytest.fixture(scope="session")
def array():
    from picojoule.target import load

    return load("systolic_int8")


@pytest.fixture(scope="session")
def data():
    """Four classes of noisy patterns of 12 values in 0..1: x (96, 12), y (96,)."""
    rng = np.random.Generator(np.random.Philox(key=[5, 0]))
    centres = rng.uniform(size=(4, 12))
    y = np.arange(96) % 4
    x = np.clip(centres[y] + rng.normal(0, 0.08, (96, 12)), 0, 1)
    return x.astype(np.float32), y


@pytest.fixture
def dense():
    return nn.dense_network([12, 16, 16, 4], seed=2, residual=True)


@pytest.fixture
def spiking():
    return nn.spiking_network([12, 20, 4], steps=10, seed=2, decay_u=0.7, decay_v=0.1)


@pytest.fixture
def recurrent():
    return nn.spiking_network([12, 16, 12, 4], steps=8, seed=3, recurrent=True, refractory=2)
