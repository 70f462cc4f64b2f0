"""What a network of real ops computes, in float64: the reference that integers are held to.

Plain numpy over samples and neurons, a Python loop over steps; written to be read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import Fault, GraphError, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph.graph import Graph
from picojoule.graph.interpret_image import IMAGE_OPS
from picojoule.graph.ops import (
    REAL_OPS,
    Add,
    BatchNorm,
    CubaLif,
    Delay,
    Dense,
    Flatten,
    Relu,
)
from picojoule.graph.types import Node

Array = np.ndarray


def interpret(graph: Graph, x: Array | Events) -> dict[str, Array]:
    """Values of every node for a batch of samples.

    x        (n, *shape) reals; for an encoder of kind 'events' spikes, see `Encoder`
    returns  node -> float64 (n, *shape) without time, else (n, steps, *shape), bool for
             spikes; '<node>.v' -> the final voltages (n, *shape) of each CubaLif

    steps is graph.steps + graph.latency.  A network has time when it takes spikes or holds a
    CubaLif or a Delay; real samples are then shown in every step.
    Raises GraphError PJ405 when the graph holds integer ops: run its program instead.
    """
    _only_real_ops(graph)
    if has_time(graph):
        return _with_time(graph, x)
    found = {graph.input.name: np.asarray(x, np.float64)}
    for name in graph.order:
        if name not in found:
            node = graph[name]
            found[name] = _apply(node, _constants(graph, node), [found[i] for i in node.inputs])
    return found


def answers(graph: Graph, outputs: dict[str, Array]) -> Array:
    """The class that the readout gives for each sample, int64 (n,).

    outputs  what `interpret` returned
    'argmax' takes the last step of a network with time.
    Raises UsageError PJ806 when the readout is 'none'.
    """
    found = outputs[graph.output]
    if graph.readout.kind == "none":
        raise UsageError(Fault("PJ806", "a readout of kind 'none' gives no answers"))
    if graph.readout.kind == "argmax":
        return _flat(found[:, -1] if has_time(graph) else found).argmax(axis=1)
    spikes = found.reshape(*found.shape[:2], -1)
    voltage = outputs.get(f"{graph.output}.v", np.zeros(spikes[:, 0].shape))
    return graph.readout.most_spikes(spikes, _flat(voltage))


def has_time(graph: Graph) -> bool:
    """Whether values of the graph differ from step to step."""
    return graph.encoder.kind != "affine" or bool(graph.names(CubaLif, Delay))


def _flat(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _only_real_ops(graph: Graph) -> None:
    """Raise GraphError PJ405 naming the nodes that have no meaning in reals."""
    found = [node for node in graph.nodes if not isinstance(node.op, REAL_OPS)]
    faults = [
        Fault("PJ405", f"node {n.name!r} is {type(n.op).__name__}: it computes integers",
              fix="run the compiled program")
        for n in found
    ]  # fmt: skip
    if faults:
        raise GraphError(faults)


# ------------------------------------------------------------------------- ops without memory


def _apply(node: Node, constants: dict[str, Array], inputs: list[Array]) -> Array:
    """One op on values (n, *shape)."""
    op = node.op
    x = np.asarray(inputs[0], np.float64)
    if isinstance(op, Dense):
        return x @ constants["weight"].T + constants["bias"]
    if isinstance(op, BatchNorm):
        return _batch_norm(op, constants, x)
    if isinstance(op, Relu):
        return np.maximum(x, 0.0)
    if isinstance(op, Flatten):
        return inputs[0].reshape(len(x), math.prod(x.shape[1:]))
    if isinstance(op, Add):
        return x + inputs[1]
    return IMAGE_OPS[type(op)](op, constants, *inputs)


def _batch_norm(op: BatchNorm, constants: dict[str, Array], x: Array) -> Array:
    """Statistics belong to the last axis."""
    gain, shift, mean, variance = (constants[where] for where in BatchNorm.CONSTANTS)
    return gain * (x - mean) / np.sqrt(variance + op.eps) + shift


def _constants(graph: Graph, node: Node) -> dict[str, Array]:
    """Field -> constant in float64 and its full shape; 0 where it is absent."""
    names = graph.constants(node)
    shapes = node.op.shapes(*(graph.types[i] for i in node.inputs)) if node.op.CONSTANTS else {}
    return {
        where: np.broadcast_to(
            np.asarray(graph.value(names[where]) if where in names else 0.0, np.float64), shape
        )
        for where, shape in shapes.items()
    }


# ---------------------------------------------------------------------------------- with time


@dataclass
class _Neurons:
    """A CubaLif's constants and state.  u, v float64 (n, *shape); wait int64 of that shape."""

    decay_u: Array
    decay_v: Array
    v_th: Array
    bias: Array
    refractory: int
    u: Array = field(init=False)
    v: Array = field(init=False)
    wait: Array = field(init=False)

    def reset(self, shape: tuple[int, ...]) -> None:
        self.u, self.v, self.wait = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)

    def step(self, x: Array) -> Array:
        """Advance by one step with summed input x; the spikes."""
        self.u = (1.0 - self.decay_u) * self.u + x
        reached = (1.0 - self.decay_v) * self.v + self.u + self.bias
        waiting = self.wait > 0
        fired = ~waiting & (reached > self.v_th)
        self.v = np.where(waiting | fired, 0.0, reached)
        self.wait = np.where(fired, self.refractory - 1, np.maximum(self.wait - 1, 0))
        return fired


