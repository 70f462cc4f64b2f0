"""Capacity by hand: neurons, axons, groups of 64 synapses with a 10-bit header in 64-bit words."""

import numpy as np
import pytest
from passes_nets import Net, machine, samples, spiking_net

from picojoule.fixed.contract import Encoder
from picojoule.graph.ops import Input
from picojoule.passes import compile_graph, utilisation
from picojoule.passes.partition import Slice, fan_out, partition, slots_needed
from picojoule.passes.populations import Group, Population
from picojoule.sim.run import run


def group(name, source, present, bits=8, delay=1, sparse=False, delay_bits=0):
    return Group(name, source, present, delay, bits, delay_bits, sparse)


def words(bits, synapses, extra=0):
    """One list, spelled out: full groups of 64, then the rest."""
    total = 0
    while synapses > 0:
        total += -(-(min(synapses, 64) * (bits + extra) + 10) // 64)
        synapses -= 64
    return total


@pytest.mark.parametrize("bits", [8, 5, 2])
@pytest.mark.parametrize("neurons", [1, 6, 7, 63, 64, 65, 200])
def test_dense_memory_by_hand(bits, neurons, loihi):
    lists = group("fc", "x", np.ones((neurons, 9), bool), bits)
    assert lists.bits(0, neurons, loihi) == 9 * 64 * words(bits, neurons)


def test_known_word_counts(loihi):
    full = group("fc", "x", np.ones((64, 1), bool))
    # 64 * 8 + 10 = 522 bits: 9 words.  6 synapses: 58 bits, 1 word.  7 synapses: 66 bits, 2 words
    assert full.bits(0, 64, loihi) == 9 * 64
    assert full.bits(0, 6, loihi) == 64 and full.bits(0, 7, loihi) == 2 * 64


def test_sparse_lists_pay_for_indices_and_delays(loihi):
    present = np.zeros((100, 5), bool)
    present[:70, 1] = present[3, 4] = True
    lists = group("fc", "x", present, bits=4, sparse=True, delay=9, delay_bits=6)
    assert lists.axons(0, 100) == (1, 5) and lists.axons(71, 100) == (0, 0)
    # 100 neurons: 7-bit indices; 70 synapses on source 1, one on source 4, none between
    expected = words(4, 70, extra=7 + 6) + words(4, 1, extra=7 + 6)
    assert lists.bits(0, 100, loihi) == 64 * expected
    assert lists.index_bits(64, loihi) == 6 and lists.index_bits(65, loihi) == 7
    assert lists.index_bits(2, loihi) == 6  # the fewest that the machine offers


def chain(*sizes, inputs=5):
    cells, before, source = [], inputs, "input"
    for k, size in enumerate(sizes):
        cells.append(Population(f"p{k}", size, (
            group(f"g{k}", source, np.ones((size, before), bool)),)))  # fmt: skip
        before, source = size, f"p{k}"
    return cells


def test_cores_fill_one_after_the_other():
    slices, faults = partition(chain(10, 15, 3), machine("loihi1", neurons=12))
    assert faults == []
    assert slices == (
        Slice("p0", 0, 10, 0), Slice("p1", 0, 2, 0), Slice("p1", 2, 14, 1),
        Slice("p1", 14, 15, 2), Slice("p2", 0, 3, 2),
    )  # fmt: skip
    assert fan_out(chain(10, 15, 3), slices) == {"p0": 3, "p1": 1, "p2": 0}


def test_input_axons_are_shared_on_a_core():
    target = machine("loihi1", in_axons=8)
    x = np.ones((4, 5), bool)
    shared = [Population("p0", 4, (group("a", "input", x), group("b", "input", x)))]
    assert partition(shared, target)[1] == []
    apart = [Population("p0", 4, (group("a", "input", x), group("b", "input", x, delay=2)))]
    (fault,) = partition(apart, target)[1]
    assert fault.code == "PJ204"
    assert "needs more input axons (10)" in fault.what and "has (8)" in fault.what
    assert fault.where.startswith("loihi1.yaml:") and fault.fix


def test_output_axons_count_cores():
    target = machine("loihi1", neurons=10, out_axons=12)
    slices, faults = partition(chain(10, 20), target)
    assert faults == []
    # p1 needs three cores in the end, so 12 output axons serve 4 neurons of p0
    fan = fan_out(chain(10, 20), slices)["p0"]
    assert all(s.size * fan <= 12 for s in slices if s.node == "p0")


@pytest.mark.parametrize(
    ("limits", "code", "numbers"),
    [({"in_axons": 3}, "PJ204", ("5", "3")), ({"synapse_words": 4}, "PJ203", ("320", "256")),
     ({"neurons": 1, "out_axons": 2}, "PJ205", ("15", "2"))],
)  # fmt: skip
def test_what_cannot_be_cut_further_is_a_fault(limits, code, numbers):
    _, faults = partition(chain(10, 15), machine("loihi1", **limits))
    assert faults[0].code == code
    assert all(number in faults[0].what for number in numbers)


def test_too_many_cores_is_one_fault():
    (fault,) = partition(chain(129, 1), machine("loihi1", neurons=1))[1]
    assert fault.code == "PJ201" and "needs 130 cores" in fault.what and "has 128" in fault.what


def test_utilisation_is_what_partition_counted():
    target = machine("loihi1", neurons=12)
    graph = spiking_net(1)
    program = compile_graph(graph, target, calibrate=samples(graph), bits=4)
    rows = utilisation(program, target)
    assert [r["neurons"] for r in rows] == [12, 12, 12]
    assert [r["nodes"] for r in rows] == [("lif1",), ("lif1",), ("lif1", "lif2")]
    assert [r["in_axons"] for r in rows] == [50, 50, 50]  # 20 inputs, 30 recurrent
    assert [r["out_axons"] for r in rows] == [36, 36, 18]
    # lists of 12 synapses of 4 bits: 58 bits; the last core has 6 and 6
    assert [r["synapse_bits"] for r in rows] == [50 * 64, 50 * 64, (50 + 30) * 64]
    assert rows[0]["synapse_bits_limit"] == 2**20 and (rows[2]["x"], rows[2]["y"]) == (0, 0)


def test_utilisation_of_sparse_lists():
    net = Net(0)
    x = net.node("input", Input(shape=(8,), kind="spike"))
    weight = np.zeros((20, 8))
    weight[:, 2], weight[5, 6] = 0.5, -0.5
    net.lif("lif", net.dense("fc", x, 8, 20, bias=False, weight=weight))
    graph = net.graph("lif", Encoder(kind="rate", shape=(8,), steps=4), steps=4)
    target = machine("loihi1")
    (row,) = utilisation(compile_graph(graph, target, calibrate=samples(graph)), target)
    assert row["in_axons"] == 5
    assert row["synapse_bits"] == 64 * (words(8, 20, extra=6) + words(8, 1, extra=6))


@pytest.fixture
def readers_first(monkeypatch):
    return lambda: monkeypatch.setattr("picojoule.passes.partition.FORWARDS", 0)


def test_packing_from_back_to_front_keeps_all_limits(readers_first):
    small = machine("loihi1", neurons=12, out_axons=40)
    cells = chain(40, 40, 40, 20, 10)
    forwards, faults = partition(cells, small)
    assert not faults
    readers_first()
    backwards, faults = partition(cells, small)
    assert not faults and backwards != forwards
    order = [(s.node, s.start) for s in backwards]
    assert order == sorted(order) and sum(s.size for s in backwards) == 150
    needed = slots_needed(cells, backwards)
    for core in {s.core for s in backwards}:
        here = [s for s in backwards if s.core == core]
        assert sum(s.size for s in here) <= 12
        assert sum(needed[s.node][s.start : s.stop].sum() for s in here) <= 40


@pytest.mark.parametrize("recurrent", [True, False])
def test_packing_from_back_to_front_changes_no_integer(readers_first, recurrent):
    graph = spiking_net(recurrent=recurrent)
    small, x = machine("loihi1", neurons=7), samples(graph)
    programs = [compile_graph(graph, small, calibrate=x, bits=4)]
    readers_first()
    programs.append(compile_graph(graph, small, calibrate=x, bits=4))
    assert programs[0] != programs[1] and programs[0].cores > 3
    a, b = (run(program, x, probes=("lif1.v",)) for program in programs)
    assert np.array_equal(a.outputs["spikes"], b.outputs["spikes"]) and a.outputs["spikes"].any()
    assert np.array_equal(a.probes["lif1.v"], b.probes["lif1.v"])
