"""Bills with known answers, and laws that every bill obeys."""

import ast
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from picojoule.activity import Activity, join
from picojoule.cost import price
from picojoule.errors import CostError, UsageError
from picojoule.target import load

FOLDER = Path(__file__).parents[2] / "src" / "picojoule" / "cost"
LOIHI = load("loihi1")
SYSTOLIC = load("systolic_int8")
COMPONENTS = ("core0", "core1", "chip", "host")
ACTIONS = (
    "neuron.active",
    "neuron.idle",
    "synapse.event",
    "packet.out",
    "hop.ew",
    "hop.ns",
    "step",
    "reset",
    "event.in",
    "event.out",
)


def activity(counts, components=COMPONENTS, actions=ACTIONS, **more):
    counts = np.asarray(counts, np.int64)
    more = {"samples": counts.shape[0], "steps": counts.shape[1]} | more
    return Activity(counts, components, actions, **more)


def filled(samples, steps, entries, components=COMPONENTS, actions=ACTIONS, **more):
    """Activity from {(sample, step, component, action): count}."""
    counts = np.zeros((samples, steps, len(components), len(actions)), np.int64)
    for (sample, step, component, action), count in entries.items():
        counts[sample, step, components.index(component), actions.index(action)] = count
    return activity(counts, components, actions, **more)


ONE_STEP = {
    (0, 0, "core0", "neuron.active"): 10,
    (0, 0, "core0", "neuron.idle"): 90,
    (0, 0, "core0", "packet.out"): 4,
    (0, 0, "core0", "hop.ew"): 6,
    (0, 0, "core0", "hop.ns"): 2,
    (0, 0, "core1", "synapse.event"): 200,
    (0, 0, "chip", "step"): 1,
    (0, 0, "chip", "reset"): 1,
    (0, 0, "host", "event.in"): 7,
}


def test_one_step_by_hand():
    bill = price(filled(1, 1, ONE_STEP), LOIHI)
    marginal_pj = 10 * 81 + 90 * 52 + 4 * 1.7 + 6 * 3 + 2 * 4 + 200 * 23.6 + 5.9e6
    send_ns = 10 * 8.4 + 90 * 5.3 + 4 * 2.1  # 569.4, core0
    receive_ns = 200 * 3.5  # 700, core1: the slowest
    assert bill.marginal_j == pytest.approx(marginal_pj * 1e-12, rel=1e-12)
    assert bill.time_s == pytest.approx((receive_ns + 465) * 1e-9, rel=1e-12)
    assert bill.static_j == pytest.approx(0.104 * bill.time_s, rel=1e-12)
    assert bill.total_j == pytest.approx(bill.marginal_j + bill.static_j, rel=1e-12)
    assert bill.serial_s == pytest.approx(465e-9)
    assert bill.average_power_w == pytest.approx(bill.total_j / bill.time_s)
    engines = {(e.component, e.engine): e for e in bill.engines}
    assert engines["core0", "send"].busy_s == pytest.approx(send_ns * 1e-9)
    assert engines["core0", "send"].bound_s == 0
    assert engines["core1", "receive"].bound_s == pytest.approx(receive_ns * 1e-9)
    assert engines["core0", "network"].busy_s == pytest.approx((6 * 4.1 + 2 * 6.5) * 1e-9)
    assert bill.engines[0] == engines["core1", "receive"]


# nobody has published the energy of a barrier, nor the time of a reset
UNKNOWN = [("chip", "step energy"), ("chip", "reset time")]


def test_what_nobody_has_published_is_no_row_of_zero():
    bill = price(filled(1, 1, ONE_STEP), LOIHI)
    assert ("chip", "step") not in [(row.component, row.action) for row in bill.rows]
    assert bill.serial_s > 0  # its time is known, and counts
    assert "no published energy" in bill.excluded[1].note


def test_host_events_are_excluded_not_free():
    bill = price(filled(1, 1, ONE_STEP), LOIHI)
    left_out, *unknown = bill.excluded
    assert [(x.component, x.action) for x in unknown] == UNKNOWN
    assert (left_out.component, left_out.action, left_out.count) == ("host", "event.in", 7)
    assert "no published figure" in left_out.note
    assert bill.io_j == 0.0
    assert all(row.component != "host" for row in bill.rows)


