"""Which networks a target has instructions for, whatever their size."""

from __future__ import annotations

from collections.abc import Iterator

from picojoule.errors import Fault
from picojoule.graph import Graph, Node
from picojoule.graph.ops import (
    IMAGE_INTEGERS,
    SYNAPSES,
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    CubaLif,
    Delay,
    Dense,
    Elu,
    Flatten,
    Input,
    IntAdd,
    IntCuba,
    IntDense,
    IntNeuron,
    LeakyRelu,
    MaxPool,
    Relu,
    Sigmoid,
    Softmax,
    Tanh,
)
from picojoule.target import Target

NEURONS = (CubaLif, IntCuba, IntNeuron)
GROUPS = (Dense, *SYNAPSES)
KNOWN: dict[str, tuple[type, ...]] = {
    "spiking": (Input, Flatten, Delay, *GROUPS, *NEURONS),
    "tensor": (
        Input, Flatten, Dense, Conv, Relu, LeakyRelu, Elu, Sigmoid, Tanh, MaxPool, AveragePool,
        Add, Concat, IntDense, IntAdd, *IMAGE_INTEGERS,
    ),
}  # fmt: skip
FIXES = {
    BatchNorm: "put it right after a Dense or Conv that nothing else reads",
    Softmax: "make it the last node, with readout 'argmax': then it is left out",
    Relu: "CubaLif neurons instead, or a tensor target",
    CubaLif: "a spiking target such as loihi1",
    IntCuba: "a spiking target such as loihi1",
    IntNeuron: "a spiking target such as loihi1",
    Add: "let neurons read both terms",
}


def support_faults(graph: Graph, target: Target) -> list[Fault]:
    """PJ206 for every node that `target` has no instruction for, in its place.

    `graph` is canonical, with batch normalization folded (`quantize.prepare`).
    """
    checks = (_op_faults, _empty_faults, _encoder_faults, _pool_faults)
    found = [fault for check in checks for fault in check(graph, target)]
    if target.kind == "spiking" and not found:
        found = [*_wiring_faults(graph)]
    where = target.where("kind")
    return [Fault("PJ206", what, where=where, fix=fix) for what, fix in found]


def source_of(graph: Graph, name: str) -> tuple[str, int]:
    """What drives the synapse group `name`: the Input or neurons behind Flatten and Delay, and
    how many steps of Delay lie between."""
    steps, node = 0, graph[graph[name].inputs[0]]
    seen: set[str] = set()
    while isinstance(node.op, Delay | Flatten) and node.name not in seen:
        seen.add(node.name)
        steps += node.op.steps if isinstance(node.op, Delay) else 0
        node = graph[node.inputs[0]]
    return node.name, steps


def _op_faults(graph: Graph, target: Target) -> Iterator[tuple[str, str]]:
    known = KNOWN[target.kind]
    listed = ", ".join(op.__name__ for op in known if not op.__name__.startswith("Int"))
    for name in graph.names():
        op = graph[name].op
        if not isinstance(op, known):
            kind = type(op).__name__
            yield (
                f"node {name!r} is a {kind}; {target.name!r} can compute {listed}",
                FIXES.get(type(op), "a target of the other kind"),
            )


def _pool_faults(graph: Graph, target: Target) -> Iterator[tuple[str, str]]:
    """One multiplier requantizes all windows, so all must have as many elements."""
    for name in graph.names(AveragePool) if target.kind == "tensor" else ():
        op = graph[name].op
        assert isinstance(op, AveragePool)
        if any(op.padding) and not op.count_padding:
            yield (
                f"node {name!r} is an AveragePool whose windows at the border count fewer elements",
                "count_padding=True, or no padding",
            )


def _empty_faults(graph: Graph, target: Target) -> Iterator[tuple[str, str]]:
    wires = (Input, Flatten, Delay)
    if all(isinstance(node.op, wires) for node in graph.nodes):
        yield (
            f"network {graph.name!r} computes nothing; {target.name!r} has no program for it",
            "give it a layer",
        )


def _encoder_faults(graph: Graph, target: Target) -> Iterator[tuple[str, str]]:
    kind = graph.encoder.kind
    if target.kind == "tensor" and kind != "affine":
        yield f"encoder {kind!r} makes spikes; {target.name!r} takes integers", "encoder 'affine'"
    if target.kind == "spiking" and kind == "affine":
        yield (
            f"encoder 'affine' makes integers; {target.name!r} takes spikes",
            "encoder 'rate' (values become spike counts) or 'events'",
        )


def _wiring_faults(graph: Graph) -> Iterator[tuple[str, str]]:
    """On a neuron core, spikes reach neurons through synapses and nothing else."""
    for name in graph.names():
        node = graph[name]
        if isinstance(node.op, NEURONS):
            yield from _neuron_faults(graph, node)
        elif isinstance(node.op, GROUPS):
            yield from _group_faults(graph, node)
    if not isinstance(graph[graph.output].op, NEURONS):
        kind = type(graph[graph.output].op).__name__
        yield f"the answer is node {graph.output!r}, a {kind}, not neurons", "end with CubaLif"


def _neuron_faults(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    for source in node.inputs:
        kind = type(graph[source].op)
        if not issubclass(kind, GROUPS):
            yield (
                f"neurons {node.name!r} read node {source!r}, a {kind.__name__}, directly",
                f"a Dense between {source!r} and {node.name!r}",
            )


def _group_faults(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    source = graph[source_of(graph, node.name)[0]]
    if not isinstance(source.op, (Input, *NEURONS)):
        kind = type(source.op).__name__
        yield (
            f"synapses {node.name!r} read node {source.name!r}, a {kind}, which does not spike",
            f"CubaLif neurons between {source.name!r} and {node.name!r}",
        )
    if isinstance(source.op, Input) and source.op.kind != "spike":
        yield (
            f"synapses {node.name!r} read the input {source.name!r}, which is real-valued",
            "an Input of kind 'spike' and encoder 'rate' or 'events'",
        )
    for reader in graph.readers(node.name):
        if not isinstance(reader.op, NEURONS):
            kind = type(reader.op).__name__
            yield (
                f"node {reader.name!r}, a {kind}, reads the synapses {node.name!r}",
                "let neurons alone read them",
            )
