"""A whole spiking network as one operation on the tape, in floating point or in integers.

Both give the score of each class: its spikes from `readout.start` on.  Where no output neuron
of a batch spikes, voltages decide (rule E3), and the score is the final voltage in thresholds:
so a population whose threshold is out of reach is a readout that integrates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from picojoule.errors import Fault, TrainError
from picojoule.fixed.contract import Events
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.grad.tape import Tensor, apply, unbroadcast
from picojoule.graph import Graph
from picojoule.kernels.train_blocks import (
    Neurons,
    Surrogate,
    run_backward,
    run_integer,
    run_real,
)
from picojoule.kernels.train_eventprop import run_eventprop
from picojoule.kernels.train_moments import run_moments
from picojoule.kernels.train_spiking import (
    OFFSET,
    ROWS,
    SPIKED,
    TARGET,
    Record,
    Wiring,
    effective_weights,
)
from picojoule.train.eprop import eprop_back
from picojoule.train.wiring import Flat, with_delays

Array = np.ndarray
Places = list[tuple[int, int]]
TINY = np.float32(1e-30)  # keeps a threshold of 0 from dividing
# fields of a neuron node, in the order of the rows of `run_backward`
FIELDS = ("decay_u", "decay_v", "v_th", "bias")


@dataclass(frozen=True, eq=False)
class Asked:
    """Gradients that arrive at a pass.

    g_spikes (B, T, outputs) of the output's spikes; g_levels (B, outputs) of its final voltages
    in thresholds; g_count (B, P) of how often each population spiked; g_delay (G,): where those
    of delays are written, if any are asked for
    """

    g_spikes: Array
    g_levels: Array
    g_count: Array
    g_delay: Array | None = None


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass: flat weights, the neurons' numbers, what happened; real or int64."""

    weight: Array
    neurons: Neurons
    record: Record


def spikes(wiring: Wiring, record: Record) -> Array:
    """Bool (samples, steps, outputs)."""
    return record.state[:, :, wiring.answer] == SPIKED


def spread_neurons(flat: Flat, parts: list[Array | None], dtype: type) -> Array:
    """One value of each population, () or (n,), to all neurons (N,); zero where None."""
    out = np.zeros(flat.wiring.neurons, dtype)
    for (start, stop), part in zip(flat.wiring.populations, parts):
        if part is not None:
            out[start:stop] = np.reshape(part, -1) if np.ndim(part) else part
    return out


def flat_weights(blocks: list[Array], dtype: type) -> Array:
    """Weights (out, in) of each group to the flat layout, a row a source."""
    return np.concatenate([np.ascontiguousarray(w.T, dtype).reshape(-1) for w in blocks])


def places_of(graph: Graph, flat: Flat) -> tuple[list[str], Places]:
    """Names of all constants that the operation takes, and where the gradient of each lies.

    A place is (row of g_neuron, population), or (-1, group) for weights.
    """
    names = [graph[s].op.weight for s in flat.synapses]
    places: Places = [(-1, g) for g in range(len(names))]
    for p, node in enumerate(flat.populations):
        constants = graph.constants(graph[node])
        for row, where in enumerate(FIELDS):
            if where in constants:
                names.append(constants[where])
                places.append((row, p))
    for g, node in enumerate(flat.synapses):
        bias = getattr(graph[node].op, "bias", None)
        if bias is not None:
            names.append(bias)
            places.append((len(FIELDS), int(flat.wiring.groups[g, 1])))
    return names, places


def _sorted_out(
    flat: Flat, places: Places, arrays: tuple[Array, ...]
) -> tuple[list[Array], list[list[Array | None]]]:
    weights: list[Array] = []
    rows: list[list[Array | None]] = [[None] * len(flat.populations) for _ in range(5)]
    for (row, where), array in zip(places, arrays):
        if row < 0:
            weights.append(array)
        else:
            known = rows[row][where]
            rows[row][where] = array if known is None else known + array
    return weights, rows


def score(
    graph: Graph, flat: Flat, constants: Mapping[str, Tensor], events: Events,
    surrogate: Surrogate, threads: int | None = None,
) -> Tensor:  # fmt: skip
    """Score of each class, (samples, outputs) float, differentiable in all constants."""
    return score_and_spikes(graph, flat, constants, events, surrogate, threads)[0]


