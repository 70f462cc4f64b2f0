"""Limits of a core, counted by hand: shared lists, profiles, thresholds, formats, slots."""

import numpy as np
import pytest
from integer_nets import Ints, machine_of

from picojoule.passes import check, lower, schedule_delays, utilisation
from picojoule.passes.partition import fan_out, partition
from picojoule.passes.populations import populations
from picojoule.target import load

LOIHI1 = machine_of("loihi1")


def words(synapses, each):
    """64-bit words of one list: groups of at most 64 synapses, each with a header of 10 bits."""
    full, rest = divmod(synapses, 64)
    last = -(-(rest * each + 10) // 64) if rest else 0
    return full * -(-(64 * each + 10) // 64) + last


def rows(graph, target):
    return utilisation(lower(schedule_delays(graph, target), target), target)


def conv_behind_conv():
    net = Ints(0, "loihi1")
    first = net.cuba("a", net.conv("c", net.input(7, 7, 1), (7, 7, 1), 2, (3, 3)))
    second = net.cuba("b", net.conv("d", first, (5, 5, 2), 4, (3, 3)))
    return net.graph(second)


def test_shared_lists_by_hand():
    target = machine_of("loihi1", neurons=50)  # 5 x 5 x 2 neurons, then 3 x 3 x 4
    first, second = rows(conv_behind_conv(), target)
    taps = [1, 2, 3, 2, 1]  # of an input row of `d`; `c` has two rows more with all three
    # 36 neurons: indices of 6 bits.  A list for each class and channel, all 25 classes occur
    lists = [words(a * b * 4, 8 + 6) for a in taps for b in taps for _ in range(2)]
    assert second["synapse_bits"] == 64 * sum(lists)
    # 50 neurons: 6 bits again; 7 x 7 places, but 5 x 5 classes
    lists = [words(a * b * 2, 8 + 6) for a in taps for b in taps]
    assert first["synapse_bits"] == 64 * sum(lists)
    assert first["in_axons"] == 49 and second["in_axons"] == 25  # one a position
    assert first["out_axons"] == 50 * 2 and second["out_axons"] == 0  # pop32 takes two


def test_pooling_keeps_one_list_a_class():
    net = Ints(0, "loihi1")
    hidden = net.cuba("a", net.synapse("s", net.input(3), 3, 32))
    net.nodes[-1] = net.nodes[-1]
    pool = net.pool("p", hidden, (4, 4, 2), (2, 2), (2, 2))
    (row,) = rows(net.graph(net.cuba("b", pool)), LOIHI1)
    dense = 3 * words(32, 8)
    assert row["synapse_bits"] == 64 * (dense + 4 * words(1, 8 + 6))  # 4 stride phases
    assert row["in_axons"] == 3 + 16 and row["out_axons"] == 32 * 2


def test_out_axons_are_counted_where_spikes_go():
    """A neuron needs two for each core of the layer behind whose window covers it."""
    target = machine_of("loihi1", neurons=12)
    cells = populations(conv_behind_conv(), target, bits=8)
    slices, faults = partition(cells, target)
    assert faults == []
    assert [(s.node, s.size) for s in slices] == [("a", 12)] * 4 + [("a", 2), ("b", 8)] + [
        ("b", 12)] * 2 + [("b", 4)]  # fmt: skip
    # cores of b: 2, 3, 3 and 1 positions; the middle column of a's middle row feeds all four
    assert fan_out(cells, slices)["a"] == 2 * 4
    program = lower(schedule_delays(conv_behind_conv(), target), target)
    assert max(r["out_axons"] for r in utilisation(program, target)) <= 12 * 8


def spread(registers, size=40, profile="loihi1"):
    net = Ints(1, profile)
    group = net.synapse("s", net.input(5), 5, size)
    return net.graph(net.cuba("n", group, **registers))


@pytest.mark.parametrize(
    ("registers", "cores", "profiles", "thresholds"),
    [
        ({"decay_u": np.arange(40)}, 2, 32, 1),
        ({"v_th": 100 + np.arange(40)}, 5, 1, 8),
        ({"decay_v": np.arange(40) % 32, "v_th": 100 + np.arange(40) % 8}, 1, 32, 8),
        ({"decay_u": np.arange(40) // 2, "decay_v": np.arange(40) // 2}, 1, 20, 1),
        ({"bias": np.arange(40)}, 1, 1, 1),  # a compartment has its own
    ],
    ids=str,
)
def test_profiles_and_thresholds(registers, cores, profiles, thresholds):
    graph = spread(registers)
    assert check(graph, LOIHI1) == []
    found = rows(graph, LOIHI1)
    assert len(found) == cores
    assert max(r["compartment_profiles"] for r in found) == profiles
    assert max(r["v_th_profiles"] for r in found) == thresholds
    assert found[0]["compartment_profiles_limit"] == 32 and found[0]["v_th_profiles_limit"] == 8


def test_machines_without_such_tables_have_no_such_limit():
    target = machine_of("loihi1", compartment_profiles=None, v_th_profiles=None)
    (row,) = rows(spread({"v_th": 100 + np.arange(40)}), target)
    assert "v_th_profiles" not in row and "synapse_formats" in row


def test_profiles_are_shared_between_populations():
    net = Ints(1, "loihi1")
    source = net.input(4)
    for k in range(3):
        source = net.cuba(f"n{k}", net.synapse(f"s{k}", source, 4, 4), refractory=1 + k // 2)
    (row,) = rows(net.graph(source), LOIHI1)
    assert row["compartment_profiles"] == 2 and row["v_th_profiles"] == 1
    assert row["synapse_formats"] == 1


def formats(count):
    """One population behind groups of `count` exponents."""
    net = Ints(1, "loihi1")
    source = net.input(4)
    groups = [net.synapse(f"s{k}", source, 4, 4, exponent=-k) for k in range(count)]
    return net.graph(net.cuba("n", *groups))


def test_synapse_formats():
    (row,) = rows(formats(8), LOIHI1)
    assert row["synapse_formats"] == row["synapse_formats_limit"] == 8
    (fault,) = check(formats(9), LOIHI1)
    assert fault.code == "PJ214" and "(8)" in fault.what
    assert "more synapse formats (9)" in fault.what
    assert fault.where.endswith(f":{load('loihi1').core.limits.line('synapse_formats')}")
    assert fault.fix


def test_formats_of_two_layers_go_on_two_cores():
    net = Ints(1, "loihi1")
    source = net.input(4)
    for k, low in (("a", 0), ("b", 4)):
        groups = [net.synapse(f"{k}{e}", source, 4, 4, exponent=-low - e) for e in range(5)]
        source = net.cuba(k, *groups)
    found = rows(net.graph(source), LOIHI1)
    assert [r["nodes"] for r in found] == [("a",), ("b",)]


def test_what_fills_the_cores_is_named():
    (fault,) = check(spread({"v_th": np.arange(2000)}, 2000), LOIHI1)
    assert fault.code == "PJ201" and "needs 250 cores" in fault.what
    assert "cores were full of threshold profiles" in fault.what
    assert fault.fix == "thresholds that more neurons share"


def test_all_limits_come_at_once():
    net = Ints(1, "loihi1")
    source = net.input(6, 6, 1)
    late = net.rng.integers(60, 64, (4, 64))
    hidden = net.cuba("a", net.conv("c", source, (6, 6, 1), 4, (3, 3), exponent=9),
                      v_th=200_000, refractory=80)  # fmt: skip
    net.cuba("b", net.synapse("s", net.flat(hidden), 64, 4, delays=late), decay_u=5000, bias=9999)
    target = machine_of("loihi1", in_axons=20)
    found = check(net.graph("b"), target)
    text = "\n".join(map(str, found))
    for part in (
        "v_th of node 'a' is 200000", "refractory of node 'a' is 80", "exponent of node 'c' is 9",
        "of node 's' is 63; 'loihi1' holds 0..62", "decay_u of node 'b' is 5000",
        "bias of node 'b' is 9999; 'loihi1' holds -4095..4095", "more input axons (64)",
    ):  # fmt: skip
        assert part in text, part
    assert all(fault.fix for fault in found)
    assert all("loihi1.yaml" in fault.where for fault in found)


@pytest.mark.parametrize(
    ("kind", "registers", "options", "part"),
    [
        ("atrlif", {"decay_i": 1, "decay_v": 1, "decay_theta": 1, "decay_r": 5000, "theta_0": 9,
                    "theta_step": 1}, {}, "decay_r of node 'n' is 5000"),
        ("ternary", {"decay_u": 1, "decay_v": 1, "v_th_high": 5, "v_th_low": 3}, {},
         "v_th_low of node 'n' is 3; 'loihi1' holds -131071..0"),
        ("cuba_reset", {"decay_u": 1, "decay_v": 1, "v_th": 5}, {"reset_interval": 0},
         "reset_interval of node 'n' is 0"),
        ("sigma_delta", {"v_th": 1, "bias": 0}, {"spike_exponent": 99},
         "spike_exponent of node 'n' is 99"),
    ],
)  # fmt: skip
def test_registers_and_options_of_every_kind(kind, registers, options, part):
    net = Ints(1)
    group = net.synapse("s", net.input(4), 4, 3)
    if "refractory" not in options and kind == "cuba_reset":
        options = {"refractory": 1} | options
    graph = net.graph(net.neurons("n", kind, group, registers=registers, **options), "none")
    (fault,) = check(graph, machine_of("loihi2"))
    assert fault.code == "PJ207" and part in fault.what


def test_cuts_that_never_settle_are_a_fault(monkeypatch):
    """With one round only, cores are filled as if each neuron sent to one core."""
    from picojoule.passes import partition as module

    monkeypatch.setattr(module, "ROUNDS", 1)
    target = machine_of("loihi1", neurons=12, out_axons=40)
    (fault,) = partition(populations(conv_behind_conv(), target, bits=8), target)[1]
    assert fault.code == "PJ205" and "than a core of 'loihi1' has (40)" in fault.what and fault.fix
