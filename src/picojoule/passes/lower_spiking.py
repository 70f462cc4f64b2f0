"""A frozen spiking network becomes a Program: slices on cores, lists of synapses, routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import CheckError
from picojoule.fixed.format import Format, Scale
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Graph
from picojoule.graph.ops import Input, IntCuba, IntSynapse
from picojoule.passes.draft import Draft
from picojoule.passes.freeze import field_format
from picojoule.passes.partition import Slice, partition
from picojoule.passes.populations import Group, populations
from picojoule.program import Instruction, Program, Source, Span
from picojoule.target import Target

SPIKE = Format(1, signed=False)
WAIT = Format(8)
OFFSET = Format(32)  # row bounds of sparse lists
REGISTERS = ("decay_u", "decay_v", "v_th", "bias")


@dataclass
class _Site:
    """A spiking program under construction, and what its passes need to look up."""

    graph: Graph
    target: Target
    slices: tuple[Slice, ...]
    groups: dict[str, tuple[Group, ...]]
    draft: Draft = field(default_factory=Draft)
    arrivals: dict[tuple[int, str, int], list[int]] = field(default_factory=dict)
    fired: dict[Slice, int] = field(default_factory=dict)

    @property
    def profile(self) -> SpikingProfile:
        return SPIKING[self.target.core.profile]


def lower_spiking(graph: Graph, target: Target) -> Program:
    """Cut, pack and wire a frozen, scheduled network of IntSynapse and IntCuba.

    Every core takes in spikes (input), delivers them, updates its neurons (cuba), and sends
    (output, route); a barrier ends the step.  Lists become dense where more than half of their
    weights are not 0.  Registers that hold one value for all neurons of a slice are scalars.
    Raises CheckError PJ201..PJ205 where the cores are too few or too small.
    """
    cells = populations(graph, target, bits=8)
    slices, faults = partition(cells, target)
    if faults:
        raise CheckError(faults)
    site = _Site(graph, target, slices, {p.name: p.groups for p in cells})
    cores = 1 + max(s.core for s in slices)
    _faces(site)
    _neuron_regions(site)
    arriving = _axon_regions(site)
    for core in range(cores):
        _receive(site, core, arriving)
        for piece in (s for s in slices if s.core == core):
            _update(site, piece, arriving)
    for core in range(cores):
        _send(site, core, arriving)
    site.draft.emit(Instruction(op="barrier", core=-1, after=_everything(site.draft)))
    return _program(site, cores)


def _everything(draft: Draft) -> tuple[int, ...]:
    """All instructions that no other waits for; the rest follows."""
    waited = {i for instruction in draft.instructions for i in instruction.after}
    return tuple(i for i in range(len(draft.instructions)) if i not in waited)


def _program(site: _Site, cores: int) -> Program:
    graph, target, draft = site.graph, site.target, site.draft
    return Program(
        name=graph.name, target=target.name, machine=target.machine_digest, kind="spiking",
        profile=target.core.profile, regions=draft.regions, arrays=draft.arrays,
        instructions=tuple(draft.instructions), encoder=graph.encoder, readout=graph.readout,
        steps=graph.steps + graph.latency, latency=graph.latency,
        positions=tuple(target.core.position(k) for k in range(cores)),
        source=tuple(draft.source),
    )  # fmt: skip


# ------------------------------------------------------------------------------------ regions


def _faces(site: _Site) -> None:
    """Where the host's events come in, and where labels leave."""
    channels, out = site.graph.encoder.channels, site.graph.output
    labels = site.graph.types[out].size
    site.draft.region("events", "host", -1, SPIKE, (channels,), "input")
    site.draft.region("labels", "host", -1, SPIKE, (labels,), "output")
    site.draft.source.append(Source("labels", 0, labels, out, "output"))


def _name(piece: Slice, what: str) -> str:
    return f"core{piece.core}.{piece.node}.{what}"


