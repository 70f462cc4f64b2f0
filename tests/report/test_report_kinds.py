"""Layers of programs of any neuron kind are told apart by their spikes, exactly."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picojoule.cost import price
from picojoule.report.layers import _split, layers_by_population, probes, rasters, told_apart
from picojoule.sim.run import run
from picojoule.target import load

# builders of the engine's tests
sys.path.append(str(Path(__file__).parents[1] / "sim"))
from sim_kinds import random_kinds, random_payloads


@pytest.mark.parametrize("seed", range(20))
def test_events_of_layers_are_those_that_were_counted(seed):
    program = random_kinds(seed)
    x = random_payloads(seed, program)
    done = run(program, x, probes=probes(program), engine="reference")
    assert told_apart(program)
    target = load("loihi2")
    bill = price(replace(done.activity, machine=target.machine_digest), target)
    layers = layers_by_population(
        program, done.activity, bill, target, rasters(program, done.probes, x)
    )
    named = {layer.node: layer for layer in layers}
    for node in {s.node for s in program.source if s.what == "spike"}:
        assert named[node].outputs == sum(s.stop - s.start for s in program.where(node, "spike"))
        assert named[node].spikes == np.count_nonzero(done.probes[f"{node}.spike"]) / done.samples
    column = done.activity.actions.index("synapse.event")
    counted = done.activity.counts[..., column].sum() / done.samples
    assert np.isclose(sum(layer.events or 0 for layer in layers), counted)


@pytest.mark.parametrize("seed", range(20))
def test_events_of_a_core_are_split_exactly(seed):
    program = random_kinds(seed)
    x = random_payloads(seed, program)
    done = run(program, x, probes=probes(program), engine="reference")
    split = _split(program, rasters(program, done.probes, x))
    column = done.activity.actions.index("synapse.event")
    counted = done.activity.counts[..., column].sum(axis=(0, 1))[: program.cores]
    np.testing.assert_allclose(split.events.sum(axis=0) * done.samples, counted)
