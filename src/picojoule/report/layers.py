"""The table of layers: what each holds and does, and its part of the energy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from picojoule.activity import Activity
from picojoule.cost import Bill
from picojoule.fixed.neurons import KINDS
from picojoule.program import Instruction, Program, Source
from picojoule.report.data import Layer
from picojoule.target import Target, component_kind

Array = np.ndarray[Any, Any]
Rasters = Mapping[str, Array]  # node, or INPUT, -> bool (samples, steps, size)
INPUT = "input"
OUTPUTS = ("v", "spike", "output")  # what a node's neurons, or its outputs, are called
DELIVERIES = ("deliver_dense", "deliver_sparse", "deliver_shared")


@dataclass(frozen=True)
class _Split:
    """What the populations of a spiking program have on each core, float (populations, cores).

    spikes  of one inference     sent  the same, once a core that they go to
    events  synapses read in one inference
    """

    populations: tuple[str, ...]
    neurons: Array
    spikes: Array
    events: Array
    sent: Array

    def share(self, action: str, core: int) -> Array:
        """Each population's part, summing to 1, of an action counted on a core."""
        basis = self.neurons
        if action == "synapse.event":
            basis = self.events
        elif not action.startswith("neuron."):
            basis = self.sent
        if not basis[:, core].any():
            basis = self.neurons
        total = basis[:, core].sum()
        return basis[:, core] / total if total else basis[:, core]


# instructions whose work can be told apart by layer from spikes alone
TOLD_APART = {"input", "route", *DELIVERIES, "accumulate", *KINDS, "output", "barrier"}


def told_apart(program: Program) -> bool:
    """Whether spikes tell what each layer of a spiking program did."""
    return program.kind == "spiking" and {i.op for i in program.instructions} <= TOLD_APART


def probes(program: Program) -> tuple[str, ...]:
    """The probes that `rasters` needs: the spikes of every population."""
    return tuple(f"{name}.spike" for name in _populations(program))


def rasters(program: Program, recorded: Mapping[str, Array], x: Any) -> dict[str, Array]:
    """The spikes of a run by node, with those of its input, from its probes and samples."""
    found = {INPUT: program.encoder.events(x).raster() != 0}
    return found | {name: recorded[f"{name}.spike"] != 0 for name in _populations(program)}


def mean_spikes(spikes: Rasters) -> dict[str, float]:
    """Spikes of each population in one inference, mean over the samples."""
    return {
        name: float(fired.sum()) / len(fired) for name, fired in spikes.items() if name != INPUT
    }


def layers_by_population(
    program: Program, activity: Activity, bill: Bill, target: Target, spikes: Rasters
) -> tuple[Layer, ...]:
    """One line a population of a spiking program, with the synapses that lead to it.

    Where populations share a core, its synaptic events are split as the spikes tell, exactly;
    neuron updates by number of neurons; packets and hops by spikes sent.
    """
    split = _split(program, spikes)
    energy = np.zeros(len(split.populations))
    events = np.zeros(len(split.populations))
    for core in range(split.neurons.shape[1]):
        component = f"core{core}"
        for action, count in _counts(activity, component).items():
            part = count * split.share(action, core)
            energy += part * _energy(target, component, action)
            events += part * (action == "synapse.event")
    lines = [
        replace(
            _sizes(program, name, _fed(program, name)),
            spikes=float(split.spikes[k].sum()),
            events=float(events[k]),
            energy_j=float(energy[k]),
        )
        for k, name in enumerate(split.populations)
    ]
    return tuple(lines) + _others(bill)


def layers_by_label(program: Program, activity: Activity, bill: Bill) -> tuple[Layer, ...]:
    """One line a phase, or a set of nodes that share cores, as `Bill.by_node` has them."""
    events, macs = (_by_label(activity, name) for name in ("synapse.event", "mac"))
    lines = [
        replace(
            _sizes(program, label, _held(program, activity, label)),
            energy_j=energy,
            events=events.get(label) or None,
            macs=macs.get(label) or None,
        )
        for label, energy in bill.by_node.items()
    ]
    return tuple(line for line in lines if line.energy_j or line.weights or line.outputs)


def elements(program: Program, source: Source) -> int:
    """Elements that an entry covers, whether it counts rows of its region or flat elements."""
    region = program.regions[source.region]
    rows = region.shape[0] if region.shape else 1
    span = source.stop - source.start
    return span if source.stop > rows else span * math.prod(region.shape[1:])


