"""Rows made from a program, its counts and a target."""

import math
import re
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import report_nets as nets

from picojoule.activity import Activity
from picojoule.cost import price
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.passes import compile_graph
from picojoule.program import Program, Region, Source
from picojoule.report.build import bill_lines, make_raster, make_row
from picojoule.report.data import Accuracy, Report
from picojoule.report.html import to_html
from picojoule.report.layers import probes, rasters
from picojoule.report.store import from_json, to_json
from picojoule.sim.run import run
from picojoule.target import load, parse

MODELS = Path(__file__).parents[2] / "hardware_models"

COMPONENTS = ("core0", "core1", "chip", "host")
ACTIONS = (
    "neuron.active",
    "neuron.idle",
    "synapse.event",
    "packet.out",
    "step",
    "reset",
    "event.in",
)
ACCURACY = Accuracy(float=0.9, ptq=0.8, qat=0.88, deployed=0.88)


def program(kind, regions, source, phases=()):
    return Program(
        name="net",
        target="t",
        machine="",
        kind=kind,
        profile="loihi1",
        regions=MappingProxyType(regions),
        arrays={},
        instructions=(),
        encoder=Encoder(kind="rate", shape=(3,)),
        readout=Readout(),
        phases=phases,
        source=source,
    )


def spiking():
    """Layer `a` on core 0; `a` again and `b` on core 1."""
    regions = {
        "w0": Region("synapse", 0, Format(9), (3, 4), "const"),
        "v0": Region("state", 0, Format(24), (4,), "state"),
        "w1": Region("synapse", 1, Format(9), (4, 5), "const"),
        "v1": Region("state", 1, Format(24), (5,), "state"),
    }
    source = (
        Source("w0", 0, 3, "fa", "weight"),
        Source("v0", 0, 4, "a", "v"),
        Source("w1", 0, 4, "fb", "weight"),
        Source("v1", 0, 2, "a", "v", 4),
        Source("v1", 2, 5, "b", "v"),
    )
    counts = np.zeros((2, 3, len(COMPONENTS), len(ACTIONS)), np.int64)
    counts[:, :, 0, 0], counts[:, :, 1, 1], counts[:, :, 1, 2] = 4, 5, 20
    counts[1, :, 0, 3] = 2
    counts[:, :, 2, 4], counts[:, 0, 2, 5], counts[:, :, 3, 6] = 1, 1, 3
    nodes = {"core0": ("fa", "a"), "core1": ("a", "fb", "b")}
    activity = Activity(counts, COMPONENTS, ACTIONS, samples=2, steps=3, nodes=nodes)
    return program("spiking", regions, source), activity, load("loihi1")


def tensor():
    regions = {
        "w0": Region("dram", -1, Format(4), (5, 3), "const"),
        "w1": Region("dram", -1, Format(4), (2, 5), "const"),
    }
    # one entry counts rows, the other flat elements, as lowering to a tensor machine writes them
    source = (Source("w0", 0, 5, "f1", "weight"), Source("w1", 0, 10, "f2", "weight"))
    counts = np.zeros((4, 2, 2, 3), np.int64)
    counts[:, 0, 0, 0], counts[:, 1, 0, 0] = 15, 10
    counts[:, :, 0, 1], counts[:, 0, 1, 2] = 40, 8
    activity = Activity(
        counts,
        ("array", "dram"),
        ("mac", "cycle", "read"),
        samples=4,
        steps=2,
        windows=("f1", "f2"),
    )
    return program("tensor", regions, source, ("f1", "f2")), activity, load("systolic_int8")


@pytest.fixture(params=[spiking, tensor], ids=["spiking", "tensor"])
def made(request):
    parts = request.param()
    return parts, make_row(*parts, ACCURACY, bits=4, mismatched_outputs=0)


def test_energies_are_the_bill_of_one_inference(made):
    (_, activity, target), row = made
    bill = price(activity, target)
    assert row.energy_j == bill.total_j
    assert math.fsum(line.total_j for line in row.bill) == pytest.approx(bill.total_j, rel=1e-12)
    for line in row.bill:
        assert line.count * line.each_j == pytest.approx(line.total_j, rel=1e-12)
        assert line.source in row.sources
    low, high = bill.energy_band_j
    assert math.fsum(line.low_j for line in row.bill) == pytest.approx(low, rel=1e-12)
    assert math.fsum(line.high_j for line in row.bill) == pytest.approx(high, rel=1e-12)


def test_layers_sum_to_the_marginal_energy(made):
    _, row = made
    total = math.fsum(layer.energy_j or 0.0 for layer in row.layers)
    assert total == pytest.approx(row.marginal_j + row.io_j, rel=1e-12)
    assert sum(layer.weights or 0 for layer in row.layers) == row.counts.weights


def test_saves_and_renders(made):
    report = Report(title="t", rows=(made[1],))
    assert from_json(to_json(report)) == report
    assert "loihi" in to_html(report)


def test_spiking_counts_by_label():
    row = make_row(*spiking(), ACCURACY, bits=8)
    assert (row.counts.neurons, row.counts.weights) == (9, 32)
    assert (row.counts.spikes, row.counts.packets, row.counts.events) == (None, 3.0, 60.0)
    first, second, chip = row.layers
    assert (first.node, first.outputs, first.weights, first.bits) == ("fa + a", 4, 12, 9)
    assert (second.node, second.outputs, second.events) == ("a + fb + b", 5, 60.0)
    assert chip.node == "(chip)" and chip.weights is None
    assert [each.item for each in row.excluded] == [
        "host event.in", "chip step energy", "chip reset time",
    ]  # fmt: skip
    assert row.excluded[0].count == 9.0
    assert "barrier" in row.time_basis


