"""Every neuron kind, graded spikes, shared rows, shifted sums and noise: engine against engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_build import Net, random_raster, same
from sim_kinds import KindNet, random_kinds, random_payloads

from picojoule.errors import ProgramError, UsageError
from picojoule.fixed.contract import Events, events_from_raster
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.program.listing import listing
from picojoule.program.parsing import parse
from picojoule.program.verify import verify
from picojoule.sim.run import run

seeds = st.integers(0, 10**6)


def all_probes(program):
    return sorted({f"{s.node}.{s.what}" for s in program.source})


def both_engines(program, x, **more):
    return [run(program, x, engine=e, probes=all_probes(program), **more)
            for e in ("numba", "reference")]  # fmt: skip


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_random_programs_of_all_kinds(seed):
    program = random_kinds(seed)
    verify(program)
    same(*both_engines(program, random_payloads(seed, program), seed=seed % 7))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_fires_and_agrees(kind):
    """Enough seeds that every kind sends something, under the profile that has it."""
    profile = "nengo_loihi" if kind == "cuba_noise" else "loihi2"
    sent = 0
    for seed in range(12):
        program = random_kinds(seed, [kind], profile)
        a, b = both_engines(program, random_payloads(seed, program))
        same(a, b)
        assert (a.outputs["spikes"].dtype == bool) != KINDS[kind].graded
        sent += np.count_nonzero(a.outputs["spikes"])
    assert sent > 20


@given(seed=seeds, cut=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_a_cut_run_continues(seed, cut):
    """Spikes under way, their payloads, the step and the noise survive a pause."""
    program = random_kinds(seed)
    x = random_payloads(seed, program)
    for engine in ("numba", "reference"):
        whole = run(program, x, engine=engine)
        head = run(program, x[:, :cut], steps=cut, engine=engine)
        tail = run(program, x[:, cut:], steps=program.steps - cut, state=head.state, engine=engine)
        joined = [head.outputs["spikes"], tail.outputs["spikes"]]
        np.testing.assert_array_equal(np.concatenate(joined, 1), whole.outputs["spikes"])
        assert whole.state.keys() == tail.state.keys()
        for name, value in whole.state.items():
            np.testing.assert_array_equal(value, tail.state[name], err_msg=name)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_threads_and_batches_do_not_matter(seed):
    program = random_kinds(seed)
    x = random_payloads(seed, program, samples=19)
    whole = run(program, x, threads=1)
    same(whole, run(program, x, threads=3))
    if "cuba_noise" not in {i.op for i in program.instructions}:
        part = run(program, x[7:11])
        np.testing.assert_array_equal(part.outputs["spikes"], whole.outputs["spikes"][7:11])


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_order_of_instructions_does_not_matter(seed):
    program = random_kinds(seed)
    order = np.random.default_rng(seed).permutation(len(program.instructions))
    shuffled = replace(program, instructions=tuple(program.instructions[k] for k in order))
    x = random_payloads(seed, program)
    for engine in ("numba", "reference"):
        a, b = (run(p, x, engine=engine) for p in (program, shuffled))
        np.testing.assert_array_equal(a.outputs["spikes"], b.outputs["spikes"])
        np.testing.assert_array_equal(a.activity.counts, b.activity.counts)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_listing_of_kinds_is_read_back(seed):
    program = random_kinds(seed)
    assert parse(listing(program), program.arrays, program.initial) == program


def test_events_carry_payloads():
    program = random_kinds(4, ["graded"], "lava")
    x = random_payloads(4, program)
    events = events_from_raster(x)
    assert events.payload.dtype == np.int32 and 0 not in events.payload
    same(run(program, x), run(program, events))
    np.testing.assert_array_equal(events.take(1, 3).raster(), x[1:])


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_payloads_scale_graded_synapses_only(engine):
    rng = np.random.default_rng(0)
    for graded, want in ((1, -3 * 20), (0, 20)):
        net = KindNet(1, "lava")
        net.population(rng, "a", "graded", 1)
        net.synapses(rng, "in", "a", graded=graded, delay=0)
        net.arrays["a.v_th"][:] = 0
        net.arrays[next(n for n in net.arrays if n.startswith("w"))][:] = 20
        got = run(net.program("a", steps=1), np.array([[[-3]]]), engine=engine)
        assert got.outputs["spikes"].tolist() == [[[want]]]
        assert got.activity.total("synapse.event") == 1


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_a_sum_is_shifted_as_a_whole(engine):
    """Two spikes of -5 at exponent -2: floor(-10 / 4), not twice floor(-5 / 4)."""
    rng = np.random.default_rng(0)
    net = KindNet(2, "lava")
    net.population(rng, "a", "graded", 1)
    net.synapses(rng, "in", "a", exponent=-2, delay=0, summed=True)
    net.arrays["a.v_th"][:] = 0
    net.arrays[next(n for n in net.arrays if n.startswith("w"))][:] = -5
    got = run(net.program("a", steps=1), np.ones((1, 1, 2), bool), engine=engine)
    assert got.outputs["spikes"].tolist() == [[[-3]]]


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_current_and_bias_at_the_edge_of_lava(engine):
    """Eight times 2**20 are a current of 2**23; with a bias of 64 the voltage clips, and fires."""
    net = Net(8, "lava").layer("a", 1, decay_u=4095, v_th=131071, bias=64)
    net.connect("in", "a", np.full((1, 8), 128), exponent=7, delay=0)
    got = run(net.program("a", steps=1), np.ones((1, 1, 8), bool), engine=engine)
    assert got.node("a", "u").tolist() == [[2**23]]
    assert got.outputs["spikes"].all()


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_an_integrator_sends_its_voltage(engine):
    """v keeps half a step (2048 / 4096); the current of 640 lives for one step."""
    rng = np.random.default_rng(0)
    net = KindNet(1, "lava")
    net.population(rng, "a", "integrator", 1)
    net.synapses(rng, "in", "a", delay=0)
    for name, value in (("decay_u", 4095), ("decay_v", 2048), ("bias", 0)):
        net.arrays[f"a.{name}"][:] = value
    net.arrays[next(n for n in net.arrays if n.startswith("w"))][:] = 10
    x = np.zeros((1, 4, 1), bool)
    x[0, 1] = True
    got = run(net.program("a", steps=4), x, engine=engine)
    assert got.outputs["spikes"][0, :, 0].tolist() == [0, 640, 320, 160]


def noisy_net():
    return random_kinds(3, ["cuba_noise", "cuba_noise"], "nengo_loihi")


def test_recorded_draws_are_replayed():
    program = noisy_net()
    x = random_payloads(3, program)
    columns = sum(i.writes[0].size for i in program.instructions if i.op == "cuba_noise")
    noise = np.random.default_rng(5).integers(-127, 128, (len(x), program.steps, columns))
    same(*both_engines(program, x, noise=noise))
    quiet, loud = (run(program, x, noise=n, probes=["p0.v"]) for n in (noise * 0, noise))
    assert (quiet.probes["p0.v"] != loud.probes["p0.v"]).any()


def test_draws_depend_on_the_seed_alone():
    program, x = noisy_net(), random_payloads(3, noisy_net(), samples=17)
    first = run(program, x, seed=1)
    same(first, run(program, x, seed=1, threads=2))
    other = run(program, x, seed=2)
    assert any((first.state[n] != other.state[n]).any() for n in first.state if n.endswith(".v"))
    assert first.seed == 1


@pytest.mark.parametrize("wrong, told", [
    ({"seed": -1}, "PJ806"), ({"seed": 1.5}, "PJ806"),
    ({"noise": np.zeros((1, 2, 3), int)}, "PJ802"),
])  # fmt: skip
def test_wrong_seeds_and_draws_are_refused(wrong, told):
    program = noisy_net()
    with pytest.raises(UsageError) as error:
        run(program, random_payloads(3, program), **wrong)
    assert told in str(error.value)


def test_draws_out_of_range_and_for_quiet_programs_are_refused():
    program = noisy_net()
    x = random_payloads(3, program)
    columns = sum(i.writes[0].size for i in program.instructions if i.op == "cuba_noise")
    with pytest.raises(UsageError, match=r"-127\.\.127"):
        run(program, x, noise=np.full((len(x), program.steps, columns), 128))
    quiet = Net(1).layer("a", 1).connect("in", "a", [[2]]).program("a")
    with pytest.raises(UsageError, match="PJ802"):
        run(quiet, random_raster(0, quiet), noise=np.zeros((3, 10, 1), int))


def test_binary_machines_take_no_payloads():
    program = Net(1).layer("a", 1).connect("in", "a", [[2]]).program("a", steps=2)
    with pytest.raises(UsageError, match="only 0 and 1"):
        run(program, np.full((1, 2, 1), 3))
    events = Events(np.array([0, 1, 1]), np.zeros(1, np.int32), 1, 2, 1, np.full(1, 3, np.int32))
    with pytest.raises(UsageError, match="binary"):
        run(program, events)
    lava = random_kinds(1, ["graded"], "lava")
    with pytest.raises(UsageError, match="payloads of events must lie in"):
        run(lava, np.full((1, 2, lava.encoder.channels), 2**23))


def test_theta_starts_at_its_rest():
    program = random_kinds(2, ["atrlif"], "lava")
    quiet = np.zeros((1, 3, program.encoder.channels), bool)
    i = next(i for i in program.instructions if i.op == "atrlif")
    rest = program.arrays["p0.theta_0"].astype(int) << 6
    if program.arrays["p0.bias"].any():
        arrays = {**program.arrays, "p0.bias": 0 * program.arrays["p0.bias"]}
        program = replace(program, arrays=arrays)
    for engine in ("numba", "reference"):
        got = run(program, quiet, steps=3, engine=engine)
        assert (got.node("p0", "theta") == rest).all()
        assert got.activity.total("neuron.active") == 0
    assert i.writes[0].size == got.node("p0", "theta").size


def change(program, index, **fields):
    instructions = list(program.instructions)
    instructions[index] = replace(instructions[index], **fields)
    return replace(program, instructions=tuple(instructions))


def test_what_a_machine_lacks_is_refused():
    program = random_kinds(4, ["ternary"], "lava")
    with pytest.raises(ProgramError, match="has no such neurons"):
        verify(replace(program, profile="loihi1"))
    deliver = next(k for k, i in enumerate(program.instructions) if i.op.startswith("deliver"))
    with pytest.raises(ProgramError, match="floors sums"):
        verify(change(Net(1, "lava").layer("a", 1).connect("in", "a", [[2]]).program("a"), 2,
                      args=(-1,)))  # fmt: skip
    with pytest.raises(ProgramError, match=r"graded must lie in 0\.\.1"):
        verify(change(program, deliver, args=(0, 2)))


def test_shared_rows_outside_their_population_are_refused():
    rng = np.random.default_rng(1)
    net = KindNet(3, "lava")
    net.population(rng, "a", "threshold", 4)
    net.synapses(rng, "in", "a", way="shared", delay=0)
    program = net.program("a")
    verify(program)
    base, row, bounds = (next(n for n in program.arrays if n.startswith(p))
                         for p in ("base", "row", "indptr"))  # fmt: skip
    for name, value, told in ((base, 4, "not within 0..3"), (row, 9, "rows in"),
                              (bounds, 99, "row bounds")):  # fmt: skip
        arrays = {**program.arrays, name: np.full_like(program.arrays[name], value)}
        if name == base:
            arrays[row] = np.full_like(arrays[row], np.diff(program.arrays[bounds]).argmax())
        with pytest.raises(ProgramError, match=told):
            verify(replace(program, arrays=arrays))


def test_profiles_name_only_kinds_that_exist():
    for profile in SPIKING.values():
        assert set(profile.kinds) <= KINDS.keys()
