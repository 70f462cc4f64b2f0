"""Spiking forward and backward passes of a whole batch, over fixed blocks of samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.fixed.profile import SpikingProfile
from picojoule.kernels.pool import over_blocks
from picojoule.kernels.train_spiking import (
    BLOCK,
    COLUMNS,
    OFFSET,
    ROWS,
    Record,
    Wiring,
    backward,
    integer_forward,
    new_record,
    real_forward,
)


@dataclass(frozen=True, eq=False)
class Neurons:
    """Numbers of every neuron, (N,) each, of one dtype; keep is 1 - decay, or an integer."""

    keep_u: np.ndarray
    keep_v: np.ndarray
    v_th: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Surrogate:
    """What stands for the slope of the threshold: see `train_spiking.slope`."""

    kind: int = 0
    sharpness: float = 5.0


def run_real(
    wiring: Wiring, events: Events, weight: np.ndarray, neurons: Neurons, drive: np.ndarray,
    threads: int | None = None,
) -> Record:  # fmt: skip
    """Floating-point forward pass, in the dtype of `weight` (synapses,)."""
    record = new_record(wiring, events.samples, events.steps, weight.dtype)

    def work(lo: int, hi: int) -> None:
        real_forward(
            lo, hi, events.indptr, events.index, wiring.populations, wiring.groups,
            wiring.refractory, weight, neurons.keep_u, neurons.keep_v, neurons.v_th,
            neurons.bias, drive, record.u, record.reached, record.state, record.fired,
            record.count,
        )  # fmt: skip

    over_blocks(events.samples, threads, work)
    return record


def rule_of(profile: SpikingProfile) -> np.ndarray:
    """The numbers of a profile that `cuba_neuron` takes, in its order."""
    return np.array([
        profile.decay_bits, profile.q_mode, profile.q_bits, profile.u_mode, profile.u_bits,
        profile.v_mode, profile.v_bits,
    ], np.int64)  # fmt: skip


def run_integer(
    wiring: Wiring, events: Events, weight: np.ndarray, neurons: Neurons,
    profile: SpikingProfile, threads: int | None = None,
) -> Record:  # fmt: skip
    """Forward pass in the machine's integers; weight: effective weights int64 (synapses,)."""
    record = new_record(wiring, events.samples, events.steps, np.int64)
    rule = rule_of(profile)

    def work(lo: int, hi: int) -> None:
        integer_forward(
            lo, hi, events.indptr, events.index, wiring.populations, wiring.groups,
            wiring.refractory, weight, neurons.keep_u, neurons.keep_v, neurons.v_th,
            neurons.bias, rule, record.u, record.reached, record.state, record.fired,
            record.count,
        )  # fmt: skip

    over_blocks(events.samples, threads, work)
    return record


def transposed(wiring: Wiring, weight: np.ndarray) -> np.ndarray:
    """Flat weights with every group's block transposed, at the same offset."""
    out = np.empty_like(weight)
    for group in wiring.groups:
        rows, columns, at = group[ROWS], group[COLUMNS], group[OFFSET]
        block = weight[at : at + rows * columns].reshape(rows, columns)
        out[at : at + rows * columns] = block.T.reshape(-1)
    return out


def run_backward(
    wiring: Wiring, events: Events, weight: np.ndarray, neurons: Neurons, record: Record,
    surrogate: Surrogate, g_spikes: np.ndarray, g_final: np.ndarray, threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of flat weights (synapses,) and of keep_u, keep_v, v_th, bias, drive (5, N).

    All of one real dtype.  g_spikes (B, T, outputs) and g_final (B, outputs) belong to the
    output spikes and to the output's voltages after the last step.
    """
    dtype = weight.dtype
    blocks = -(-events.samples // BLOCK)
    g_weight = np.zeros((blocks, wiring.synapses), dtype)
    g_neuron = np.zeros((blocks, 5, wiring.neurons), dtype)
    weight_t = transposed(wiring, weight)
    sharpness = dtype.type(surrogate.sharpness)

    def work(first: int, last: int) -> None:
        for k in range(first, last):
            lo, hi = k * BLOCK, min((k + 1) * BLOCK, events.samples)
            backward(
                lo, hi, events.indptr, events.index, wiring.populations, wiring.groups,
                wiring.output, weight_t, neurons.keep_u, neurons.keep_v, neurons.v_th,
                surrogate.kind, sharpness, record.u, record.reached, record.state,
                record.fired, record.count, g_spikes, g_final, g_weight[k], g_neuron[k],
            )  # fmt: skip

    over_blocks(blocks, threads, work, block=1)
    return g_weight.sum(0), g_neuron.sum(0)
