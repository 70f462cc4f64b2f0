"""Whole networks in one call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph
from picojoule.nn.layers import BatchNorm, CubaLif, Dense, Layer, Relu, Residual, sequential


def dense_network(
    sizes: Sequence[int], *, seed: int, high: float = 1.0, batch_norm: bool = True,
    residual: bool = False, name: str = "dense",
) -> Graph:  # fmt: skip
    """Dense, BatchNorm, Relu layers; the last one is Dense alone.

    sizes     features of the input, of each hidden layer, of the output
    high      largest input value, which becomes integer 127 of the 8-bit input
    residual  a hidden layer as large as the one before it is added to it
    """
    layers: list[Layer] = []
    for size, features in pairwise(sizes[:-1]):
        block: tuple[Layer, ...] = (Dense(features, bias=not batch_norm),)
        block += (BatchNorm(),) if batch_norm else ()
        joined = residual and bool(layers) and size == features
        layers += [Residual(block) if joined else block[0]]
        layers += [] if joined else list(block[1:])
        layers.append(Relu())
    layers.append(Dense(sizes[-1], init="xavier"))
    encoder = Encoder(kind="affine", shape=(sizes[0],), step=high / 127)
    return sequential(layers, encoder=encoder, readout=Readout(), seed=seed, name=name)


def spiking_network(
    sizes: Sequence[int], *, steps: int, seed: int, high: float = 1.0, decay_u: float = 0.5,
    decay_v: float = 0.25, recurrent: bool = False, refractory: int = 1, name: str = "spiking",
) -> Graph:  # fmt: skip
    """CUBA-LIF layers behind a rate encoder; the class with most spikes is the answer.

    high  the value of a sample that spikes in every step
    """
    last = len(sizes) - 2
    layers = [
        CubaLif(
            features=n, decay_u=decay_u, decay_v=decay_v, refractory=refractory,
            recurrent=recurrent and k < last, rate=0.4 if k == 0 else 0.1,
        )
        for k, n in enumerate(sizes[1:])
    ]  # fmt: skip
    encoder = Encoder(kind="rate", shape=(sizes[0],), steps=steps, high=high)
    return sequential(
        layers, encoder=encoder, readout=Readout(kind="count"), seed=seed, name=name, steps=steps
    )


def digits_relu(seed: int) -> Graph:
    """64-96-96-10 with batch norm and a residual block, for 8x8 images of values 0..16."""
    return dense_network([64, 96, 96, 10], seed=seed, high=16.0, residual=True,
                         name="digits_relu")  # fmt: skip


def digits_spiking(seed: int) -> Graph:
    """64-256-10 CUBA-LIF neurons; in 16 steps the rate code of 0..16 loses nothing."""
    return spiking_network([64, 256, 10], steps=16, seed=seed, high=16.0, decay_u=0.7,
                           decay_v=0.1, name="digits_spiking")  # fmt: skip
