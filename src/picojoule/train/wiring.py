"""From a spiking Graph, float or quantized, to the flat network that the kernels run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from picojoule.errors import Fault, TrainError
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph, Node
from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten, Input, IntCuba, IntSynapse
from picojoule.graph.types import Op
from picojoule.kernels.train_spiking import DELAY, SOURCE, TARGET, Wiring

SYNAPSES = (Dense, IntSynapse)
NEURONS = (CubaLif, IntCuba)


@dataclass(frozen=True, eq=False)
class Flat:
    """A spiking Graph as one flat network.

    populations  names of the neuron nodes, in the order of `wiring.populations`
    synapses     names of the synapse nodes, in the order of `wiring.groups`
    integer      whether the nodes are those of a quantized graph
    """

    wiring: Wiring
    populations: tuple[str, ...]
    synapses: tuple[str, ...]
    integer: bool


@dataclass(frozen=True)
class _Group:
    synapse: str
    source: str
    target: str
    delay: int


def is_spiking(graph: Graph) -> bool:
    """Whether any node is a population of neurons."""
    return bool(graph.names(*NEURONS))


def flatten(graph: Graph) -> Flat:
    """Lay out a spiking graph.

    Raises TrainError PJ704, with all faults, where a node is neither synapses nor neurons,
    or where neurons are driven without synapses.
    """
    names = graph.names(*NEURONS)
    _refuse_others(graph)
    groups = [_trace(graph, graph[source], name) for name in names for source in graph[name].inputs]
    sizes = [graph.types[name].size for name in names]
    stops = np.cumsum(sizes, dtype=np.int64)
    refractory = np.repeat([graph[name].op.refractory for name in names], sizes)
    wiring = Wiring(
        populations=np.stack([stops - sizes, stops], axis=1),
        groups=_table(graph, groups, names),
        refractory=refractory.astype(np.int64),
        output=names.index(_answer(graph)),
    )
    return Flat(
        wiring, names, tuple(g.synapse for g in groups), isinstance(graph[names[0]].op, IntCuba)
    )


def _answer(graph: Graph) -> str:
    node = graph[graph.output]
    while isinstance(node.op, Flatten):
        node = graph[node.inputs[0]]
    if not isinstance(node.op, NEURONS):
        raise TrainError(Fault(
            "PJ704", f"the output {graph.output!r} of a spiking network is not spiking neurons",
            where=f"node {node.name!r}", fix="end the network with a CubaLif",
        ))  # fmt: skip
    return node.name


def _refuse_others(graph: Graph) -> None:
    known = (*SYNAPSES, *NEURONS, Delay, Flatten, Input)
    faults = [
        Fault("PJ704", f"{type(n.op).__name__} cannot be trained in a spiking network",
              where=f"node {n.name!r}", fix="fold it into a Dense, or leave it out")
        for n in graph.nodes if not isinstance(n.op, known)
    ]  # fmt: skip
    faults += [
        Fault("PJ704", f"{what} cannot be trained yet", where=f"node {n.name!r}")
        for n in graph.nodes for what in _untrained(n.op)
    ]  # fmt: skip
    if faults:
        raise TrainError(faults)


def _untrained(op: Op) -> Iterator[str]:
    """What the simulator computes and the trainer's kernels do not."""
    if isinstance(op, IntSynapse) and op.delays is not None:
        yield "a delay for each synapse"
    if isinstance(op, IntSynapse) and op.graded:
        yield "synapses of graded spikes"
    if isinstance(op, IntCuba):
        profile = SPIKING[op.profile]
        if profile.exponent_on == "sum" or not profile.bias_wraps:
            yield f"profile {profile.name!r}"


def _trace(graph: Graph, node: Node, target: str) -> _Group:
    """Walk back from an input of neurons over its synapses to where spikes come from."""
    delay, synapse = 0, ""
    while not isinstance(node.op, (*NEURONS, Input)):
        if isinstance(node.op, Delay):
            delay += node.op.steps
        elif isinstance(node.op, SYNAPSES):
            if synapse:
                raise _unclear(target, f"{synapse!r} and {node.name!r} follow one another")
            synapse = node.name
        node = graph[node.inputs[0]]
    if not synapse:
        raise _unclear(target, f"{node.name!r} drives them without synapses")
    return _Group(synapse, node.name, target, delay)


def _unclear(target: str, what: str) -> TrainError:
    return TrainError(Fault(
        "PJ704", f"neurons need one Dense between them and spikes: {what}",
        where=f"node {target!r}",
    ))  # fmt: skip


def _table(graph: Graph, groups: list[_Group], names: tuple[str, ...]) -> np.ndarray:
    rows, offset = [], 0
    for group in groups:
        source = names.index(group.source) if group.source in names else -1
        n_in, n_out = graph.types[group.source].size, graph.types[group.target].size
        rows.append([source, names.index(group.target), group.delay, offset, n_in, n_out])
        offset += n_in * n_out
    return np.array(rows, np.int64).reshape(-1, 6)


# ---------------------------------------------------------------------------------- delays


def with_delays(flat: Flat, delays: np.ndarray) -> Flat:
    """The same network with delays (G,) of its groups, real, rounded to whole steps.

    A group from the same or a later population keeps a step at least.
    """
    groups = flat.wiring.groups.copy()
    groups[:, DELAY] = np.maximum(np.rint(delays), groups[:, SOURCE] >= groups[:, TARGET])
    return replace(flat, wiring=replace(flat.wiring, groups=groups))


def write_delays(graph: Graph, flat: Flat) -> Graph:
    """The graph with the delays of a flat network, as Delay nodes before its synapses.

    In a quantized graph the synaptic delay, what lies beyond the machine's own, follows.
    Populations that are only driven through delays may change places in the order of the graph.
    Raises TrainError PJ704 where a delay that lies behind synapses would have to shrink.
    """
    wanted = dict(zip(flat.synapses, flat.wiring.groups[:, DELAY].tolist()))
    now = flatten(graph)
    for name, steps in zip(now.synapses, now.wiring.groups[:, DELAY].tolist()):
        if steps != wanted[name]:
            graph = _delayed(graph, name, wanted[name] - steps)
    return graph


def _delayed(graph: Graph, synapse: str, more: int) -> Graph:
    """Synapses `synapse` with `more` steps of delay before them, less if negative."""
    op, source, chain = graph[synapse].op, graph[synapse].inputs[0], []
    if isinstance(op, IntSynapse):
        op = replace(op, delay=op.delay + more)
    while isinstance(graph[source].op, Delay):
        chain.append(source)
        more += graph[source].op.steps
        source = graph[source].inputs[0]
    if more < 0:
        raise TrainError(Fault(
            "PJ704", f"a delay behind the synapses cannot shrink by {-more}",
            where=f"node {synapse!r}", fix="put the Delay before the synapses",
        ))  # fmt: skip
    if more:
        name = f"{synapse}.delay"
        while name in graph:
            name += "'"
        graph = graph.add(Node(name=name, op=Delay(steps=more), inputs=(source,)))
        source = name
    graph = graph.swap(synapse, op, (source,))
    for name in chain:
        graph = graph if graph.readers(name) else graph.bypass(name)
    return graph
