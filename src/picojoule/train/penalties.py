"""Terms that a loss can have besides what the network answers: `Options.penalties`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import ops
from picojoule.grad.tape import Tensor, apply
from picojoule.graph.derive import by_row
from picojoule.train.methods import layers
from picojoule.train.model import Pass
from picojoule.train.options import Penalty

Array = np.ndarray


def damping(strength: float) -> Penalty:
    """Pull each weight towards the middle of its level, so that it flips less.

    strength times the sum of (w - step level)^2 over weights that are not clipped.
    Source: Nagel et al., Overcoming oscillations in QAT, ICML 2022, section 4.1.
    """
    return partial(_damping, strength)


def _damping(strength: float, made: Pass) -> Tensor:
    total = Tensor(np.zeros((), np.float32))
    for layer in layers(made.graph):
        x, level = made.known[layer.real], made.known[layer.levels].data
        wide = by_row(np.asarray(made.known[layer.step].data, np.float64), x.data.ndim)
        middle, half = level * wide, 0.5 * wide
        free = (x.data >= layer.low * wide - half) & (x.data <= layer.high * wide + half)
        away = np.where(free, x.data - middle, 0.0)
        total = ops.add(total, apply(partial(_square, strength, away), _square_vjp, x))
    return total


def _square(strength: float, away: Array, x: Array) -> tuple[Array, Any]:
    return np.asarray(strength * np.square(away).sum(), np.float32), 2 * strength * away


def _square_vjp(slope: Any, g: Array) -> tuple[Array]:
    return (g * slope,)


def shrink(names: str, strength: float) -> Penalty:
    """strength times the sum of squares of all parameters whose name ends so: PACT's '.largest'."""
    return partial(_shrink, names, strength)


def _shrink(names: str, strength: float, made: Pass) -> Tensor:
    total = Tensor(np.zeros((), np.float32))
    for name, leaf in made.params.items():
        if name.endswith(names):
            total = ops.add(total, apply(partial(_square, strength, leaf.data), _square_vjp, leaf))
    return total
