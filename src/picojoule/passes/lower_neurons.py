"""Neurons of a slice: their state, their registers, and the instruction that updates them."""

from __future__ import annotations

import numpy as np

from picojoule.fixed.format import Format, Scale
from picojoule.fixed.neurons import KINDS
from picojoule.graph import Graph
from picojoule.graph.ops import SYNAPSES, Input, IntCuba, IntNeuron
from picojoule.passes.freeze import field_format
from picojoule.passes.partition import Slice
from picojoule.passes.populations import fields_of, kind_of
from picojoule.passes.site import Site
from picojoule.passes.support import source_of
from picojoule.program import Instruction, Source, Span

SPIKE = Format(1, signed=False)
PAYLOAD = Format(32)
WAIT = Format(8)
REAL_WORDS = ("q", "u", "v")  # counted in the population's step
LEAST = {"refractory": 1, "reset_interval": 1}  # of options that are left out; else 0


def region_name(piece: Slice, what: str) -> str:
    """The region of a word of a slice's neurons."""
    return f"core{piece.core}.{piece.node}.{what}"


def spike_format(graph: Graph, source: str) -> Format:
    """One bit, or a payload where the source's spikes carry one."""
    return PAYLOAD if is_graded(graph, source) else SPIKE


def is_graded(graph: Graph, source: str) -> bool:
    """Whether spikes of neurons, or of the input as its readers take it, carry payloads."""
    op = graph[source].op
    if not isinstance(op, Input):
        return KINDS[kind_of(graph, source)].graded
    readers = [name for name in graph.names(*SYNAPSES) if source_of(graph, name)[0] == source]
    return any(graph[name].op.graded for name in readers)


def currents(graph: Graph, node: str) -> tuple[str, ...]:
    """Names of the accumulators of a population."""
    return ("q",) if KINDS[kind_of(graph, node)].currents == 1 else ("q0", "q1")


def current_of(graph: Graph, node: str, group: str) -> str:
    """The accumulator that a group adds to."""
    op = graph[node].op
    if not isinstance(op, IntNeuron) or KINDS[op.kind].currents == 1:
        return "q"
    return "q1" if graph[node].inputs.index(group) >= op.second else "q0"


def neuron_regions(site: Site, piece: Slice) -> None:
    """Accumulators, state words and spikes of a slice, each with its place in the network."""
    graph, wide = site.graph, Format(site.profile.state_bits)
    op = graph[piece.node].op
    assert isinstance(op, IntCuba | IntNeuron)
    kind = KINDS[kind_of(graph, piece.node)]
    step = None if op.step is None else Scale((float(graph.value(op.step)),))
    words = {word: (wide, "buffer") for word in currents(graph, piece.node)}
    words |= {word: (WAIT if word == "wait" else wide, "state") for word in kind.state}
    words["spike"] = (spike_format(graph, piece.node), "buffer")
    for word, (form, role) in words.items():
        name = region_name(piece, word)
        site.draft.region(name, "state", piece.core, form, (piece.size,), role)
        scale = step if word in REAL_WORDS else None
        site.draft.source.append(Source(name, 0, piece.size, piece.node, word, piece.start, scale))


def update(site: Site, piece: Slice, after: tuple[int, ...]) -> int:
    """Advance the neurons of a slice by one step; the instruction's index."""
    graph = site.graph
    kind = KINDS[kind_of(graph, piece.node)]
    constants, options = fields_of(graph, piece.node)
    registers = tuple(_register(site, piece, r, constants.get(r)) for r in kind.registers)
    words = (*currents(graph, piece.node), *kind.state, "spike")
    return site.draft.emit(Instruction(
        op=kind.name, core=piece.core, reads=registers,
        writes=tuple(Span(region_name(piece, w), 0, piece.size) for w in words),
        args=tuple(options.get(option, LEAST.get(option, 0)) for option in kind.options),
        loops=(("neurons", piece.size),), after=after,
    ))  # fmt: skip


def _register(site: Site, piece: Slice, field: str, constant: str | None) -> Span:
    """The register values of a slice; one value where all neurons share it."""
    node = site.graph[piece.node]
    values = np.zeros(1, np.int64) if constant is None else np.asarray(site.graph.value(constant))
    if values.size > 1:
        shape = site.graph.types[piece.node].shape
        values = np.broadcast_to(values, shape).ravel()[piece.start : piece.stop]
    values = values.ravel()
    if np.all(values == values[0]):
        values = values[:1]
    return site.draft.constant(
        region_name(piece, field), "register", piece.core, field_format(node, field), values
    )
