"""Every golden vector is reproduced, integer for integer: by scalar rules and as a Program."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import replay

from picojoule.conform.machine import spiking
from picojoule.conform.replay import compare
from picojoule.conform.trial import NotYet
from picojoule.errors import CheckError
from picojoule.fixed import arithmetic
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import derive
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Delay, Input, IntCuba, IntSynapse
from picojoule.graph.types import Node, Pinned
from picojoule.passes import compile_graph, lower
from picojoule.sim.run import run
from picojoule.target import load

HARDWARE = Path(__file__).resolve().parents[2] / "hardware_models"
SCALAR = {"spiking": replay.scalar_spiking, "tensor": replay.scalar_tensor}


def differences(vector, got):
    wrong = {k: replay.first_difference(vector.arrays[k], got[k]) for k in got}
    return {k: text for k, text in wrong.items() if text}


@pytest.mark.golden
@pytest.mark.parametrize("name", replay.names("spiking", "tensor"))
def test_scalar_rules_reproduce_the_peer(name):
    vector = replay.load(name)
    got = SCALAR[vector.head["kind"]](vector)
    assert sorted(got) == sorted(vector.recorded)
    assert not differences(vector, got)


def machine(vector):
    """A real machine with the arithmetic of a vector."""
    profile = vector.head.get("profile", "double_round")
    return load("systolic_int8") if profile == "double_round" else spiking(profile)


def frozen(trial, target):
    return dataclasses.replace(trial.graph, machine=target.name)


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("name", replay.names("spiking"))
def test_a_spiking_program_reproduces_the_peer(name, engine):
    vector = replay.load(name)
    (trial,) = replay.trials(vector)
    found = compare(trial, engine)
    assert not [str(c.first) for c in found if c.first]
    assert sorted(c.name for c in found) == sorted(vector.recorded)
    assert sum(c.total for c in found) == vector.elements
    done = run(lower(frozen(trial, machine(vector)), machine(vector)), trial.samples,
               engine=engine, threads=1)  # fmt: skip
    fired = vector.arrays[f"{trial.graph.output}.spike"]
    assert not replay.first_difference(fired, done.outputs["spikes"][0])


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("cut", [1, 31, 80])
def test_a_run_cut_in_two_delivers_the_spikes_under_way(cut, engine):
    vector = replay.load("b2l_delays")
    (trial,) = replay.trials(vector)
    raster, names = trial.samples, ("b.u", "b.v", "b.spike")
    program = lower(frozen(trial, machine(vector)), machine(vector))
    kept = {"engine": engine, "threads": 1, "probes": names}
    first = run(program, raster[:, :cut], steps=cut, **kept)
    rest = run(program, raster[:, cut:], steps=len(raster[0]) - cut, state=first.state, **kept)
    got = {n: np.concatenate([first.probes[n][0], rest.probes[n][0]]) for n in names}
    assert not differences(vector, got)


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("name", [n for n in replay.names("tensor") if n != "tfl_register_wraps"])
def test_a_tensor_program_reproduces_the_peer(name, engine):
    vector = replay.load(name)
    found = [c for trial in replay.trials(vector) for c in compare(trial, engine)]
    assert not [str(c.first) for c in found if c.first]
    assert [c.name for c in found] == vector.recorded
    assert sum(c.total for c in found) == vector.elements


@pytest.mark.parametrize("name", ["b2l_delays", "nl_recurrent", "tfl_network"])
def test_compiling_a_scheduled_graph_changes_nothing(name):
    vector = replay.load(name)
    target = machine(vector)
    for trial in replay.trials(vector):
        graph = frozen(trial, target)
        assert compile_graph(graph, target) == lower(graph, target)


def test_sums_that_leave_the_register_are_refused():
    vector = replay.load("tfl_register_wraps")
    (trial,) = replay.trials(vector)
    with pytest.raises(CheckError, match="PJ210"):
        lower(frozen(trial, machine(vector)), machine(vector))
    with pytest.raises(NotYet, match="the compiler refuses"):
        compare(trial, "numba")


def rate(x, *, steps, high):
    encoder = Encoder(kind="rate", shape=(x.shape[1],), steps=steps, high=high)
    return encoder.events(x).raster().transpose(0, 2, 1)


def affine(x, *, step, zero, bits, signed):
    form, shape = Format(bits, signed=signed), (x.shape[1],)
    return Encoder(kind="affine", shape=shape, step=step, zero=zero, format=form).integers(x)


RULES = ("high_multiply", "rounding_shift", "narrow32", "clamp")
CALLS = {
    **derive.FUNCTIONS, "rate": rate, "affine": affine,
    **{name: getattr(arithmetic, name) for name in RULES},
}  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("name", replay.names("expected"))
def test_functions_give_what_was_worked_out_by_hand(name):
    for case in replay.load_head(name)["cases"]:
        whole = case["call"] in RULES
        args = case["args"] if whole else [np.asarray(arg, np.float64) for arg in case["args"]]
        got = CALLS[case["call"]](*args, **case["options"])
        assert np.asarray(got).tolist() == case["want"], (case["call"], case["why"])


def counting_graph(steps, start):
    """own_counts: 4 integrators; channels c, 4 + c and 8 + c give 1280, 128 and -128."""
    eye = np.eye(4, dtype=np.int64)
    values = {"weight": np.hstack([20 * eye, 2 * eye, -2 * eye]), "decay_u": np.full(4, 4095),
              "decay_v": np.zeros(4, np.int64), "v_th": np.full(4, 10)}  # fmt: skip
    registers = {field: field for field in ("decay_u", "decay_v", "v_th")}
    nodes = (
        Node("input", Input(shape=(12,), kind="spike")),
        Node("later", Delay(steps=1), ("input",)),
        Node("synapse", IntSynapse(weight="weight", step_w="one", features=4), ("later",)),
        Node("out", IntCuba(step="one", **registers), ("synapse",)),
    )
    return Graph(
        name="counts", nodes=nodes, output="out", steps=steps, machine="loihi1",
        encoder=Encoder(kind="events", shape=(12,), steps=steps),
        readout=Readout(kind="count", start=start), params={"one": np.ones(())},
        pinned={name: Pinned(array, Format(18)) for name, array in values.items()},
    )  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_answers_are_those_counted_by_hand(engine):
    head = replay.load_head("own_counts")
    for case in head["cases"]:
        raster = np.zeros((1, head["steps"], 12), bool)
        for step, channel in case["events"]:
            raster[0, step, channel] = True
        program = lower(counting_graph(head["steps"], case["start"]), load("loihi1"))
        done = run(program, raster, engine=engine, threads=1)
        assert done.answers().tolist() == [case["want"]], case["why"]


def test_each_rule_has_mutations_whose_texts_are_in_the_sources():
    script = HARDWARE.parent / "tests" / "golden" / "mutate.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