def test_tensor_counts():
    row = make_row(*tensor(), ACCURACY, bits=4)
    assert (row.counts.weights, row.counts.weight_bytes, row.counts.macs) == (25, 13, 25.0)
    assert row.counts.cycles == round(row.time_s * 500e6)
    assert [(layer.node, layer.macs, layer.bits) for layer in row.layers] == [
        ("f1", 15.0, 4),
        ("f2", 10.0, 4),
    ]


def compiled(graph, target, **limits):
    """A network compiled and run on five samples: program, run, target, samples."""
    machine = load(target) if not limits else small(target, **limits)
    x = nets.samples(5)
    program = compile_graph(graph, machine, calibrate=x)
    return program, run(program, x, probes=probes(program)), machine, x


def small(name, **limits):
    """A shipped machine with smaller limits, so that a small network takes several cores."""
    text = (MODELS / f"{name}.yaml").read_text(encoding="utf-8")
    for field, value in limits.items():
        text, found = re.subn(rf"(\b{field}: {{value: )\d+", rf"\g<1>{value}", text)
        assert found == 1
    return parse(text.encode(), f"{name}.yaml")


@pytest.mark.parametrize("limits, cores", [({}, 1), ({"neurons": 4}, 3)])
def test_layers_of_a_compiled_network(limits, cores):
    """However layers are spread over cores: same spikes, same synaptic events, whole energy."""
    program, done, target, x = compiled(nets.spiking(), "loihi1", **limits)
    assert program.cores == cores
    spikes = rasters(program, done.probes, x)
    row = make_row(program, done.activity, target, ACCURACY, bits=8, rasters=spikes)
    a, b, chip = row.layers
    into_a = spikes["input"][:, : program.steps - 1].sum() * 6 / 5  # acts one step later
    into_b = spikes["a"][:, : program.steps - 1].sum() * 3 / 5
    assert (a.node, a.outputs, a.weights) == ("a", 6, 48)
    assert (b.node, b.outputs, b.weights) == ("b", 3, 18)
    assert a.spikes == pytest.approx(spikes["a"].sum() / 5) and a.spikes > 10
    assert a.events == pytest.approx(into_a) and into_a > 100
    assert b.events == pytest.approx(into_b) and into_b > 50
    assert a.events + b.events == pytest.approx(row.counts.events, rel=1e-12)
    assert chip.node == "(chip)"
    total = math.fsum(layer.energy_j for layer in row.layers)
    assert total == pytest.approx(row.marginal_j + row.io_j, rel=1e-12)
    assert row.counts.spikes == pytest.approx(a.spikes + b.spikes)
    if cores == 1:
        packets = [line.total_j for line in row.bill if line.action == "packet.out"]
        split = a.energy_j - a.events * 23.6e-12 - (b.energy_j - b.events * 23.6e-12) * 6 / 3
        assert split == pytest.approx(packets[0], rel=1e-6)  # only `a` sends any


def test_cores_of_a_compiled_network():
    program, done, target, _ = compiled(nets.spiking(), "loihi1", neurons=4)
    row = make_row(program, done.activity, target, ACCURACY, bits=8)
    neurons = [use for use in row.uses if use.resource == "neurons"]
    assert [use.component for use in neurons] == ["core0", "core1", "core2"]
    assert sum(use.used for use in neurons) == 9 and {use.limit for use in neurons} == {4}
    memory = [use for use in row.uses if use.unit == "B"]
    assert sum(use.used for use in memory) == row.counts.weight_bytes > 66
    assert all(use.limit == 128 * 1024 for use in memory)


@pytest.mark.parametrize("bits, size", [(8, 66), (4, 33), (2, 17)])
def test_a_compiled_tensor_network(bits, size):
    target, x = load("systolic_int8"), nets.samples(5)
    program = compile_graph(nets.relu(), target, calibrate=x, bits=bits)
    row = make_row(program, run(program, x).activity, target, ACCURACY, bits=bits)
    assert [(layer.node, layer.outputs, layer.macs) for layer in row.layers] == [
        ("f1", 6, 48.0),
        ("f2", 3, 18.0),
    ]
    assert {layer.bits for layer in row.layers} == {bits}
    assert (row.counts.weights, row.counts.weight_bytes, row.counts.macs) == (66, size, 66.0)


def test_summed_counts_say_that_time_is_a_bound():
    made, activity, target = spiking()
    row = make_row(made, activity.summed(windows=True), target, ACCURACY, bits=8)
    assert row.time_basis.startswith("a lower bound")
    assert row.counts.events == 60.0


def test_static_lines_are_seconds_and_watts():
    _, activity, target = spiking()
    bill = price(activity, target)
    static = [line for line in bill_lines(bill) if line.part == "static"]
    assert [line.count for line in static] == [bill.time_s]
    assert static[0].each_j == pytest.approx(0.104)


def test_raster_is_thinned_evenly():
    rng = np.random.default_rng(1)
    spikes = {"a": rng.random((20, 30)) < 0.5, "b": rng.random((20, 10)) < 0.5}
    whole = make_raster(spikes)
    drawn = np.zeros((20, 40), bool)
    drawn[tuple(np.array(whole.spikes).T)] = True
    assert np.array_equal(drawn, np.hstack([spikes["a"], spikes["b"]]))
    thin = make_raster(spikes, limit=100)
    assert len(thin.spikes) <= 100 and thin.total == len(whole.spikes)
    assert any(neuron >= 30 for _, neuron in thin.spikes)
