"""The float reference against hand-computed traces and a scalar twin written apart from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.graph.build import BUILDERS, batch, chain, recurrent, residual, spiking

from picojoule.errors import GraphError, UsageError
from picojoule.fixed.contract import Encoder, Events, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.interpret import answers, interpret
from picojoule.graph.ops import (
    Add,
    BatchNorm,
    CubaLif,
    Delay,
    Dense,
    Flatten,
    Input,
    IntSynapse,
    Relu,
)  # fmt: skip

# ------------------------------------------------------------------- a twin, one number at a time


def twin(graph: Graph, sample) -> dict[str, np.ndarray]:
    """All values (steps, *shape) of one sample, by asking for each number when it is needed."""
    steps = graph.steps + graph.latency
    spikes = graph.encoder.kind != "affine"
    shown = graph.encoder.events(sample[None], steps).raster()[0] if spikes else None
    memory: dict[tuple[str, int], np.ndarray] = {}
    state: dict[str, list] = {}

    def constant(node, where, index):
        name = getattr(node.op, where)
        if name is None:
            return 0.0
        value = graph.params[name]
        return float(value if value.ndim == 0 else value[index])

    def value(name, t):
        if (name, t) not in memory:
            memory[name, t] = np.array(compute(graph[name], t), float)
        return memory[name, t]

    def compute(node, t):
        op = node.op
        if isinstance(op, Input):
            return np.reshape(shown[t] if spikes else sample, op.shape)
        if isinstance(op, Delay):
            past = t - op.steps
            return (
                value(node.inputs[0], past) if past >= 0 else np.zeros(graph.types[node.name].shape)
            )
        inputs = [value(i, t) for i in node.inputs]
        x = inputs[0]
        if isinstance(op, Dense):
            weight = graph.params[op.weight]
            return [
                sum(weight[o, i] * x[i] for i in range(len(x))) + constant(node, "bias", o)
                for o in range(op.features)
            ]
        if isinstance(op, BatchNorm):
            return [
                (x[i] - constant(node, "mean", i))
                / (constant(node, "variance", i) + op.eps) ** 0.5
                * constant(node, "gain", i)
                + constant(node, "shift", i)
                for i in range(len(x))
            ]
        if isinstance(op, Relu):
            return [max(number, 0.0) for number in x]
        if isinstance(op, Add):
            return [a + b for a, b in zip(*inputs)]
        if isinstance(op, Flatten):
            return x.ravel()
        return [neuron(node, i, sum(each[i] for each in inputs)) for i in range(len(x))]

    def neuron(node, i, total):
        u, v, left = state.setdefault(node.name, [[0.0, 0.0, 0] for _ in range(99)])[i]
        u = u - constant(node, "decay_u", i) * u + total
        v = v - constant(node, "decay_v", i) * v + u + constant(node, "bias", i)
        fired = left == 0 and v > constant(node, "v_th", i)
        if left or fired:
            v = 0.0
        left = node.op.refractory - 1 if fired else max(left - 1, 0)
        state[node.name][i] = [u, v, left]
        return fired

    for t in range(steps):
        for name in (n.name for n in graph.nodes):
            value(name, t)
    found = {n.name: np.array([memory[n.name, t] for t in range(steps)]) for n in graph.nodes}
    sizes = graph.types
    for name, neurons in state.items():
        found[f"{name}.v"] = np.array([each[1] for each in neurons[: sizes[name].size]])
    return found


@settings(deadline=None, max_examples=24)
@given(st.integers(0, 2**32), st.sampled_from(BUILDERS))
def test_the_reference_equals_its_twin(seed, build):
    graph = build(seed)
    samples = batch(graph, seed, 3)
    found = interpret(graph, samples)
    timed = build in (spiking, recurrent)
    assert {n.name for n in graph.nodes} <= found.keys()
    for k, sample in enumerate(samples):
        for name, values in twin(graph, sample).items():
            expected = values if timed or name.endswith(".v") else values[0]
            np.testing.assert_allclose(found[name][k], expected, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------- by hand


def lone_neuron(*, steps=8, refractory=1, weight=1.0, latency=0, **constants):
    """One neuron fed by one channel of events through a weight."""
    given = {"decay_u": 1.0, "decay_v": 0.5, "v_th": 1.0, **constants}
    lif = CubaLif(**{name: name for name in given}, refractory=refractory)
    return Graph(
        name="lone",
        nodes=(
            Node("input", Input(shape=(1,), kind="spike")),
            Node("fc", Dense(weight="w", features=1), ("input",)),
            Node("lif", lif, ("fc",)),
        ),
        output="lif", encoder=Encoder(kind="events", shape=(1,), steps=steps),
        readout=Readout(kind="count"), steps=steps, latency=latency,
        params={"w": np.array([[weight]]), **{k: np.array(v) for k, v in given.items()}},
    )  # fmt: skip


def fired(graph, spikes, node="lif"):
    """The spikes of a node, a character a step, for as many steps as spikes are given."""
    graph = replace(graph, steps=len(spikes))
    raster = np.array(spikes, bool)[None, :, None]
    return "".join(".x"[int(s)] for s in interpret(graph, raster)[node][0, :, 0])


def test_threshold_is_strict():
    """v: 1, 1.5 > 1 fires, then from zero again: 1, 1.5."""
    assert fired(lone_neuron(), [1] * 6) == ".x.x.x"
    assert fired(lone_neuron(v_th=1.5), [1] * 6) == "..x..x"
    assert fired(lone_neuron(decay_v=1.0), [1] * 6) == "......"


def test_current_lasts_by_its_decay():
    """u: 1, .5, .25, ...; v adds them without a leak: 1, 1.5, 1.75, 1.875."""
    graph = lone_neuron(decay_u=0.5, decay_v=0.0, v_th=1.8)
    assert fired(graph, [1, 0, 0, 0, 0, 0]) == "...x.."
    out = interpret(graph, np.array([1, 0, 0, 0, 0, 0, 0, 0])[None, :, None])
    assert out["lif.v"][0, 0] == 1 / 16 + 1 / 32 + 1 / 64 + 1 / 128


def test_refractory_keeps_the_voltage_at_zero_while_the_current_moves_on():
    """refractory 3: the spike, then two steps of silence; one alone is the plain neuron."""
    strong = dict(weight=4.0, v_th=1.0)
    assert fired(lone_neuron(**strong), [1] * 7) == "xxxxxxx"
    assert fired(lone_neuron(refractory=2, **strong), [1] * 7) == "x.x.x.x"
    assert fired(lone_neuron(refractory=3, **strong), [1] * 7) == "x..x..x"
    # input during the pause is not kept in v, but lives on in u: 4, 2, 1, 0.5 in step 3
    kept = lone_neuron(refractory=3, weight=4.0, decay_u=0.5, v_th=0.4)
    assert fired(kept, [1, 0, 0, 0, 0, 0]) == "x..x.."


def test_bias_drives_without_input():
    assert fired(lone_neuron(bias=0.6, decay_v=0.0), [0] * 5) == ".x.x."


def test_inputs_are_summed_and_constants_broadcast():
    graph = lone_neuron(decay_v=1.0, v_th=1.5).add(
        Node("fc2", Dense(weight="w", bias="b", features=1), ("input",))
    )
    graph = graph.with_params({"b": np.array([0.0])})
    graph = graph.swap("lif", graph["lif"].op, ("fc", "fc2"))
    assert fired(graph, [0, 1, 0, 1]) == ".x.x"


def test_delays_and_recurrence():
    """A neuron that excites itself two steps later goes on for ever once it is started."""
    graph = lone_neuron(decay_v=1.0, v_th=0.5).add(
        Node("back", Delay(steps=2), ("lif",)),
        Node("again", Dense(weight="w", features=1), ("back",)),
    )
    graph = graph.swap("lif", graph["lif"].op, ("fc", "again"))
    assert fired(graph, [0, 1, 0, 0, 0, 0, 0, 0]) == ".x.x.x.x"
    assert fired(graph, [0, 1, 0, 0, 0, 0, 0, 0], "back") == "...x.x.x"


def test_latency_adds_steps():
    graph = lone_neuron(steps=3, latency=2, bias=2.0)
    assert fired(graph, [0, 0, 0]) == "xxxxx"


def test_events_and_rasters_are_the_same_samples():
    graph = spiking(3, kind="events")
    raster = batch(graph, 1, 4)
    events = graph.encoder.events(raster)
    assert isinstance(events, Events)
    a, b = interpret(graph, raster), interpret(graph, events)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_real_network_sees_the_reals_themselves():
    graph = chain(1)
    x = np.full((1, 6), 0.123456789)
    assert np.array_equal(interpret(graph, x)["input"], x)


def test_samples_do_not_meet():
    for graph in (residual(4), recurrent(4)):
        x = batch(graph, 2, 6)
        whole, part = interpret(graph, x), interpret(graph, x[2:4])
        for name in whole:
            np.testing.assert_allclose(whole[name][2:4], part[name], rtol=1e-12, atol=1e-14)


def test_batch_norm_of_images_goes_by_channel():
    names = ("gain", "shift", "mean", "variance")
    norm = BatchNorm(**{n: n for n in names})
    graph = Graph(
        name="image", output="bn", encoder=Encoder(kind="affine", shape=(3, 1, 2)),
        nodes=(Node("input", Input(shape=(3, 1, 2))), Node("bn", norm, ("input",))),
        params={"gain": np.array([1.0, 2]), "shift": np.array([0.0, 10]),
                "mean": np.array([1.0, 0]), "variance": np.array([1.0, 1]) - norm.eps},
    )  # fmt: skip
    out = interpret(graph, np.ones((1, 3, 1, 2)))["bn"][0]
    np.testing.assert_allclose(out[..., 0], 0, atol=1e-15)
    np.testing.assert_allclose(out[..., 1], 12)


def test_real_samples_shown_to_neurons_are_a_constant_current():
    graph = lone_neuron(decay_v=0.0, v_th=1.0)
    graph = replace(
        graph.swap("input", Input(shape=(1,))), encoder=Encoder(kind="affine", shape=(1,))
    )
    out = interpret(graph, np.array([[0.3], [0.6]]))
    assert out["lif"].shape == (2, 8, 1)
    assert out["lif"][:, :, 0].sum(axis=1).tolist() == [2, 4]


def test_integer_ops_are_refused():
    graph = spiking(1).swap("fc1", IntSynapse(weight="w", step_w="s"))
    with pytest.raises(GraphError, match=r"PJ405.*'fc1' is IntSynapse"):
        interpret(graph, batch(graph, 1, 1))


# --------------------------------------------------------------------------------- answers


def read(counts, voltages, start=0):
    """The answer for spikes given as text, one string a neuron."""
    graph = replace(spiking(1), readout=Readout(kind="count", start=start))
    raster = np.array([[c == "x" for c in row] for row in counts]).T[None]
    outputs = {graph.output: raster, f"{graph.output}.v": np.array([voltages], float)}
    return int(answers(graph, outputs)[0])


def test_most_spikes_win_then_voltage_then_index():
    assert read(["x..", "xx.", "..."], [9, 0, 9]) == 1
    assert read(["x..", "..x", "..."], [0.1, 0.2, 9]) == 1
    assert read(["x..", "..x", "..."], [0.2, 0.1, 9]) == 0
    assert read(["...", "x..", "..x"], [9, -1, -1]) == 1
    assert read(["xx.", "..x", "..."], [0, 0, 0], start=2) == 1


def test_argmax_takes_the_largest_and_none_is_refused():
    graph = chain(2)
    out = interpret(graph, batch(graph, 3, 5))
    np.testing.assert_array_equal(answers(graph, out), out[graph.output].argmax(axis=1))
    with pytest.raises(UsageError, match="PJ806"):
        answers(replace(graph, readout=Readout(kind="none")), out)
