"""Bring a network into the one form that the other passes expect."""

from __future__ import annotations

from dataclasses import replace

from picojoule.graph import Graph, Node
from picojoule.graph.ops import (
    SYNAPSES,
    Add,
    AveragePool,
    Conv,
    CubaLif,
    Delay,
    Dense,
    Flatten,
    GlobalAveragePool,
    IntCuba,
    IntNeuron,
    MaxPool,
    Relu,
    Softmax,
)

NEURONS = (CubaLif, IntCuba, IntNeuron)


def canonicalise(graph: Graph) -> Graph:
    """Remove what means nothing, and give every synapse group one population to feed.

    Leaves: no Flatten of a vector; no Relu of a Relu; no Delay of a Delay that nothing else
    reads; no Delay behind a Dense without bias; no Add of currents between Dense and neurons;
    each synapse group (Dense, IntSynapse, ...) that feeds neurons feeds one population, once;
    no Softmax as the answer of an argmax; no GlobalAveragePool, but a pool of the whole image; no
    Relu behind a MaxPool, or behind the Flatten of an image, that nothing else reads.
    Values change only by float rounding.
    """
    for change in (
        _drop_softmax, _pool_images, _relus_first, _drop_flattens, _drop_relus, _spread_sums,
        _delay_spikes, _join_delays, _split_groups,
    ):  # fmt: skip
        graph = change(graph)
    return graph


def fresh(taken: object, name: str) -> str:
    """`name`, or the first of `name2`, `name3`, ... that `taken` does not contain."""
    tries, found = 1, name
    while found in taken:  # type: ignore[operator]  # graphs and mappings both answer `in`
        tries += 1
        found = f"{name}{tries}"
    return found


def only_reader(graph: Graph, name: str) -> Node | None:
    """The node that alone reads `name`; None when several do, or when it is the answer."""
    readers = graph.readers(name)
    alone = len(readers) == 1 and readers[0].inputs.count(name) == 1 and graph.output != name
    return readers[0] if alone else None


def _drop_softmax(graph: Graph) -> Graph:
    """The largest of the numbers stays the largest of their probabilities."""
    answer = isinstance(graph[graph.output].op, Softmax) and not graph.readers(graph.output)
    return graph.bypass(graph.output) if answer and graph.readout.kind == "argmax" else graph


def _pool_images(graph: Graph) -> Graph:
    """The mean keeps its name; a Flatten behind it makes the vector that others read."""
    for name in graph.names(GlobalAveragePool):
        shape = graph.types[graph[name].inputs[0]].shape
        flat = fresh(graph, f"{name}_flat")
        for reader in graph.readers(name):
            inputs = tuple(flat if i == name else i for i in reader.inputs)
            graph = graph.swap(reader.name, reader.op, inputs)
        output = flat if graph.output == name else graph.output
        graph = graph.swap(name, AveragePool(kernel=shape[:2])).add(Node(flat, Flatten(), (name,)))
        graph = replace(graph, output=output)
    return graph


def _relus_first(graph: Graph) -> Graph:
    """Next to the layer that feeds it, a Relu is free: it becomes the clamp of that layer."""
    for name in graph.names(Relu):
        while (before := _passed_through(graph, name)) is not None:
            graph = _exchange(graph, before, name)
    return graph


def _passed_through(graph: Graph, relu: str) -> str | None:
    """The pool, or Flatten of an image, that a Relu alone reads."""
    source = graph[graph[relu].inputs[0]]
    if not isinstance(source.op, MaxPool | Flatten) or only_reader(graph, source.name) is None:
        return None
    feeds = graph[source.inputs[0]].op
    flat = isinstance(source.op, Flatten)
    return None if flat and not isinstance(feeds, Conv | AveragePool | MaxPool) else source.name


def _exchange(graph: Graph, first: str, second: str) -> Graph:
    """Two nodes in a row change places; whatever read the second reads the first."""
    nodes = []
    for node in graph.nodes:
        inputs = tuple(first if i == second else i for i in node.inputs)
        if node.name == first:
            inputs = (second,)
        elif node.name == second:
            inputs = graph[first].inputs
        nodes.append(replace(node, inputs=inputs))
    output = first if graph.output == second else graph.output
    return replace(graph, nodes=tuple(nodes), output=output)


def _drop_flattens(graph: Graph) -> Graph:
    types = graph.types
    for name in graph.names(Flatten):
        if len(types[graph[name].inputs[0]].shape) == 1:
            graph = graph.bypass(name)
    return graph


def _drop_relus(graph: Graph) -> Graph:
    for name in graph.names(Relu):
        if isinstance(graph[graph[name].inputs[0]].op, Relu):
            graph = graph.bypass(name)
    return graph


def _spread_sums(graph: Graph) -> Graph:
    """Neurons sum their inputs anyway, so they can read the terms of an Add themselves."""
    for name in reversed(graph.names(Add)):
        readers = graph.readers(name)
        neurons = all(isinstance(r.op, CubaLif | IntCuba) for r in readers)
        if name == graph.output or not readers or not neurons:
            continue
        terms = graph[name].inputs
        for reader in readers:
            spread = [t for i in reader.inputs for t in (terms if i == name else (i,))]
            graph = graph.swap(reader.name, reader.op, tuple(spread))
        graph = _without(graph, name)
    return graph


def _without(graph: Graph, name: str) -> Graph:
    return replace(graph, nodes=tuple(n for n in graph.nodes if n.name != name))


def _delay_spikes(graph: Graph) -> Graph:
    """Machines delay spikes, not currents; without a bias the two are the same."""
    for name in graph.names(Delay):
        source = graph[graph[name].inputs[0]]
        if not isinstance(source.op, Dense) or source.op.bias is not None:
            continue
        if only_reader(graph, source.name) is None:
            continue
        before, op = source.inputs, graph[name].op
        graph = graph.bypass(name).add(Node(name, op, before))
        graph = graph.swap(source.name, source.op, (name,))
    return graph


def _join_delays(graph: Graph) -> Graph:
    for name in graph.names(Delay):
        if name not in graph:
            continue  # joined to its reader already
        source = graph[graph[name].inputs[0]]
        if isinstance(source.op, Delay) and only_reader(graph, source.name) is not None:
            steps = source.op.steps + graph[name].op.steps  # type: ignore[attr-defined]
            graph = graph.swap(name, Delay(steps=steps)).bypass(source.name)
    return graph


def _split_groups(graph: Graph) -> Graph:
    """A synapse group has one step and one exponent, so each population needs its own."""
    for name in graph.names(*NEURONS):
        inputs: list[str] = []
        for source in graph[name].inputs:
            shared = source in inputs or _feeds_earlier(graph, source, name)
            if shared and isinstance(graph[source].op, (Dense, *SYNAPSES)):
                copy = fresh(graph, f"{source}_{name}")
                graph = graph.add(Node(copy, graph[source].op, graph[source].inputs))
                source = copy
            inputs.append(source)
        graph = graph.swap(name, graph[name].op, tuple(inputs))
    return graph


def _feeds_earlier(graph: Graph, source: str, name: str) -> bool:
    """True unless `name` is the first of the populations that `source` feeds."""
    fed = [n for n in graph.names(*NEURONS) if source in graph[n].inputs]
    return fed[0] != name
