"""The health of a training: what gradients and activations of each layer look like.

Nothing is decided here.  A layer whose units are dead, silent or saturated, or whose gradient
is far from that of others, is where to look when a network does not learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.grad import ops
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Graph, Node
from picojoule.graph.ops import Flatten, Input
from picojoule.train.evaluate import population_spikes
from picojoule.train.model import Pass, forward_pass, prepare, samples_of
from picojoule.train.options import Epoch, Progress

Array = np.ndarray
SATURATED = 0.99  # of the largest value: where a sigmoid or tanh no longer answers


@dataclass(frozen=True)
class Activations:
    """What a layer gave for some samples.

    mean, deviation  of all its values; of spikes: a neuron and step
    zero       share of values that are 0
    dead       share of units (channels, neurons) that gave 0 for every sample: dead, or silent
    saturated  share of values at an end of the range of their integers; of spiking neurons:
               share that fired in every step
    """

    mean: float
    deviation: float
    zero: float
    dead: float
    saturated: float


@dataclass(frozen=True)
class Gradients:
    """The gradient of one parameter.

    norm     Euclidean
    ratio    norm over that of the parameter: about 1e-3 / lr moves a thousandth a step
    zero     share of elements without gradient
    """

    norm: float
    ratio: float
    zero: float


@dataclass(frozen=True)
class Health:
    """Statistics of a network for some samples: layers and parameters by name."""

    activations: dict[str, Activations]
    gradients: dict[str, Gradients]

    def __str__(self) -> str:
        rows = ["layer                 mean  deviation   zero   dead  saturated"]
        rows += [
            f"{name:<18.18}{a.mean:>8.3g}{a.deviation:>11.3g}{a.zero:>7.1%}{a.dead:>7.1%}"
            f"{a.saturated:>11.1%}" for name, a in self.activations.items()
        ]  # fmt: skip
        rows.append("parameter             norm  of its size   zero")
        rows += [f"{name:<18.18}{g.norm:>8.3g}{g.ratio:>13.3g}{g.zero:>7.1%}"
                 for name, g in self.gradients.items()]  # fmt: skip
        return "\n".join(rows)

    def worries(self, dead: float = 0.5, saturated: float = 0.3) -> list[str]:
        """Sentences about layers with more dead or saturated units than these shares."""
        found = [
            f"{a.dead:.0%} of the units of {name!r} are dead: a smaller rate, or another start"
            for name, a in self.activations.items() if a.dead > dead
        ]  # fmt: skip
        found += [
            f"{a.saturated:.0%} of the values of {name!r} are saturated: larger steps"
            for name, a in self.activations.items() if a.saturated > saturated
        ]  # fmt: skip
        return found + [
            f"no gradient reaches {name!r}" for name, g in self.gradients.items() if g.norm == 0
        ]


def health(graph: Graph, x: Array | Events, y: Array) -> Health:
    """Statistics of a graph, float or quantized, spiking or not, for samples and their labels.

    The gradient is that of the mean cross-entropy of all samples.
    Raises TrainError PJ704, UsageError PJ802.
    """
    x = samples_of(graph, x)
    model = prepare(graph)
    leaves = {n: Tensor(a, wants=a.dtype.kind == "f") for n, a in graph.params.items()}
    made = forward_pass(model, leaves, x)
    target = ops.smoothed(np.asarray(y), made.scores.shape[1], 0.0, np.float32)
    backward(ops.softmax_cross_entropy(made.scores, target))
    spikes = population_spikes(model, made.known, x) if made.values is None else {}
    activations = {name: _of_spikes(array) for name, array in spikes.items()}
    if made.values is not None:
        activations = {n.name: _of_layer(n, made) for n in graph.nodes if _tells(n)}
    reached = {n: t for n, t in leaves.items() if t.grad is not None}
    return Health(activations, {n: _of_gradient(t) for n, t in reached.items()})


def _tells(node: Node) -> bool:
    return not isinstance(node.op, Input | Flatten)


def _of_layer(node: Node, made: Pass) -> Activations:
    assert made.values is not None
    found = made.values.of[node.name].data
    zero, low, high = (getattr(node.op, f, None) for f in ("zero", "low", "high"))
    values = found.astype(np.int64) - zero if zero else found  # a byte would wrap
    ends = np.zeros(1, bool)
    if low is not None and high is not None and getattr(node.op, "multiplier", True) is not None:
        ends = found == high if low == zero else (found == high) | (found == low)
    elif type(node.op).__name__ in ("Sigmoid", "Tanh"):
        ends = np.abs(values - 0.5 * (values.min() >= 0)) > SATURATED * (
            0.5 + (values.min() < 0) / 2
        )
    return _summary(values.reshape(-1, values.shape[-1]), float(ends.mean()))


def _of_spikes(spikes: Array) -> Activations:
    """spikes bool (n, steps, neurons)."""
    rows = spikes.reshape(-1, spikes.shape[-1]).astype(np.float32)
    return _summary(rows, float(rows.all(0).mean()))


def _summary(rows: Array, saturated: float) -> Activations:
    silent = ~rows.any(0)
    return Activations(
        float(rows.mean()), float(rows.std()), float((rows == 0).mean()),
        float(silent.mean()), saturated,
    )  # fmt: skip


def _of_gradient(leaf: Tensor) -> Gradients:
    g = np.asarray(leaf.grad, np.float64)
    norm, size = float(np.linalg.norm(g)), float(np.linalg.norm(leaf.data))
    return Gradients(norm, norm / size if size else 0.0, float((g == 0).mean()))


def watch(tell: Callable[[Epoch, Health], None]) -> Progress:
    """A callback for `fit` that measures health on some samples of each epoch."""

    def callback(epoch: Epoch) -> None:
        assert epoch.graph is not None and epoch.probe is not None
        tell(epoch, health(epoch.graph, *epoch.probe))

    return callback
