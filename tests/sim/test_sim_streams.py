"""Inputs that come piece by piece give the same integers as inputs that are there at once."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_build import random_net, same
from sim_kinds import random_kinds, random_payloads

import picojoule as pj
from picojoule.errors import UsageError
from picojoule.fixed.contract import events_from_raster
from picojoule.sim.files import load_run, save_run
from picojoule.sim.run import run

STEPS = 23


def rows_of(raster):
    """A raster (1, steps, channels) as rows of a recording, channels of a step shuffled."""
    step, channel = np.nonzero(raster[0])
    rows = np.column_stack([step, channel, raster[0][step, channel]])
    order = np.lexsort((np.random.default_rng(3).random(len(rows)), step))
    return rows[order] if raster.dtype != bool else rows[order, :2]


def long_raster(program, seed=1, samples=1):
    """Spikes, or payloads, of STEPS steps; some in the last."""
    raster = np.concatenate([random_payloads(seed + k, program, samples) for k in range(3)], 1)
    raster = raster[:, :STEPS]
    raster[:, -1] = 1
    return raster if program.profile in ("lava", "loihi2") else raster.astype(bool)


@given(seed=st.integers(0, 10**6), chunk=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_recordings_of_any_chunk_equal_memory(tmp_path_factory, seed, chunk):
    program = random_kinds(seed)
    raster = long_raster(program, seed)
    path = tmp_path_factory.mktemp("rec") / "rec.npy"
    np.save(path, rows_of(raster).astype(np.int32))
    recording = pj.Recording(path, chunk=chunk)
    assert len(recording) == STEPS
    probes = [f"{s.node}.{s.what}" for s in program.source if s.what != "output"]
    for engine in ("numba", "reference"):
        options = {"engine": engine, "probes": probes, "seed": seed}
        same(run(program, raster, steps=STEPS + program.latency, **options),
             run(program, recording, **options))  # fmt: skip
        same(run(program, raster, steps=9, **options), run(program, recording, steps=9, **options))
        same(run(program, raster, steps=40, **options),
             run(program, recording, steps=40, **options))  # fmt: skip


@pytest.mark.parametrize("detail", ["each", "steps", "sum"])
def test_iterators_of_events_equal_memory(detail):
    program = random_net(4)
    raster = np.random.default_rng(2).random((5, STEPS, program.encoder.channels)) < 0.4
    cuts = [0, 1, 9, 10, STEPS]
    parts = (events_from_raster(raster[:, a:b]) for a, b in pairwise(cuts))
    steps = STEPS + program.latency
    same(run(program, raster, steps=steps, detail=detail), run(program, parts, detail=detail))


def test_recorded_draws_are_cut_with_the_pieces(tmp_path):
    program = random_kinds(3, ["cuba_noise", "cuba_noise"], "nengo_loihi")
    raster = long_raster(program)
    columns = sum(i.writes[0].size for i in program.instructions if i.op == "cuba_noise")
    noise = np.random.default_rng(5).integers(-127, 128, (1, STEPS, columns))
    np.save(tmp_path / "rec.npy", rows_of(raster))
    whole = run(program, raster, steps=STEPS, noise=noise)
    found = run(program, pj.Recording(tmp_path / "rec.npy", chunk=5), steps=STEPS, noise=noise)
    same(whole, found)
    save_run(found, tmp_path / "run.pjr")
    np.testing.assert_array_equal(load_run(tmp_path / "run.pjr").noise, noise)
    for wrong in (noise[:, :-1], noise[:, [*range(STEPS), 0]], noise[0, 0, 0], noise[0]):
        with pytest.raises(UsageError, match=r"PJ802 .*noise has shape"):
            run(program, pj.Recording(tmp_path / "rec.npy", chunk=5), steps=STEPS, noise=wrong)


@given(seed=st.integers(0, 10**6), cut=st.integers(1, STEPS - 1))
@settings(max_examples=15, deadline=None)
def test_a_saved_run_is_resumed_in_the_middle(tmp_path_factory, seed, cut):
    """Through files: spikes under way, steps and noise survive, bit for bit."""
    folder, program = tmp_path_factory.mktemp("resume"), random_kinds(seed)
    raster = long_raster(program, seed)
    path = folder / "rec.npy"
    np.save(path, rows_of(raster))
    whole = run(program, pj.Recording(path, chunk=7), seed=seed % 97)
    head = run(program, pj.Recording(path, steps=cut, chunk=4), steps=cut, seed=seed % 97)
    save_run(head, folder / "head.pjr")
    saved = load_run(folder / "head.pjr")
    assert saved.seed == seed % 97
    tail = run(program, pj.Recording(path, start=cut, chunk=5), state=saved.state, seed=saved.seed)
    joined = np.concatenate([saved.outputs["spikes"], tail.outputs["spikes"]], axis=1)
    np.testing.assert_array_equal(joined, whole.outputs["spikes"])
    assert whole.state.keys() == tail.state.keys()
    for name, values in whole.state.items():
        np.testing.assert_array_equal(values, tail.state[name], err_msg=name)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """All that numpy and Python take is the output, twice while it is joined, and a piece."""
    program, path = random_net(4), tmp_path / "long.npy"
    channels, steps = program.encoder.channels, 200_000
    taken = np.flatnonzero(np.random.default_rng(0).random(steps * channels) < 0.6)
    np.save(path, np.column_stack(np.divmod(taken, channels)))
    size = path.stat().st_size
    run(program, pj.Recording(path, steps=100), detail="sum")  # compiles
    tracemalloc.start()
    done = run(program, pj.Recording(path), detail="sum")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    output = done.outputs["spikes"]
    assert output.sum() > 1000
    assert peak < 2 * output.nbytes + size / 4, (peak, output.nbytes, size)


# ---------------------------------------------------------------------------------- bad files


def refused(path, program, **options):
    with pytest.raises(UsageError) as caught:
        run(program, pj.Recording(path, **options))
    return "\n".join(str(f) for f in caught.value.faults)


def test_every_kind_of_bad_event_is_named_at_once(tmp_path):
    program = random_net(4)
    top = program.encoder.channels
    rows = np.array([[-3, 0], [1, 0], [4, top], [2, 0], [2, 0], [5, -1]])
    np.save(tmp_path / "bad.npy", rows)
    said = refused(tmp_path / "bad.npy", program)
    for words in (
        "event 0 is at step -3; steps count from 0",
        "event 3 is at step 2, earlier than the event before it",
        f"event 2 is on channel {top}; the program has channels 0..{top - 1}",
        "event 4 repeats step 2, channel 0", "bad.npy",
    ):  # fmt: skip
        assert words in said
    assert said.count("PJ802") == 4


@pytest.mark.parametrize("rows, code, words", [
    (np.zeros((3, 2)), "PJ802", "whole numbers (events, 2 or 3), got float64 [3, 2]"),
    (np.zeros(3, int), "PJ802", "got int64 [3]"),
    (np.zeros((0, 2), int), "PJ803", "no events"),
    (np.array([[0, 0, 5]]), "PJ802", "has a payload; spikes of this machine are binary"),
])  # fmt: skip
def test_files_of_another_shape_are_refused(tmp_path, rows, code, words):
    np.save(tmp_path / "x.npy", rows)
    said = refused(tmp_path / "x.npy", random_net(4))
    assert code in said and words in said


def test_steps_that_no_run_reaches_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0, 0], [2**63 - 1, 0]]))
    assert "event 1 is at step 9223372036854775807" in refused(tmp_path / "x.npy", random_net(4))


def test_a_header_of_negative_length_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0, 0], [1, 0]]))
    data = (tmp_path / "x.npy").read_bytes().replace(b"(2, 2), } ", b"(-5, 2), }")
    (tmp_path / "x.npy").write_bytes(data)
    assert "got int64 [-5, 2]" in refused(tmp_path / "x.npy", random_net(4))


def test_damaged_files_are_refused(tmp_path):
    program, path = random_net(4), tmp_path / "x.npy"
    np.save(path, np.array([[0, 0], [1, 0]]))
    whole = path.read_bytes()
    assert "PJ801" in refused(tmp_path / "none.npy", program)
    for data in (b"", whole[:3], b"hello" * 40, whole[:100], whole[:-8]):
        path.write_bytes(data)
        assert "PJ801" in refused(path, program)


def test_payloads_out_of_range_are_refused(tmp_path):
    program = random_kinds(1, ["graded"], "lava")
    np.save(tmp_path / "x.npy", np.array([[0, 0, 5], [1, 0, 2**23]]))
    said = refused(tmp_path / "x.npy", program)
    assert f"event 1 has payload {2**23}; payloads lie in {-(2**23)}..{2**23 - 1}" in said


@pytest.mark.parametrize("wrong", [{"start": -1}, {"steps": 0}, {"chunk": 0}, {"chunk": 1.5},
                                   {"path": 3}])  # fmt: skip
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(UsageError, match="PJ806"):
        pj.Recording(**{"path": "x.npy", **wrong})


def test_streams_that_do_not_fit_are_refused(tmp_path):
    program = random_net(4)
    raster = np.zeros((2, 3, program.encoder.channels), bool)
    events = events_from_raster(raster)
    for stream, words in (
        (iter([]), "PJ803"), (iter([raster]), "piece 0 of the samples is ndarray, not Events"),
        (iter([events, events.take(0, 1)]), "piece 1 has 1 samples"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            run(program, stream)
    np.save(tmp_path / "x.npy", np.array([[0, 0]]))
    with pytest.raises(UsageError, match="PJ803"):
        run(program, pj.Recording(tmp_path / "x.npy", start=5))
