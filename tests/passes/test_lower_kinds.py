"""Every op of a spiking core: the same integers as its dense equivalent, however it is cut."""

import time
from dataclasses import replace

import numpy as np
import pytest
from integer_nets import Ints, machine_of, pilot_net, raster
from test_shared import dense_conv

from picojoule.fixed.neurons import KINDS
from picojoule.graph.ops import Delay, IntConv
from picojoule.passes import check, compile_graph, lower, schedule_delays, utilisation
from picojoule.program.verify import verify
from picojoule.sim.run import run

PROFILES = ("loihi1", "loihi2")
LIMITS = ({}, {"neurons": 24}, {"neurons": 5}, {"neurons": 3}, {"out_axons": 90, "neurons": 40},
          {"synapse_words": 60}, {"in_axons": 40, "neurons": 64})  # fmt: skip


def compiled(graph, target):
    """The verified program; every core within its limits."""
    assert check(graph, target) == []
    program = lower(schedule_delays(graph, target), target)
    verify(program)
    for row in utilisation(program, target):
        for name in (key for key in row if f"{key}_limit" in row):
            assert 0 <= row[name] <= row[f"{name}_limit"], name
    return program


def same(a, b, nodes, x, engine="numba"):
    """Spikes, and the final voltage and current of some nodes, of two programs."""
    a, b = (run(program, x, engine=engine) for program in (a, b))
    assert np.array_equal(a.outputs["spikes"], b.outputs["spikes"])
    for node in nodes:
        for word in ("u", "v"):
            assert np.array_equal(a.node(node, word), b.node(node, word)), node
    return a


def conv_net(profile, dense=False, exponent=0, **fields):
    """Two populations behind a convolution and a pool, or behind matrices that equal them."""
    net = Ints(3, profile)
    shape = (6, 7, 2)
    source = net.input(*shape)
    conv = net.conv("c", source, shape, 6, (3, 3), padding=(1, 1), stride=(1, 2),
                    exponent=exponent, **fields)  # fmt: skip
    op, weight = net.nodes[-1].op, net.pins["c.w"].values
    if dense:
        net.nodes.pop()
        conv = net.synapse("c", net.flat(source), 84, 6 * 4 * 6, exponent=exponent,
                           weight=dense_conv(op, weight))  # fmt: skip
    bias = np.arange(6 * 4 * 6).reshape(6, 4, 6) % 7 * 9
    v_th = int(90 * 2.0**exponent)
    hidden = net.cuba("hidden", conv, bias=bias.ravel() if dense else bias, v_th=v_th)
    pool = net.pool("p", hidden, (6, 4, 6), (2, 2), (2, 2), weight=60, exponent=exponent)
    if dense:
        op = net.nodes.pop().op
        wide = IntConv(weight="w", in_shape=op.in_shape, channels=6, groups=6,
                       kernel=op.kernel, stride=op.stride)  # fmt: skip
        pool = net.synapse("p", hidden, 144, 36, exponent=exponent,
                           weight=dense_conv(wide, np.full((6, 1, 2, 2), 60)))  # fmt: skip
    out = net.cuba("out", pool, v_th=v_th)
    return net.graph(out)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("exponent", [0, -2, 1])
@pytest.mark.parametrize("fields", [{}, {"groups": 2, "flipped": True}], ids=str)
def test_convolution_and_pooling_equal_their_matrices(profile, exponent, fields):
    graphs = [conv_net(profile, dense, exponent, **fields) for dense in (False, True)]
    target = machine_of(profile)
    shared, plain = (compiled(graph, target) for graph in graphs)
    x = raster(graphs[0])
    made = same(shared, plain, ("hidden", "out"), x)
    assert made.outputs["spikes"].sum() > 20
    same(shared, plain, ("hidden", "out"), x, "reference")
    ops = {i.op for i in shared.instructions}
    assert "deliver_shared" in ops and not ops & {"deliver_dense", "deliver_sparse"}
    assert ("accumulate" in ops) == (profile == "loihi2" and exponent < 0)
    weights = sum(r.size for name, r in shared.regions.items() if name.endswith(".weight"))
    dense = sum(r.size for name, r in plain.regions.items() if name.endswith(".weight"))
    assert weights < dense / 2


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("profile", PROFILES)
def test_cutting_shared_lists_changes_no_integer(profile, limits):
    graph = conv_net(profile, exponent=-1)
    whole = compiled(graph, machine_of(profile))
    cut = compiled(graph, machine_of(profile, **limits))
    assert whole.cores == 1 and (cut.cores > 1) == bool(limits)
    for engine in ("numba", "reference"):
        same(whole, cut, ("hidden", "out"), raster(graph), engine)
    a, b = (run(program, raster(graph)).activity for program in (whole, cut))
    for action in ("neuron.active", "neuron.idle", "synapse.event"):
        assert a.total(action) == b.total(action)