# ------------------------------------------------------------------------- spikes and events


def _split(program: Program, spikes: Rasters) -> _Split:
    populations = _populations(program)
    table = np.zeros((4, len(populations), max(program.cores, 1)))
    for source in program.source:
        if source.what != "spike":
            continue
        row, core = populations.index(source.node), program.regions[source.region].core
        last = source.first + source.stop - source.start
        fired = spikes[source.node][:, :, source.first : last]
        table[0, row, core] += source.stop - source.start
        table[1, row, core] += fired.sum() / len(fired)
    owner = _owners(program)
    for instruction, events in _delivered(program, spikes):
        row = populations.index(owner[instruction.writes[0].region])
        table[2, row, instruction.core] += events
    for node, core, sent in _sent(program, spikes):
        table[3, populations.index(node), core] += sent
    return _Split(populations, *table)


def _owners(program: Program) -> dict[str, str]:
    """Region that deliveries add to -> the population that takes the sum, at once or shifted."""
    nodes = {s.region: s.node for s in program.source if s.what == "spike"}
    updates = [i for i in program.instructions if i.op in KINDS]
    found = {q.region: nodes[i.writes[-1].region] for i in updates
             for q in i.writes[: KINDS[i.op].currents]}  # fmt: skip
    later = [i for i in program.instructions if i.op == "accumulate"]
    return found | {i.reads[0].region: found[i.writes[0].region] for i in later}


def _delivered(program: Program, spikes: Rasters) -> list[tuple[Instruction, float]]:
    """Synapses that each delivery reads in one inference."""
    arrivals = _arrivals(program, spikes)
    samples = len(spikes[INPUT])
    found = []
    for each in program.instructions:
        if each.op not in DELIVERIES:
            continue
        axon = each.reads[0]
        came = arrivals[axon.region][axon.start : axon.stop]
        found.append((each, float(came @ _lengths(program, each)) / samples))
    return found


def _lengths(program: Program, delivery: Instruction) -> Array:
    """Synapses that a spike on each axon of a delivery reads, int64 (axons,)."""

    def held(number: int) -> Array:
        span = delivery.reads[number]
        return program.arrays[span.region][span.start : span.stop].astype(np.int64).ravel()

    if delivery.op == "deliver_dense":
        return np.full(delivery.reads[0].size, delivery.writes[0].size, np.int64)
    if delivery.op == "deliver_sparse":
        return np.diff(held(1))
    return np.diff(held(3))[held(1)]


def _sent(program: Program, spikes: Rasters) -> list[tuple[str, int, float]]:
    """(node, its core, spikes of one inference) for each core that hears some of its neurons."""
    found = []
    ways = {
        (each.reads[0], program.regions[each.writes[0].region].core, each.core)
        for each in program.instructions
        if each.op == "route"
    }
    for span, _, core in sorted(ways, key=str):
        for s in program.source:
            low, high = max(s.start, span.start), min(s.stop, span.stop)
            if s.what == "spike" and s.region == span.region and low < high:
                shift = s.first - s.start
                fired = spikes[s.node][:, :, low + shift : high + shift]
                found.append((s.node, core, float(fired.sum()) / len(fired)))
    return found


def _arrivals(program: Program, spikes: Rasters) -> dict[str, Array]:
    """Spikes that arrive at each input axon while an inference lasts, over all samples."""
    found = {
        name: np.zeros(region.size, np.int64)
        for name, region in program.regions.items()
        if region.memory == "axon"
    }
    fired = {
        s.region: _placed(program, s.region, spikes) for s in program.source if s.what == "spike"
    }
    for each in program.instructions:
        if each.op not in ("input", "route"):
            continue
        source, axon = each.reads[0], each.writes[0]
        raster = spikes[INPUT] if each.op == "input" else fired[source.region]
        in_time = raster[:, : max(program.steps - each.args[0], 0), source.start : source.stop]
        found[axon.region][axon.start : axon.stop] += in_time.sum(axis=(0, 1))
    return found


