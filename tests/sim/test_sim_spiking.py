"""Spiking runs: against the reference, closed forms, and what must not matter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_build import Net, random_net, random_raster, same
from sim_kinds import random_kinds

from picojoule.fixed.contract import events_from_raster
from picojoule.fixed.format import Format
from picojoule.kernels import spiking as kernels
from picojoule.program import Source
from picojoule.sim.plan import make_plan
from picojoule.sim.run import run
from picojoule.sim.samples import start_state
from picojoule.sim.spiking import empty_batch

PROBES = ("a.u", "a.v", "a.spike", "b.v")
seeds = st.integers(0, 10**6)


@given(seed=seeds, profile=st.sampled_from(["loihi1", "brian2loihi"]))
@settings(max_examples=60, deadline=None)
def test_engines_agree(seed, profile):
    program = random_net(seed, profile)
    x = random_raster(seed, program)
    fast = run(program, x, probes=PROBES)
    same(fast, run(program, x, probes=PROBES, engine="reference"))


def test_random_nets_are_not_silent():
    spikes = [run(random_net(s), random_raster(s, random_net(s))).outputs["spikes"].sum()
              for s in range(20)]  # fmt: skip
    assert np.count_nonzero(spikes) > 15


@pytest.mark.parametrize("engine", ["numba", "reference"])
@given(seed=seeds, first=st.integers(1, 11))
@settings(max_examples=25, deadline=None)
def test_two_runs_in_a_row_equal_one(engine, seed, first):
    program = random_net(seed)
    x = random_raster(seed, program)
    whole = run(program, x, engine=engine, probes=PROBES)
    half = run(program, x[:, :first], steps=first, engine=engine, probes=PROBES)
    rest = run(program, x[:, first:], steps=12 - first, engine=engine, probes=PROBES,
               state=half.state)  # fmt: skip
    for name in ("spikes",):
        parts = half.outputs[name], rest.outputs[name]
        np.testing.assert_array_equal(np.concatenate(parts, 1), whole.outputs[name])
    for name, values in whole.probes.items():
        parts = half.probes[name], rest.probes[name]
        np.testing.assert_array_equal(np.concatenate(parts, 1), values)
    for name, values in whole.state.items():
        np.testing.assert_array_equal(rest.state[name], values, err_msg=name)
    counts = np.concatenate([half.activity.counts, rest.activity.counts], 1)
    np.testing.assert_array_equal(counts, whole.activity.counts)


def test_a_state_crosses_engines():
    program = random_net(5)
    x = random_raster(5, program)
    half = run(program, x[:, :6], steps=6)
    assert len(half.state["inflight"]) > 0
    same(run(program, x[:, 6:], steps=6, state=half.state),
         run(program, x[:, 6:], steps=6, state=half.state, engine="reference"))  # fmt: skip


def test_threads_do_not_matter():
    program = random_net(7)
    x = random_raster(7, program, samples=37)
    one = run(program, x, threads=1, probes=PROBES)
    for threads in (2, 3, 8):
        same(one, run(program, x, threads=threads, probes=PROBES))


@pytest.mark.parametrize("cuts", [(0, 5, 37), (0, 1, 2, 9, 37)])
def test_batch_split_does_not_matter(cuts):
    program = random_net(8)
    x = random_raster(8, program, samples=37)
    whole = run(program, x)
    parts = [run(program, x[a:b]) for a, b in pairwise(cuts)]
    spikes = np.concatenate([p.outputs["spikes"] for p in parts])
    np.testing.assert_array_equal(spikes, whole.outputs["spikes"])
    counts = np.concatenate([p.activity.counts for p in parts])
    np.testing.assert_array_equal(counts, whole.activity.counts)
    for name in whole.state.keys() - {"inflight"}:
        values = np.concatenate([p.state[name] for p in parts])
        np.testing.assert_array_equal(values, whole.state[name])


@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("seed", range(5))
def test_order_of_instructions_does_not_matter(engine, seed):
    program = random_net(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(program.instructions))
    shuffled = replace(program, instructions=tuple(program.instructions[k] for k in order))
    x = random_raster(seed, program)
    a, b = (run(p, x, engine=engine) for p in (program, shuffled))
    np.testing.assert_array_equal(a.outputs["spikes"], b.outputs["spikes"])
    np.testing.assert_array_equal(a.activity.counts, b.activity.counts)
    for name in a.state.keys() - {"inflight"}:
        np.testing.assert_array_equal(a.state[name], b.state[name])


def test_four_python_threads_at_once():
    nets = [random_net(seed) for seed in range(4)]
    rasters = [random_raster(seed, net, samples=30) for seed, net in enumerate(nets)]
    alone = [run(net, x, threads=1) for net, x in zip(nets, rasters)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for a, b in zip(alone, pool.map(lambda net, x: run(net, x, threads=2), nets, rasters)):
                same(a, b)


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_silence_in_silence_out(engine):
    net = Net(3).layer("a", 4, v_th=0).layer("b", 2, core=1, v_th=5)
    net.connect("in", "a", np.full((4, 3), 200)).connect("a", "b", np.full((2, 4), 200))
    program = net.program("b", steps=6)
    quiet = run(program, np.zeros((2, 6, 3), bool), engine=engine)
    assert not quiet.outputs["spikes"].any()
    assert not any(values.any() for values in quiet.state.values())
    assert quiet.activity.total("neuron.idle") == 2 * 6 * 6
    for action in ("neuron.active", "synapse.event", "packet.out", "event.in", "event.out"):
        assert quiet.activity.total(action) == 0


def one_neuron(**registers):
    """One input with weight 100 (effective 6400) into one neuron."""
    return Net(1).layer("a", 1, **registers).connect("in", "a", [[100]]).program("a", steps=8)


def pulse(*steps):
    x = np.zeros((1, 8, 1), bool)
    x[0, list(steps)] = True
    return x


def test_closed_form_of_one_spike():
    program = one_neuron(decay_u=2047, decay_v=1024, v_th=131071)
    got = run(program, pulse(0), probes=["a.u", "a.v"])
    u, v, want_u, want_v = 0, 0, [], []
    for t in range(8):  # acts one step late; keep_u = 4096 - 1 - 2047 = 1/2, keep_v = 3/4
        u = u // 2 + (6400 if t == 1 else 0)
        v = v * 3 // 4 + u
        want_u.append(u)
        want_v.append(v)
    assert got.probes["a.u"][0, :, 0].tolist() == want_u
    assert got.probes["a.v"][0, :, 0].tolist() == want_v
    assert got.node("a", "v").tolist() == [[want_v[-1]]]


def test_fires_strictly_above_threshold_and_rests():
    at = run(one_neuron(decay_u=4095, v_th=100), pulse(0), probes=["a.v"])
    assert not at.outputs["spikes"].any() and at.probes["a.v"][0, 1, 0] == 6400
    over = one_neuron(decay_u=4095, v_th=99, refractory=3)
    got = run(over, pulse(0, 1, 2, 3), probes=["a.wait"])
    assert got.outputs["spikes"][0, :, 0].nonzero()[0].tolist() == [1, 4]
    assert got.probes["a.wait"][0, :, 0].tolist() == [0, 2, 1, 0, 2, 1, 0, 0]


@pytest.mark.parametrize("delay", [1, 2, 7])
def test_a_spike_acts_after_its_delay(delay):
    net = Net(1).layer("a", 1, decay_u=4095, v_th=0).layer("b", 1, decay_u=4095, v_th=0)
    net.connect("in", "a", [[2]], delay=0).connect("a", "b", [[2]], delay=delay)
    got = run(net.program("b", steps=9), np.eye(1, 9, dtype=bool)[..., None])
    assert got.outputs["spikes"][0, :, 0].nonzero()[0].tolist() == [delay]


def test_counts_of_a_fan_out():
    """One neuron on core 0 that reaches core 1 over two routes, and its own core over one."""
    net = Net(2).layer("a", 1, core=0, decay_u=4095, v_th=0)
    net.layer("b", 3, core=1, v_th=131071).layer("c", 2, core=1, v_th=131071)
    net.connect("in", "a", [[2, 0]], delay=0)
    net.connect("a", "b", np.full((3, 1), 2), hops=(2, 1))
    net.connect("a", "c", [[2], [0]], hops=(2, 1), sparse=True, delay=2)
    net.connect("a", "a", [[-2]])
    program = net.program("a", steps=4)
    x = np.zeros((1, 4, 2), bool)
    x[0, 0] = True
    for engine in ("numba", "reference"):
        activity = run(program, x, engine=engine).activity
        got = {(c, a): activity.total(a, c) for c in activity.components
               for a in activity.actions if activity.total(a, c)}  # fmt: skip
        assert got == {
            ("core0", "neuron.active"): 4,  # input, then current, then v < 0
            ("core0", "synapse.event"): 2 + 1,
            ("core0", "packet.out"): 2,
            ("core0", "hop.ew"): 2,
            ("core0", "hop.ns"): 1,
            ("core1", "neuron.active"): 3 * 3 + 2 * 1,  # from steps 1 and 2 on
            ("core1", "neuron.idle"): 4 * 5 - 11,
            ("core1", "synapse.event"): 3 + 1,
            ("chip", "step"): 4,
            ("chip", "reset"): 1,
            ("host", "event.in"): 2,
            ("host", "event.out"): 1,
        }


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_counts_add_up(seed):
    program = random_net(seed)
    x = random_raster(seed, program, samples=11)
    each, steps, total = (run(program, x, detail=d).activity for d in ("each", "steps", "sum"))
    np.testing.assert_array_equal(each.summed().counts, steps.counts)
    np.testing.assert_array_equal(steps.summed(windows=True).counts, total.counts)
    neurons = sum(program.regions[f"{n}.u"].size for n in "abc" if f"{n}.u" in program.regions)
    updates = total.total("neuron.active") + total.total("neuron.idle")
    assert updates == neurons * 11 * program.steps
    assert total.total("event.in") == x.sum()
    assert total.total("event.out") == run(program, x).outputs["spikes"].sum()
    assert total.total("step") == 11 * program.steps and total.total("reset") == 11


def test_events_and_raster_are_the_same_input():
    program = random_net(3)
    x = random_raster(3, program)
    same(run(program, x), run(program, events_from_raster(x)))
    same(run(program, x), run(program, x.astype(float)))


def test_count_readout_prefers_spikes_then_voltage_then_index():
    net = Net(3).layer("a", 3, decay_u=4095, v_th=10)
    net.connect("in", "a", 8 * np.eye(3, dtype=int), delay=0)
    program = net.program("a", steps=4)
    x = np.zeros((3, 4, 3), bool)
    x[0, :2, 2] = True  # neuron 2 fires
    x[1, 0, 1] = True  # nobody fires, neuron 1 has the higher voltage
    assert run(program, x).answers().tolist() == [2, 1, 0]


def test_wide_weights_and_a_common_unit():
    """Exponents 7 and -8 into one population: 8-bit storage is not enough, nor one unit."""
    net = Net(2).layer("a", 2, decay_u=4095, v_th=131071)
    net.connect("in", "a", [[-256, 254], [1, -1]], exponent=7, delay=0)
    net.connect("in", "a", [[3, -3], [255, -255]], exponent=-8, delay=0)
    program = net.program("a", steps=1)
    got = run(program, np.eye(2, dtype=bool)[:, None, :], probes=["a.u"]).probes["a.u"][:, 0]
    want = [[(-256 * 128) * 64, 128 * 64], [(254 * 128 - 1) * 64, (-128 - 1) * 64]]
    want[0][0] = (want[0][0] + 2**21) % 2**22 - 2**21  # q wraps at 21 bits
    want[1][0] = (want[1][0] + 2**21) % 2**22 - 2**21
    assert got.tolist() == want


@pytest.mark.parametrize("seed", [0, 11])
def test_the_whole_kernel_as_python(seed):
    """One block of a random net: compiled, and interpreted from the block down."""
    program = random_net(seed)
    plan, events = make_plan(program), events_from_raster(random_raster(seed, program))
    batches = []
    for kernel in (kernels.run_block, getattr(kernels.run_block, "py_func", kernels.run_block)):
        state, n = start_state(program, None, events.samples)[0], events.samples
        batch = empty_batch(plan, events, state, np.zeros((n, 3), np.int64),
                            np.zeros((n, events.steps, 0), np.int8))  # fmt: skip
        kernel(plan.machine, batch)
        batches.append(batch)
    assert batches[0].counts.any()
    for name, a, b in zip(kernels.Batch._fields, *batches):
        np.testing.assert_array_equal(a, b, err_msg=name)


def test_what_few_programs_need_is_compiled_for_them_alone():
    for bits, weight in ((8, [[-256, 254], [2, -2]]), (16, [[-256, 254], [1, -1]])):
        net = Net(2).layer("a", 2, decay_u=4095, v_th=131071)
        machine = make_plan(net.connect("in", "a", weight, delay=0).program("a")).machine
        (row,) = machine.table[machine.table[:, 0] == kernels.DENSE]
        assert row[7] == bits and machine.rare is None
    assert make_plan(random_kinds(3, ["cuba_noise"], "nengo_loihi")).machine.rare == 0


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("scale", [1, 2, 6])
def test_packed_weights_are_the_effective_weights(dtype, scale):
    """The plan's weights times their unit, for all exponents, against the rule S9."""
    rng = np.random.default_rng(scale)
    top = min(int(np.iinfo(dtype).max), 2**30) // scale
    low = max(int(np.iinfo(dtype).min), -(2**30)) // scale if dtype != np.uint8 else 0
    weight = (rng.integers(low, top, (4, 5), endpoint=True) * scale).astype(dtype)
    for exponent in (-8, -1, 0, 3, 7):
        net = Net(5, "brian2loihi").layer("a", 4).connect("in", "a", weight.astype(int))
        program = net.program("a")
        name = next(n for n in program.arrays if n.startswith("w"))
        region = replace(program.regions[name], format=Format(8 * weight.itemsize))
        regions = {**program.regions, name: region}
        deliver = next(i for i in program.instructions if i.op == "deliver_dense")
        program = replace(
            program, regions=regions, arrays={**program.arrays, name: weight.T},
            instructions=tuple(replace(i, args=(exponent,)) if i is deliver else i
                               for i in program.instructions))  # fmt: skip
        machine = make_plan(program).machine
        row = machine.table[machine.table[:, 0] == kernels.DENSE][0]
        pool = {8: machine.w8, 16: machine.w16, 64: machine.w64}[row[7]]
        unit = machine.table[machine.table[:, 0] == kernels.CUBA][0][11]
        want = np.floor(weight.T * 2.0**exponent).astype(int) * 64
        want = np.clip(want, -(2**21) + 64, 2**21 - 64)
        np.testing.assert_array_equal(pool.astype(int).reshape(5, 4) << unit, want)