def test_slices_keep_positions_whole_where_one_fits():
    target = machine_of("loihi2", neurons=20)
    program = compiled(conv_net("loihi2"), target)
    sizes = [r.shape[0] for name, r in program.regions.items() if name.endswith("hidden.spike")]
    assert set(sizes) == {18}  # three positions of 6 channels
    program = compiled(conv_net("loihi2"), machine_of("loihi2", neurons=4))
    sizes = [r.shape[0] for name, r in program.regions.items() if name.endswith("hidden.spike")]
    assert sizes[:4] == [4, 2, 4, 2]  # channels of one position


def late_net(profile, split, sparse=False, exponent=-1):
    """Synapses with a delay each, or a group for each delay."""
    net = Ints(5, profile, steps=14)
    source = net.input(12)
    delays = net.rng.integers(0, 5, (9, 12))
    weight = 2 * net.rng.integers(-40, 60, (9, 12)) * (net.rng.random((9, 12)) < 0.8)
    fields = {"sparse": sparse, "exponent": exponent}
    if not split:
        net.cuba("n", net.synapse("s", source, 12, 9, delays=delays, weight=weight, **fields))
        net.cuba("out", net.synapse("o", "n", 9, 4))
        return net.graph("out")
    groups = []
    for d in range(5):
        late = net.node(f"late{d}", Delay(steps=d + 1), source)
        groups.append(net.synapse(f"s{d}", late, 12, 9, weight=weight * (delays == d), **fields))
    net.cuba("n", *groups)
    after = net.node("after", Delay(steps=1), "n")
    net.cuba("out", net.synapse("o", after, 9, 4))
    net.pins["o.w"] = late_net(profile, False).pinned["o.w"]
    return net.graph("out")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_delay_for_each_synapse(profile, sparse):
    target = machine_of(profile)
    one, many = late_net(profile, False, sparse), late_net(profile, True, sparse)
    a = lower(schedule_delays(one, target), target)
    verify(a)
    scheduled = schedule_delays(one, target)
    assert scheduled["s_delay"].op.steps == 1  # the machine's part alone
    assert sorted(i.args[0] for i in a.instructions if i.op == "input") == [1, 2, 3, 4, 5]
    b = lower(replace(many, latency=scheduled.latency), target)  # its delays stand already
    x = raster(one)
    for engine in ("numba", "reference"):
        made = same(a, b, ("n", "out"), x, engine)
    assert made.outputs["spikes"].sum() > 5
    for neurons in (4, 1):
        small = machine_of(profile, neurons=neurons)
        same(a, compiled(one, small), ("n", "out"), x)


