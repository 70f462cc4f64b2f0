"""One forward pass of any trainable graph: samples to scores of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.graph.ops import BatchNorm
from picojoule.kernels.train_blocks import Surrogate
from picojoule.train import spiking, tensor
from picojoule.train.delays import DELAYS
from picojoule.train.derivations import constants
from picojoule.train.learned_edges import moved, offset_name, settled
from picojoule.train.wiring import Flat, flatten, is_spiking

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """A graph made ready for training: laid out flat where it spikes, else `flat` is None."""

    graph: Graph
    flat: Flat | None
    surrogate: Surrogate = Surrogate()
    threads: int | None = None
    gradient: str = "bptt"

    @property
    def steps(self) -> int:
        """Steps of one inference, pipeline latency included."""
        return self.graph.steps + self.graph.latency


def prepare(
    graph: Graph, surrogate: Surrogate | None = None, threads: int | None = None,
    gradient: str = "bptt",
) -> Model:  # fmt: skip
    """Lay out a graph.  Raises TrainError PJ704 where it cannot be trained."""
    flat = flatten(graph) if is_spiking(graph) else None
    return Model(graph, flat, surrogate or Surrogate(), threads, gradient)


def samples_of(graph: Graph, x: Array | Events) -> Array:
    """Samples as an array (n, ...), events as a raster.

    Raises UsageError PJ802 where one sample has not the shape that the encoder takes.
    """
    encoder = graph.encoder
    if isinstance(x, Events):
        if encoder.kind != "events":
            what = f"events were given to a network whose encoder is {encoder.kind!r}"
            raise UsageError(Fault("PJ802", what, fix="give it the samples themselves"))
        return x.raster()
    x = np.asarray(x)
    lead = 2 if encoder.kind == "events" else 1
    if x.ndim < lead or int(np.prod(x.shape[lead:])) != encoder.channels:
        steps = "steps, " if lead == 2 else ""
        shape = ", ".join(map(str, encoder.shape))
        what = f"samples must have the shape [n, {steps}{shape}], got {list(x.shape)}"
        raise UsageError(Fault("PJ802", what))
    return x


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass of one batch.

    scores      (n, classes), reals on which a loss can be taken
    params      leaves by name; `known`: all constants, parameters included
    statistics  mean and variance of this batch, by parameter name
    values      of every node of a graph without spikes, else None
    spikes      (n, populations) of a spiking graph, how often each population spiked
    """

    graph: Graph
    scores: Tensor
    params: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    statistics: dict[str, Array]
    values: tensor.Values | None = None
    spikes: Tensor | None = None


def forward_pass(
    model: Model, params: Mapping[str, Tensor], x: Array | Events, training: bool = False,
    live_norm: bool = False,
) -> Pass:  # fmt: skip
    """Samples to scores; `training` lets batch norm use the statistics of this batch, and
    `live_norm` that which is folded into integer layers."""
    if model.flat is None:
        graph = settled(model.graph, {name: leaf.data for name, leaf in params.items()})
        known = constants(graph, params, held=live_norm)
        values = tensor.evaluate(graph, known, x, training, live_norm)
        made = tensor.scores(values)
        return Pass(graph, made, params, known, values.statistics, values)
    known = constants(model.graph, params)
    events = model.graph.encoder.events(x, model.steps)
    made, spikes = spiking.score_and_spikes(
        model.graph, model.flat, known, events, model.surrogate, model.threads,
        params.get(DELAYS), model.gradient,
    )  # fmt: skip
    return Pass(model.graph, made, params, known, {}, spikes=spikes)


def statistics(graph: Graph) -> set[str]:
    """Names of parameters that are measured, not trained: means and variances."""
    found = {
        name for node in graph.nodes if isinstance(node.op, BatchNorm)
        for name in (node.op.mean, node.op.variance)
    }  # fmt: skip
    for made in graph.derived.values():
        if made.function in ("fold_bn_weight", "fold_bn_bias"):
            found.update(made.inputs[2:] if made.function == "fold_bn_weight" else made.inputs[3:])
    return found


def trainable(graph: Graph) -> tuple[str, ...]:
    """Names of parameters that training changes: those some constant needs, in store order."""
    needed = {name for node in graph.nodes for name in graph.constants(node).values()}
    needed |= {offset_name(node.name) for node in moved(graph)}
    needed |= {name for made in graph.derived.values() for name in made.inputs}
    fixed = statistics(graph) | {"input.step"} | set(graph.pinned)
    fixed |= {n for n, a in graph.params.items() if is_step(n) and not np.all(a > 0)}
    return tuple(
        name for name, array in graph.params.items()
        if name in needed and name not in fixed and np.asarray(array).dtype.kind == "f"
    )  # fmt: skip


def is_step(name: str) -> bool:
    """Whether a parameter is a learned step, which must stay positive."""
    return name.rsplit(".", 1)[-1].startswith("step")
