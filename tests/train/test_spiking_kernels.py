"""The fused spiking kernels against plain-numpy twins."""

from dataclasses import replace

import numpy as np
import pytest
from spiking_nets import GROUPS, LADDER, SAMPLES, SIZES, STEPS, flat, make
from twin import ANTIDERIVATIVES, Net, integers

from picojoule.fixed.contract import events_from_raster
from picojoule.fixed.profile import SPIKING
from picojoule.kernels.train_blocks import (
    Neurons,
    Surrogate,
    rule_of,
    run_backward,
    run_integer,
    run_real,
    transposed,
)
from picojoule.kernels.train_spiking import SPIKED, Wiring, effective_weights


def test_real_forward_is_that_of_the_twin():
    wiring, net, weights, neurons, drive, raster, _ = make()
    record = run_real(wiring, events_from_raster(raster), flat(weights), neurons, drive, 1)
    assert 0.05 < (record.state == SPIKED).mean() < 0.5 and (record.state == 2).any()
    for b in range(SAMPLES):
        u, reached, spiked, resting = net.run(
            raster[b], weights, neurons.keep_u, neurons.keep_v, neurons.v_th, neurons.bias, drive
        )
        assert np.array_equal(record.state[b] == SPIKED, spiked > 0)
        assert np.array_equal(record.state[b] == 2, resting > 0)
        np.testing.assert_allclose(record.u[b], u, atol=1e-12)
        np.testing.assert_allclose(record.reached[b], reached, atol=1e-12)


def test_final_voltage_is_zero_after_a_spike():
    wiring, _, weights, neurons, drive, raster, _ = make()
    record = run_real(wiring, events_from_raster(raster), flat(weights), neurons, drive, 1)
    final, last = record.final_voltage(), record.state[:, -1]
    assert (final[last != 0] == 0).all()
    assert np.array_equal(final[last == 0], record.reached[:, -1][last == 0])


