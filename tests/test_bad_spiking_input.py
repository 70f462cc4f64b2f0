"""Bad networks, events and vectors of spiking machines: node, index, value and limit are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import picojoule as pj
from picojoule.cli import status
from picojoule.errors import UsageError
from picojoule.fixed.contract import Encoder, Events, Readout
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.ops import CubaLif, Delay, Dense, Input, IntCuba, IntSynapse

VECTORS = Path(__file__).parent / "golden" / "vectors"
STEPS, INPUTS, NEURONS = 10, 4, 3
WEIGHT = np.full((NEURONS, INPUTS), 40)
CHIP = pj.target("loihi1")


def graph_of(nodes, **fields):
    encoder = Encoder(kind="events", shape=(INPUTS,), steps=STEPS)
    return Graph("net", tuple(nodes), "lif", encoder, Readout(kind="count"), steps=STEPS, **fields)


def integers(weight=WEIGHT, delays=None, delay=0, exponent=0, dropped=1, bits=8, v_th=100,
             decay_u=1500, bias=0, bias_exponent=0):  # fmt: skip
    """Neurons `lif` behind synapses `fc`, all of pinned integers."""
    values = {"w": weight, "du": decay_u, "dv": 500, "v_th": v_th, "bias": bias, "one": 1}
    values |= {} if delays is None else {"d": delays}
    pinned = {name: Pinned(np.asarray(v), Format(24)) for name, v in values.items()}
    synapse = IntSynapse(
        weight="w", step_w="one", features=NEURONS, bits=bits, dropped=dropped, delay=delay,
        exponent=exponent, delays=None if delays is None else "d",
    )  # fmt: skip
    cuba = IntCuba(decay_u="du", decay_v="dv", v_th="v_th", bias="bias", step="one",
                   bias_exponent=bias_exponent)  # fmt: skip
    nodes = [Node("input", Input(shape=(INPUTS,), kind="spike"), ()),
             Node("fc", synapse, ("input",)), Node("lif", cuba, ("fc",))]  # fmt: skip
    return graph_of(nodes, pinned=pinned)


def reals(late=None, **changed):
    """A float network with recurrence; `late`: steps of the recurrent Delay, None: no Delay."""
    params = {"w": np.full((NEURONS, INPUTS), 0.5), "r": np.full((NEURONS, NEURONS), 0.1),
              "decay": np.array(0.5), "v_th": np.array(1.0)} | changed  # fmt: skip
    nodes = [
        Node("input", Input(shape=(INPUTS,), kind="spike"), ()),
        Node("fc", Dense(weight="w", features=NEURONS), ("input",)),
        Node("rec", Dense(weight="r", features=NEURONS), ("lif" if late is None else "late",)),
        Node("lif", CubaLif(decay_u="decay", decay_v="decay", v_th="v_th"), ("fc", "rec")),
    ]
    if late is not None:
        nodes.append(Node("late", Delay(steps=late), ("lif",)))
    return graph_of(nodes, params=params)


def put(values, *changes, shape=(NEURONS, INPUTS)):
    array = np.broadcast_to(np.asarray(values), shape).copy()
    for index, value in changes:
        array[index] = value
    return array


def said(network):
    """What check says; compile says the same."""
    found = pj.check(network, CHIP)
    assert found
    with pytest.raises(pj.PicojouleError) as caught:
        pj.compile(network, CHIP)
    assert caught.value.faults == found.faults
    return [f"{fault.code} {fault.what}" for fault in found]


def test_the_network_itself_is_fine():
    assert not pj.check(integers(), CHIP)
    assert not pj.check(reals(late=1), CHIP)


@pytest.mark.parametrize("network, told", [
    (integers(put(40, ((1, 2), 300), ((0, 0), -400))),
     "PJ207 weight[0, 0] of node 'fc' is -400; 'loihi1' holds -256..254 (2 such values)"),
    (integers(put(40, ((2, 1), 300))),
     "PJ207 weight[2, 1] of node 'fc' is 300; 'loihi1' holds -256..254"),
    (integers(put(64, ((1, 1), 256)), bits=3, dropped=6),
     "PJ207 weight[1, 1] of node 'fc' is 256; 'loihi1' holds -256..192"),
    (integers(put(40, ((0, 3), 3), ((2, 1), 7))),
     "PJ207 weight[0, 3] of node 'fc' is 3, not a multiple of 2: 8 bits of mixed sign do not store"
     " the lowest (2 such values)"),
    (integers(delay=63), "PJ207 delay of node 'fc' is 63; 'loihi1' holds 0..62"),
    (integers(delays=put(0, ((1, 1), 63))),
     "PJ207 delays[1, 1] of node 'fc' is 63; 'loihi1' holds 0..62"),
    (integers(delays=put(0, ((2, 3), 61)), delay=3),
     "PJ207 delays[2, 3] of node 'fc' is 61; 'loihi1' holds 0..59"),
    (integers(exponent=9), "PJ207 exponent of node 'fc' is 9; 'loihi1' holds -8..7"),
    (integers(bias=5, bias_exponent=-1),
     "PJ207 bias_exponent of node 'lif' is -1; 'loihi1' holds 0..7"),
    (integers(v_th=put(90, (1, -4), shape=(NEURONS,))),
     "PJ207 v_th[1] of node 'lif' is -4; 'loihi1' holds 0..131071"),
    (integers(bias=put(0, (2, 5000), (1, 4999), shape=(NEURONS,))),
     "PJ207 bias[2] of node 'lif' is 5000; 'loihi1' holds -4095..4095 (2 such values)"),
    (integers(decay_u=5000), "PJ207 decay_u of node 'lif' is 5000; 'loihi1' holds 0..4095"),
    (reals(late=70), "PJ207 synapses 'rec' need a delay of 69 steps; 'loihi1' has at most 62"),
    (reals(), "PJ403 a cycle through 'lif', 'rec' has no Delay"),
    (reals(late=1, w=put(0.5, ((1, 3), np.nan), ((2, 0), np.inf))),
     "PJ404 w[1, 3] is nan, not a finite number (2 such values)"),
    (reals(late=1, v_th=np.array(np.nan)), "PJ404 v_th is nan, not a finite number"),
])  # fmt: skip
def test_each_fault_of_a_network_is_named(network, told):
    assert told in said(network)


def test_all_faults_come_at_once():
    network = integers(
        put(40, ((0, 0), 301)), delay=70, exponent=9, bias_exponent=9, v_th=-1, decay_u=-1
    )
    told = said(network)
    for field in ("weight[0, 0]", "delay", "exponent", "bias_exponent", "v_th", "decay_u"):
        assert any(f"{field} of node" in each for each in told), (field, told)
    assert any("weight[0, 0] of node 'fc' is 301, not a multiple of 2" in each for each in told)


def test_negative_delays_are_named():
    assert any("-2" in each and "'fc'" in each for each in said(
        integers(delays=put(0, ((2, 0), -2)))))  # fmt: skip


# ------------------------------------------------------------------------------------- events


def events(starts, channels, steps=3, **more):
    given = np.array(starts), np.array(channels, np.int32)
    return pj.Events(*given, samples=1, steps=steps, channels=INPUTS, **more)


def refused(call):
    with pytest.raises(pj.UsageError) as caught:
        call()
    return [f"{fault.code} {fault.what}" for fault in caught.value.faults]


@pytest.fixture(scope="module")
def program():
    return pj.compile(integers(), CHIP)


def test_events_out_of_order_or_outside_are_named(program):
    told = refused(lambda: pj.run(program, events([0, 2, 3, 5], [2, 1, 7, 0, -1])))
    assert told == [
        "PJ802 event 2 (sample 0, step 1) is on channel 7, not in 0..3; 2 such events",
        "PJ802 event 1 (sample 0, step 0) on channel 1 is not above the one before it in its step,"
        " on 2; 2 such events",
    ]
    told = refused(lambda: pj.run(program, events([0, 3, 2, 3], [0, 1, 2])))
    assert told == ["PJ802 row starts of events must rise from 0 to 3"]


def test_events_of_half_a_sample_are_no_events():
    with pytest.raises(UsageError, match=r"PJ802 .*whole numbers, got \(1\.0, 3, 2\)"):
        Events(np.zeros(4, np.int64), np.zeros(0, np.int32), 1.0, 3, 2)


def test_events_that_do_not_fit_together_are_no_events():
    told = refused(lambda: pj.Events(np.array([0, 1]), np.array([0.5]), 1, 3, INPUTS))
    assert told == [
        "PJ802 row starts of events have shape (2,), 1 samples of 3 steps need (4,)",
        "PJ802 channels of events must be int32, got float64",
    ]
    payload = np.ones(2, np.int32)
    told = refused(lambda: events([0, 1, 1, 1], [0], payload=payload))
    assert told == ["PJ802 each event has a payload or none has: (2,) payloads for (1,) events"]


@pytest.mark.parametrize("value, told", [
    (2, "PJ802 a raster of events holds only 0 and 1, got 2 at (0, 1, 2)"),
    (-1, "PJ802 a raster of events holds only 0 and 1, got -1 at (0, 1, 2)"),
    (np.nan, "PJ807 1 of 12 values are not finite; the first is at (0, 1, 2)"),
])  # fmt: skip
def test_rasters_name_the_value_and_its_place(program, value, told):
    raster = put(np.zeros(INPUTS, type(value)), ((0, 1, 2), value), shape=(1, 3, INPUTS))
    assert refused(lambda: pj.run(program, raster)) == [told]


def test_recordings_name_negative_times_and_all_else(program, tmp_path):
    rows = np.array([[-3, 0], [1, 0], [4, INPUTS], [2, 0], [2, 0], [5, -1]])
    np.save(tmp_path / "bad.npy", rows)
    told = refused(lambda: pj.run(program, tmp_path / "bad.npy"))
    assert told == [
        "PJ802 event 0 is at step -3; steps count from 0",
        "PJ802 event 3 is at step 2, earlier than the event before it",
        "PJ802 event 2 is on channel 4; the program has channels 0..3",
        "PJ802 event 4 repeats step 2, channel 0",
    ]


# ------------------------------------------------------------------------------------ vectors


def test_a_vector_without_an_array_is_named(tmp_path, capsys):
    shutil.copy(VECTORS / "b2l_delays.json", tmp_path)
    with np.load(VECTORS / "b2l_delays.npz") as whole:
        kept = {name: whole[name] for name in whole.files if name not in ("weight0", "a.v")}
    np.savez(tmp_path / "b2l_delays.npz", **kept)
    assert status(["conform", str(tmp_path)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "PJ802" in told and "'weight0' is missing" in told and "vector 'b2l_delays'" in told