def score_and_spikes(
    graph: Graph, flat: Flat, constants: Mapping[str, Tensor], events: Events,
    surrogate: Surrogate, threads: int | None = None, delays: Tensor | None = None,
    gradient: str = "bptt",
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(score of each class, spikes of each population), both (samples, ...) float.

    Both are differentiable in all constants: a price of spikes can be part of the loss.
    A threshold that only measures final voltages is a unit: it has no gradient from them.
    delays (G,), real, take the place of those of the groups: rounded, their gradient is that of
    a step more and one less.
    gradient: 'bptt', or 'eprop', which is that of weights alone: see `train.eprop`
    """
    names, places = places_of(graph, flat)
    inputs = [constants[name] for name in names]
    of_neurons = any(x.wants for x, (row, _) in zip(inputs, places) if row >= 0)
    if delays is not None:
        flat = with_delays(flat, delays.data)
        inputs.append(delays)
    if flat.integer:
        steps = [constants[graph[name].op.step].data for name in flat.populations]
        step = spread_neurons(flat, steps, np.float64)
        forward = partial(run_machine, graph, flat, places, events, threads)
        bits = profile_of(graph, flat).decay_bits
        vjp = partial(_machine_back, flat, places, events, surrogate, threads, gradient,
                      of_neurons, step, bits)  # fmt: skip
    else:
        forward = partial(run_float, flat, places, events, threads)
        vjp = partial(_float_back, flat, places, events, surrogate, threads, gradient, of_neurons)
    counted = partial(_counted, flat, graph.readout.start, len(names), forward)
    back = partial(_from_counts, flat, graph.readout.start, vjp)
    both = apply(counted, back, *inputs)
    classes = both.shape[1] - len(flat.populations)
    return _columns(both, 0, classes), _columns(both, classes, both.shape[1])


def _columns(x: Tensor, start: int, stop: int) -> Tensor:
    def vjp(shape: tuple[int, ...], g: Array) -> tuple[Array]:
        out = np.zeros(shape, g.dtype)
        out[:, start:stop] = g
        return (out,)

    return apply(lambda a: (np.ascontiguousarray(a[:, start:stop]), a.shape), vjp, x)


def _counted(flat: Flat, start: int, known: int, forward: Any, *arrays: Array) -> tuple[Array, Any]:
    """Scores, and beside them how often each population spiked; delays may follow `known`."""
    done = forward(*arrays[:known])
    delay = arrays[known] if len(arrays) > known else None
    raster = spikes(flat.wiring, done.record)[:, start:]
    dtype = done.weight.dtype if done.weight.dtype.kind == "f" else np.float32
    found = raster.sum(1, dtype=dtype)
    silent = not found.any()
    if silent:
        answer = flat.wiring.answer
        v = done.record.final_voltage(answer)
        found = (v / np.maximum(done.neurons.v_th[answer], TINY)).astype(dtype)
    counts = done.record.counts(len(flat.populations)).astype(dtype)
    return np.concatenate([found, counts], 1), (done, [a.shape for a in arrays], silent, delay)


def _from_counts(flat: Flat, start: int, vjp: Any, saved: Any, g: Array) -> tuple[Array, ...]:
    done, shapes, silent, delay = saved
    samples, steps = done.record.u.shape[:2]
    classes = g.shape[1] - len(flat.populations)
    g_score, g_count = g[:, :classes], np.ascontiguousarray(g[:, classes:])
    g_spikes = np.zeros((samples, steps, classes), g.dtype)
    if not silent:
        g_spikes[:, start:] = g_score[:, None, :]
    g_levels = g_score if silent else np.zeros_like(g_score)
    g_delay = None if delay is None else np.zeros_like(delay)
    found = vjp(done, shapes, Asked(g_spikes, g_levels, g_count, g_delay))
    return found if g_delay is None else (*found, g_delay)


def run_float(
    flat: Flat, places: Places, events: Events, threads: int | None, *arrays: Array
) -> Pass:
    """Forward pass in the dtype of the weights; `arrays` in the order of `places_of`."""
    weights, rows = _sorted_out(flat, places, arrays)
    dtype = weights[0].dtype.type
    weight = flat_weights(weights, dtype)
    decay_u, decay_v, v_th, bias, drive = (spread_neurons(flat, row, dtype) for row in rows)
    neurons = Neurons(1 - decay_u, 1 - decay_v, v_th, bias)
    return Pass(weight, neurons, run_real(flat.wiring, events, weight, neurons, drive, threads))


def _float_back(
    flat: Flat, places: Places, events: Events, surrogate: Surrogate, threads: int | None,
    gradient: str, of_neurons: bool, done: Pass, shapes: list[tuple[int, ...]], asked: Asked,
) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients of all inputs, of those of neurons only if wanted.

    A decay is 1 - keep, so its gradient is that of keep, negated.
    """
    g_final = asked.g_levels / np.maximum(done.neurons.v_th[flat.wiring.answer], TINY)
    given = (flat.wiring, events, done.weight, done.neurons, done.record, surrogate,
             asked.g_spikes, g_final)  # fmt: skip
    if gradient == "eprop":
        g_weight, g_neuron = eprop_back(*given, asked.g_count, threads)
    else:
        g_weight, g_neuron = run_backward(*given, threads, asked.g_count, asked.g_delay,
                                           of_neurons)  # fmt: skip
    g_neuron[:2] *= -1
    return tuple(
        _part(flat.wiring, g_weight, g_neuron, place, shape) for place, shape in zip(places, shapes)
    )


def _part(
    wiring: Wiring, g_weight: Array, g_neuron: Array, place: tuple[int, int],
    shape: tuple[int, ...],
) -> Array | None:  # fmt: skip
    row, where = place
    if row >= len(g_neuron):
        return None
    if row < 0:
        at, rows, columns = wiring.groups[where, OFFSET:]
        return g_weight[at : at + rows * columns].reshape(rows, columns).T
    start, stop = wiring.populations[where]
    return unbroadcast(g_neuron[row, start:stop], shape)


# ------------------------------------------------------------------------- continuous time


def first_moments(
    graph: Graph, flat: Flat, constants: Mapping[str, Tensor], events: Events,
    threads: int | None = None,
) -> Tensor:  # fmt: skip
    """When each output first spikes, (samples, outputs) in steps; the last step if it never does.

    Of the network in continuous time, with the exact gradients of EventProp for weights,
    thresholds and biases of neurons, as long as no spike comes or goes; decays are taken as
    given.  Raises TrainError PJ704 for integers, biases of synapses, and what `run_moments` lists.
    """
    names, places = places_of(graph, flat)
    faults = [
        Fault("PJ704", "biases of synapses have no moments", where=f"node {node!r}",
              fix="give the neurons a bias instead")
        for node in flat.synapses if getattr(graph[node].op, "bias", None) is not None
    ]  # fmt: skip
    if flat.integer:
        faults.append(Fault("PJ704", "integers are computed in steps, without moments between",
                            fix="take the float graph"))  # fmt: skip
    if faults:
        raise TrainError(faults)
    forward = partial(_moments, flat, places, events, threads)
    return apply(forward, partial(_moments_back, flat, places, threads),
                 *(constants[name] for name in names))  # fmt: skip


def _moments(
    flat: Flat, places: Places, events: Events, threads: int | None, *arrays: Array
) -> tuple[Array, Any]:
    weights, rows = _sorted_out(flat, places, arrays)
    weight = flat_weights(weights, np.float64)
    decay_u, decay_v, v_th, bias = (spread_neurons(flat, row, np.float64) for row in rows[:4])
    neurons = Neurons(1 - decay_u, 1 - decay_v, v_th, bias)
    moments = run_moments(flat.wiring, events, weight, neurons, threads)
    times, which = moments.first(flat.wiring.answer)
    saved = (weight, neurons, moments, which, [a.shape for a in arrays], weights[0].dtype)
    return times.astype(weights[0].dtype), saved


def _moments_back(
    flat: Flat, places: Places, threads: int | None, saved: Any, g: Array
) -> tuple[Array, ...]:
    weight, neurons, moments, which, shapes, dtype = saved
    g_time = np.zeros(moments.time.size)
    g_time[which[which >= 0]] = g[which >= 0]
    found = run_eventprop(flat.wiring, weight, neurons, moments, g_time, threads)
    none = np.zeros(flat.wiring.neurons)
    g_neuron = np.stack([none, none, found.v_th, found.bias])
    return tuple(
        _part(flat.wiring, found.weight, g_neuron, place, shape).astype(dtype)
        for place, shape in zip(places, shapes)
    )


# ------------------------------------------------------------------------------- integers


def run_machine(
    graph: Graph, flat: Flat, places: Places, events: Events, threads: int | None,
    *arrays: Array,
) -> Pass:  # fmt: skip
    """Forward pass in the machine's integers, from mantissas and registers."""
    weights, rows = _sorted_out(flat, places, arrays)
    weight = np.concatenate([
        _effective(graph, name, mantissas) for name, mantissas in zip(flat.synapses, weights)
    ])  # fmt: skip
    neurons = _registers(graph, flat, rows)
    profile = profile_of(graph, flat)
    return Pass(weight, neurons, run_integer(flat.wiring, events, weight, neurons, profile,
                                             threads))  # fmt: skip


def profile_of(graph: Graph, flat: Flat) -> SpikingProfile:
    """The numeric profile of a quantized spiking graph."""
    return SPIKING[graph[flat.populations[0]].op.profile]


def _effective(graph: Graph, name: str, mantissas: Array) -> Array:
    op = graph[name].op
    reader = graph.readers(name)[0]
    profile = SPIKING[reader.op.profile]
    rows = np.ascontiguousarray(mantissas.T, np.int64).reshape(-1)
    out = np.empty_like(rows)
    exponent, shift = profile.shifts(op.exponent, profile.weight_shift)
    effective_weights(rows, exponent, shift, profile.weight_limit, out)
    return out


def _registers(graph: Graph, flat: Flat, rows: list[list[Array | None]]) -> Neurons:
    profile = profile_of(graph, flat)
    decay_u, decay_v, v_th, bias = (spread_neurons(flat, r, np.int64) for r in rows[:4])
    exponents: list[Array | None] = [
        np.int64(graph[name].op.bias_exponent) for name in flat.populations
    ]
    whole = 2**profile.decay_bits
    return Neurons(
        whole - profile.u_decay_offset - decay_u, whole - decay_v, v_th << profile.weight_shift,
        bias << spread_neurons(flat, exponents, np.int64),
    )  # fmt: skip


def _machine_back(
    flat: Flat, places: Places, events: Events, surrogate: Surrogate, threads: int | None,
    gradient: str, of_neurons: bool, step: Array, decay_bits: int, done: Pass,
    shapes: list[tuple[int, ...]], asked: Asked,
) -> tuple[Array | None, ...]:  # fmt: skip
    """Gradients with respect to the reals that the integers stand for; step (N,) of u and v."""
    real = in_real_units(flat.wiring, done, step, decay_bits)
    return _float_back(flat, places, events, surrogate, threads, gradient, of_neurons, real, shapes,
                       asked)  # fmt: skip


def in_real_units(wiring: Wiring, done: Pass, step: Array, decay_bits: int) -> Pass:
    """An integer pass as float32 reals; step (N,): what one unit of u and v stands for."""
    record, neurons, narrow = done.record, done.neurons, step.astype(np.float32)
    factor = np.concatenate([
        np.tile(narrow[slice(*wiring.populations[group[TARGET]])], group[ROWS])
        for group in wiring.groups
    ])  # fmt: skip
    keep = np.float32(2.0**-decay_bits)
    v_th = np.maximum(neurons.v_th, 1)  # distances are in thresholds
    real = Neurons(*(
        x.astype(np.float32) * by
        for x, by in zip((neurons.keep_u, neurons.keep_v, v_th, neurons.bias),
                         (keep, keep, narrow, narrow))
    ))  # fmt: skip
    u, reached = (x.astype(np.float32) * narrow for x in (record.u, record.reached))
    seen = replace(record, u=u, reached=reached)
    return Pass(done.weight.astype(np.float32) * factor, real, seen)