@pytest.mark.parametrize("groups", [GROUPS, LADDER], ids=["loop", "ladder"])
@pytest.mark.parametrize("kind", sorted(ANTIDERIVATIVES))
def test_gradients_are_those_of_the_smooth_step(kind, groups):
    """Central differences of a run whose spikes move along the surrogate's antiderivative."""
    wiring, net, weights, neurons, drive, raster, rng = make(kind, groups)
    surrogate = Surrogate(kind, 1.3)
    events = events_from_raster(raster)
    record = run_real(wiring, events, flat(weights), neurons, drive, 1)
    g_spikes = rng.normal(size=(SAMPLES, STEPS, SIZES[2]))
    g_voltage = rng.normal(size=(SAMPLES, STEPS, SIZES[2]))
    g_count = rng.normal(size=(SAMPLES, 3))
    g_weight, g_neuron = run_backward(
        wiring, events, flat(weights), neurons, record, surrogate, g_spikes, g_voltage, 1, g_count
    )
    values = [*weights, neurons.keep_u, neurons.keep_v, neurons.v_th, neurons.bias, drive]

    def loss(shifted):
        total = 0.0
        for b in range(SAMPLES):
            soft = (record.reached[b], record.state[b] == SPIKED, neurons.v_th,
                    ANTIDERIVATIVES[kind], 1.3)  # fmt: skip
            _, reached, spike, _ = net.run(
                raster[b], shifted[: len(weights)], *shifted[len(weights) :], soft=soft
            )
            silent = (record.state[b] == 0)[:, wiring.answer]
            total += (g_spikes[b] * spike[:, wiring.answer]).sum()
            total += (g_voltage[b] * reached[:, wiring.answer] * silent).sum()
            total += sum(g * spike[:, slice(*part)].sum()
                         for g, part in zip(g_count[b], wiring.populations))  # fmt: skip
        return total

    found = [*(g.reshape(w.shape) for g, w in zip(_blocks(wiring, g_weight), weights)), *g_neuron]
    for k, value in enumerate(values):
        way = rng.normal(size=value.shape)
        ends = [
            loss([v + (s * 1e-7 * way if j == k else 0) for j, v in enumerate(values)])
            for s in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-7
        assert np.sum(found[k] * way) == pytest.approx(slope, rel=5e-5, abs=1e-5), k


def _blocks(wiring, g_weight):
    return [g_weight[at : at + r * c] for _, _, _, at, r, c in wiring.groups]


def test_gradients_of_the_last_voltages_alone():
    wiring, _, weights, neurons, drive, raster, rng = make(2)
    events, w = events_from_raster(raster), flat(weights)
    record = run_real(wiring, events, w, neurons, drive, 1)
    g, last = np.zeros((SAMPLES, STEPS, 3)), rng.normal(size=(SAMPLES, 3))
    found = run_backward(wiring, events, w, neurons, record, Surrogate(), g, last, 1)
    g_voltage = g.copy()
    g_voltage[:, -1] = last
    whole = run_backward(wiring, events, w, neurons, record, Surrogate(), g, g_voltage, 1)
    assert all(np.array_equal(a, b) for a, b in zip(found, whole))
    of_weights, none = run_backward(wiring, events, w, neurons, record, Surrogate(), g, last, 1,
                                    of_neurons=False)  # fmt: skip
    assert np.array_equal(of_weights, found[0]) and none.shape == (0, found[1].shape[1])


def test_gradients_of_delays_are_differences_where_spikes_add_up():
    """A loss of voltages that integrate: half of what a step more and one less make."""
    wiring, _, weights, neurons, drive, raster, rng = make(1, LADDER)
    never = np.where(np.arange(wiring.neurons) >= wiring.answer.start, 1e6, neurons.v_th)
    neurons, events, w = replace(neurons, v_th=never), events_from_raster(raster), flat(weights)
    g_voltage, g_delay = rng.normal(size=(SAMPLES, STEPS, 3)), np.empty(len(LADDER))

    def passed(by, g):
        groups = wiring.groups.copy()
        groups[g, 2] += by
        moved = replace(wiring, groups=groups)
        return moved, run_real(moved, events, w, neurons, drive, 1)

    def loss(by, g):
        return (g_voltage * passed(by, g)[1].reached[:, :, wiring.answer]).sum()

    _, record = passed(0, 0)
    run_backward(wiring, events, w, neurons, record, Surrogate(), 0 * g_voltage, g_voltage, 1,
                 g_delay=g_delay)  # fmt: skip
    to_output = [g for g, (_, target, _) in enumerate(LADDER) if target == 2]
    assert [LADDER[g][2] for g in to_output] == [1, 0]
    for g in to_output:
        before = loss(-1, g) if LADDER[g][2] else loss(0, g)
        change = (loss(1, g) - before) / (2 if LADDER[g][2] else 1)
        assert g_delay[g] == pytest.approx(change, rel=1e-9)


def test_populations_of_a_loop_share_a_stage():
    assert make(0, GROUPS)[0].stages.tolist() == [0, 0, 2]
    assert make(0, LADDER)[0].stages.tolist() == [0, 1, 2]


def test_any_number_of_threads_gives_the_same_bits():
    wiring, _, weights, neurons, drive, raster, rng = make(3)
    events = events_from_raster(raster)
    single = Neurons(*(getattr(neurons, f).astype(np.float32)
                       for f in ("keep_u", "keep_v", "v_th", "bias")))  # fmt: skip
    w, d = flat(weights, np.float32), drive.astype(np.float32)
    g = rng.normal(size=(SAMPLES, STEPS, 3)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        record = run_real(wiring, events, w, single, d, threads)
        back = run_backward(wiring, events, w, single, record, Surrogate(), g, g[:, 0], threads)
        results.append((record.u, record.reached, record.state, record.first, *back))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("name", sorted(SPIKING))
def test_integer_forward_is_that_of_exact_integers(name):
    profile = SPIKING[name]
    wiring, net, weights, neurons, _, raster, rng = make(5)
    mantissas = [np.rint(w * 100).astype(np.int64) for w in weights]
    effective = np.empty(wiring.synapses, np.int64)
    effective_weights(flat(mantissas, np.int64), 2, profile.weight_shift, profile.weight_limit,
                      effective)  # fmt: skip
    shifted = [w.reshape(m.shape) for w, m in zip(_blocks(wiring, effective), mantissas)]
    assert all(np.array_equal(s, m << 8) for s, m in zip(shifted, mantissas))
    ints = Neurons(
        np.rint(neurons.keep_u * 4096).astype(np.int64),
        np.rint(neurons.keep_v * 4096).astype(np.int64),
        np.rint(neurons.v_th * 25600).astype(np.int64),
        rng.integers(-2000, 2000, wiring.neurons),
    )
    record = run_integer(wiring, events_from_raster(raster), effective, ints, profile, 2)
    for b in range(3):
        u, reached, spikes = integers(net, raster[b], shifted, ints.keep_u.tolist(),
                                      ints.keep_v.tolist(), ints.v_th, ints.bias.tolist(),
                                      rule_of(profile).tolist())  # fmt: skip
        assert np.array_equal(record.u[b], u) and np.array_equal(record.reached[b], reached)
        assert np.array_equal(record.state[b] == SPIKED, spikes == 1)
    assert (record.state == SPIKED).any()


def test_wrapping_currents_and_clipped_voltages_are_the_machine_s():
    """Weights so large that u wraps and v clips."""
    profile = SPIKING["loihi1"]
    wiring = Wiring(np.array([[0, 1]]), np.array([[-1, 0, 0, 0, 1, 1]]), np.array([1]), 0)
    net = Net((1,), [(-1, 0, 0, None)], np.array([1]), 0)
    raster = np.ones((1, 40, 1), bool)
    ints = Neurons(*(np.array([x]) for x in (4095, 4096, 2**40, -5)))
    weight = np.array([1_500_000], np.int64)
    record = run_integer(wiring, events_from_raster(raster), weight, ints, profile, 1)
    u, reached, _ = integers(net, raster[0], [weight.reshape(1, 1)], [4095], [4096], [2**40],
                             [-5], rule_of(profile).tolist())  # fmt: skip
    assert np.array_equal(record.u[0], u) and np.array_equal(record.reached[0], reached)
    assert (np.diff(record.u[0, :, 0]) < 0).any()  # it wrapped
    assert np.abs(record.reached).max() == 2**23 - 1  # and clipped


def test_the_decay_gradient_has_sign_and_scale():
    """One neuron below threshold: v_2 = (1 - d) u_1 + ..., so d v_2 / d decay_v = -v_1."""
    wiring = Wiring(np.array([[0, 1]]), np.array([[-1, 0, 0, 0, 1, 1]]), np.array([1]), 0)
    raster = np.zeros((1, 2, 1), bool)
    raster[0, 0] = True
    one = np.ones(1)
    neurons = Neurons(0.5 * one, 0.75 * one, 10 * one, 0 * one)
    events = events_from_raster(raster)
    record = run_real(wiring, events, 0.8 * one, neurons, 0 * one, 1)
    _, g = run_backward(wiring, events, 0.8 * one, neurons, record, Surrogate(),
                        np.zeros((1, 2, 1)), np.ones((1, 1)), 1)  # fmt: skip
    assert g[0, 0] == pytest.approx(0.8)  # d v_2 / d keep_u = u_1
    assert g[1, 0] == pytest.approx(0.8)  # d v_2 / d keep_v = v_1; of the decay: -0.8


def test_transposed_blocks_keep_their_places():
    wiring, _, weights, *_ = make()
    found = _blocks(wiring, transposed(wiring, flat(weights)))
    for (source, *_), ours, w in zip(wiring.groups, found, weights):
        assert source < 0 or np.array_equal(ours.reshape(w.T.shape), w.T)


def test_silence_in_and_no_bias_is_silence_out():
    wiring, _, weights, neurons, drive, raster, _ = make()
    quiet = Neurons(neurons.keep_u, neurons.keep_v, neurons.v_th, 0 * drive)
    record = run_real(wiring, events_from_raster(raster & False), flat(weights), quiet,
                      0 * drive, 2)  # fmt: skip
    assert not record.u.any() and not record.state.any() and not record.first.any()
