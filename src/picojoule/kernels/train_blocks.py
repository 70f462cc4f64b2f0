"""Spiking forward and backward passes of a whole batch, over fixed blocks of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  kernels' products: loaded before BLAS is limited

from picojoule.fixed.contract import Events
from picojoule.fixed.profile import SpikingProfile
from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.pool import over_blocks
from picojoule.kernels.train_back import backward, block_size
from picojoule.kernels.train_product import WIDE
from picojoule.kernels.train_rows import (
    count_by_row,
    list_spikes,
    places_of,
    sort_by_row,
    weights_back,
)
from picojoule.kernels.train_spiking import (
    COLUMNS,
    DELAY,
    OFFSET,
    ROWS,
    SOURCE,
    TARGET,
    Record,
    Wiring,
    integer_forward,
    new_record,
    real_forward,
)

CHUNK = 128  # rows of weights whose gradients are one piece of work


@dataclass(frozen=True, eq=False)
class Neurons:
    """Numbers of every neuron, (N,) each, of one dtype; keep is 1 - decay, or an integer."""

    keep_u: np.ndarray
    keep_v: np.ndarray
    v_th: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Surrogate:
    """What stands for the slope of the threshold: see `train_back.slopes`."""

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
            record.first,
        )  # fmt: skip

    over_blocks(events.samples, threads, work, block=block_size(events.samples))
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
            record.first,
        )  # fmt: skip

    over_blocks(events.samples, threads, work, block=block_size(events.samples))
    return record


def transposed(wiring: Wiring, weight: np.ndarray) -> np.ndarray:
    """Flat weights with the block of every group between populations transposed, in its place.

    Nothing goes back to the input, so blocks from there hold anything.  Ends with WIDE zeros:
    products read so far over the edge.
    """
    out = np.empty(weight.size + WIDE, weight.dtype)
    out[weight.size :] = 0
    for group in wiring.groups[wiring.groups[:, SOURCE] >= 0]:
        rows, columns, at = group[ROWS], group[COLUMNS], group[OFFSET]
        block = weight[at : at + rows * columns].reshape(rows, columns)
        out[at : at + rows * columns].reshape(columns, rows)[...] = block.T
    return out


def run_backward(
    wiring: Wiring, events: Events, weight: np.ndarray, neurons: Neurons, record: Record,
    surrogate: Surrogate, g_spikes: np.ndarray, g_voltage: np.ndarray,
    threads: int | None = None, g_count: np.ndarray | None = None,
    g_delay: np.ndarray | None = None, of_neurons: bool = True,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of flat weights (synapses,) and of keep_u, keep_v, v_th, bias, drive (5, N).

    of_neurons  whether the latter are wanted: else (0, N)

    All of one real dtype.  g_spikes and g_voltage (B, T, outputs) belong to the output's spikes
    and to its voltages after each step, which are 0 after a spike; g_voltage (B, outputs) to
    those after the last step.  g_count (B, P): of how often each population spiked.
    g_delay (G,): written, of the delays of groups (`_delays_back`).
    """
    samples, size = events.samples, block_size(events.samples)
    if g_voltage.ndim == 2:
        g_voltage = _at_the_end(g_voltage, events.steps)
    if g_count is None:
        g_count = np.zeros((samples, len(wiring.populations)), weight.dtype)
    g_current = np.empty(record.u.size, weight.dtype)
    g_neuron = np.zeros((-(-samples // size), 5 * of_neurons, wiring.neurons), weight.dtype)
    weight_t = transposed(wiring, weight)
    sharpness = weight.dtype.type(surrogate.sharpness)

    def work(lo: int, hi: int) -> None:
        backward(
            lo, hi, wiring.populations, wiring.groups, wiring.stages, wiring.output, weight_t,
            neurons.keep_u, neurons.keep_v, neurons.v_th, surrogate.kind, sharpness, record.u,
            record.reached, record.state, g_spikes, g_voltage, g_count, g_current,
            g_neuron[lo // size],
        )  # fmt: skip

    with one_blas_thread():
        over_blocks(samples, threads, work, block=size)
    if g_delay is not None:
        g_delay[:] = _delays_back(wiring, events, weight, record, g_current, threads)
    return _weights_back(wiring, events, record, g_current, threads), g_neuron.sum(0)


def _delays_back(
    wiring: Wiring, events: Events, weight: np.ndarray, record: Record, g_current: np.ndarray,
    threads: int | None,
) -> list[np.ndarray]:  # fmt: skip
    """What a step more of delay does to each group, half of it from a step more and one less.

    Exact, for a sum of both, where what the spikes drive is linear.  Without a delay there is
    no step less.
    """
    moved = []
    for by in (1, -1):
        groups = wiring.groups.copy()
        groups[:, DELAY] = np.maximum(groups[:, DELAY] + by, 0)
        moved.append(_weights_back(replace(wiring, groups=groups), events, record, g_current,
                                   threads))  # fmt: skip
    change = weight * (moved[0] - moved[1])
    steps = np.where(wiring.groups[:, DELAY] > 0, 2, 1).astype(weight.dtype)
    sizes = wiring.groups[:, ROWS] * wiring.groups[:, COLUMNS]
    return [
        change[at : at + size].sum() / by
        for at, size, by in zip(wiring.groups[:, OFFSET], sizes, steps)
    ]


def _at_the_end(g: np.ndarray, steps: int) -> np.ndarray:
    out = np.zeros((len(g), steps, g.shape[1]), g.dtype)
    out[:, -1] = g
    return out


def _weights_back(
    wiring: Wiring, events: Events, record: Record, g_current: np.ndarray, threads: int | None
) -> np.ndarray:
    """Gradients of the flat weights, from those of all currents."""
    out = np.empty(wiring.synapses, g_current.dtype)
    sources = sorted(set(wiring.groups[:, SOURCE].tolist()))

    def sort(k: int, _: int) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        return sources[k], _by_row(wiring, events, record, sources[k])

    lists = dict(over_blocks(len(sources), threads, sort, block=1))
    places = [
        places_of(group, wiring.populations[group[TARGET], 0], events.samples, events.steps,
                  wiring.neurons, block_size(events.samples))
        for group in wiring.groups
    ]  # fmt: skip
    jobs = [(g, at) for g in range(len(wiring.groups))
            for at in range(0, int(wiring.groups[g, ROWS]), CHUNK)]  # fmt: skip

    def work(k: int, _: int) -> None:
        g, at = jobs[k]
        group = wiring.groups[g]
        weights_back(
            at, min(at + CHUNK, int(group[ROWS])), group, places[g], *lists[int(group[SOURCE])],
            g_current, out,
        )  # fmt: skip

    over_blocks(len(jobs), threads, work, block=1)
    return out


def _by_row(
    wiring: Wiring, events: Events, record: Record, source: int
) -> tuple[np.ndarray, np.ndarray]:
    """Events of a source sorted by row: starts (rows + 1,), and sample and step of each."""
    if source < 0:
        indptr, index, rows = events.indptr, events.index, events.channels
    else:
        indptr, index = list_spikes(record.fired, record.first, source, len(wiring.populations))
        rows = int(np.diff(wiring.populations[source])[0])
    starts = count_by_row(indptr, index, rows)
    return starts, sort_by_row(indptr, index, starts)
