"""The network that all spiking simulators run: integrate-and-fire, random, kept busy by a bias.

All numbers are chosen so that integers and doubles agree: the current lasts one step, weights
are even 8-bit numbers, and voltages are whole multiples of 1/64 of a weight's unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FAN_OUT = 100
V_TH = 4000  # in units of a weight
DECAY_V = 16  # of 4096, a step
WEIGHT = 30  # largest half weight
DRIVE, KICK = 0, 1  # input channels
KICK_EXPONENT = 5


@dataclass(frozen=True)
class Network:
    """N neurons, FAN_OUT synapses each, one step of delay.

    indptr   int64 (N + 1,), target int32, weight int16: synapses by source, targets ascending
    bias     int64 (N,) in units of a weight: mantissa << exponent, mantissa even
    kick     int64 (N,) even, 0..254: added times 2**KICK_EXPONENT to the voltage at the start,
             so that the neurons do not fire in step
    rate     of spikes a neuron and step that the bias was chosen for
    """

    indptr: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    exponent: int
    kick: np.ndarray
    rate: float

    @property
    def neurons(self) -> int:
        return len(self.bias)


def random_network(neurons: int, rate: float, seed: int = 1) -> Network:
    """A network whose neurons fire in about `rate` of all steps."""
    rng = np.random.default_rng(seed)
    target = np.sort(_distinct(rng, neurons), axis=1).astype(np.int32)
    half = rng.integers(-WEIGHT, WEIGHT + 1, target.size)
    mean = drive(rate)
    exponent = max(0, int(np.ceil(np.log2(mean * 1.25 / 254))))
    mantissa = 2 * np.rint(mean * rng.uniform(0.8, 1.25, neurons) / 2 ** (exponent + 1))
    return Network(
        indptr=np.arange(neurons + 1, dtype=np.int64) * FAN_OUT,
        target=target.ravel(),
        weight=(2 * half).astype(np.int16),
        bias=mantissa.astype(np.int64) << exponent,
        exponent=exponent,
        kick=2 * rng.integers(0, V_TH >> KICK_EXPONENT + 1, neurons),
        rate=rate,
    )


def _distinct(rng: np.random.Generator, neurons: int) -> np.ndarray:
    """int64 (neurons, FAN_OUT) targets; those of one source differ: one from each stratum."""
    edges = np.linspace(0, neurons, FAN_OUT + 1).astype(np.int64)
    return rng.integers(edges[:-1], edges[1:], (neurons, FAN_OUT))


def drive(rate: float) -> float:
    """The bias that reaches the threshold in 1 / rate steps, if nothing else arrives."""
    keep = 1 - DECAY_V / 4096
    steps = 1 / rate
    return V_TH * (1 - keep) / (1 - keep**steps)


def save(network: Network, path: Path) -> None:
    np.savez(path, **vars(network))


def load(path: str | Path) -> Network:
    with np.load(path) as held:
        return from_arrays(held)


def from_arrays(held: Mapping[str, np.ndarray]) -> Network:
    plain = {name: held[name] for name in ("indptr", "target", "weight", "bias", "kick")}
    return Network(**plain, exponent=int(held["exponent"]), rate=float(held["rate"]))


def voltage_digest(voltage: np.ndarray) -> int:
    """A number that two simulators share if all their voltages (in 1/64 of a weight) agree."""
    values = np.asarray(voltage, np.int64).astype(np.uint64)
    odd = np.arange(1, 2 * len(values), 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return int((values * odd).sum(dtype=np.uint64) >> np.uint64(11))
