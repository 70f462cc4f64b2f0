"""Layers that build Graphs."""

from picojoule.nn.layers import BatchNorm, CubaLif, Dense, Relu, Residual, sequential
from picojoule.nn.networks import (
    dense_network,
    digits_relu,
    digits_spiking,
    spiking_network,
)

__all__ = [
    "BatchNorm", "CubaLif", "Dense", "Relu", "Residual", "dense_network", "digits_relu",
    "digits_spiking", "sequential", "spiking_network",
]  # fmt: skip