def test_host_events_with_a_price_are_io_apart_from_marginal():
    priced = replace(LOIHI.price("core", "synapse.event"), component="host", action="event.in")
    machine = replace(LOIHI, prices={**LOIHI.prices, ("host", "event.in"): priced})
    bill = price(filled(1, 1, ONE_STEP), machine)
    without = price(filled(1, 1, ONE_STEP), LOIHI)
    assert [(x.component, x.action) for x in bill.excluded] == UNKNOWN
    assert bill.io_j == pytest.approx(7 * 23.6e-12)
    assert bill.marginal_j == pytest.approx(without.marginal_j)
    assert bill.total_j == pytest.approx(bill.marginal_j + bill.io_j + bill.static_j)


def test_bands_by_hand():
    entries = {(0, 0, "core0", "synapse.event"): 1000, (0, 0, "chip", "step"): 1}
    bill = price(filled(1, 1, entries), LOIHI)
    assert bill.marginal_band_j == pytest.approx((23.6e-9, 35.5e-9), rel=1e-12)
    assert bill.time_band_s == pytest.approx((3.1e-6 + 113e-9, 4.7e-6 + 1.8e-6), rel=1e-12)
    low = 23.6e-9 + 29.4e-3 * (3.1e-6 + 113e-9)
    high = 35.5e-9 + 105e-3 * (4.7e-6 + 1.8e-6)
    assert bill.energy_band_j == pytest.approx((low, high), rel=1e-12)


def test_the_slowest_engine_may_change_from_step_to_step():
    entries = {
        (0, 0, "core0", "synapse.event"): 10,
        (0, 0, "core1", "neuron.active"): 1,
        (0, 1, "core0", "synapse.event"): 1,
        (0, 1, "core1", "neuron.active"): 5,
    }
    acted = filled(1, 2, entries)
    bill = price(acted, LOIHI)
    assert bill.window_s == pytest.approx((35e-9, 42e-9))
    assert bill.time_s == pytest.approx(77e-9)
    assert not bill.time_is_lower_bound
    assert [(e.component, e.engine) for e in bill.engines] == [
        ("core1", "send"),
        ("core0", "receive"),
    ]
    summed = price(acted.summed(samples=False, windows=True), LOIHI)
    assert summed.time_s == pytest.approx(50.4e-9)  # max(38.5, 50.4)
    assert summed.time_is_lower_bound
    assert summed.marginal_j == pytest.approx(bill.marginal_j, rel=1e-12)


def test_per_inference_is_the_mean_over_samples():
    entries = {(s, 0, "core0", "synapse.event"): n for s, n in enumerate((10, 20, 60))}
    acted = filled(3, 1, entries)
    bill = price(acted, LOIHI)
    assert bill.samples == 3
    assert bill.rows[0].count == 90 and bill.rows[0].total_j == pytest.approx(90 * 23.6e-12)
    assert bill.marginal_j == pytest.approx(30 * 23.6e-12)
    assert bill.run_marginal_j == pytest.approx(90 * 23.6e-12)
    assert bill.time_s == pytest.approx(30 * 3.5e-9)
    assert bill.run_time_s == pytest.approx(90 * 3.5e-9)
    summed = price(acted.summed(), LOIHI)  # one core: the bound is tight
    assert summed.time_is_lower_bound
    assert summed.time_s == pytest.approx(bill.time_s)
    assert summed.marginal_j == pytest.approx(bill.marginal_j)


def test_energy_by_component_action_and_node():
    nodes = {"core0": ("conv1", "pool1"), "core1": ("dense",)}
    bill = price(filled(1, 1, ONE_STEP, nodes=nodes), LOIHI)
    core0 = (10 * 81 + 90 * 52 + 4 * 1.7 + 6 * 3 + 2 * 4) * 1e-12
    assert bill.by_component == pytest.approx(
        {"core0": core0, "core1": 200 * 23.6e-12, "chip": 5.9e-6, "host": 0.0}
    )
    assert bill.by_node == pytest.approx(
        {"conv1 + pool1": core0, "dense": 200 * 23.6e-12, "(chip)": 5.9e-6, "(host)": 0.0}
    )
    assert bill.by_action["mesh hop.ew"] == pytest.approx(18e-12)
    assert bill.by_action["core synapse.event"] == pytest.approx(200 * 23.6e-12)


TENSOR_COMPONENTS = ("array", "vector", "sram", "dram", "chip")
TENSOR_ACTIONS = ("mac", "cycle", "requantize", "add", "read", "write", "inference")


