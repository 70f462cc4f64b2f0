"""The machines that ship: they load, are complete, and say what the literature says."""

import copy
import dataclasses
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from picojoule.errors import TargetError
from picojoule.fixed.format import FLOATS
from picojoule.target import Array, axon_list_bits, check_target, describe, load, names, parse
from picojoule.units import UNITS

ROOT = Path(__file__).parents[2]
LOIHI = load("loihi1")
SYSTOLIC = load("systolic_int8")


@pytest.mark.parametrize("name", names())
def test_a_shipped_target_is_complete(name):
    machine = load(name)
    assert machine.name == name
    assert check_target(machine) == []
    for price in machine.prices.values():
        assert price.energy_low_j <= price.energy_j <= price.energy_high_j
        assert price.time_low_s <= price.time_s <= price.time_high_s
        assert price.excluded or price.engine
        assert not price.excluded or price.note


@pytest.mark.parametrize("name", names())
def test_every_source_is_cited(name):
    text = (ROOT / "hardware_models" / f"{name}.yaml").read_text(encoding="utf-8")
    for key in load(name).sources:
        assert f"source: {key}" in text, key


def test_shipped_names():
    assert names() == ["fp8_mx", "loihi1", "loihi1_board", "loihi2", "systolic_int8"]


@pytest.mark.parametrize(
    ("action", "energy_j", "time_s"),  # Davies et al. 2018, Table 2
    [
        ("neuron.active", 81e-12, 8.4e-9),
        ("neuron.idle", 52e-12, 5.3e-9),
        ("synapse.event", 23.6e-12, 3.5e-9),
        ("packet.out", 1.7e-12, 2.1e-9),
        ("hop.ew", 3.0e-12, 4.1e-9),
        ("hop.ns", 4.0e-12, 6.5e-9),
    ],
)
def test_loihi_prices(action, energy_j, time_s):
    price = LOIHI.price("core17", action)
    assert price.energy_j == pytest.approx(energy_j, rel=1e-12)
    assert price.time_s == pytest.approx(time_s, rel=1e-12)


def test_loihi_machine():
    core = LOIHI.core
    assert (LOIHI.kind, LOIHI.chips, core.count, core.profile) == ("spiking", 1, 128, "loihi1")
    assert core.limits.neurons == 1024 and core.limits["in_axons"] == 4096
    assert LOIHI.memories == {"synapse": 131072}
    assert core.limits.synapse_words * core.limits.synapse_word_bits == 8 * 131072
    assert LOIHI.weight_bits == (1, 2, 3, 4, 5, 6, 7, 8)
    assert core.choice("index_bits") == (0, 6, 7, 8, 9, 10, 11, 12)
    assert LOIHI.static_power_w == pytest.approx(0.104)
    assert LOIHI.price("chip", "reset").energy_j == pytest.approx(5.9e-6)
    assert LOIHI.price("host", "event.in").excluded


def test_systolic_machine():
    assert SYSTOLIC.kind == "tensor"
    assert SYSTOLIC.array == Array(16, 16, "ws")
    assert SYSTOLIC.weight_bits == (8, 4, 2)
    assert SYSTOLIC.memories == {
        "input": 65536,
        "filter": 65536,
        "output": 65536,
        "dram": 2**26,
    }
    assert SYSTOLIC.price("array", "cycle").time_s == pytest.approx(1 / SYSTOLIC.clock_hz)
    assert SYSTOLIC.price("array", "mac").energy_j == pytest.approx(0.3e-12)


def test_an_action_that_several_kinds_price_is_not_guessed():
    assert SYSTOLIC.price("sram", "read") != SYSTOLIC.price("dram", "read")
    assert SYSTOLIC.price("core", "read") is None
    assert LOIHI.price("core3", "hop.ew").component == "mesh"
    assert LOIHI.price("core3", "no.such") is None


def test_positions_fill_tiles_column_by_column():
    where = [LOIHI.core.position(core) for core in range(128)]
    assert where[:5] == [(0, 0)] * 4 + [(0, 1)]
    assert where[16] == (1, 0) and where[127] == (7, 3)
    assert len(set(where)) == 32
    with pytest.raises(IndexError, match="core 128"):
        LOIHI.core.position(128)
    with pytest.raises(IndexError):
        LOIHI.core.position(-1)


def test_limits_know_their_lines():
    line = LOIHI.core.limits.line("neurons")
    text = (ROOT / LOIHI.path).read_text(encoding="utf-8").splitlines()
    assert text[line - 1].strip().startswith("neurons: {value: 1024")
    assert LOIHI.where("core.limits.neurons") == f"hardware_models/loihi1.yaml:{line}"
    assert LOIHI.where("system.chip.core.limits.neurons") == LOIHI.where("limits.neurons")
    assert LOIHI.where("no.such.path") == LOIHI.where("value") == "hardware_models/loihi1.yaml"
    with pytest.raises(AttributeError, match="no limit 'flux'"):
        LOIHI.core.limits.flux  # noqa: B018
    with pytest.raises(KeyError):
        LOIHI.core.limits["flux"]


def test_targets_are_values():
    again = load("loihi1")
    assert again == LOIHI and hash(again) == hash(LOIHI) and again != SYSTOLIC
    assert pickle.loads(pickle.dumps(LOIHI)) == LOIHI  # noqa: S301  # our own bytes
    assert copy.deepcopy(LOIHI).core.limits.neurons == 1024


