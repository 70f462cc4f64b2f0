"""How far apart random weights start."""

from __future__ import annotations

import numpy as np


def generator(seed: int, stream: int) -> np.random.Generator:
    """Random numbers keyed by (seed, stream): independent streams, on any machine."""
    return np.random.Generator(np.random.Philox(key=[seed, stream]))


def he_std(fan_in: int, fan_out: int) -> float:
    """Keeps the variance through Dense and Relu (He et al. 2015)."""
    return float(np.sqrt(2.0 / fan_in))


def xavier_std(fan_in: int, fan_out: int) -> float:
    """Keeps the variance through a linear layer, both ways (Glorot and Bengio 2010)."""
    return float(np.sqrt(2.0 / (fan_in + fan_out)))


STD = {"he": he_std, "xavier": xavier_std}


def step_response(decay_u: float, decay_v: float, steps: int) -> float:
    """Voltage after `steps` steps of a constant input of 1 from rest, without threshold."""
    u = v = 0.0
    for _ in range(steps):
        u = (1 - decay_u) * u + 1
        v = (1 - decay_v) * v + u
    return v


def spiking_std(
    fan_in: int, *, rate: float, decay_u: float, decay_v: float, v_th: float, steps: int,
    reach: float,
) -> float:  # fmt: skip
    """Standard deviation of weights with which layers fire.

    Sources that spike with `rate` (root mean square over sources, spikes a step) drive a
    voltage that spreads over neurons with deviation reach * v_th after `steps` steps.
    """
    drive = np.sqrt(fan_in) * rate * step_response(decay_u, decay_v, steps)
    return float(reach * v_th / drive)
