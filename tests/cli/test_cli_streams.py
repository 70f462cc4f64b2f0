"""`picojoule run` on recordings: piece by piece, stopped and resumed, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule.fixed.contract import Encoder
from picojoule.graph import files
from picojoule.nn import spiking_network
from picojoule.sim.files import load_run

STEPS = 50


@pytest.fixture
def events(room, say):
    """A program that takes events, a recording of STEPS steps, and the same as a raster."""
    network = spiking_network([6, 8, 3], steps=8, seed=1, name="events")
    encoder = Encoder(kind="events", shape=network.encoder.shape, steps=8)
    files.save(replace(network, encoder=encoder), "events.pjg")
    assert say("compile", "events.pjg", "-t", "loihi1").status == 0
    raster = np.random.default_rng(0).random((1, STEPS, 6)) < 0.5
    raster[:, -1] = True
    np.save("rec.npy", np.column_stack(np.nonzero(raster[0])))
    np.savez("raster.npz", x=raster)
    return "events.pjp"


def test_a_recording_runs_to_its_end(say, events):
    said = say("run", events, "rec.npy", "-o", "all.pjr")
    assert said.status == 0, said
    found = load_run("all.pjr")
    steps = found.outputs["spikes"].shape[1]
    assert steps > STEPS  # and the latency
    assert say("run", events, "raster.npz", "--steps", steps, "-o", "raster.pjr").status == 0
    whole = load_run("raster.pjr")
    assert whole.outputs["spikes"].any()
    for part in ("outputs", "state"):
        for name, values in getattr(whole, part).items():
            np.testing.assert_array_equal(getattr(found, part)[name], values)
    assert say("cost", "all.pjr").status == 0


@pytest.mark.parametrize("second", ["rec.npy", "raster.npz"])
def test_a_run_is_stopped_and_resumed(say, events, second):
    assert say("run", events, "rec.npy", "-o", "all.pjr").status == 0
    steps = load_run("all.pjr").outputs["spikes"].shape[1]
    assert say("run", events, "rec.npy", "--steps", 20, "-o", "head.pjr").status == 0
    assert say("run", events, second, "--start", 20, "--steps", steps - 20, "--resume", "head.pjr",
               "--detail", "sum", "-o", "tail.pjr").status == 0  # fmt: skip
    whole, head, tail = (load_run(f"{name}.pjr") for name in ("all", "head", "tail"))
    joined = np.concatenate([head.outputs["spikes"], tail.outputs["spikes"]], axis=1)
    np.testing.assert_array_equal(joined, whole.outputs["spikes"])
    for name, values in whole.state.items():
        np.testing.assert_array_equal(tail.state[name], values)
    assert tail.activity.counts.shape[:2] == (1, 1)
    counted = whole.activity.counts.sum((0, 1))
    parts = head.activity.counts.sum((0, 1)) + tail.activity.counts.sum((0, 1))
    np.testing.assert_array_equal(parts, counted)


def test_bad_streams_are_refused(fails, say, events):
    np.save("bad.npy", np.array([[-1, 2], [5, 6], [3, 0]]))
    error = fails("PJ802", "run", events, "bad.npy", match="event 0 is at step -1")
    assert "event 1 is on channel 6" in error and "event 2 is at step 3, earlier" in error
    fails("PJ806", "run", events, "raster.npz", "--start", STEPS, match="0..49")
    fails("PJ806", "run", "spikes.pjp", "data.npz", "--start", 1)
    fails("PJ802", "run", events, "rec.npy", "--resume", "spikes.pjr", match="is of program")
    fails("PJ803", "run", events, "rec.npy", "--start", 1000)
