"""Spiking programs compute what the quantized graph says, however it is cut."""

from dataclasses import replace

import numpy as np
import pytest
from passes_nets import Net, machine, samples, spiking_net

from picojoule.errors import CheckError
from picojoule.fixed.contract import Encoder
from picojoule.graph.ops import Delay, Flatten, Input, IntCuba, IntSynapse
from picojoule.passes import compile_graph, freeze, lower, quantize, schedule_delays, utilisation
from picojoule.program.verify import verify
from picojoule.sim.run import run


def towards_zero(x, bits):
    return np.sign(x) * (np.abs(x) >> bits)


def wrap(x, bits):
    return (x + 2**bits) % 2 ** (bits + 1) - 2**bits


def reference(graph, x):
    """The frozen graph, node by node, in the arithmetic of profile loihi1."""
    steps = graph.steps + graph.latency
    raster = graph.encoder.events(x, steps).raster()
    seen = {n: np.zeros((len(raster), steps, graph.types[n].size), np.int64) for n in graph.order}
    state = {
        n: np.zeros((3, len(raster), graph.types[n].size), np.int64) for n in graph.names(IntCuba)
    }
    value = graph.value
    for t in range(steps):
        for name in graph.order:
            op, inputs = graph[name].op, graph[name].inputs
            if isinstance(op, Input):
                seen[name][:, t] = raster[:, t]
            elif isinstance(op, Flatten):
                seen[name][:, t] = seen[inputs[0]][:, t]
            elif isinstance(op, Delay) and t >= op.steps:
                seen[name][:, t] = seen[inputs[0]][:, t - op.steps]
            elif isinstance(op, IntSynapse):
                weight = np.floor(value(op.weight) * 2.0**op.exponent).astype(np.int64) * 64
                seen[name][:, t] = seen[inputs[0]][:, t] @ weight.T
            elif isinstance(op, IntCuba):
                u, v, wait = state[name]
                q = wrap(sum(seen[i][:, t] for i in inputs), 21)
                u = wrap(towards_zero(u * (4095 - value(op.decay_u)), 12) + q, 23)
                bias = value(op.bias) * 2**op.bias_exponent if op.bias else 0
                v = towards_zero(v * (4096 - value(op.decay_v)), 12) + wrap(u + bias, 23)
                v = np.where(wait > 0, 0, np.clip(v, 1 - 2**23, 2**23 - 1))
                fired = (v > value(op.v_th) * 64) & (wait == 0)
                wait = np.where(fired, op.refractory - 1, np.maximum(wait - 1, 0))
                state[name][:] = u, np.where(fired, 0, v), wait
                seen[name][:, t] = fired
    return seen, state


def integers(graph, target, x, **options):
    made = quantize(graph, target, x, **options)
    return freeze(schedule_delays(made, target))


def small(**limits):
    return machine("loihi1", **limits)