def test_a_tensor_bill_by_hand():
    entries = {
        (0, 0, "array", "mac"): 4096,
        (0, 0, "array", "cycle"): 100,
        (0, 0, "sram", "read"): 640,
        (0, 0, "sram", "write"): 64,
        (0, 0, "dram", "read"): 3200,
        (0, 1, "array", "mac"): 256,
        (0, 1, "array", "cycle"): 50,
        (0, 1, "vector", "requantize"): 16,
        (0, 1, "vector", "add"): 8,
        (0, 1, "vector", "cycle"): 20,
        (0, 1, "dram", "write"): 10,
        (0, 1, "chip", "inference"): 1,
    }
    acted = filled(1, 2, entries, TENSOR_COMPONENTS, TENSOR_ACTIONS, windows=("conv", "dense"))
    bill = price(acted, SYSTOLIC)
    conv_pj = 4096 * 0.3 + 704 * 3.5 + 3200 * 243.75
    dense_pj = 256 * 0.3 + 16 * 3.8 + 8 * 0.1 + 10 * 243.75
    assert bill.by_node == pytest.approx({"conv": conv_pj * 1e-12, "dense": dense_pj * 1e-12})
    # conv waits for 3200 bytes of DRAM at 156.25 ps, dense for 50 cycles of 2 ns
    assert bill.window_s == pytest.approx((500e-9, 100e-9))
    assert bill.windows == ("conv", "dense")
    assert [(e.component, e.bound_s) for e in bill.engines[:2]] == [
        ("dram", pytest.approx(500e-9)),
        ("array", pytest.approx(100e-9)),
    ]
    assert [(x.component, x.action, x.count) for x in bill.excluded] == [("chip", "inference", 1)]
    assert bill.assumed_share == pytest.approx(bill.static_j / bill.total_j)  # static alone
    assert bill.static_j == pytest.approx(0.03 * 600e-9)


def test_read_and_write_of_different_memories_have_different_prices():
    entries = {(0, 0, "sram", "read"): 8, (0, 0, "dram", "read"): 8}
    bill = price(filled(1, 1, entries, TENSOR_COMPONENTS, TENSOR_ACTIONS), SYSTOLIC)
    assert bill.by_action == pytest.approx({"sram read": 28e-12, "dram read": 1950e-12})


def test_unpriced_counts_are_all_reported():
    acted = filled(
        1,
        1,
        {
            (0, 0, "core0", "learn.update"): 3,
            (0, 0, "core1", "learn.update"): 4,
            (0, 0, "laser0", "pulse"): 1,
            (0, 0, "core0", "pulse"): 0,
        },
        components=("core0", "core1", "laser0"),
        actions=("learn.update", "pulse"),
    )
    with pytest.raises(CostError) as caught:
        price(acted, LOIHI)
    assert [fault.code for fault in caught.value.faults] == ["PJ301", "PJ301"]
    assert "7 x learn.update on core" in caught.value.faults[0].what
    assert "1 x pulse on laser" in caught.value.faults[1].what
    assert caught.value.faults[0].where == "hardware_models/loihi1.yaml"


def test_an_action_without_a_price_and_without_counts_is_fine():
    actions = (*ACTIONS, "learn.update")
    bill = price(filled(1, 1, ONE_STEP, actions=actions), LOIHI)
    assert bill.rows == price(filled(1, 1, ONE_STEP), LOIHI).rows


def test_another_machine_is_refused():
    with pytest.raises(CostError, match="PJ302"):
        price(filled(1, 1, ONE_STEP, machine="0" * 64), LOIHI)
    price(filled(1, 1, ONE_STEP, machine=LOIHI.machine_digest), LOIHI)


def test_no_samples_is_refused():
    with pytest.raises(UsageError, match="PJ803"):
        price(activity(np.zeros((0, 1, 4, 10)), samples=0), LOIHI)


def test_silence_costs_nothing():
    bill = price(filled(2, 3, {}), LOIHI)
    assert (bill.total_j, bill.time_s, bill.rows, bill.assumed_share) == (0, 0, (), 0)
    assert bill.average_power_w == 0 and bill.engines == ()


def test_static_power_counts_every_chip():
    one = price(filled(1, 1, ONE_STEP), LOIHI)
    three = price(filled(1, 1, ONE_STEP), replace(LOIHI, chips=3))
    assert three.static_j == pytest.approx(3 * one.static_j)
    assert three.marginal_j == one.marginal_j


shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.just(4), st.just(10))
counted = shapes.flatmap(lambda s: hnp.arrays(np.int64, s, elements=st.integers(0, 10**9)))