def _with_time(graph: Graph, x: Array | Events) -> dict[str, Array]:
    shown = _shown(graph, x)
    samples, steps = shown.shape[:2]
    found = {name: _room(graph, name, samples, steps) for name in graph.order}
    found[graph.input.name] = shown
    neurons = {name: _neurons(graph, graph[name], samples) for name in graph.names(CubaLif)}
    order = [graph[name] for name in graph.order if name != graph.input.name]
    constants = {node.name: _constants(graph, node) for node in order}
    for t in range(steps):
        for node in order:
            _step(node, constants[node.name], found, neurons, t)
    return found | {f"{name}.v": each.v for name, each in neurons.items()}


def _shown(graph: Graph, x: Array | Events) -> Array:
    """What the Input gives: (n, steps, *shape), bool where the encoder makes spikes."""
    steps, shape = graph.steps + graph.latency, graph.encoder.shape
    if graph.encoder.kind != "affine":
        raster = graph.encoder.events(x, steps).raster()
        return raster.reshape(len(raster), steps, *shape)
    real = np.asarray(x, np.float64)
    return np.broadcast_to(real[:, None], (len(real), steps, *shape))


def _room(graph: Graph, name: str, samples: int, steps: int) -> Array:
    found = graph.types[name]
    dtype = bool if found.kind == "spike" else np.float64
    return np.zeros((samples, steps, *found.shape), dtype)


def _neurons(graph: Graph, node: Node, samples: int) -> _Neurons:
    op = node.op
    assert isinstance(op, CubaLif)
    made = _Neurons(**_constants(graph, node), refractory=op.refractory)
    made.reset((samples, *graph.types[node.name].shape))
    return made


def _step(
    node: Node,
    constants: dict[str, Array],
    found: dict[str, Array],
    neurons: dict[str, _Neurons],
    t: int,
) -> None:
    """Compute step t of one node."""
    out = found[node.name]
    if isinstance(node.op, Delay):
        if t >= node.op.steps:
            out[:, t] = found[node.inputs[0]][:, t - node.op.steps]
        return
    inputs = [found[i][:, t] for i in node.inputs]
    if node.name in neurons:
        total = np.zeros(out.shape[:1] + out.shape[2:])
        out[:, t] = neurons[node.name].step(sum(inputs, start=total))
    else:
        out[:, t] = _apply(node, constants, inputs)
