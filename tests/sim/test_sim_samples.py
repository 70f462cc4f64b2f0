"""Wrong samples, states and options are refused with a code, never run."""

from __future__ import annotations

import numpy as np
import pytest
from sim_build import Net, random_net, random_raster
from sim_tensor import random_tensor

from picojoule.errors import ProgramError, UsageError
from picojoule.fixed.contract import Events, Readout
from picojoule.sim import layout
from picojoule.sim.run import run


def net():
    return Net(3).layer("a", 2, v_th=9).connect("in", "a", np.full((2, 3), 4)).program("a", steps=5)


def events(index=(0, 2, 1), indptr=(0, 2, 3, 3, 3, 3), channels=3, samples=1, steps=5):
    return Events(np.array(indptr), np.array(index, np.int32), samples, steps, channels)


def refused(code, program, x, **options):
    with pytest.raises(UsageError) as caught:
        run(program, x, **options)
    assert caught.value.faults[0].code == code, caught.value
    return str(caught.value)


@pytest.mark.parametrize(
    ("code", "x"),
    [
        ("PJ802", np.zeros((2, 5, 4))),
        ("PJ802", np.zeros((2, 3))),
        ("PJ802", np.zeros(())),
        ("PJ802", np.full((2, 5, 3), 2)),
        ("PJ802", np.full((1, 5, 3), "a")),
        ("PJ802", np.zeros((1, 5, 3), complex)),
        ("PJ803", np.zeros((0, 5, 3))),
        ("PJ803", np.zeros((2, 0, 3))),
        ("PJ807", np.full((1, 5, 3), np.nan)),
        ("PJ802", events(channels=4)),
        ("PJ802", events((0, -1, 1))),
        ("PJ802", events((0, 3, 1))),
        ("PJ802", events((2, 0, 1))),
        ("PJ802", events((0, 0, 1))),
        ("PJ802", events(indptr=(0, 3, 2, 3, 3, 3))),
        ("PJ802", events(indptr=(0, 1, 1, 1, 1, 2))),
        ("PJ803", events((), (0,), samples=0)),
    ],
)
def test_spiking_samples(code, x):
    refused(code, net(), x)


def test_good_events_run():
    assert run(net(), events()).activity.total("event.in") == 3
    assert run(net(), events((2, 0, 1), (0, 1, 3, 3, 3, 3))).activity.total("event.in") == 3


@pytest.mark.parametrize(
    ("code", "x"),
    [
        ("PJ802", np.zeros((2, 5))),
        ("PJ802", np.zeros(6)),
        ("PJ803", np.zeros((0, 6))),
        ("PJ807", np.array([[0, 1, 2, np.inf, 4, 5.0]])),
        ("PJ802", events(channels=6)),
    ],
)
def test_tensor_samples(code, x):
    refused(code, random_tensor(0), x)


def test_options():
    x = np.zeros((1, 5, 3))
    assert "one of numba, reference" in refused("PJ806", net(), x, engine="cuda")
    refused("PJ806", net(), x, steps=0)
    refused("PJ806", net(), x, steps=2.5)
    refused("PJ806", net(), x, detail="none")
    refused("PJ806", net(), x, threads=0)
    refused("PJ806", net(), x, probes="a.u")
    assert "a.spike, a.u, a.v" in refused("PJ806", net(), x, probes=["a.w"])
    refused("PJ806", random_tensor(0), np.zeros((1, 6)), steps=3)
    with pytest.raises(UsageError) as caught:
        run(net(), x, engine="cuda", detail="none", steps=-1)
    assert len(caught.value.faults) == 3


def test_threads_from_the_environment(monkeypatch):
    monkeypatch.setenv("PICOJOULE_THREADS", "many")
    refused("PJ806", net(), np.zeros((1, 5, 3)))
    monkeypatch.setenv("PICOJOULE_THREADS", "2")
    run(net(), np.zeros((1, 5, 3)))


def test_states():
    program, x = net(), np.zeros((2, 5, 3))
    refused("PJ802", program, x, state={"a.u": np.zeros((3, 2), int)})
    refused("PJ802", program, x, state={"a.u": np.zeros((2, 2))})
    refused("PJ802", program, x, state={"a.u": np.full((2, 2), 2**31)})
    refused("PJ802", program, x, state={"other": np.zeros((2, 2), int)})
    for rows in ([[0, 9, 0, 1]], [[2, 0, 0, 1]], [[0, 0, 3, 1]], [[0, 0, 0, 2]], [[0, 0, 0, -1]],
                 [[0, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 1]]):  # fmt: skip
        refused("PJ802", program, x, state={"inflight": np.array(rows)})
    good = run(program, x, state={"inflight": np.array([[1, 0, 2, 1]])}, probes=["a.u"])
    assert good.probes["a.u"][:, 0].tolist() == [[0, 0], [256, 256]]
    assert good.activity.total("reset") == 0


def test_with_state_starts_elsewhere():
    program = net().with_state({"a.v": np.array([1, -2])})
    got = run(program, np.zeros((2, 1, 3)), steps=1, probes=["a.v"])
    assert got.probes["a.v"][:, 0].tolist() == [[1, -2]] * 2
    assert got.activity.total("reset") == 2


def test_no_readout_no_answers():
    program = Net(1).layer("a", 1).connect("in", "a", [[2]]).program(
        "a", readout=Readout(kind="none"))  # fmt: skip
    with pytest.raises(UsageError, match="PJ806"):
        run(program, np.zeros((1, 10, 1))).answers()


def test_an_immediate_route_is_refused():
    program = Net(1).layer("a", 1).connect("in", "a", [[2]]).connect("a", "a", [[2]], delay=0)
    with pytest.raises(ProgramError, match="PJ603"):
        run(program.program("a"), np.zeros((1, 10, 1)))


def test_columns_of_the_kernel_are_those_of_the_counts():
    from picojoule.kernels import spiking as k

    names = {"neuron.active": k.ACTIVE, "neuron.idle": k.IDLE, "synapse.event": k.EVENT,
             "packet.out": k.PACKET, "hop.ew": k.HOP_EW, "hop.ns": k.HOP_NS,
             "hop.chip": k.HOP_CHIP, "step": k.STEP, "reset": k.RESET, "event.in": k.EVENT_IN,
             "event.out": k.EVENT_OUT}  # fmt: skip
    assert tuple(sorted(names, key=names.get)) == layout.ACTIONS


def test_rate_samples_match_their_raster():
    program = random_net(1)
    from dataclasses import replace

    rate = replace(program, encoder=replace(program.encoder, kind="rate", steps=9, high=2.0))
    x = random_raster(1, program)[:, 0] * 1.3
    raster = rate.encoder.events(x, 12).raster()
    a, b = run(rate, x), run(program, raster)
    np.testing.assert_array_equal(a.outputs["spikes"], b.outputs["spikes"])
    assert a.activity.total("event.in") > 0