@settings(max_examples=80, deadline=None)
@given(counted)
def test_rows_sum_to_totals(counts):
    bill = price(activity(counts), LOIHI)
    rows = math.fsum(row.total_j for row in bill.rows)
    static = math.fsum(row.total_j for row in bill.static_rows)

    def close(a, b):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-300)

    assert close(rows, bill.run_marginal_j + bill.io_j * bill.samples)
    assert close(rows + static, bill.run_total_j)
    assert close(bill.run_total_j, bill.total_j * bill.samples)
    assert close(static, LOIHI.static_power_w * bill.run_time_s)
    for table in (bill.by_component, bill.by_action, bill.by_node):
        assert close(math.fsum(table.values()), bill.marginal_j + bill.io_j)
    assert close(math.fsum(bill.window_s), bill.time_s)
    bound = math.fsum(engine.bound_s for engine in bill.engines)
    assert close(bound + bill.serial_s, bill.time_s)
    low, high = bill.energy_band_j
    assert low <= bill.total_j * (1 + 1e-12) and bill.total_j <= high * (1 + 1e-12)
    assert bill.time_band_s[0] <= bill.time_s * (1 + 1e-12)
    assert bill.time_s <= bill.time_band_s[1] * (1 + 1e-12)


@settings(max_examples=80, deadline=None)
@given(counted, st.integers(1, 3))
def test_joined_activities_cost_the_sum(counts, cut):
    whole = activity(counts)
    cut = min(cut, whole.samples)
    parts = [
        part
        for part in (whole.sliced(slice(0, cut)), whole.sliced(slice(cut, None)))
        if part.samples
    ]
    bills = [price(part, LOIHI) for part in parts]
    together = price(join(parts), LOIHI)

    def added(name):
        return sum(getattr(bill, name) for bill in bills)

    def close(a, b):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-300)

    assert close(together.run_marginal_j, added("run_marginal_j"))
    if together.time_is_lower_bound:  # join adds the samples up where the first part did
        assert together.run_time_s <= added("run_time_s") * (1 + 1e-12)
    else:
        for name in ("run_static_j", "run_total_j", "run_time_s"):
            assert close(getattr(together, name), added(name))


@settings(max_examples=60, deadline=None)
@given(counted)
def test_time_matches_a_plain_loop_and_summing_bounds_it_from_below(counts):
    acted = activity(counts)
    bill = price(acted, LOIHI)
    expected = 0.0
    for sample in counts:
        for window in sample:
            work, serial = {}, 0.0
            for c, component in enumerate(COMPONENTS):
                for a, action in enumerate(ACTIONS):
                    entry = LOIHI.price(component, action)
                    seconds = float(window[c, a]) * entry.time_s
                    if entry.engine == "serial":
                        serial += seconds
                    else:
                        key = component, entry.engine
                        work[key] = work.get(key, 0.0) + seconds
            expected += max(work.values()) + serial
    assert math.isclose(bill.run_time_s, expected, rel_tol=1e-12, abs_tol=1e-300)
    for samples, windows in ((True, False), (False, True), (True, True)):
        summed = price(acted.summed(samples=samples, windows=windows), LOIHI)
        assert summed.time_s <= bill.time_s * (1 + 1e-12)
        assert math.isclose(summed.marginal_j, bill.marginal_j, rel_tol=1e-12, abs_tol=1e-300)


def test_a_bill_prints_its_rows_totals_and_what_it_leaves_out():
    text = str(price(filled(1, 1, ONE_STEP), LOIHI))
    assert all(len(line) <= 110 for line in text.splitlines())
    for words in (
        "chip reset",
        "5.90 µJ",
        "core synapse.event",
        "frady2020, published",
        "static chip",
        "excluded host event.in: 7 an inference",
        "core1 receive 60%",
        "total    6.03 µJ",
        "time     1.16 µs   band",
        "host I/O excluded",
        "assumed  0.0%",
    ):
        assert words in text, words
    assert "lower bound" not in text
    assert "lower bound" in str(price(filled(2, 2, ONE_STEP).summed(), LOIHI))
    assert "total    0 J" in str(price(filled(1, 1, {}), LOIHI))


def test_memory_stays_near_that_of_one_action():
    counts = np.ones((50, 20, 64, 10), np.int64)
    acted = activity(counts, tuple(f"core{k}" for k in range(64)))
    tracemalloc.start()
    price(acted, LOIHI)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < counts.nbytes / 2


def test_cost_cannot_see_the_simulator():
    allowed = {"errors", "units", "fixed", "target", "activity", "program", "cost"}
    for path in (FOLDER).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) if isinstance(node, ast.ImportFrom) else None
            names = (
                [module]
                if module
                else [a.name for a in getattr(node, "names", []) if isinstance(node, ast.Import)]
            )
            for name in names:
                if name and name.startswith("picojoule."):
                    assert name.split(".")[1] in allowed, f"{path.name} imports {name}"