def _placed(program: Program, region: str, spikes: Rasters) -> Array:
    """The raster of a region of spikes, from those of the nodes that lie in it."""
    samples, steps = len(spikes[INPUT]), program.steps
    raster = np.zeros((samples, steps, program.regions[region].size), bool)
    for s in program.source:
        if s.what == "spike" and s.region == region:
            last = s.first + s.stop - s.start
            raster[:, :, s.start : s.stop] = spikes[s.node][:, :steps, s.first : last]
    return raster


def _populations(program: Program) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.node for s in program.source if s.what == "spike"))


# ------------------------------------------------------------------------- sizes and energies


def _counts(activity: Activity, component: str) -> dict[str, float]:
    """Counts of one inference of the actions that a component did."""
    if component not in activity.components:
        return {}
    counts = activity.counts[:, :, activity.components.index(component)].sum(axis=(0, 1))
    return {
        name: count / activity.samples
        for name, count in zip(activity.actions, counts.tolist())
        if count
    }


def _energy(target: Target, component: str, action: str) -> float:
    found = target.price(component, action)
    return 0.0 if found is None or found.excluded else found.energy_j


def _others(bill: Bill) -> tuple[Layer, ...]:
    """What components other than cores take: `(chip)`, `(host)`."""
    energies: dict[str, float] = {}
    for component, energy in bill.by_component.items():
        kind = component_kind(component)
        if kind != "core":
            energies[kind] = energies.get(kind, 0.0) + energy
    return tuple(
        Layer(node=f"({kind})", kind="machine", energy_j=energy)
        for kind, energy in energies.items()
        if energy
    )


def _fed(program: Program, population: str) -> list[Source]:
    """Entries of the source map for a population, and for the weights that lead to it."""
    sums = {region for region, node in _owners(program).items() if node == population}
    weights = {
        each.reads[-1].region
        for each in program.instructions
        if each.op in DELIVERIES and each.writes[0].region in sums
    }
    return [
        s
        for s in program.source
        if (s.node == population and s.what == "spike")
        or (s.what == "weight" and s.region in weights)
    ]


def _stored_bits(program: Program, region: str) -> int:
    """Bits of a weight as the machine packs it: fewer than a spiking mantissa has."""
    packed = [
        dict(i.loops).get("weight_bits")
        for i in program.instructions
        if any(span.region == region for span in i.reads)
    ]
    return next((b for b in packed if b), program.regions[region].format.bits)


def _sizes(program: Program, name: str, held: Sequence[Source]) -> Layer:
    """Sizes of the part of a program that some entries of its source map describe."""
    weights = [s for s in held if s.what == "weight"]
    bits = {_stored_bits(program, s.region) for s in weights}
    named = {(s.node, s.first, s.stop - s.start) for s in held if s.what in OUTPUTS}
    outputs = sum(size for _, _, size in named)  # neurons with a voltage are named twice
    return Layer(
        node=name,
        kind=_kind(program, name),
        outputs=outputs or None,
        weights=sum(elements(program, s) for s in weights) or None,
        bits=bits.pop() if len(bits) == 1 else None,
    )


def _kind(program: Program, name: str) -> str:
    if name.startswith("("):
        return "machine"
    if name in _populations(program):
        return "spiking"
    return "layer" if program.kind == "tensor" else "cores"


def _held(program: Program, activity: Activity, label: str) -> list[Source]:
    """Entries of the source map that a label of the bill covers."""
    if activity.windows:
        return [source for source in program.source if source.node == label]
    cores = {name for name in activity.components if _label(activity, name) == label}
    return [
        source for source in program.source if f"core{program.regions[source.region].core}" in cores
    ]


def _label(activity: Activity, component: str) -> str:
    """The bill's name for what a component holds; must agree with `Bill.by_node`."""
    return " + ".join(activity.nodes.get(component, ())) or f"({component_kind(component)})"


def _by_label(activity: Activity, action: str) -> dict[str, float]:
    """Counts of an action in one inference, by the labels of the bill."""
    if action not in activity.actions:
        return {}
    counts = activity.counts[..., activity.actions.index(action)].sum(axis=0)
    if len(activity.windows) == len(counts):
        labels, totals = activity.windows, counts.sum(axis=1)
    else:
        labels = tuple(_label(activity, name) for name in activity.components)
        totals = counts.sum(axis=0)
    found: dict[str, float] = {}
    for label, total in zip(labels, totals.tolist()):
        found[label] = found.get(label, 0.0) + total / activity.samples
    return found