NETS = {
    "recurrent": lambda: spiking_net(1, refractory=2),
    "bias": lambda: spiking_net(2, bias=np.linspace(-0.2, 0.4, 30)),
    "plain lif": lambda: spiking_net(3, decay_u=1.0, recurrent=False),
    "spread": lambda: spiking_net(
        4, decay_u=np.linspace(0.1, 1, 30), decay_v=np.linspace(0, 1, 30),
        v_th=np.linspace(0.5, 2, 30)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("bits", [8, 3])
def test_program_computes_the_quantized_graph(name, bits, loihi):
    graph, x = NETS[name](), samples(NETS[name]())
    frozen = integers(graph, loihi, x, bits=bits)
    program = lower(frozen, loihi)
    verify(program)
    made = run(program, x)
    seen, state = reference(frozen, x)
    assert seen["lif1"].sum() > 100 and seen["lif2"].sum() > 10
    assert np.array_equal(made.outputs["spikes"], seen["lif2"])
    for node in ("lif1", "lif2"):
        assert np.array_equal(made.node(node, "v"), state[node][1])
        assert np.array_equal(made.node(node, "u"), state[node][0])


@pytest.mark.parametrize(
    "limits",
    [
        {"neurons": 7},
        {"in_axons": 50, "neurons": 20},
        {"synapse_words": 75},
        {"out_axons": 33, "neurons": 20},
    ],
    ids=str,
)
def test_cutting_over_cores_changes_no_integer(limits, loihi):
    graph = spiking_net(1)
    x = samples(graph)
    frozen = integers(graph, loihi, x)
    whole, cut = lower(frozen, loihi), lower(frozen, small(**limits))
    verify(cut)
    assert whole.cores == 1 and cut.cores > 1
    a, b = run(whole, x), run(cut, x)
    assert np.array_equal(a.outputs["spikes"], b.outputs["spikes"])
    for node in ("lif1", "lif2"):
        assert np.array_equal(a.node(node, "v"), b.node(node, "v"))
    for row in utilisation(cut, small(**limits)):
        for name in ("neurons", "in_axons", "out_axons", "synapse_bits"):
            assert 0 <= row[name] <= row[f"{name}_limit"]
    for action in ("neuron.active", "synapse.event", "event.out"):
        assert a.activity.total(action) == b.activity.total(action)


def test_sparse_and_dense_lists_agree(loihi):
    rng = np.random.default_rng(3)
    net = Net(3)
    x = net.node("input", Input(shape=(40,), kind="spike"))
    weight = rng.normal(0, 0.6, (30, 40)) * (rng.random((30, 40)) < 0.2)
    net.lif("lif1", net.dense("fc1", x, 40, 30, bias=False, weight=weight))
    net.lif("lif2", net.dense("fc2", "lif1", 30, 5, bias=False, std=0.5))
    graph = net.graph("lif2", Encoder(kind="rate", shape=(40,), steps=12), steps=12)
    x = samples(graph)
    frozen = integers(graph, loihi, x)
    for target in (loihi, small(neurons=9)):
        program = lower(frozen, target)
        verify(program)
        assert {i.op for i in program.instructions} >= {"deliver_sparse", "deliver_dense"}
        made, seen = run(program, x), reference(frozen, x)[0]
        assert np.array_equal(made.outputs["spikes"], seen["lif2"])
        events = int((seen["input"].sum((0, 1)) @ (frozen.value("fc1.weight_q") != 0).T).sum())
        dense = 5 * int(seen["lif1"][:, : program.steps - 1].sum())
        late = int((seen["input"][:, -1].sum(0) @ (frozen.value("fc1.weight_q") != 0).T).sum())
        assert made.activity.total("synapse.event") == events - late + dense


def test_weights_in_the_program_are_the_derivations(loihi):
    graph = spiking_net(1)
    live = schedule_delays(quantize(graph, loihi, samples(graph)), loihi)
    target = small(neurons=11)
    program = lower(freeze(live), target)
    rebuilt = np.zeros((30, 20), np.int64)
    for name, array in program.arrays.items():
        if ".fc1.weight" in name:
            core = program.regions[name].core
            (piece,) = (s for s in program.where("lif1", "spike")
                        if program.regions[s.region].core == core)  # fmt: skip
            rebuilt[piece.first : piece.first + piece.stop] = array.T
    assert np.array_equal(rebuilt, live.value("fc1.weight_q"))


def test_registers_are_scalar_where_uniform(loihi):
    decay = np.where(np.arange(30) < 10, 0.5, np.linspace(0.1, 0.9, 30))
    graph = spiking_net(1, decay_v=decay)
    program = lower(integers(graph, loihi, samples(graph)), small(neurons=10))
    sizes = {n: r.shape for n, r in program.regions.items() if ".lif1.decay" in n}
    assert sizes["core0.lif1.decay_v"] == (1,) and sizes["core1.lif1.decay_v"] == (10,)
    assert sizes["core1.lif1.decay_u"] == (1,)


def test_routes_know_their_hops(loihi):
    graph = spiking_net(1)
    program = lower(integers(graph, loihi, samples(graph)), small(neurons=1))
    assert program.cores == 36
    for i in (i for i in program.instructions if i.op == "route"):
        there = program.regions[i.writes[0].region].core
        (x0, y0), (x1, y1) = program.positions[i.core], program.positions[there]
        assert i.args[1:] == (abs(x0 - x1), abs(y0 - y1))
    spans = [i.args for i in program.instructions if i.op == "route"]
    assert {args[1] for args in spans} >= {0, 1, 2} and {args[2] for args in spans} >= {0, 3}


def test_two_delays_from_one_source(loihi):
    net = Net(5)
    x = net.node("input", Input(shape=(2, 3), kind="spike"))
    flat = net.node("flat", Flatten(), x)
    late = net.node("late", Delay(steps=3), flat)
    net.lif("lif1", net.dense("a", flat, 6, 8, bias=False, std=0.7),
            net.dense("b", late, 6, 8, bias=False, std=0.7))  # fmt: skip
    encoder = Encoder(kind="rate", shape=(2, 3), steps=12)
    graph = net.graph("lif1", encoder, steps=12)
    x = samples(graph)
    frozen = integers(graph, loihi, x)
    program = lower(frozen, loihi)
    verify(program)
    assert sorted(i.args[0] for i in program.instructions if i.op == "input") == [1, 4]
    assert np.array_equal(run(program, x).outputs["spikes"], reference(frozen, x)[0]["lif1"])


def test_compiling_is_deterministic(loihi):
    graph = spiking_net(1)
    x = samples(graph)
    first, second = (compile_graph(graph, small(neurons=7), calibrate=x) for _ in range(2))
    assert first == second


def test_brian2loihi_profile_has_no_bias(loihi):
    graph = spiking_net(2, bias=0.3)
    target = brian()
    with pytest.raises(CheckError, match=r"PJ207.*bias"):
        compile_graph(graph, target, calibrate=samples(graph))
    graph = spiking_net(2)
    program = compile_graph(graph, target, calibrate=samples(graph))
    verify(program)
    assert run(program, samples(graph)).outputs["spikes"].any()


def brian():
    target = machine("loihi1")
    return replace(target, core=replace(target.core, profile="brian2loihi"))


def test_local_connections_need_few_axons(loihi):
    """A band of weights: a core has axons for the sources it reads, and hears no other core."""
    net = Net(7)
    x = net.node("input", Input(shape=(24,), kind="spike"))
    band = np.abs(np.subtract.outer(np.arange(24), np.arange(24))) <= 2
    for name, source in (("1", x), ("2", "lif1"), ("3", "lif2")):
        weight = net.rng.normal(0.6, 0.3, (24, 24)) * band
        net.lif(f"lif{name}", net.dense(f"fc{name}", source, 24, 24, bias=False, weight=weight))
    graph = net.graph("lif3", Encoder(kind="rate", shape=(24,), steps=14), steps=14)
    x = samples(graph)
    frozen = integers(graph, loihi, x)
    target = small(neurons=7)
    program = lower(frozen, target)
    verify(program)
    assert max(r["in_axons"] for r in utilisation(program, target)) <= 22
    seen = reference(frozen, x)[0]["lif3"]
    assert seen.sum() > 100
    for engine in ("numba", "reference"):
        assert np.array_equal(run(program, x, engine=engine).outputs["spikes"], seen)