def test_delays_are_one_axon_and_one_list():
    """12 input axons whatever the number of delays; 9 synapses of 8 + 6 bits: 136 bits, 3 words;
    sparse ones also have a 6-bit index each."""
    graph = late_net("loihi1", False)
    (row,) = utilisation(compiled(graph, machine_of("loihi1")), machine_of("loihi1"))
    assert row["in_axons"] == 12 + 9
    second = 9 * 64  # 4 synapses of 8 bits
    assert row["synapse_bits"] == 12 * 3 * 64 + second
    graph = late_net("loihi1", False, sparse=True)
    (row,) = utilisation(compiled(graph, machine_of("loihi1")), machine_of("loihi1"))
    counts = np.count_nonzero(graph.value("s.w"), axis=0)
    words = [-(-(int(n) * 20 + 10) // 64) for n in counts]
    assert row["synapse_bits"] == sum(words) * 64 + second


def test_population_weights_equal_their_matrix():
    rng = np.random.default_rng(2)
    row, base = rng.integers(0, 3, 20), rng.integers(0, 10, 20)
    indptr, target = np.array([0, 3, 5, 9]), np.array([0, 2, 5, 1, 3, 4, 0, 2, 3])
    weight = 2 * rng.integers(20, 70, 9)
    matrix = np.zeros((16, 20), np.int64)
    for i in range(20):
        part = slice(indptr[row[i]], indptr[row[i] + 1])
        np.add.at(matrix[:, i], base[i] + target[part], weight[part])
    programs = []
    for dense in (False, True):
        net = Ints(1)
        source = net.input(20)
        group = (net.synapse("g", source, 20, 16, weight=matrix) if dense else
                 net.shared("g", source, 16, row, base, indptr, target, weight))  # fmt: skip
        graph = net.graph(net.cuba("n", group))
        programs += [compiled(graph, machine_of("loihi2", neurons=n)) for n in (16, 5)]
    made = [same(programs[0], other, ("n",), raster(graph)) for other in programs[1:]]
    assert made[0].outputs["spikes"].sum() > 20


REGISTERS = {
    "decay_u": 1200, "decay_v": 300, "v_th": 90, "bias": 12, "v_th_high": 60, "v_th_low": -60,
    "sin": 900, "cos": 3900, "decay_i": 900, "decay_theta": 500, "decay_r": 700, "theta_0": 80,
    "theta_step": 9, "v_low": -(2**20), "v_high": 2**20, "noise_on": 0,
}  # fmt: skip
OPTIONS = {"refractory": 2, "reset_interval": 4, "decay_bits": 12, "spike_exponent": 1}


def kind_net(kind):
    """16 neurons of a kind behind two groups; neurons that hear them, payloads and all."""
    profile = "nengo_loihi" if kind == "cuba_noise" else "loihi2"
    net, made = Ints(4, profile), KINDS[kind]
    source = net.input(10)
    groups = [net.synapse(name, source, 10, 16, graded=profile == "loihi2") for name in "ab"]
    registers = {r: np.full(16, REGISTERS[r]) for r in made.registers}
    registers[made.registers[0]] = registers[made.registers[0]] + np.arange(16) % 3
    options = {o: OPTIONS.get(o, 0) for o in made.options}
    second = made.currents - 1
    cell = net.neurons("cell", kind, *groups, registers=registers, second=second, **options)
    net.cuba("out", net.synapse("o", cell, 16, 5, graded=made.graded, exponent=-3))
    return net.graph("out"), profile


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_lowered_whole_or_cut(kind):
    graph, profile = kind_net(kind)
    x = raster(graph, graded=profile == "loihi2")
    whole, cut = (compiled(graph, machine_of(profile, neurons=n)) for n in (21, 6))
    (update,) = (i for i in whole.instructions if i.core == 0 and i.op == kind
                 and i.writes[0].region.startswith("core0.cell"))  # fmt: skip
    currents = ("q",) if KINDS[kind].currents == 1 else ("q0", "q1")
    words = (*currents, *KINDS[kind].state, "spike")
    assert [span.region for span in update.writes] == [f"core0.cell.{w}" for w in words]
    for word in words:  # the source map knows every word of every neuron
        assert sum(s.stop - s.start for s in cut.where("cell", word)) == 16
        assert [s.first for s in cut.where("cell", word)] == [0, 6, 12]
    probes = [f"cell.{w}" for w in (*KINDS[kind].state, "spike")]
    runs = [run(p, x, engine=e, probes=probes)
            for p in (whole, cut) for e in ("numba", "reference")]  # fmt: skip
    for other in runs[1:]:
        assert np.array_equal(runs[0].outputs["spikes"], other.outputs["spikes"])
        for probe in probes:
            assert np.array_equal(runs[0].probes[probe], other.probes[probe]), probe
    if KINDS[kind].currents == 2:
        into = [i.writes[0].region for i in whole.instructions if i.op == "deliver_dense"]
        assert into[:2] == ["core0.cell.q0", "core0.cell.q1"]


def test_payloads_multiply_only_where_asked_to():
    net = Ints(6)
    source = net.input(4)
    wide = net.synapse("w", source, 4, 3, graded=True, weight=np.full((3, 4), 2))
    net.cuba("plain", net.synapse("b", source, 4, 3, weight=np.full((3, 4), 2)))
    net.cuba("n", wide, net.synapse("c", "plain", 3, 3, weight=np.zeros((3, 3), int)))
    graph = net.graph("n")
    program = compiled(graph, machine_of("loihi2"))
    assert program.regions["events"].format.bits == 32
    x = np.zeros((1, graph.steps, 4), np.int32)
    x[0, 0, :2] = 7, -3
    made = run(program, x, probes=("plain.u", "n.u"))
    assert made.probes["plain.u"][0, 1, 0] == 2 * 2 * 64
    assert made.probes["n.u"][0, 2, 0] == 2 * (7 - 3) * 64  # one layer behind


def test_graded_synapses_need_payloads():
    net = Ints(6, "loihi1")
    graph = net.graph(net.cuba("n", net.synapse("w", net.input(4), 4, 3, graded=True)))
    (fault,) = check(graph, machine_of("loihi1"))
    assert fault.code == "PJ206" and "'w' read payloads" in fault.what and fault.fix


def test_a_network_of_pilotnets_size():
    graph, target = pilot_net(), machine_of("loihi2", cores=400)
    start = time.process_time()
    program = lower(schedule_delays(graph, target), target)
    assert time.process_time() - start < 2
    stored = sum(r.packed_bytes for r in program.regions.values() if r.memory == "synapse")
    dense = sum(
        graph.types[n].size * graph.types[graph[n].inputs[0]].size for n in graph.names(IntConv)
    )
    assert 200 < program.cores < 400 and stored < dense / 100
    large = machine_of("loihi2", cores=40, neurons=8192, out_axons=10**6, synapse_words=10**6)
    assert lower(schedule_delays(graph, large), large).cores < 20


def test_compile_graph_takes_pinned_networks(tmp_path):
    graph, target = conv_net("loihi2"), machine_of("loihi2", neurons=24)
    program = compile_graph(graph, target, dump=tmp_path)
    assert program == lower(schedule_delays(graph, target), target)
    assert "deliver_shared" in (tmp_path / "06-lower.txt").read_text(encoding="utf-8")
