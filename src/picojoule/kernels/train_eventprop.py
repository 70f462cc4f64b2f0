"""EventProp: exact gradients of the moments of spikes, as long as no spike comes or goes.

With p and q, how the loss depends on v and u, back in time between events

    dp/dt = a p,  dq/dt = c q - p

A spike at s reached v_th with the slope r = push - a v_th, push = u + bias, so earlier voltage
moves it by -1 / r: with g, what the loss asks of s, p becomes (push p - g) / r.  An arrival of
weight w gives w its q, and the spike that sent it w (c q - p) to g, and so to its delay
(Wunderlich and Pehle 2021, for delays Meszaros et al. 2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks
from picojoule.kernels.train_back import block_size
from picojoule.kernels.train_blocks import Neurons
from picojoule.kernels.train_moments import Moments, rates, response, rise
from picojoule.kernels.train_spiking import COLUMNS, OFFSET, TARGET, Wiring


@dataclass(frozen=True, eq=False)
class Asked:
    """Gradients, float64: flat weights (synapses,), delays (G,), v_th and bias (N,)."""

    weight: np.ndarray
    delay: np.ndarray
    v_th: np.ndarray
    bias: np.ndarray


def run_eventprop(
    wiring: Wiring, weight: np.ndarray, neurons: Neurons, moments: Moments, g_time: np.ndarray,
    threads: int | None = None,
) -> Asked:  # fmt: skip
    """Gradients of a loss of the moments; g_time (E,): how it depends on each of them.

    Delays are those of groups, in steps, as if they were real numbers.
    """
    samples, size = len(moments.walks), block_size(len(moments.walks))
    flat, g_time = np.asarray(weight, np.float64), np.asarray(g_time, np.float64)
    a, c = rates(neurons)
    v_th = np.asarray(neurons.v_th, np.float64)

    def work(lo: int, hi: int) -> Asked:
        asked = Asked(np.zeros(wiring.synapses), np.zeros(len(wiring.groups)),
                      np.zeros(wiring.neurons), np.zeros(wiring.neurons))  # fmt: skip
        for b in range(lo, hi):
            walk = moments.walks[b]
            sample_back(walk.events, walk.when, walk.push, float(moments.steps),
                        wiring.populations, wiring.groups, flat, a, c, v_th,
                        g_time[moments.start[b] : moments.start[b + 1]].copy(), asked.weight,
                        asked.delay, asked.v_th, asked.bias)  # fmt: skip
        return asked

    found = over_blocks(samples, threads, work, block=size)
    return Asked(*(sum(getattr(f, name) for f in found)
                   for name in ("weight", "delay", "v_th", "bias")))  # fmt: skip


@jit
def go_back(a, c, span, p, q, g_bias):
    """All neurons back by `span`, without events."""
    for j in range(p.size):
        g_bias[j] += rise(a[j], span) * p[j]
        q[j] = np.exp(-c[j] * span) * q[j] + response(a[j], c[j], span) * p[j]
        p[j] *= np.exp(-a[j] * span)


@jit
def sample_back(
    events, when, push, end, populations, groups, weight, a, c, v_th, g_time, g_weight, g_delay,
    g_v_th, g_bias,
):  # fmt: skip
    """One sample back; g_time (spikes,) is added to, the other gradients too."""
    p, q, t = np.zeros(a.size), np.zeros(a.size), end
    for m in range(when.size - 1, -1, -1):
        go_back(a, c, t - when[m], p, q, g_bias)
        t, g, row, cause = when[m], events[m, 0], events[m, 1], events[m, 2]
        if g < 0:
            before = (push[m] * p[row] - g_time[cause]) / (push[m] - a[row] * v_th[row])
            p[row] = before
            g_v_th[row] -= before
            continue
        asked = arrival_back(groups[g], populations[groups[g, TARGET], 0], row, weight, c, p, q,
                             g_weight)  # fmt: skip
        g_delay[g] += asked
        if cause >= 0:
            g_time[cause] += asked
    go_back(a, c, t, p, q, g_bias)


@jit
def arrival_back(group, start, row, weight, c, p, q, g_weight):
    """Gradient of the moment of one arrival; those of its weights are added to g_weight."""
    at, asked = group[OFFSET] + row * group[COLUMNS], 0.0
    for j in range(group[COLUMNS]):
        g_weight[at + j] += q[start + j]
        asked += weight[at + j] * (c[start + j] * q[start + j] - p[start + j])
    return asked
