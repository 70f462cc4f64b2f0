"""The nine verbs: target, load, check, compile, run, cost, finetune, evaluate, diff."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule import passes, sim, train
from picojoule.cost import Bill, price
from picojoule.errors import CheckError, Fault, TargetError, UsageError
from picojoule.fixed.contract import Events
from picojoule.frontend.load import load as load_file
from picojoule.graph import Graph
from picojoule.graph.ops import REAL_OPS
from picojoule.passes.warning import warn
from picojoule.program import Program
from picojoule.report import Report
from picojoule.report.assess import assess
from picojoule.report.diff import Difference, difference
from picojoule.report.health import firing_faults
from picojoule.sim import Recording, Run
from picojoule.target import Target, check_target
from picojoule.target import load as load_target

Samples = np.ndarray | Events
Labelled = tuple[Samples, np.ndarray]


@dataclass(frozen=True)
class Findings(Sequence[Fault]):
    """Every reason why a network does not fit a machine; empty and false where it fits."""

    faults: tuple[Fault, ...]
    network: str
    target: str

    def __len__(self) -> int:
        return len(self.faults)

    def __getitem__(self, index: Any) -> Any:
        return self.faults[index]

    def __str__(self) -> str:
        if not self.faults:
            return f"{self.network!r} fits {self.target}"
        many = "reason" if len(self) == 1 else "reasons"
        head = f"{self.network!r} does not fit {self.target}, for {len(self)} {many}:"
        return "\n".join([head, *map(str, self.faults)])


def target(name: str | Path) -> Target:
    """A machine by name (`picojoule targets` lists them), or from your own YAML file.

    Raises TargetError with every fault, its file and line; PJ107 for each action that the
    machine counts and the model does not price.
    """
    found = load_target(name)
    faults = check_target(found)
    if faults:
        raise TargetError(faults)
    return found


def load(
    path: str | Path, *, dt: float | None = None, dialect: str = "ode-exact", steps: int = 100
) -> Graph:
    """A network from a file: NIR (`.nir`), ONNX (`.onnx`), lava-dl (`.net`), a Graph (`.pjg`).

    dt, dialect, steps  what NIR leaves open: step in seconds, integrator, steps of a sample
    Raises FrontendError.
    """
    return load_file(path, dt=dt, dialect=dialect, steps=steps)


def check(
    network: Graph, target: Target, *, bits: int | None = None, activation_bits: int | None = None,
    weights: str | None = None, activations: str | None = None,
) -> Findings:  # fmt: skip
    """Every reason why the network does not fit the machine, each with both numbers and a fix."""
    faults = passes.check(
        network, target, bits=bits, activation_bits=activation_bits, weights=weights,
        activations=activations,
    )  # fmt: skip
    faults += passes.stored_bits_faults(network, bits, weights, activations)
    return Findings(tuple(faults), network.name, target.name)


def compile(
    network: Graph,
    target: Target,
    *,
    calibrate: Samples | None = None,
    bits: int | None = None,
    activation_bits: int | None = None,
    dump: str | Path | None = None,
    weights: str | None = None,
    activations: str | None = None,
) -> Program:
    """Compile a network for a machine; a float network is quantized first.

    calibrate  samples to choose scales by; bits  of weights (and of activations, unless given)
    weights, activations  a format that the machine has for them beside integers: 'e4m3', 'mxfp4'
    dump       a directory for the text of every stage
    Warns (PicojouleWarning) where quantization silences or saturates a layer (PJ211), or the
    machine computes something else than the network (PJ212, PJ213).
    Raises CheckError with every fault where it does not fit.
    """
    program = passes.compile_graph(
        network, target, calibrate=calibrate, bits=bits, activation_bits=activation_bits, dump=dump,
        weights=weights, activations=activations,
    )  # fmt: skip
    if calibrate is not None:
        warn(firing_faults(network, program, calibrate))
    return program


def run(
    program: Program,
    samples: Samples | str | Path | Recording | Iterator[Events],
    *,
    steps: int | None = None,
    engine: sim.Engine = "numba",
    threads: int | None = None,
    probes: Sequence[str] = (),
    state: dict[str, np.ndarray] | None = None,
    detail: sim.Detail = "each",
    seed: int = 0,
    noise: np.ndarray | None = None,
) -> Run:
    """Run a program bit for bit; see `picojoule.sim.run`.

    samples longer than memory: a `Recording` or its path, or an iterator of Events
    """
    return sim.run(
        program, samples, steps=steps, engine=engine, threads=threads, probes=probes,
        state=state, detail=detail, seed=seed, noise=noise,
    )  # fmt: skip


def cost(run: Run, target: Target) -> Bill:
    """What a run cost: counts times the machine's prices, energy and time an inference.

    Raises CostError PJ301 for an action without a price, PJ302 for another machine's run.
    """
    return price(run.activity, target)


def finetune(
    network: Graph,
    target: Target,
    data: Labelled,
    *,
    bits: int | None = None,
    activation_bits: int | None = None,
    epochs: int = 5,
    batch: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    validation: Labelled | None = None,
    callback: Callable[[Any], None] | None = None,
    options: train.Options | None = None,
    weights: str = "lsq",
    activations: str = "lsq",
) -> Graph:
    """Train a network on the machine's own arithmetic; returns it frozen, ready to compile.

    data        (samples, labels)
    lr          highest learning rate; it falls along a cosine
    validation  (samples, labels): the best epoch on them is returned, not the last
    options     everything else about training; `train.usual(network)` is the default
    weights     'lsq', 'tqt', 'dorefa', 'ternary' or 'binary'; activations  'lsq', 'lsq+', 'pact'
                or 'tqt': how a tensor machine's integers come from reals (docs/training.md);
                or a format that the machine has, such as 'e4m3', for weights 'mxfp4'
    Ends by running the compiled program on a batch and comparing every output integer with the
    trainer's; raises TrainError PJ703 if one differs.
    """
    x, y = labelled(data)
    tuned, _ = train.finetune(
        network, target, x, y, bits=bits, activation_bits=activation_bits, epochs=epochs,
        batch=batch, lr=lr, seed=seed, callback=callback, options=options, weights=weights,
        activations=activations,
        validation=None if validation is None else labelled(validation),
    )  # fmt: skip
    return tuned


def evaluate(
    network: Graph,
    target: Target,
    data: Labelled,
    *,
    reference: Graph | None = None,
    calibrate: Samples | None = None,
    bits: int | None = None,
    activation_bits: int | None = None,
) -> Report:
    """Accuracy, float to deployed, and cost on test data, in one Report.

    network    a float network, or one that `finetune` returned
    reference  the float network that it came from, for the float and post-training rungs
    calibrate  samples to quantize a float network by (training data, not the test data)
    """
    x, y = labelled(data)
    return assess(
        network, target, x, y, reference=reference, calibrate=calibrate, bits=bits,
        activation_bits=activation_bits,
    )  # fmt: skip


def diff(network: Graph, program: Program, samples: Samples) -> Difference:
    """Where floats and integers part: the float network beside its program, node by node."""
    if any(not isinstance(node.op, REAL_OPS) for node in network.nodes):
        what = f"{network.name!r} is quantized already; diff compares a float network"
        raise UsageError(Fault("PJ806", what, fix="give the network before quantization"))
    return difference(network, program, samples)


def labelled(data: Labelled) -> Labelled:
    """(samples, labels) or UsageError PJ802."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        what = "data must be a pair (samples, labels)"
        raise UsageError(Fault("PJ802", what, fix="(x, y), two arrays as long as each other"))
    x, y = data
    return x if isinstance(x, Events) else np.asarray(x), np.asarray(y)


__all__ = [
    "CheckError", "Findings", "check", "compile", "cost", "diff", "evaluate", "finetune", "load",
    "run", "target",
]  # fmt: skip
