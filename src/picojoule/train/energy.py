"""Energy in the loss: what an inference costs on the target, as a function that has a gradient.

On a tensor machine the price of a layer falls with the bits of its weights.  During training
bits are a real number, 1 + log2(1 + mean over rows of max|w| / step), whose gradient reaches
weights and steps; what a bit of each layer costs comes from the machine's own prices.
`commit` then gives each layer the nearest bits that the machine offers, for a last fine-tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import ops
from picojoule.grad.tape import Tensor, apply
from picojoule.graph import Graph
from picojoule.target import Target
from picojoule.train.methods import layers
from picojoule.train.mixed import energy_of, with_weight_bits
from picojoule.train.model import Pass
from picojoule.train.options import Penalty

Array = np.ndarray
OFFERED = (8, 4, 2)  # bits, most first


@dataclass(frozen=True)
class BitPrices:
    """Joules of an inference as a line in the bits of each layer.

    at_bits  bits of the layers where it was measured, and `energy_j` there; joules a bit
    """

    energy_j: float
    at_bits: dict[str, int]
    joules_a_bit: dict[str, float]

    def energy(self, bits: dict[str, float]) -> float:
        """Joules of an inference whose layers have these bits."""
        more = (self.joules_a_bit[n] * (b - self.at_bits[n]) for n, b in bits.items())
        return self.energy_j + sum(more)


def bit_prices(live: Graph, target: Target, x: Array, fewer: int = 4) -> BitPrices:
    """Price a live graph as it is, and with each layer in turn at `fewer` bits."""
    whole = energy_of(live, target, x[:1])
    now = {layer.name: layer.high.bit_length() + 1 for layer in layers(live)}
    slopes = {}
    for name, bits in now.items():
        other = fewer if bits != fewer else fewer // 2
        cheaper = energy_of(with_weight_bits(live, name, other), target, x[:1])
        slopes[name] = (whole - cheaper) / (bits - other)
    return BitPrices(whole, now, slopes)


def real_bits(live: Graph) -> dict[str, float]:
    """Bits of each layer as the loss sees them."""
    return {
        layer.name: float(_bits(layer.rows, live.value(layer.real), live.value(layer.step))[0])
        for layer in layers(live)
    }


def energy(prices: BitPrices, strength: float) -> Penalty:
    """strength times the energy of an inference, in parts of what it was at first."""
    return partial(_energy, prices, strength)


def _energy(prices: BitPrices, strength: float, made: Pass) -> Tensor:
    total = Tensor(np.zeros((), np.float32))
    for layer in layers(made.graph):
        factor = strength * prices.joules_a_bit[layer.name] / prices.energy_j
        bits = apply(partial(_bits, layer.rows), partial(_bits_vjp, layer.rows),
                     made.known[layer.real], made.known[layer.step])  # fmt: skip
        total = ops.add(total, ops.scale(bits, factor))
    return total


def _bits(rows: bool, x: Array, step: Array) -> tuple[Array, Any]:
    flat = np.asarray(x, np.float64).reshape(len(x) if rows else 1, -1)
    largest = np.abs(flat).argmax(1)
    most = np.abs(flat)[np.arange(len(flat)), largest] / np.asarray(step, np.float64)
    found = 1 + np.log2(1 + most.mean())
    return np.asarray(found, np.float32), (flat, largest, most, np.shape(x), np.asarray(step))


def _bits_vjp(rows: bool, saved: Any, g: Array) -> tuple[Array, Array]:
    flat, largest, most, shape, step = saved
    slope = float(g) / (np.log(2) * (1 + most.mean()) * len(most))  # of each row's most
    of_x = np.zeros(flat.shape)
    at = (np.arange(len(flat)), largest)
    of_x[at] = slope * np.sign(flat[at]) / step
    of_step = (-slope * most / step).reshape(np.shape(step))
    return of_x.reshape(shape), of_step


def commit(live: Graph, offered: Sequence[int] = OFFERED) -> Graph:
    """Each layer with the bits that are nearest to those it has learned; then fine-tune it."""
    for name, bits in real_bits(live).items():
        nearest = min(offered, key=lambda b: abs(b - bits))
        live = with_weight_bits(live, name, nearest)
    return live
