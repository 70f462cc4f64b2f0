"""The machines that vectors are replayed on: a shipped one with the peer's arithmetic."""

from __future__ import annotations

from dataclasses import replace

from picojoule.errors import CheckError
from picojoule.graph.graph import Graph
from picojoule.passes.lower import lower
from picojoule.program import Program
from picojoule.target import Target, load
from picojoule.target.machine import Grid, Limits

CAPACITY = {"PJ201", "PJ202", "PJ203", "PJ204", "PJ205", "PJ214"}
VAST = 1 << 40
# not room, but form; and small cores keep the reference engine's matrices small
KEPT = ("synapse_word_bits", "synapses_per_group", "group_header_bits", "neurons")


def lowered(graph: Graph, profile: str) -> Program:
    """The Program of a Graph on a machine of this arithmetic ('' for tensor machines).

    A network that is too large for the real chip goes on as many cores as it takes, without
    limits on synapses and axons: integers do not depend on how neurons are placed.
    """
    if not profile:
        target = load("systolic_int8")
        return lower(replace(graph, machine=target.name), target)
    target = spiking(profile)
    try:
        return lower(replace(graph, machine=target.name), target)
    except CheckError as error:
        if not {fault.code for fault in error.faults} <= CAPACITY:
            raise
    target = roomy(target)
    return lower(replace(graph, machine=target.name), target)


def spiking(profile: str) -> Target:
    """Loihi 1's cores with the arithmetic of another profile."""
    chip = load("loihi1")
    return replace(chip, core=replace(chip.core, profile=profile))


def roomy(target: Target) -> Target:
    """The same machine with more cores, and no limit on what goes into a core but neurons."""
    core = target.core
    entries = tuple(e if e.name in KEPT else replace(e, value=VAST) for e in core.limits.entries)
    return replace(target, core=replace(
        core, count=1 << 12, grid=Grid(1 << 6, 1 << 6, 1), limits=Limits(entries),
    ))  # fmt: skip
