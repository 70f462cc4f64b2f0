"""The settings of the digits demo reach what they promise."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.demo.digits import digits
from picojoule.errors import UsageError
from picojoule.train import accuracy, recipes


@pytest.fixture(scope="module")
def split():
    train, test = digits()
    return (train.x, train.y), (test.x, test.y)


@pytest.fixture(scope="module")
def relu(split):
    return recipes.fit_digits(nn.digits_relu(0), *split[0], seed=0)


def test_the_relu_network_learns_digits(relu, split):
    assert accuracy(relu, *split[1]) >= 0.97


@pytest.mark.parametrize("bits, loss", [(8, 0.005), (4, 0.01), (2, 0.025)])
def test_few_bits_cost_little(relu, split, array, bits, loss):
    graph, _ = recipes.tune_digits(relu, array, *split[0], bits=bits, activation_bits=bits, seed=0)
    assert accuracy(graph, *split[1]) >= accuracy(relu, *split[1]) - loss


@pytest.mark.slow
def test_the_spiking_network_learns_digits_and_keeps_them(split, chip):
    graph = recipes.fit_digits(nn.digits_spiking(0), *split[0], seed=0)
    real = accuracy(graph, *split[1])
    assert real >= 0.97
    for bits, loss in ((8, 0.01), (4, 0.02)):
        tuned, _ = recipes.tune_digits(graph, chip, *split[0], bits=bits, seed=0)
        assert accuracy(tuned, *split[1]) >= real - loss


def test_images_must_be_vectors(split):
    (x, y), _ = split
    with pytest.raises(UsageError, match=r"PJ802.*\[1438, 8, 8\]"):
        recipes.fit_digits(nn.digits_relu(0), np.reshape(x, (-1, 8, 8)), y, seed=0)
