"""The trainer's own forward pass: outputs, answers, accuracy, and files of outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.graph.ops import Flatten
from picojoule.kernels.train_spiking import SPIKED, Record
from picojoule.train import spiking, tensor
from picojoule.train.derivations import constants
from picojoule.train.model import Model, prepare, samples_of
from picojoule.train.wiring import NEURONS

Array = np.ndarray
ROWS = 256  # samples evaluated at once


def evaluate_outputs(
    graph: Graph, x: Array | Events, threads: int | None = None
) -> dict[str, Array]:
    """Outputs of a graph, float or quantized, frozen or live.

    Without spikes {"output": (n, out)}, int32 or float32; with spikes {"spikes": bool
    (n, steps, out)} and for every population its final "u.<node>" and "v.<node>" (n, size),
    int64 or float32.  Raises TrainError PJ704, UsageError PJ802 or PJ803.
    """
    x = samples_of(graph, x)
    model = prepare(graph, threads=threads)
    known = constants(graph, {name: Tensor(a) for name, a in graph.params.items()})
    parts = [_outputs(model, known, x[at : at + ROWS]) for at in range(0, len(x), ROWS)]
    if not parts:
        raise UsageError(Fault("PJ803", "there are no samples to evaluate"))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _outputs(model: Model, known: dict[str, Tensor], x: Array) -> dict[str, Array]:
    if model.flat is None:
        values = tensor.evaluate(model.graph, known, x, training=False)
        return {"output": values.of[model.graph.output].data.reshape(len(x), -1)}
    record = _record(model, known, x)
    wiring = model.flat.wiring
    found = {"spikes": spiking.spikes(wiring, record)}
    final = record.final_voltage()
    for name, (start, stop) in zip(model.flat.populations, wiring.populations):
        found[f"u.{name}"] = record.u[:, -1, start:stop].copy()
        found[f"v.{name}"] = final[:, start:stop]
    return found


def _record(model: Model, known: Mapping[str, Tensor], x: Array | Events) -> Record:
    flat, graph = model.flat, model.graph
    assert flat is not None
    names, places = spiking.places_of(graph, flat)
    arrays = [known[name].data for name in names]
    events = graph.encoder.events(x, model.steps)
    if flat.integer:
        return spiking.run_machine(graph, flat, places, events, model.threads, *arrays).record
    return spiking.run_float(flat, places, events, model.threads, *arrays).record


def answers(graph: Graph, outputs: dict[str, Array]) -> Array:
    """The class of each sample, int64 (n,), by the graph's readout, as a Run reads it.

    Raises UsageError PJ806 for the readout 'none'.
    """
    if graph.readout.kind == "none":
        raise UsageError(Fault("PJ806", "a readout of kind 'none' gives no answers"))
    if "output" in outputs:
        return outputs["output"].argmax(1)
    node = graph[graph.output]
    while isinstance(node.op, Flatten):
        node = graph[node.inputs[0]]
    assert isinstance(node.op, NEURONS)
    return graph.readout.most_spikes(outputs["spikes"], outputs[f"v.{node.name}"])


def accuracy(graph: Graph, x: Array, y: Array) -> float:
    """Part of samples whose answer is their label, 0..1."""
    return float(np.mean(answers(graph, evaluate_outputs(graph, x)) == np.asarray(y)))


def firing_rates(graph: Graph, x: Array) -> dict[str, float]:
    """Spikes a neuron and step of each population of a spiking graph."""
    known = constants(graph, {name: Tensor(a) for name, a in graph.params.items()})
    spikes = population_spikes(prepare(graph), known, x)
    return {name: float(fired.mean()) for name, fired in spikes.items()}


def population_spikes(model: Model, known: Mapping[str, Tensor], x: Array) -> dict[str, Array]:
    """Spikes bool (n, steps, neurons) of each population of a spiking graph, by node."""
    assert model.flat is not None
    state = _record(model, known, x).state == SPIKED
    return {
        name: state[:, :, start:stop]
        for name, (start, stop) in zip(model.flat.populations, model.flat.wiring.populations)
    }


def finite_faults(graph: Graph, x: Array, step: int) -> list[Fault]:
    """Where a forward pass first stopped being finite, as PJ701."""
    what = f"the loss of step {step} is not finite"
    fix = "a smaller learning rate, a smaller clip, a longer warmup, or samples without NaN"
    bad = sorted(n for n, a in graph.params.items() if not np.isfinite(a).all())
    if not np.isfinite(np.asarray(x, np.float64)).all():
        bad = [graph.input.name]
    elif not bad and prepare(graph).flat is None:
        known = constants(graph, {name: Tensor(a) for name, a in graph.params.items()})
        values = tensor.evaluate(graph, known, x, training=False)
        bad = [n for n in graph.order if not np.isfinite(values.of[n].data).all()]
    where = f"first at {bad[0]!r}" if bad else f"at the output {graph.output!r}"
    return [Fault("PJ701", what, where=where, fix=fix)]


def dump_outputs(graph: Graph, x: Array, path: str | Path) -> None:
    """Write samples and the trainer's outputs as safetensors, for a replay by the simulator.

    Names are 'x' and those of `evaluate_outputs`.  Raises UsageError PJ801.
    """
    from safetensors.numpy import save

    arrays = {"x": np.asarray(x), **evaluate_outputs(graph, x)}
    try:
        Path(path).write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    except OSError as error:
        raise UsageError(Fault("PJ801", f"cannot write {path}: {error}")) from error
