"""e-prop as the gradient of a whole network: what each neuron is told, and what is refused.

A hidden neuron hears how the loss depends on its spikes through its own synapses to the outputs
(symmetric feedback); what its spikes do through other hidden neurons is left out.  Without
synapses among hidden neurons nothing is, and the gradient is that of backpropagation.
Source: Bellec et al., A solution to the learning dilemma, Nature Communications 11, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.kernels.train_back import slopes
from picojoule.kernels.train_blocks import Neurons, Surrogate
from picojoule.kernels.train_eprop import run_eprop
from picojoule.kernels.train_spiking import (
    COLUMNS,
    DELAY,
    OFFSET,
    ROWS,
    SILENT,
    SOURCE,
    TARGET,
    Record,
    Wiring,
)
from picojoule.train.options import Options
from picojoule.train.wiring import Flat

Array = np.ndarray


def eprop_back(
    wiring: Wiring, events: Events, weight: Array, neurons: Neurons, record: Record,
    surrogate: Surrogate, g_spikes: Array, g_final: Array, g_count: Array,
    threads: int | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """Gradients of flat weights (synapses,) and, all zero, of the neurons' numbers (5, N).

    Arguments as for `run_backward`, of which it is the local stand-in.
    """
    told = np.zeros_like(g_spikes)
    told[:, -1] = g_final
    signal = np.zeros_like(record.u)
    signal[:, :, wiring.answer] = g_spikes
    for p, (start, stop) in enumerate(wiring.populations):
        signal[:, :, start:stop] += g_count[:, p, None, None]
    at_spikes = signal[:, :, wiring.answer]
    at_outputs = output_currents(wiring, neurons, record, surrogate, at_spikes, told)
    for group in _to_outputs(wiring):
        at, rows, columns, late = group[[OFFSET, ROWS, COLUMNS, DELAY]]
        block = weight[at : at + rows * columns].reshape(rows, columns)
        part = slice(*wiring.populations[group[SOURCE]])
        steps = max(events.steps - late, 0)
        signal[:, :steps, part] += at_outputs[:, late:] @ block.T
    found = run_eprop(wiring, events, neurons, record, surrogate, signal, told, threads)
    return found, np.zeros((5, wiring.neurons), weight.dtype)


def _to_outputs(wiring: Wiring) -> Array:
    """Groups from hidden populations to the outputs."""
    groups = wiring.groups
    source = groups[:, SOURCE]
    hidden = (source >= 0) & (source != wiring.output)
    return groups[hidden & (groups[:, TARGET] == wiring.output)]


def output_currents(
    wiring: Wiring, neurons: Neurons, record: Record, surrogate: Surrogate, g_spikes: Array,
    g_voltage: Array,
) -> Array:  # fmt: skip
    """How the loss depends on what arrives at the outputs (B, T, outputs), resets as given."""
    part = wiring.answer
    reached, state = record.reached[:, :, part], record.state[:, :, part]
    keep_u, keep_v = neurons.keep_u[part], neurons.keep_v[part]
    slope = _slopes(surrogate, reached, neurons.v_th[part], state)
    out = np.zeros_like(g_spikes)
    from_current = np.zeros_like(g_spikes[:, 0])
    from_voltage = np.zeros_like(from_current)
    for t in range(out.shape[1] - 1, -1, -1):
        seen = np.where(state[:, t] == SILENT, g_voltage[:, t] + keep_v * from_voltage, 0)
        from_voltage = seen + g_spikes[:, t] * slope[:, t]
        from_current = from_voltage + keep_u * from_current
        out[:, t] = from_current
    return out


def _slopes(surrogate: Surrogate, reached: Array, v_th: Array, state: Array) -> Array:
    out = np.empty(reached.size, reached.dtype)
    sharpness = reached.dtype.type(surrogate.sharpness)
    per_v_th = np.broadcast_to(1 / v_th, reached.shape).reshape(-1)
    slopes(surrogate.kind, sharpness, reached.reshape(-1), per_v_th, state.reshape(-1), out)
    return out.reshape(reached.shape)


# ---------------------------------------------------------------------------------- refused


def check_eprop(graph: Graph, flat: Flat | None, options: Options, biases: set[str]) -> None:
    """Raises UsageError PJ806 for options, TrainError PJ704 for networks, that e-prop cannot.

    biases  names of the parameters that biases of neurons are made of
    """
    if flat is None:
        what = "gradient='eprop' is for networks of spiking neurons"
        raise UsageError(Fault("PJ806", what, fix="gradient='bptt'"))
    asked = ["neuron_lr", "delay_lr"]
    if biases & graph.params.keys() - set(options.fixed):
        asked.append("bias_lr")
    faults = [
        Fault("PJ806", f"gradient='eprop' learns weights alone, but {name}={value}",
              fix=f"{name}=0.0, or gradient='bptt'")
        for name in asked if (value := getattr(options, name))
    ]  # fmt: skip
    if faults:
        raise UsageError(faults)
    faults = [*_untold(flat), *_biased(graph, flat, options)]
    if faults:
        raise TrainError(faults)


def _untold(flat: Flat) -> Iterator[Fault]:
    heard = {*_to_outputs(flat.wiring)[:, SOURCE].tolist(), flat.wiring.output}
    for p, name in enumerate(flat.populations):
        if p not in heard:
            what = "e-prop tells nothing to neurons without synapses to the outputs"
            yield Fault("PJ704", what, where=f"node {name!r}", fix="gradient='bptt'")


def _biased(graph: Graph, flat: Flat, options: Options) -> Iterator[Fault]:
    for name in dict.fromkeys(flat.synapses):
        bias = getattr(graph[name].op, "bias", None)
        if bias is not None and bias not in options.fixed:
            what = f"e-prop has no gradient of the bias of synapses, {bias!r}"
            yield Fault("PJ704", what, where=f"node {name!r}", fix=f"fixed=({bias!r},)")
