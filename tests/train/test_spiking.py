"""Spiking networks: layout, float and integer passes, gradients in real units, training."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Graph, Node, ops
from picojoule.graph.interpret import interpret
from picojoule.kernels.train_blocks import Surrogate
from picojoule.passes import freeze, schedule_delays
from picojoule.sim.run import run
from picojoule.train import (
    Options,
    accuracy,
    answers,
    confirm,
    evaluate_outputs,
    finetune,
    firing_rates,
    fit,
)
from picojoule.train.derivations import constants
from picojoule.train.model import forward_pass, prepare, trainable
from picojoule.train.spiking import score_and_spikes
from picojoule.train.tune import start_quantized
from picojoule.train.wiring import flatten

RNG = np.random.Generator(np.random.Philox(key=[31, 0]))


def with_bias(graph):
    """The same network with biases at neurons and at synapses."""
    for name in graph.names(ops.CubaLif):
        graph = graph.swap(name, replace(graph[name].op, bias=f"{name}.bias"))
        n = graph.types[name].size
        graph = graph.with_params({f"{name}.bias": RNG.normal(0, 0.1, n).astype(np.float32)})
    name = graph.names(ops.Dense)[0]
    graph = graph.swap(name, replace(graph[name].op, bias=f"{name}.bias"))
    n = graph.types[name].size
    return graph.with_params({f"{name}.bias": RNG.normal(0, 0.1, n).astype(np.float32)})


def in_float64(graph):
    return replace(graph, params={n: a.astype(np.float64) for n, a in graph.params.items()})


def test_the_float_pass_is_that_of_the_interpreter(recurrent, data):
    graph = in_float64(with_bias(recurrent))
    ours, theirs = evaluate_outputs(graph, data[0]), interpret(graph, data[0])
    assert np.array_equal(ours["spikes"], theirs[graph.output]) and ours["spikes"].any()
    for name in graph.names(ops.CubaLif):
        np.testing.assert_allclose(ours[f"v.{name}"], theirs[f"{name}.v"], atol=1e-9)


def test_delays_and_both_ways_of_wiring_are_laid_out(recurrent):
    flat = flatten(recurrent)
    assert flat.populations == ("lif1", "lif2", "lif3")
    wiring = dict(zip(flat.synapses, flat.wiring.groups[:, :3].tolist()))
    assert wiring == {"fc1": [-1, 0, 0], "rec1": [0, 0, 1], "fc2": [0, 1, 0],
                      "rec2": [1, 1, 1], "fc3": [1, 2, 0]}  # fmt: skip
    assert flat.wiring.output == 2 and set(flat.wiring.refractory) == {2}


def test_the_machine_s_delays_are_laid_out(recurrent, chip, data):
    live = start_quantized(recurrent, chip, data[0], bits=8)
    groups = dict(zip(flatten(live).synapses, flatten(live).wiring.groups[:, 2].tolist()))
    assert groups["fc1"] == 1 and groups["fc2"] == 1 and groups["rec1"] == 1


def faults_of(graph):
    with pytest.raises(TrainError) as caught:
        flatten(graph)
    return str(caught.value)


def test_what_cannot_be_trained_is_said():
    lif = ops.CubaLif(decay_u="d", decay_v="d", v_th="t")
    params = {"d": np.array(0.5), "t": np.array(1.0), "w": np.ones((3, 3))}
    encoder = Encoder(kind="rate", shape=(3,), steps=4)
    start = Node("input", ops.Input(shape=(3,), kind="spike"))
    dense = ops.Dense(weight="w", features=3)

    def graph(output, *nodes):
        count = Readout(kind="count")
        return Graph("bad", (start, *nodes), output, encoder, count, params, steps=4)

    bare = graph("lif", Node("lif", lif, ("input",)))
    assert "PJ704" in faults_of(bare) and "'input' drives them without" in faults_of(bare)
    twice = graph("lif", Node("a", dense, ("input",)), Node("b", dense, ("a",)),
                  Node("lif", lif, ("b",)))  # fmt: skip
    assert "'b' and 'a' follow one another" in faults_of(twice)
    relu = graph("relu", Node("a", dense, ("input",)), Node("lif", lif, ("a",)),
                 Node("relu", ops.Relu(), ("lif",)))  # fmt: skip
    assert "Relu cannot be trained" in faults_of(relu)
    current = graph("b", Node("a", dense, ("input",)), Node("lif", lif, ("a",)),
                    Node("b", dense, ("lif",)))  # fmt: skip
    assert "is not spiking neurons" in faults_of(current)


def gradients(graph, x, g, surrogate=None):
    model = prepare(graph, surrogate)
    leaves = {n: Tensor(a, wants=n in trainable(graph)) for n, a in graph.params.items()}
    z = forward_pass(model, leaves, x).scores
    backward(z, g.astype(z.data.dtype))
    return {n: leaf.grad for n, leaf in leaves.items() if leaf.wants}


def test_gradients_in_integers_are_those_of_the_same_reals(recurrent, chip, data):
    """A float network on the machine's grid, with its delays, has the gradients of the integers
    up to what rounding towards zero leaves."""
    graph = with_bias(recurrent)
    graph = graph.with_params({"fc1.bias": np.zeros(16, np.float32)})
    live = start_quantized(graph, chip, data[0], bits=8)
    real = on_grid(graph, live)
    g = RNG.normal(size=(96, 4))
    wide = Surrogate(0, 1.0)
    assert np.array_equal(evaluate_outputs(real, data[0])["spikes"],
                          evaluate_outputs(live, data[0])["spikes"])  # fmt: skip
    ours, theirs = gradients(live, data[0], g, wide), gradients(real, data[0], g, wide)
    for name in ("fc1.weight", "fc2.weight", "rec1.weight", "lif1.decay_u", "lif2.decay_v",
                 "lif1.v_th", "lif2.bias"):  # fmt: skip
        size = np.abs(theirs[name]).max()
        assert size > 0
        np.testing.assert_allclose(ours[name], theirs[name], atol=0.02 * size, err_msg=name)


def on_grid(graph, live):
    """The float network whose numbers are what the integers of `live` stand for."""
    params = {}
    for name in graph.names(ops.Dense):
        op = live[name].op
        step = live.value(op.step_w)
        params[f"{name}.weight"] = live.value(op.weight) * step / 2.0**op.dropped
    for name in graph.names(ops.CubaLif):
        op, step = live[name].op, float(live.value(live[name].op.step))
        params[f"{name}.decay_u"] = (live.value(op.decay_u) + 1) / 4096  # the chip adds 1
        params[f"{name}.decay_v"] = live.value(op.decay_v) / 4096
        params[f"{name}.v_th"] = live.value(op.v_th) * step * 64
        params[f"{name}.bias"] = live.value(op.bias) * step * 2.0**op.bias_exponent
    nodes = [n for n in graph.nodes if not isinstance(n.op, ops.Delay)]
    nodes = [replace(n, inputs=live[n.name].inputs) for n in nodes]
    nodes += [live[name] for name in live.names(ops.Delay)]
    graph = replace(graph.with_params(params), nodes=tuple(nodes))
    return replace(graph, latency=live.latency, readout=live.readout)


def test_more_decay_means_less_gradient_with_the_right_size():
    """One input spike, one neuron below threshold: a decay moves the score by the surrogate
    slope times -v of the step before; not by +v, and not by 4096 times that.  (A second
    neuron spikes, so that spikes are what counts.)"""
    graph = nn.spiking_network([1, 2], steps=2, seed=0, decay_u=1.0, decay_v=0.25)
    graph = graph.with_params({"fc1.weight": np.array([[0.6], [5.0]], np.float32)})
    raster = np.zeros((1, 2, 1))
    raster[0, 0] = 1
    graph = replace(graph, encoder=Encoder(kind="events", shape=(1,), steps=2))
    found = gradients(graph, raster, np.array([[1.0, 0.0]]), Surrogate(0, 1.0))
    slope = 1 / (1 + abs(0.45 - 1)) ** 2
    assert found["lif1.decay_v"] == pytest.approx(-0.6 * slope, rel=1e-5)


def test_integer_passes_agree_live_frozen_and_for_any_threads(recurrent, chip, data):
    live = start_quantized(recurrent, chip, data[0], bits=4)
    live = fit(live, *data, epochs=2, seed=1, options=Options(gain=0.5))
    frozen = freeze(live)
    results = [evaluate_outputs(graph, data[0], threads=threads)
               for graph, threads in ((live, 1), (frozen, 1), (live, 2), (frozen, 3))]  # fmt: skip
    for other in results[1:]:
        assert all(np.array_equal(results[0][n], other[n]) for n in results[0])
    assert results[0]["v.lif1"].dtype == np.int64 and results[0]["spikes"].any()
    assert results[0]["spikes"].shape[1] == live.steps + live.latency


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_a_batch_can_be_learned_by_heart(spiking, chip, data, bits):
    x, y = data[0][:12], np.roll(data[1][:12], 3) ^ (np.arange(12) % 2)
    graph = spiking if bits is None else start_quantized(spiking, chip, x, bits=bits)
    graph = fit(graph, x, y, epochs=120, batch=12, lr=2e-2, seed=0, options=Options(gain=0.5))
    assert accuracy(graph, x, y) == 1.0


def test_recurrent_networks_learn(recurrent, data):
    tuned = fit(recurrent, *data, epochs=40, batch=16, lr=1e-2, seed=0, options=Options(gain=0.5))
    assert accuracy(tuned, *data) > 0.95
    assert all(0.001 < rate < 0.6 for rate in firing_rates(tuned, data[0]).values())


def test_training_has_the_same_bits_for_any_number_of_threads(spiking, data):
    digests = {
        fit(spiking, *data, epochs=2, seed=4, options=Options(threads=n)).digest
        for n in (1, 2, 4)
    }  # fmt: skip
    assert len(digests) == 1


def test_constants_of_neurons_stay_in_range(spiking, chip, data):
    wild = Options(gain=5.0, clip=1e9)
    tuned = fit(spiking, *data, epochs=3, lr=1.0, seed=0, options=wild)
    for name in ("lif1", "lif2"):
        for decay in ("decay_u", "decay_v"):
            assert tuned.params[f"{name}.{decay}"].min() >= 0
            assert tuned.params[f"{name}.{decay}"].max() <= 1
        assert tuned.params[f"{name}.v_th"].min() > 0
    live = start_quantized(spiking, chip, data[0], bits=8)
    freeze(fit(live, *data, epochs=3, lr=0.5, seed=0, options=wild))  # no PJ207


def test_scheduling_twice_changes_nothing_for_the_trainer(spiking, chip, data):
    live = start_quantized(spiking, chip, data[0], bits=8)
    again = schedule_delays(live, chip)
    assert np.array_equal(evaluate_outputs(live, data[0])["spikes"],
                          evaluate_outputs(again, data[0])["spikes"])  # fmt: skip


def test_what_only_the_simulator_computes_is_refused(spiking, chip, data):
    live = start_quantized(spiking, chip, data[0], bits=8)
    first = live.names(ops.IntSynapse)[0]
    lif = live.names(ops.IntCuba)[0]
    assert "synapses of graded spikes cannot be trained" in faults_of(
        live.swap(first, replace(live[first].op, graded=True))
    )
    assert "profile 'lava' cannot be trained" in faults_of(
        live.swap(lif, replace(live[lif].op, profile="lava"))
    )


def integrating(graph):
    """The same network with outputs that never spike."""
    last = graph.names(ops.CubaLif)[-1]
    zero = np.zeros((), np.float32)
    return graph.with_params({f"{last}.v_th": zero + 64, f"{last}.decay_v": zero})


def test_outputs_that_never_spike_score_by_their_voltage(spiking, data):
    graph = integrating(in_float64(spiking))
    scores = run_scores_of(graph, data[0])
    found = evaluate_outputs(graph, data[0])
    assert not found["spikes"].any()
    np.testing.assert_allclose(scores, found["v.lif2"] / 64)
    assert np.array_equal(answers(graph, found), scores.argmax(1))


def run_scores_of(graph, x):
    params = {n: Tensor(a) for n, a in graph.params.items()}
    return forward_pass(prepare(graph), params, x).scores.data


def test_gradients_of_voltage_scores_are_slopes(spiking, data):
    """The score is linear in the outputs' weights, whatever hidden neurons do."""
    graph = integrating(in_float64(spiking))
    g = RNG.normal(size=(len(data[0]), 4))
    found = gradients(graph, data[0], g)["fc2.weight"]
    way = RNG.normal(size=found.shape)
    ends = [
        np.sum(g * run_scores_of(graph.with_params(
            {"fc2.weight": graph.params["fc2.weight"] + s * 1e-4 * way}), data[0]))
        for s in (1, -1)
    ]  # fmt: skip
    assert np.sum(found * way) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-8)


