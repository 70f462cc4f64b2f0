"""Write a spiking machine's own delays into a quantized network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from picojoule.errors import CheckError, Fault
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph, Node
from picojoule.graph.ops import SYNAPSES, Delay, IntCuba, IntNeuron
from picojoule.passes.canonicalise import fresh
from picojoule.passes.populations import longest_delay
from picojoule.passes.support import source_of
from picojoule.target import Target


@dataclass(frozen=True)
class Edge:
    """Spikes of `source` through synapses `group` to neurons `to`.

    steps  what the network asks for       least  what the machine needs
    """

    source: str
    group: str
    to: str
    steps: int
    least: int


@dataclass(frozen=True)
class Timing:
    """late: steps by which each node runs behind the network; delay: of each synapse group.

    stretched: steps that a loop through the group takes too long
    """

    late: dict[str, int]
    delay: dict[str, int]
    stretched: dict[str, int]


def schedule_delays(graph: Graph, target: Target) -> Graph:
    """Give each edge the delay that it has on `target`; a tensor network is left as it is.

    Every population runs a whole number of steps behind the network, the same along all paths
    that meet (the shorter ones get synaptic delay), so integers are those of the network, later.
    Delays that the network has itself pay for the machine's first.  Leaves: a Delay of
    profile + synaptic delay before each synapse group (none for 0 steps) and no other Delay;
    what its synapses have for themselves (IntSynapse.delays) comes on top;
    `latency` and `readout.start` raised by what the output is late.  Running it again changes
    nothing.  Raises CheckError PJ207 where a synaptic delay does not fit its field.
    """
    if target.kind != "spiking":
        return graph
    edges = _edges(graph, target)
    timing = _timing(graph, edges)
    faults = _delay_faults(graph, target, edges, timing)
    if faults:
        raise CheckError(faults)
    flat = [name for name in graph.names(Delay)]
    for name in flat:
        graph = graph.bypass(name)
    for edge in edges:
        graph = _write(graph, edge, timing.delay[edge.group])
    late = timing.late.get(graph.output, 0)
    readout = replace(graph.readout, start=graph.readout.start + late)
    return replace(graph, latency=graph.latency + late, readout=readout)


def stretched_loops(graph: Graph, target: Target) -> list[Fault]:
    """PJ213 for each recurrent edge that the machine cannot make as quick as the network's."""
    stretched = _timing(graph, _edges(graph, target)).stretched
    return [
        Fault("PJ213", f"the loop through {group!r} is longer on {target.name!r} than in the"
              f" network, by steps: {extra}", fix=f"a Delay longer by {extra} in the loop")
        for group, extra in sorted(stretched.items())
    ]  # fmt: skip


def _edges(graph: Graph, target: Target) -> list[Edge]:
    profile = SPIKING[target.core.profile]
    found = []
    for to in graph.names(IntCuba, IntNeuron):
        for group in graph[to].inputs:
            source, steps = source_of(graph, group)
            spikes = isinstance(graph[source].op, IntCuba | IntNeuron)
            least = profile.spike_delay if spikes else profile.input_delay
            found.append(Edge(source, group, to, steps, least))
    return found


def _timing(graph: Graph, edges: list[Edge]) -> Timing:
    late = _lateness(graph, edges)
    stretched: dict[str, int] = {}
    if late is None:
        kept = [e for e in edges if e.steps == 0 or not _in_loop(edges, e)]
        late = _lateness(graph, kept)
        assert late is not None, "a cycle without Delay passed the graph's own check"
    delay = {}
    for edge in edges:
        exact = edge.steps + late[edge.to] - late[edge.source]
        delay[edge.group] = max(exact, edge.least)
        if exact < edge.least:
            stretched[edge.group] = edge.least - exact
    return Timing(late, delay, stretched)


def _lateness(graph: Graph, edges: list[Edge]) -> dict[str, int] | None:
    """The least lateness of each node at which every edge has its least delay; None when a
    loop is too quick for the machine."""
    late = dict.fromkeys(graph.names(), 0)
    for _ in range(len(late) + 1):
        before = dict(late)
        for edge in edges:
            needed = late[edge.source] + edge.least - edge.steps
            late[edge.to] = max(late[edge.to], needed)
        if late == before:
            return late
    return None


def _in_loop(edges: list[Edge], edge: Edge) -> bool:
    """Whether the source of an edge can be reached from where it leads."""
    reached, frontier = {edge.to}, [edge.to]
    while frontier:
        name = frontier.pop()
        ahead = {e.to for e in edges if e.source == name} - reached
        reached |= ahead
        frontier += sorted(ahead)
    return edge.source in reached


def _delay_faults(graph: Graph, target: Target, edges: list[Edge], timing: Timing) -> list[Fault]:
    most = SPIKING[target.core.profile].delay_max
    own = {e.group: timing.delay[e.group] - e.least + longest_delay(graph, e.group) for e in edges}
    return [
        Fault("PJ207", f"synapses {group!r} need a delay of {steps}"
              f" steps; {target.name!r} has at most {most}",
              where=target.where("core.limits.delay_max"),
              fix="a shorter Delay, or fewer layers on the longer path")
        for group, steps in own.items() if steps > most
    ]  # fmt: skip


def _write(graph: Graph, edge: Edge, delay: int) -> Graph:
    op = graph[edge.group].op
    assert isinstance(op, SYNAPSES)
    inputs = graph[edge.group].inputs
    if delay > 0:
        name = fresh(graph, f"{edge.group}_delay")
        graph = graph.add(Node(name, Delay(steps=delay), inputs))
        inputs = (name,)
    return graph.swap(edge.group, replace(op, delay=delay - edge.least), inputs)
