"""Layers that quantization left silent or firing without end: the program beside its network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from picojoule import sim
from picojoule.errors import Fault
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import REAL_OPS, CubaLif
from picojoule.passes.as_real import as_real
from picojoule.program import Program

Array = np.ndarray
Samples = Array | Events
SAMPLES, BLOCK = 32, 8  # looked at in all, and at once
SHARE_MAX = 0.25  # of a layer's neurons silent, or always firing, without a warning
ALWAYS = 0.95  # of the spikes that a refractory period allows
LARGE = 2**20  # weights from which on the compiled engine is worth its compilation
FIX = "more weight bits, calibration samples like the real ones, or finetune"


def firing_faults(network: Graph, program: Program, samples: Samples) -> list[Fault]:
    """PJ211 for each layer of which quantization silenced or saturated more than a quarter.

    network  before quantization     samples  that it was calibrated with; up to 32 are looked at
    A neuron is silent that fires in the network on some sample and on the machine on none; it is
    saturated where it fires whenever it can in every sample, and does not in the network.
    """
    names = [n for n in network.names(CubaLif) if program.where(n, "spike")]
    if program.kind != "spiking" or not names:
        return []
    picked, reals = _picked(samples), as_real(network)
    if any(not isinstance(node.op, REAL_OPS) for node in reals.nodes):
        return []  # integers without a meaning in reals: there is nothing to hold them to
    floats = interpret(reals, picked)
    counted = _counts(program, names, picked)
    faults: list[Fault] = []
    for name in names:
        op = network[name].op
        assert isinstance(op, CubaLif)
        real = floats[name].reshape(*floats[name].shape[:2], -1).sum(axis=1)
        most = network.steps // op.refractory
        faults += _layer_faults(name, program.target, counted[name], real, most)
    return faults


def dead_layers(fired: Mapping[str, Array]) -> list[str]:
    """What to note of layers that never fire, or never stop.

    fired  node, or "input", -> spikes (samples, steps, *shape)
    """
    return [
        f"{name!r} {'never fires' if not spikes.any() else 'fires in every step'} on"
        f" {len(spikes)} samples"
        for name, spikes in fired.items() if spikes.size and (not spikes.any() or spikes.all())
    ]  # fmt: skip


def _picked(samples: Samples) -> Samples:
    if isinstance(samples, Events):
        return samples.take(0, min(SAMPLES, samples.samples))
    array = np.asarray(samples)
    return array[:: -(-len(array) // SAMPLES)]


def _counts(program: Program, names: list[str], samples: Samples) -> dict[str, Array]:
    """Spikes of each neuron on the machine, int64 (samples, neurons) by node."""
    total = samples.samples if isinstance(samples, Events) else len(samples)
    weights = sum(program.arrays[s.region].size for s in program.source if s.what == "weight")
    engine: sim.Engine = "reference" if weights < LARGE else "numba"
    found: dict[str, list[Array]] = {name: [] for name in names}
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        part = samples.take(start, stop) if isinstance(samples, Events) else samples[start:stop]
        run = sim.run(
            program, part, engine=engine, probes=[f"{n}.spike" for n in names], detail="sum"
        )
        for name in names:
            found[name].append(run.probes[f"{name}.spike"].sum(axis=1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _layer_faults(
    name: str, target: str, machine: Array, real: Array, most: int
) -> Iterator[Fault]:
    """machine, real: spikes int (samples, neurons); most: as many as a neuron can fire."""
    over = f"over {len(machine)} samples"
    acting = real.any(axis=0)
    silent = acting & ~machine.any(axis=0)
    many = int(acting.sum())
    if silent.sum() > SHARE_MAX * many:
        yield Fault(
            "PJ211", f"quantization silenced {silent.sum() / many:.0%} of layer {name!r}:"
            f" {silent.sum()} of {many} neurons that fire in the network never fire on {target!r}"
            f" {over}",
            fix=FIX,
        )  # fmt: skip
    full = ALWAYS * most
    always = (machine >= full).all(axis=0) & ~(real >= full).all(axis=0)
    if always.sum() > SHARE_MAX * always.size:
        yield Fault(
            "PJ211", f"quantization saturated {always.mean():.0%} of layer {name!r}:"
            f" {always.sum()} of {always.size} neurons fire on {target!r} in every step that they"
            f" can {over}, and do not in the network", fix=FIX,
        )  # fmt: skip
