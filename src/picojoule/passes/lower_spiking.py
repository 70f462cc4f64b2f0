"""A frozen spiking network becomes a Program: slices on cores, lists of synapses, routes."""

from __future__ import annotations

import numpy as np

from picojoule.errors import CheckError
from picojoule.graph import Graph
from picojoule.graph.ops import Input
from picojoule.passes.groups import AnyGroup, Runs
from picojoule.passes.lower_neurons import neuron_regions, region_name, spike_format, update
from picojoule.passes.lower_synapses import deliver
from picojoule.passes.partition import Port, Slice, partition, ports
from picojoule.passes.populations import populations
from picojoule.passes.site import Arrival, Axons, Site
from picojoule.program import Instruction, Program, Source, Span
from picojoule.target import Target


def lower_spiking(graph: Graph, target: Target) -> Program:
    """Cut, pack and wire a frozen, scheduled network of synapse groups and neurons.

    Every core takes in spikes (input), delivers them (and accumulates sums that are shifted as
    a whole), updates its neurons, and sends (output, route); a barrier ends the step.  Lists
    become dense where more than half of their weights are not 0, and shared where the node
    shares them.  A group whose synapses differ in delay is delivered in parts, each with axons
    of its own.  Registers that hold one value for all neurons of a slice are scalars.
    Raises CheckError PJ201..PJ205, PJ214 where the cores are too few or too small.
    """
    cells = populations(graph, target, bits=8)
    slices, faults = partition(cells, target)
    if faults:
        raise CheckError(faults)
    site = Site(graph, target, slices, {p.name: p.groups for p in cells})
    cores = 1 + max(s.core for s in slices)
    _faces(site)
    for piece in slices:
        neuron_regions(site, piece)
    _axon_regions(site, ports(cells, slices))
    entries = _entries(site)
    for core in range(cores):
        _receive(site, entries.get(core, []))
        for piece in site.on_core(core):
            groups = site.groups[piece.node]
            delivered = tuple(i for group in groups for i in deliver(site, piece, group))
            site.fired[piece] = update(site, piece, delivered)
    for core in range(cores):
        _send(site, core)
    site.draft.emit(Instruction(op="barrier", core=-1, after=site.draft.last()))
    return _program(site, cores)


def _program(site: Site, cores: int) -> Program:
    graph, target, draft = site.graph, site.target, site.draft
    return Program(
        name=graph.name, target=target.name, machine=target.machine_digest, kind="spiking",
        profile=target.core.profile, regions=draft.regions, arrays=draft.arrays,
        instructions=tuple(draft.instructions), encoder=graph.encoder, readout=graph.readout,
        steps=graph.steps + graph.latency, latency=graph.latency,
        positions=tuple(target.position(k) for k in range(cores)),
        source=tuple(draft.source),
    )  # fmt: skip


def _faces(site: Site) -> None:
    """Where the host's events come in, and where labels leave."""
    graph = site.graph
    channels, labels = graph.encoder.channels, graph.types[graph.output].size
    site.draft.region(
        "events", "host", -1, spike_format(graph, graph.input.name), (channels,), "input"
    )
    site.draft.region("labels", "host", -1, spike_format(graph, graph.output), (labels,), "output")
    site.draft.source.append(Source("labels", 0, labels, graph.output, "output"))


def _axon_regions(site: Site, found: dict[tuple[int, Port], tuple[Runs, int]]) -> None:
    """Input axons of every core, port and delay.  The parts of a group whose synapses differ in
    delay hear the same sources, so that they are one input axon of the hardware."""
    for piece in site.slices:
        for group in site.groups[piece.node]:
            key = (piece.core, group.port)
            if key not in found or not _reaches(group, piece):
                continue
            for extra in group.extra_delays(piece.start, piece.stop):
                arrival = Arrival(piece.core, *group.port, extra)
                if arrival not in site.axons:
                    site.axons[arrival] = _axons(site, arrival, found[key][0])


def _axons(site: Site, arrival: Arrival, runs: Runs) -> Axons:
    ends = np.cumsum(runs.high - runs.low)
    form = spike_format(site.graph, arrival.source)
    span = site.draft.region(arrival.region, "axon", arrival.core, form, (int(ends[-1]),), "buffer")
    return Axons(runs, ends - (runs.high - runs.low), span)


def _reaches(group: AnyGroup, piece: Slice) -> bool:
    low, high = group.axons(piece.start, piece.stop)
    return high > low


def _entries(site: Site) -> dict[int, list[Arrival]]:
    """Core -> arrivals of host events."""
    found: dict[int, list[Arrival]] = {}
    for arrival in site.axons:
        if isinstance(site.graph[arrival.source].op, Input):
            found.setdefault(arrival.core, []).append(arrival)
    return found


def _receive(site: Site, arrivals: list[Arrival]) -> None:
    """Host events go straight to the axons that read the input."""
    for arrival in arrivals:
        axons = site.axons[arrival]
        for low, high, first in axons.pieces:
            index = site.draft.emit(Instruction(
                op="input", core=arrival.core, reads=(Span("events", low, high),),
                writes=(Span(axons.span.region, first, first + high - low),),
                args=(arrival.steps,),
            ))  # fmt: skip
            site.arrived.setdefault(arrival, []).append(index)


def _send(site: Site, core: int) -> None:
    """Spikes of a core go to the labels, and once to each core and delay that reads them."""
    for piece in site.on_core(core):
        if piece.node == site.graph.output:
            site.draft.emit(Instruction(
                op="output", core=core,
                reads=(Span(region_name(piece, "spike"), 0, piece.size),),
                writes=(Span("labels", piece.start, piece.stop),), after=(site.fired[piece],),
            ))  # fmt: skip
        spike = region_name(piece, "spike")
        for arrival, start, stop, axons in site.readers(piece):
            site.draft.emit(Instruction(
                op="route", core=core, writes=(axons,),
                reads=(Span(spike, start - piece.start, stop - piece.start),),
                args=(arrival.steps, *site.target.hops(core, arrival.core)),
                after=(site.fired[piece],),
            ))  # fmt: skip
