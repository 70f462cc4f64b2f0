"""How a plan is kept, and that what it chooses changes no result."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from sim_build import Net, random_net, random_raster, same

from picojoule.kernels import spiking as kernels
from picojoule.sim import pools, run
from picojoule.sim.layout import depth, kept, sorted_inflight
from picojoule.sim.plan import make_plan


def test_a_plan_is_made_once_and_ends_with_its_program():
    program = random_net(3)
    assert make_plan(program).machine is make_plan(program).machine
    assert replace(program).held == {} and program.with_state({}).held == {}
    gone = weakref.ref(program)
    gc.collect()
    gc.disable()
    try:
        del program
        assert gone() is None, "what is kept refers to the program"
    finally:
        gc.enable()


def test_probes_change_only_the_probes():
    program = random_net(3)
    x = random_raster(3, program)
    run(program, x)
    with_probe = run(program, x, probes=["a.v", "a.spike"])
    assert with_probe.probes["a.v"].shape[:2] == x.shape[:2]
    assert make_plan(program).columns == 0
    np.testing.assert_array_equal(run(program, x).outputs["spikes"], with_probe.outputs["spikes"])


def test_kept_facts_are_those_of_their_own_program():
    calls = []

    @kept
    def fact(program):
        calls.append(program.name)
        return len(calls)

    one, two = random_net(0), random_net(1)
    assert [fact(one), fact(two), fact(one)] == [1, 2, 1]
    assert depth(one) == depth(replace(one))


@pytest.mark.parametrize("seed", range(6))
def test_packed_and_apart_synapses_run_alike(seed, monkeypatch):
    program, runs = random_net(seed), []
    x = random_raster(seed, program)
    for most in (1 << 26, -1):
        monkeypatch.setattr(pools, "PACKED_MOST", most)
        again = replace(program)
        runs.append(run(again, x, probes=["a.v"]))
        packed = (make_plan(again).machine.table[:, 0] == kernels.PACKED).any()
        assert not packed or most > 0
    same(*runs)


def test_rows_that_begin_behind_other_axons():
    """The first compressed rows of a program belong to axons that are not the first."""
    weight = np.array([[0, 0, 0, 4, 0], [0, 2, 0, 0, 6]])
    net = Net(5).layer("a", 2, decay_u=4095, v_th=100).connect("in", "a", weight, sparse=True)
    program = net.program("a", steps=3)
    cut = []
    for i in program.instructions:
        if i.op != "deliver_sparse":
            cut.append(i)
            continue
        axon, indptr, *rest = i.reads
        cut.append(replace(i, reads=(replace(axon, start=3), replace(indptr, start=3), *rest)))
    program = replace(program, instructions=tuple(cut))
    x = np.ones((1, 3, 5), bool)
    runs = [run(program, x, engine=e, probes=["a.u"]) for e in ("numba", "reference")]
    same(*runs)
    assert runs[0].probes["a.u"][0, 1].tolist() == [4 * 64, 6 * 64]


def test_targets_above_16_bits(monkeypatch):
    n = 70_000
    net = Net(1).layer("a", n, decay_u=4095, v_th=1000)
    weight = np.zeros((n, 1), int)
    weight[[5, n - 1], 0] = 254, -6
    program = net.connect("in", "a", weight, sparse=True).program("a", steps=2)
    for most in (1 << 26, -1):
        monkeypatch.setattr(pools, "PACKED_MOST", most)
        u = run(replace(program), np.ones((1, 2, 1), bool), probes=["a.u"]).probes["a.u"][0, 1]
        assert np.flatnonzero(u).tolist() == [5, n - 1]
        assert u[[5, n - 1]].tolist() == [254 * 64, -6 * 64]


def test_a_state_that_rests_is_obeyed_where_nobody_rests_by_itself():
    net = Net(1).layer("a", 2, v_th=1, bias=20, bias_exponent=6).connect("in", "a", [[2], [2]])
    program = net.program("a", steps=4)
    x, state = np.zeros((1, 4, 1), bool), {"a.wait": np.array([[0, 2]])}
    runs = [run(program, x, engine=e, state=state) for e in ("numba", "reference")]
    same(*runs)
    assert runs[0].outputs["spikes"][0, :, 1].tolist() == [False, False, True, True]


@pytest.mark.parametrize("detail", ["steps", "sum"])
def test_counts_of_one_window_are_the_sum_of_all(detail):
    program = random_net(2)
    x = random_raster(2, program, samples=11)
    each = run(program, x).activity.counts
    together = run(program, x, detail=detail).activity.counts
    np.testing.assert_array_equal(together.sum(1), each.sum(0, keepdims=True).sum(1))


def test_hops_between_chips_are_counted():
    net = Net(1).layer("a", 3, core=0).layer("b", 2, core=1)
    net.connect("in", "a", np.full((3, 1), 40)).connect("a", "b", np.ones((2, 3), int) * 2)
    program = net.program("a", "b", steps=6)
    routes = [replace(i, args=(*i.args[:3], 2)) if i.op == "route" else i
              for i in program.instructions]  # fmt: skip
    program = replace(program, instructions=tuple(routes))
    runs = [run(program, np.ones((1, 6, 1), bool), engine=e) for e in ("numba", "reference")]
    same(*runs)
    activity = runs[0].activity
    assert activity.total("hop.chip") == 2 * activity.total("packet.out") > 0


def test_spikes_under_way_are_sorted_and_gathered():
    rng = np.random.default_rng(0)
    spikes = np.column_stack([rng.integers(0, 2, 40), rng.integers(0, 3, 40),
                              rng.integers(0, 5, 40), rng.integers(-9, 9, 40)])  # fmt: skip
    rows = sorted_inflight(spikes, 3, 5)
    want = {}
    for sample, ahead, axon, carried in spikes.tolist():
        many, total = want.get((sample, ahead, axon), (0, 0))
        want[sample, ahead, axon] = many + 1, total + carried
    assert rows.tolist() == [[*key, *want[key]] for key in sorted(want)]
    assert sorted_inflight(spikes[:0], 3, 5).shape == (0, 5)