def _neuron_regions(site: _Site) -> None:
    state = Format(site.profile.state_bits)
    kinds = {"q": (state, "buffer"), "u": (state, "state"), "v": (state, "state"),
             "wait": (WAIT, "state"), "spike": (SPIKE, "buffer")}  # fmt: skip
    for piece in site.slices:
        op = site.graph[piece.node].op
        assert isinstance(op, IntCuba)
        step = Scale((float(site.graph.value(op.step)),))
        for what, (form, role) in kinds.items():
            name = _name(piece, what)
            site.draft.region(name, "state", piece.core, form, (piece.size,), role)
            scale = step if what in ("q", "u", "v") else None
            site.draft.source.append(
                Source(name, 0, piece.size, piece.node, what, piece.start, scale)
            )


def _axon_regions(site: _Site) -> dict[tuple[int, str, int], tuple[int, Span]]:
    """Input axons by (core, source node, delay): the first source neuron, and their span.

    Groups of a core with the same source and delay share their axons, so a spike is sent once.
    """
    ranges: dict[tuple[int, str, int], tuple[int, int]] = {}
    for piece, group in _lists(site):
        low, high = group.axons(piece.start, piece.stop)
        key = (piece.core, group.source, group.delay)
        old = ranges.get(key, (low, high))
        ranges[key] = (min(low, old[0]), max(high, old[1]))
    spans = {}
    for (core, source, delay), (low, high) in ranges.items():
        name = f"core{core}.axon.{source}.{delay}"
        span = site.draft.region(name, "axon", core, SPIKE, (high - low,), "buffer")
        spans[core, source, delay] = (low, span)
    return spans


def _lists(site: _Site) -> Iterator[tuple[Slice, Group]]:
    """Every slice with each group that has a synapse on it."""
    for piece in site.slices:
        for group in site.groups[piece.node]:
            low, high = group.axons(piece.start, piece.stop)
            if high > low:
                yield piece, group


# ------------------------------------------------------------------------------- instructions


def _receive(
    site: _Site, core: int, arriving: dict[tuple[int, str, int], tuple[int, Span]]
) -> None:
    """Host events go straight to the axons that read the input."""
    for (here, source, delay), (low, axon) in arriving.items():
        if here == core and isinstance(site.graph[source].op, Input):
            index = site.draft.emit(Instruction(
                op="input", core=core, reads=(Span("events", low, low + axon.size),),
                writes=(axon,), args=(delay,),
            ))  # fmt: skip
            site.arrivals.setdefault((here, source, delay), []).append(index)


def _update(
    site: _Site, piece: Slice, arriving: dict[tuple[int, str, int], tuple[int, Span]]
) -> None:
    """Deliver what has arrived for a slice, then advance its neurons by one step."""
    delivered = []
    for group in site.groups[piece.node]:
        low, high = group.axons(piece.start, piece.stop)
        if high > low:
            first, axon = arriving[piece.core, group.source, group.delay]
            used = Span(axon.region, low - first, high - first)
            delivered.append(_deliver(site, piece, group, low, used))
    op = site.graph[piece.node].op
    assert isinstance(op, IntCuba)
    registers = tuple(_register(site, piece, field) for field in REGISTERS)
    words = tuple(Span(_name(piece, w), 0, piece.size) for w in ("q", "u", "v", "wait", "spike"))
    site.fired[piece] = site.draft.emit(Instruction(
        op="cuba", core=piece.core, reads=registers, writes=words,
        args=(op.bias_exponent, op.refractory), loops=(("neurons", piece.size),),
        after=tuple(delivered),
    ))  # fmt: skip


