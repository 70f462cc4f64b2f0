"""Quantization-aware training on a target's own arithmetic, down to a Program that agrees."""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.errors import CheckError, Fault, TrainError, UsageError
from picojoule.fixed.format import FLOATS
from picojoule.graph import Graph
from picojoule.passes import check, freeze, lower, quantize, schedule_delays
from picojoule.program import Program
from picojoule.sim.run import run
from picojoule.target import Target
from picojoule.train import methods
from picojoule.train.batches import check_data
from picojoule.train.evaluate import evaluate_outputs
from picojoule.train.loop import fit
from picojoule.train.model import samples_of
from picojoule.train.options import Options, Progress
from picojoule.train.post_training import choose_offsets
from picojoule.train.wiring import is_spiking

Array = np.ndarray
CALIBRATE = 512  # samples that steps are chosen by
CONFIRM = 64  # samples on which Program and trainer are compared


def finetune(
    graph: Graph, target: Target, x: Array, y: Array, *, bits: int | None,
    activation_bits: int | None = None, epochs: int, batch: int = 64, lr: float = 1e-3,
    seed: int = 0, validation: tuple[Array, Array] | None = None,
    callback: Progress | None = None, options: Options | None = None, weights: str = "lsq",
    activations: str = "lsq",
) -> tuple[Graph, Program]:  # fmt: skip
    """Quantize a float graph for a target, train it in integers, freeze it and compile it.

    bits, activation_bits  of all layers, first and last included; the input keeps 8
    weights, activations   how they are quantized on a tensor machine: `methods.use`; or a format
                           that the machine has, such as 'e4m3', for weights 'mxfp4'
    The integers of the live graph, of the frozen one and of the Program are the same: all run
    on a batch, and TrainError PJ703 names what differs.
    Raises CheckError where the network does not fit the target, and what `fit` raises.
    """
    y = np.asarray(y)
    check_data(graph, x, y)
    x = samples_of(graph, x)
    known = tuple(FLOATS)
    form, weights = (weights, "lsq") if weights in known else (None, weights)
    edges, activations = (activations, "lsq") if activations in known else (None, activations)
    asked: dict[str, Any] = {
        "bits": bits, "activation_bits": activation_bits, "weights": form, "activations": edges,
    }  # fmt: skip
    faults = check(graph, target, **asked) + methods.storage_faults(target, weights)
    if faults:
        raise CheckError(faults)
    live = start_quantized(graph, target, x, **asked)
    live = with_methods(live, x, weights, activations)
    live = fit(live, x, y, epochs=epochs, batch=batch, lr=lr, seed=seed, validation=validation,
               callback=callback, options=options or usual(live))  # fmt: skip
    frozen = freeze(live)
    program = lower(frozen, target)
    for trained in (live, frozen):
        confirm(trained, program, x[:CONFIRM])
    return frozen, program


def usual(graph: Graph) -> Options:
    """Options for fine-tuning: a spiking network keeps its steps, decays and thresholds."""
    if not is_spiking(graph):
        return Options(smoothing=0.1)
    return Options(smoothing=0.1, gain=0.5, step_lr=0.0, neuron_lr=0.0)


def with_methods(live: Graph, x: Array, weights: str, activations: str) -> Graph:
    """A live graph quantized by other methods than LSQ.  Raises UsageError PJ806."""
    if (weights, activations) == ("lsq", "lsq"):
        return live
    if is_spiking(live):
        what = f"weights={weights!r}, activations={activations!r} are for networks without spikes"
        raise UsageError(Fault("PJ806", what, fix="'lsq' for both"))
    live = methods.use(live, weights=weights, activations=activations)
    return choose_offsets(live, x[:CALIBRATE]) if activations == "lsq+" else live


def start_quantized(
    graph: Graph, target: Target, x: Array, *, bits: int | None,
    activation_bits: int | None = None, weights: str | None = None,
    activations: str | None = None,
) -> Graph:  # fmt: skip
    """The quantized graph with live derivations and the machine's delays: where training starts."""
    live = quantize(graph, target, x[:CALIBRATE], bits=bits, activation_bits=activation_bits,
                    weights=weights, activations=activations)  # fmt: skip
    return schedule_delays(live, target)


def confirm(graph: Graph, program: Program, x: Array) -> int:
    """Compare the trainer's integers with those of the simulated Program; returns how many.

    Outputs, and for spiking networks the final current and voltage of every population.
    Raises TrainError PJ703 for each array that differs.
    """
    expected = evaluate_outputs(graph, x)
    result = run(program, x, detail="sum")
    found = {name: result.outputs[name] for name in ("output", "spikes") if name in expected}
    for name in expected.keys() - found.keys():
        what, node = name.split(".", 1)
        found[name] = result.node(node, what)
    faults = [fault for name in sorted(expected) for fault in _differences(name, expected, found)]
    if faults:
        raise TrainError(faults)
    return sum(array.size for array in expected.values())


def _differences(name: str, expected: dict[str, Array], found: dict[str, Array]) -> list[Fault]:
    ours, theirs = expected[name], found[name]
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return []
    if ours.shape != theirs.shape:
        what = (f"{name!r} has shape {list(ours.shape)} in training,"
                f" {list(theirs.shape)} in the program")  # fmt: skip
        return [Fault("PJ703", what, fix="report this with the network: it is a bug")]
    wrong = ours != theirs
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    what = (
        f"{np.count_nonzero(wrong)} of {ours.size} values of {name!r} differ; first at"
        f" {list(first)}: {ours[first]} in training, {theirs[first]} in the program"
    )
    return [Fault("PJ703", what, fix="report this with the network: it is a bug")]