def test_a_price_changes_the_price_digest_alone(tmp_path):
    text = (ROOT / LOIHI.path).read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("energy: 81 pJ", "energy: 80 pJ"), encoding="utf-8")
    mine = load(file)
    assert mine.path == str(file)
    assert mine.machine_digest == LOIHI.machine_digest
    assert mine.price_digest != LOIHI.price_digest
    file.write_text("# a comment\n" + text, encoding="utf-8")
    moved = load(str(file))
    assert moved == LOIHI and moved.where("limits.neurons") != LOIHI.where("limits.neurons")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("neurons: {value: 1024", "neurons: {value: 512"),
        ("weight_bits: {values: [1, 2", "weight_bits: {values: [2"),
        ("profile: loihi1", "profile: lava"),
        ("size: 128 KiB", "size: 192 KiB"),
    ],
)
def test_a_limit_or_format_changes_the_machine_digest_alone(old, new):
    text = (ROOT / LOIHI.path).read_text(encoding="utf-8")
    assert old in text
    other = parse(text.replace(old, new).encode(), LOIHI.path)
    assert other.machine_digest != LOIHI.machine_digest
    assert other.price_digest == LOIHI.price_digest


def test_an_unknown_name_lists_and_suggests():
    with pytest.raises(TargetError) as caught:
        load("lohi1")
    [fault] = caught.value.faults
    assert fault.code == "PJ105" and fault.fix == "'loihi1'"
    assert "fp8_mx, loihi1, loihi1_board, loihi2, systolic_int8" in fault.what


@pytest.mark.parametrize("name", ["", "xyzzy", "loihi1\n", "..", "LOIHI1"])
def test_odd_names_are_unknown(name):
    with pytest.raises(TargetError, match="PJ105  no target"):
        load(name)


@pytest.mark.parametrize("path", ["nowhere.yaml", "./", "a/b", "nul\0.yaml"])
def test_a_file_that_cannot_be_read(path):
    with pytest.raises(TargetError, match="PJ105  cannot read the hardware model"):
        load(path)


def test_check_target_reports_what_is_not_priced():
    core_only = {key: p for key, p in LOIHI.prices.items() if key[0] == "core"}
    poor = dataclasses.replace(LOIHI, prices=core_only)
    what = [fault.what for fault in check_target(poor)]
    assert len(what) == 6 and "loihi1 has no price for hop.ew of a core" in what
    assert {fault.code for fault in check_target(poor)} == {"PJ107"}
    assert check_target(poor, [("core", "synapse.event")]) == []


def test_check_target_finds_unsourced_prices_and_a_wrong_clock():
    unsourced = dataclasses.replace(LOIHI, sources={})
    faults = check_target(unsourced)
    priced = [p for p in LOIHI.prices.values() if not p.excluded]
    assert [fault.code for fault in faults] == ["PJ106"] * len(priced)
    slow = dataclasses.replace(SYSTOLIC, clock_hz=1e8)
    assert [fault.code for fault in check_target(slow)] == ["PJ102", "PJ102"]


def test_describe_shows_every_price_and_limit_and_fits_the_width():
    for machine in (LOIHI, SYSTOLIC):
        text = describe(machine)
        assert all(len(line) <= 110 for line in text.splitlines())
        for price in machine.prices.values():
            assert f"{price.component} {price.action}" in text
        assert "static power" in text and machine.machine_digest[:8] in text
    text = describe(LOIHI)
    assert "8 x 4 tiles of 4 cores" in text and "23.6 pJ .. 35.5 pJ" in text
    assert "-8 .. 7" in text and "excluded" in text


# groups of at most 64 synapses, n (w + d + t + i) + 10 bits each, rounded up to 64
@pytest.mark.parametrize(
    ("n", "weight", "delay", "index", "bits"),
    [
        (0, 8, 0, 0, 0),
        (1, 8, 0, 0, 64),  # 18
        (6, 8, 0, 0, 64),  # 58
        (7, 8, 0, 0, 128),  # 66
        (54, 1, 0, 0, 64),  # 64
        (55, 1, 0, 0, 128),  # 65
        (64, 8, 0, 0, 576),  # 522
        (65, 8, 0, 0, 640),  # 522 -> 576, and 18 -> 64
        (128, 8, 6, 7, 2816),  # twice 64 x 21 + 10 = 1354 -> 1408
    ],
)
def test_axon_list_bits(n, weight, delay, index, bits):
    got = axon_list_bits(n, weight, limits=LOIHI.core.limits, delay_bits=delay, index_bits=index)
    assert got == bits


def test_axon_list_bits_of_an_array():
    n = np.array([0, 1, 64, 65])
    got = axon_list_bits(n, 8, limits=LOIHI.core.limits)
    assert got.tolist() == [0, 64, 576, 640]


def test_the_format_page_lists_every_unit_limit_and_machine():
    page = (ROOT / "hardware_models" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for unit in (unit for table in UNITS.values() for unit in table):
        assert any(re.search(rf"[ |]{unit}[ ,|]", row) for row in rows), unit
    for name in names():
        assert f"`{name}.yaml`" in page
        for limit in load(name).core.limits:
            stem = re.sub("_(min|max)$", "", limit)
            assert f"`{limit}`" in page or f"`{stem}_min/max`" in page, limit


def test_a_machine_of_floating_point_formats():
    machine = load("fp8_mx")
    assert machine.weight_formats == tuple(FLOATS) and machine.activation_formats == ("e4m3",)
    assert machine.core.limits.accumulator_bits == 62 and SYSTOLIC.weight_formats == ()
    mac = machine.price("array", "mac")  # Horowitz 2014: FP16 multiply 1.1, add 0.4 pJ
    assert mac.energy_j == pytest.approx(1.5e-12) and mac.confidence == "derived"
    assert "mxfp6_e3m2" in describe(machine) and "activation formats" in describe(machine)