def _deliver(site: _Site, piece: Slice, group: Group, low: int, axon: Span) -> int:
    op = site.graph[group.name].op
    assert isinstance(op, IntSynapse)
    mantissas = site.graph.value(op.weight)[piece.start : piece.stop, low : low + axon.size].T
    write = _sparse_lists if group.sparse else _dense_lists
    reads = write(site, piece, group, mantissas)
    index_bits = group.index_bits(piece.size, site.target)
    loops = (
        ("axons", axon.size), ("neurons", piece.size), ("weight_bits", group.weight_bits),
        ("delay_bits", group.delay_bits), ("index_bits", index_bits),
    )  # fmt: skip
    weight = reads[-1]
    step = float(site.graph.value(op.step_w)) / 2.0**op.dropped
    site.draft.source.append(
        Source(weight.region, 0, weight.size, group.name, "weight", low, Scale((step,)))
    )
    return site.draft.emit(Instruction(
        op="deliver_sparse" if group.sparse else "deliver_dense", core=piece.core,
        reads=(axon, *reads), writes=(Span(_name(piece, "q"), 0, piece.size),),
        args=(op.exponent,), loops=loops,
        after=tuple(site.arrivals.get((piece.core, group.source, group.delay), ())),
    ))  # fmt: skip


def _dense_lists(
    site: _Site, piece: Slice, group: Group, mantissas: np.ndarray
) -> tuple[Span, ...]:
    name, form = f"core{piece.core}.{group.name}.weight", _weight_format(site, group)
    return (site.draft.constant(name, "synapse", piece.core, form, mantissas),)


def _sparse_lists(
    site: _Site, piece: Slice, group: Group, mantissas: np.ndarray
) -> tuple[Span, ...]:
    name, core = f"core{piece.core}.{group.name}", piece.core
    rows, target = np.nonzero(mantissas)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(mantissas)))])
    index = Format(group.index_bits(piece.size, site.target), signed=False)
    draft = site.draft
    return (
        draft.constant(f"{name}.indptr", "synapse", core, OFFSET, bounds),
        draft.constant(f"{name}.target", "synapse", core, index, target),
        draft.constant(f"{name}.weight", "synapse", core, _weight_format(site, group),
                       mantissas[rows, target]),
    )  # fmt: skip


def _weight_format(site: _Site, group: Group) -> Format:
    return field_format(site.graph[group.name], "weight")


def _register(site: _Site, piece: Slice, field: str) -> Span:
    """The register values of a slice; one value where all neurons share it."""
    node = site.graph[piece.node]
    constant = getattr(node.op, field)
    values = np.zeros(1, np.int64) if constant is None else np.asarray(site.graph.value(constant))
    values = np.broadcast_to(values, site.graph.types[piece.node].size if values.size > 1 else (1,))
    if values.size > 1:
        values = values[piece.start : piece.stop]
    if np.all(values == values[0]):
        values = values[:1]
    return site.draft.constant(
        _name(piece, field), "register", piece.core, field_format(node, field), values
    )


def _send(site: _Site, core: int, arriving: dict[tuple[int, str, int], tuple[int, Span]]) -> None:
    """Spikes of a core go to the labels, and once to each core and delay that reads them."""
    for piece in (s for s in site.slices if s.core == core):
        if piece.node == site.graph.output:
            site.draft.emit(Instruction(
                op="output", core=core, reads=(Span(_name(piece, "spike"), 0, piece.size),),
                writes=(Span("labels", piece.start, piece.stop),), after=(site.fired[piece],),
            ))  # fmt: skip
        for (there, source, delay), (low, axon) in arriving.items():
            if source == piece.node:
                _route(site, piece, there, delay, low, axon)


def _route(site: _Site, piece: Slice, there: int, delay: int, low: int, axon: Span) -> None:
    start, stop = max(low, piece.start), min(low + axon.size, piece.stop)
    if start >= stop:
        return
    (x0, y0), (x1, y1) = (site.target.core.position(k) for k in (piece.core, there))
    site.draft.emit(Instruction(
        op="route", core=piece.core,
        reads=(Span(_name(piece, "spike"), start - piece.start, stop - piece.start),),
        writes=(Span(axon.region, start - low, stop - low),),
        args=(delay, abs(x1 - x0), abs(y1 - y0)), after=(site.fired[piece],),
    ))  # fmt: skip
