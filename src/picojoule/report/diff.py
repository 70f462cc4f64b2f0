"""Where floats and integers part: a float network beside its program, node by node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule import sim
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.interpret import answers, interpret
from picojoule.graph.ops import BatchNorm, CubaLif, Flatten, Relu
from picojoule.program import Program

Array = np.ndarray
Samples = Array | Events


@dataclass(frozen=True)
class NodeDifference:
    """One node: its float values beside the integers that stand for them.

    name         node of the float network whose values are compared
    kind         'values' in real units, or 'spikes'
    error        root mean square of the difference over that of the float values; for spikes
                 the share of spikes that have no partner in the other raster
    largest      largest absolute difference in real units; for spikes the largest difference
                 of a neuron's spike count in one sample
    floats, integers   mean of the float values and of the integers' values; for spikes the
                 spikes of one inference
    late         steps by which the machine runs behind the network
    first        (sample, step or -1, element) of the first difference; None where there is none
    """

    name: str
    kind: str
    error: float
    largest: float
    floats: float
    integers: float
    late: int = 0
    first: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Difference:
    """Nodes in order of evaluation, and how often float and deployed answers agree (0..1)."""

    network: str
    target: str
    samples: int
    nodes: tuple[NodeDifference, ...]
    agreement: float | None

    def __str__(self) -> str:
        head = f"{self.network!r}, float against {self.target}, {self.samples} samples"
        lines = [
            head,
            f"{'node':<16}{'error':>9}{'largest':>12}{'float':>12}{'integer':>12}  first",
        ]
        lines += [_line(node) for node in self.nodes]
        if self.agreement is not None:
            lines.append(f"answers agree on {self.agreement:.1%} of the samples")
        return "\n".join(lines)


def difference(network: Graph, program: Program, samples: Samples) -> Difference:
    """Run both on the same samples.

    Raises UsageError PJ806 where the program does not stem from the network, and what running
    raises.
    """
    _require_kin(network, program)
    floats = interpret(network, samples)
    compare = _spiking if program.kind == "spiking" else _tensor
    nodes, run = compare(network, program, samples, floats)
    agreement = None
    if program.readout.kind != "none":
        agreement = float(np.mean(answers(network, floats) == run.answers()))
    return Difference(network.name, program.target, run.samples, tuple(nodes), agreement)


def _require_kin(network: Graph, program: Program) -> None:
    """Raise UsageError PJ806 unless all that the program computes are nodes of the network."""
    sizes: dict[str, int] = {}
    for s in program.source:
        if s.what in ("output", "spike"):
            sizes[s.node] = max(sizes.get(s.node, 0), s.first + s.stop - s.start)
    shared = [name for name in sizes if name in network]
    spiking = bool(network.names(CubaLif))
    fits = all(network.types[name].size == sizes[name] for name in shared)
    if not shared or not fits or spiking != (program.kind == "spiking"):
        what = f"program {program.name!r} does not stem from network {network.name!r}"
        raise UsageError(Fault("PJ806", what, fix="compile this network, then compare"))


# -------------------------------------------------------------------------------------- tensor


def _tensor(
    network: Graph, program: Program, x: Samples, floats: dict[str, Array]
) -> tuple[list[NodeDifference], sim.Run]:
    held = [s.node for s in program.source if s.what == "output" and s.node in network]
    run = sim.run(program, x, probes=[f"{name}.output" for name in held])
    return [_values(network, program, name, run, floats) for name in held], run


def _values(
    network: Graph, program: Program, name: str, run: sim.Run, floats: dict[str, Array]
) -> NodeDifference:
    """The integers of a node stand for its value after the BatchNorm and Relu folded into it."""
    last = _folded(network, name)
    want = floats[last].reshape(run.samples, -1)
    scale = program.where(name, "output")[0].scale
    assert scale is not None
    got = (run.probes[f"{name}.output"] - scale.zero) * np.array(scale.step)
    error = got - want
    size = float(np.sqrt(np.mean(want**2))) or 1.0
    worst = np.unravel_index(np.argmax(np.abs(error)), error.shape)
    return NodeDifference(
        last, "values", float(np.sqrt(np.mean(error**2))) / size, float(np.abs(error).max()),
        float(want.mean()), float(got.mean()), first=(int(worst[0]), -1, int(worst[1])),
    )  # fmt: skip


def _folded(network: Graph, name: str) -> str:
    while True:
        readers = network.readers(name)
        alone = len(readers) == 1 and isinstance(readers[0].op, BatchNorm | Relu | Flatten)
        if not alone:
            return name
        name = readers[0].name


# ------------------------------------------------------------------------------------- spiking


def _spiking(
    network: Graph, program: Program, x: Samples, floats: dict[str, Array]
) -> tuple[list[NodeDifference], sim.Run]:
    held = [name for name in network.names(CubaLif) if program.where(name, "spike")]
    run = sim.run(program, x, probes=[f"{name}.spike" for name in held])
    return [_spikes(name, run.probes[f"{name}.spike"], floats[name]) for name in held], run


def _spikes(name: str, got: Array, want: Array) -> NodeDifference:
    want = want.reshape(*want.shape[:2], -1).astype(bool)
    late = _lateness(got, want)
    shifted = got[:, late : late + want.shape[1]]
    apart = shifted != want
    fired = int(want.sum() + shifted.sum()) or 1
    counts = np.abs(shifted.sum(1, dtype=int) - want.sum(1, dtype=int))
    found = np.argwhere(apart.any((0, 2)))
    first = None
    if len(found):
        step = int(found[0, 0])
        sample, element = np.argwhere(apart[:, step])[0]
        first = (int(sample), step, int(element))
    return NodeDifference(
        name, "spikes", float(apart.sum()) / fired, float(counts.max()),
        float(want.sum()) / len(want), float(shifted.sum()) / len(want), late, first,
    )  # fmt: skip


def _lateness(got: Array, want: Array) -> int:
    """The shift, up to the steps that the machine runs longer, with most common spikes."""
    shifts = range(got.shape[1] - want.shape[1] + 1)
    common = [int((got[:, k : k + want.shape[1]] & want).sum()) for k in shifts]
    return int(np.argmax(common))


def _line(node: NodeDifference) -> str:
    where = ""
    if node.first is not None:
        sample, step, element = node.first
        word = "largest at" if node.kind == "values" else "first at"
        where = f"{word} sample {sample}, " + (f"step {step}, " if step >= 0 else "")
        where += f"element {element}"
    many = "step" if node.late == 1 else "steps"
    late = f", {node.late} {many} late" if node.late else ""
    numbers = f"{node.largest:>12.4g}{node.floats:>12.4g}{node.integers:>12.4g}"
    return f"{node.name:<16}{node.error:>9.2%}{numbers}  {where}{late}"
