"""e-prop: gradients of spiking weights forward in time, without a memory of the steps.

Each synapse keeps how the current and the voltage behind it depend on its weight (an
eligibility trace); a learning signal that reaches each neuron turns traces into gradients
(Bellec et al. 2020).  What a spike does later through other neurons is left out: in a network
whose hidden neurons feed only the outputs nothing is, and the gradient is that of
backpropagation.  Resets are taken as given, as there.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks
from picojoule.kernels.train_back import block_size, slopes
from picojoule.kernels.train_blocks import Neurons, Surrogate
from picojoule.kernels.train_spiking import (
    COLUMNS,
    DELAY,
    OFFSET,
    ROWS,
    SOURCE,
    TARGET,
    Record,
    Wiring,
)


def run_eprop(
    wiring: Wiring, events: Events, neurons: Neurons, record: Record, surrogate: Surrogate,
    signal: np.ndarray, g_voltage: np.ndarray, threads: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Gradients of the flat weights (synapses,), of the dtype of the record.

    signal (B, T, N)           how the loss depends on each spike, as the neuron is told
    g_voltage (B, T, outputs)  how it depends on the output's voltages after each step
    """
    samples, size = events.samples, block_size(events.samples)
    out = np.zeros((-(-samples // size), wiring.synapses), record.u.dtype)
    told = np.zeros_like(record.u)
    told[:, :, wiring.answer] = g_voltage
    sharpness = record.u.dtype.type(surrogate.sharpness)

    def work(lo: int, hi: int) -> None:
        for group in wiring.groups:
            start, stop = wiring.populations[group[TARGET]]
            part = slice(start, stop)
            forward_traces(
                lo, hi, group, events.indptr, events.index, len(wiring.populations),
                neurons.keep_u[part], neurons.keep_v[part], neurons.v_th[part], surrogate.kind,
                sharpness, record.reached[:, :, part], record.state[:, :, part], record.fired,
                record.first, signal[:, :, part], told[:, :, part], out[lo // size],
            )  # fmt: skip

    over_blocks(samples, threads, work, block=size)
    return out.sum(0)


@jit
def mark_spikes(b, t, group, indptr, index, many, fired, first, spiked):
    """Which rows of a group's source have a spike that arrives at step t of sample b."""
    spiked[:] = 0
    sent = t - group[DELAY]
    if sent < 0:
        return
    if group[SOURCE] < 0:
        row = b * ((first.shape[1] - 1) // many) + sent
        for e in range(indptr[row], indptr[row + 1]):
            spiked[index[e]] = 1
        return
    at = sent * many + group[SOURCE]
    for e in range(first[b, at], first[b, at + 1]):
        spiked[fired[b, e]] = 1


@jit
def forward_traces(
    lo, hi, group, indptr, index, many, keep_u, keep_v, v_th, kind, sharpness, reached, state,
    fired, first, signal, told, g_weight,
):  # fmt: skip
    """One synapse group: traces of samples lo..hi, and what they add to the gradients.

    arrays of neurons are those of the target (n,), or (B, T, n)
    """
    rows, n = group[ROWS], group[COLUMNS]
    on_u, on_v = np.empty((rows, n), keep_u.dtype), np.empty((rows, n), keep_u.dtype)
    spiked, slope = np.empty(rows, np.uint8), np.empty(n, keep_u.dtype)
    per_v_th = sharpness / sharpness / v_th
    block = g_weight[group[OFFSET] : group[OFFSET] + rows * n].reshape(rows, n)
    for b in range(lo, hi):
        on_u[:] = 0
        on_v[:] = 0
        for t in range(reached.shape[1]):
            mark_spikes(b, t, group, indptr, index, many, fired, first, spiked)
            slopes(kind, sharpness, reached[b, t], per_v_th, state[b, t], slope)
            for i in range(rows):
                for j in range(n):
                    on_u[i, j] = keep_u[j] * on_u[i, j] + spiked[i]
                    moved = keep_v[j] * on_v[i, j] + on_u[i, j]
                    on_v[i, j] = moved if state[b, t, j] == 0 else 0
                    if state[b, t, j] != 2:
                        block[i, j] += signal[b, t, j] * slope[j] * moved
                    block[i, j] += told[b, t, j] * on_v[i, j]