def test_a_network_that_integrates_learns_and_deploys(spiking, chip, data):
    options = Options(gain=64.0)
    graph = fit(integrating(spiking), *data, epochs=12, batch=16, lr=1e-2, options=options)
    assert accuracy(graph, *data) > 0.95
    frozen, program = finetune(graph, chip, *data, bits=8, epochs=2, lr=1e-3, options=options)
    assert confirm(frozen, program, data[0]) > 0
    assert accuracy(frozen, *data) > 0.95
    assert np.array_equal(run(program, data[0]).answers(),
                          answers(frozen, evaluate_outputs(frozen, data[0])))  # fmt: skip


@pytest.mark.parametrize("bits", [None, 8])
def test_spikes_can_be_part_of_the_loss(spiking, chip, data, bits):
    """Their number is what the network has, and a step against its gradient lowers it."""
    graph = spiking if bits is None else start_quantized(spiking, chip, data[0], bits=bits)
    before, leaves = spikes_of(graph, data[0])
    rates = firing_rates(graph, data[0])
    steps = graph.steps + graph.latency
    for name, count in zip(("lif1", "lif2"), before.data.mean(0)):
        assert count == pytest.approx(rates[name] * steps * graph.types[name].size, rel=1e-4)
    backward(before, np.full(before.shape, 1e-4, np.float32))
    moved = {n: a.data - np.float32(0.05) * a.grad for n, a in leaves.items()}
    after, _ = spikes_of(graph.with_params(moved), data[0])
    assert after.data.sum() < before.data.sum()


def spikes_of(graph, x):
    """(spikes of each population on the tape, leaves of the weights)."""
    leaves = {n: Tensor(a, wants=True) for n, a in graph.params.items() if n.endswith(".weight")}
    others = {n: Tensor(a) for n, a in graph.params.items() if n not in leaves}
    known, flat = constants(graph, {**others, **leaves}), flatten(graph)
    events = graph.encoder.events(x, graph.steps + graph.latency)
    return score_and_spikes(graph, flat, known, events, Surrogate())[1], leaves
