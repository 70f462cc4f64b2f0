"""Layers that build Graphs."""

from picojoule.nn.image import (
    AveragePool,
    Conv,
    Elu,
    Flatten,
    GlobalAveragePool,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Tanh,
)
from picojoule.nn.layers import BatchNorm, CubaLif, Dense, Relu, Residual, sequential
from picojoule.nn.networks import (
    dense_network,
    digits_relu,
    digits_spiking,
    spiking_network,
)

__all__ = [
    "AveragePool", "BatchNorm", "Conv", "CubaLif", "Dense", "Elu", "Flatten",
    "GlobalAveragePool", "LeakyRelu", "MaxPool", "Relu", "Residual", "Sigmoid", "Tanh",
    "dense_network", "digits_relu", "digits_spiking", "sequential", "spiking_network",
]  # fmt: skip