def test_two_spikes_on_one_axon_count_twice():
    net = Net(1).layer("a", 1, decay_u=4095, v_th=131071).connect("in", "a", [[3]], delay=2)
    axon = next(i.writes[0] for i in net.instructions if i.op == "input")
    net.send("in", axon, delay=2)
    program = net.program("a", steps=4)
    x = np.eye(1, 4, dtype=bool)[..., None]
    whole = [run(program, x, engine=e, probes=["a.u"]) for e in ("numba", "reference")]
    same(*whole)
    assert whole[0].probes["a.u"][0, :, 0].tolist() == [0, 0, 2 * 3 * 64, 0]
    assert whole[0].activity.total("synapse.event") == 2
    assert whole[0].activity.total("event.in") == 1
    half = run(program, x, steps=1)
    assert half.state["inflight"].tolist() == [[0, 1, 0, 2]]
    rest = [run(program, x[:, 1:], steps=3, state=half.state, engine=e, probes=["a.u"])
            for e in ("numba", "reference")]  # fmt: skip
    same(*rest)
    assert rest[0].probes["a.u"][0, :, 0].tolist() == [0, 2 * 3 * 64, 0]


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_a_node_in_two_places_is_read_in_node_order(engine):
    program = random_net(5)
    n_a, n_b = (program.regions[f"{name}.v"].size for name in "ab")
    whole = [Source(f"{region}.{what}", 0, size, "both", what, first)
             for region, size, first in (("a", n_a, n_b), ("b", n_b, 0))
             for what in ("v", "spike")]  # fmt: skip
    split = replace(program, source=(*program.source, *whole))
    names = ["both.v", "both.spike", "a.v", "b.v", "a.spike", "b.spike"]
    got = run(split, random_raster(5, program), engine=engine, probes=names)
    for what in ("v", "spike"):
        parts = got.probes[f"b.{what}"], got.probes[f"a.{what}"]
        np.testing.assert_array_equal(got.probes[f"both.{what}"], np.concatenate(parts, 2))
    both = np.concatenate([got.node("b", "v"), got.node("a", "v")], axis=1)
    np.testing.assert_array_equal(got.node("both", "v"), both)
