"""Losses, each one number; and what they need of spikes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad import ops
from picojoule.grad.tape import Tensor, apply

Array = np.ndarray
Grads = tuple[Array | None, ...]


def _mean_squared(target: Array, y: Array) -> tuple[Array, Any]:
    away = y - np.asarray(target, y.dtype)
    return np.asarray(np.square(away).mean(), y.dtype), away


def _mean_squared_vjp(away: Any, g: Array) -> Grads:
    return (away * (2 * g / away.dtype.type(away.size)),)


def mean_squared(y: Tensor, target: Array) -> Tensor:
    """Mean over all elements of (y - target)^2; target broadcasts to y."""
    return apply(partial(_mean_squared, target), _mean_squared_vjp, y)


def wanted(labels: Array, classes: int, true: float, false: float) -> Array:
    """(n, classes): `true` for the class of each label, `false` for the others."""
    out = np.full((len(labels), classes), false, np.float64)
    out[np.arange(len(labels)), labels] = true
    return out


def spike_count(spikes: Tensor, labels: Array, *, true: float, false: float) -> Tensor:
    """Mean squared distance of spike counts from wanted ones.

    spikes (n, steps, classes), labels int (n,); `true` spikes are wanted of the right class.
    Source: Shrestha and Orchard, "SLAYER", NeurIPS 2018.
    """
    counts = ops.total(spikes, 1)
    return mean_squared(counts, wanted(labels, counts.shape[1], true, false))


def spike_rate(spikes: Tensor, labels: Array, *, true: float, false: float) -> Tensor:
    """As `spike_count`, of spikes per step: wanted rates lie in 0..1."""
    rates = ops.scale(ops.total(spikes, 1), 1 / spikes.shape[1])
    return mean_squared(rates, wanted(labels, rates.shape[1], true, false))


def _first_spike(spikes: Array) -> tuple[Array, Any]:
    silent = 1 - spikes
    later = np.empty_like(silent)  # expected further silent steps, from each step on
    time = np.zeros_like(silent[:, 0])
    for k in range(silent.shape[1] - 1, -1, -1):
        later[:, k] = 1 + time
        time = silent[:, k] * later[:, k]
    return time, (silent, later)


def _first_spike_vjp(saved: Any, g: Array) -> Grads:
    silent, later = saved
    reached = np.ones_like(silent)
    np.cumprod(silent[:, :-1], axis=1, out=reached[:, 1:])
    return (-reached * later * g[:, None],)


def first_spike(spikes: Tensor) -> Tensor:
    """Steps before the first spike, (n, neurons); as many as there are where none comes.

    spikes (n, steps, neurons).  Between 0 and 1 it is the expected time, were spikes
    independent draws: linear in each spike, which gives spikes their gradient.
    """
    return apply(_first_spike, _first_spike_vjp, spikes)


def latency(spikes: Tensor, labels: Array, *, tau: float) -> Tensor:
    """Cross-entropy where the earliest neuron wins: logits are -(first spike's step) / tau.

    spikes (n, steps, classes), labels int (n,), tau in steps.
    """
    scores = ops.scale(first_spike(spikes), -1 / tau)
    target = ops.smoothed(labels, scores.shape[1], 0.0, scores.data.dtype.type)
    return ops.softmax_cross_entropy(scores, target)
