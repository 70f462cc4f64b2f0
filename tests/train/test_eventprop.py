"""EventProp: moments against fine steps, gradients against central differences."""

from dataclasses import replace

import numpy as np
import pytest
from spiking_nets import CHANNELS, GROUPS, SAMPLES, STEPS, flat, make

from picojoule.errors import TrainError
from picojoule.fixed.contract import events_from_raster
from picojoule.grad.tape import Tensor, backward
from picojoule.kernels.train_blocks import Neurons
from picojoule.kernels.train_eventprop import run_eventprop
from picojoule.kernels.train_moments import crossing, run_moments, voltage
from picojoule.train.derivations import constants
from picojoule.train.spiking import first_moments
from picojoule.train.tune import start_quantized
from picojoule.train.wiring import flatten

FINE = 1e-6  # what parameters move by


def network(seed=3):
    """(wiring that never rests, events, flat weights, neurons, twin's groups, generator)."""
    wiring, _, weights, neurons, _, raster, rng = make(seed, GROUPS)
    wiring = replace(wiring, refractory=np.ones(wiring.neurons, np.int64))
    return wiring, raster, flat(weights) - 0.1, neurons, rng


def in_fine_steps(wiring, raster, weight, neurons, per_step):
    """(time, neuron) of all spikes of one sample, by steps of 1 / per_step, and events by hand."""
    h, n = 1 / per_step, wiring.neurons
    a, c = -np.log(neurons.keep_v), -np.log(neurons.keep_u)
    u, v, out = np.zeros(n), np.zeros(n), []
    arriving = {}
    for g, (source, _, delay, *_) in enumerate(wiring.groups):
        for t, row in zip(*np.nonzero(raster)) if source < 0 else ():
            arriving.setdefault((t + delay) * per_step, []).append((g, row))
    for k in range(len(raster) * per_step):
        spiked = [i for i in range(n) if v[i] > neurons.v_th[i]]
        for i in spiked:
            v[i] = 0
            out.append((k * h, i))
            for g, (source, _, delay, *_) in enumerate(wiring.groups):
                start, stop = wiring.populations[source]
                if source >= 0 and start <= i < stop:
                    arriving.setdefault(k + delay * per_step, []).append((g, i - start))
        for g, row in arriving.pop(k, ()):
            _, target, _, at, _, columns = wiring.groups[g]
            u[slice(*wiring.populations[target])] += weight[at + row * columns :][:columns]
        v = v + h * (-a * v + u + neurons.bias)
        u = u - h * c * u
    return out


def test_moments_are_those_of_fine_steps():
    wiring, raster, weight, neurons, _ = network()
    moments = run_moments(wiring, events_from_raster(raster), weight, neurons)
    assert len(moments.time) > 60
    for b in range(2):
        part = slice(*moments.start[b : b + 2])
        slow = in_fine_steps(wiring, raster[b], weight, neurons, 4000)
        assert sorted(moments.neuron[part]) == sorted(i for _, i in slow)
        for i in range(wiring.neurons):
            ours = moments.time[part][moments.neuron[part] == i]
            np.testing.assert_allclose(ours, [t for t, j in slow if j == i], atol=0.05)


def test_gradients_are_central_differences_while_spikes_are_the_same():
    wiring, raster, weight, neurons, rng = network()
    events = events_from_raster(raster)
    moments = run_moments(wiring, events, weight, neurons)
    g_time = rng.normal(size=moments.time.size)
    found = run_eventprop(wiring, weight, neurons, moments, g_time)

    def loss(weight, v_th, bias):
        moved = run_moments(wiring, events, weight, replace(neurons, v_th=v_th, bias=bias))
        assert np.array_equal(moved.start, moments.start)
        return g_time @ _in_order(moved, moments)

    values = [weight, neurons.v_th, neurons.bias]
    for k, ours in enumerate((found.weight, found.v_th, found.bias)):
        way = rng.normal(size=ours.shape)
        ends = [loss(*(x + (s * FINE * way if j == k else 0) for j, x in enumerate(values)))
                for s in (1, -1)]  # fmt: skip
        assert ours @ way == pytest.approx((ends[0] - ends[1]) / (2 * FINE), rel=1e-5), k


def _in_order(moved, moments):
    """Times in the order of the unmoved run: two neurons may have changed places."""
    out = np.empty_like(moved.time)
    for b in range(len(moments.walks)):
        part = slice(*moments.start[b : b + 2])
        ours, theirs = (np.argsort(m.neuron[part], kind="stable") for m in (moved, moments))
        assert np.array_equal(moved.neuron[part][ours], moments.neuron[part][theirs])
        out[part][theirs] = moved.time[part][ours]
    return out


def test_gradients_of_delays_are_central_differences():
    wiring, raster, weight, neurons, rng = network()
    events = events_from_raster(raster)
    moments = run_moments(wiring, events, weight, neurons)
    g_time = rng.normal(size=moments.time.size)
    found = run_eventprop(wiring, weight, neurons, moments, g_time).delay
    assert np.abs(found).min() > 1e-3
    for g in np.flatnonzero(wiring.groups[:, 2] > 0):
        ends = []
        for sign in (1, -1):
            delays = wiring.groups[:, 2] + np.where(np.arange(len(GROUPS)) == g, sign * FINE, 0)
            moved = run_moments(wiring, events, weight, neurons, None, delays)
            ends.append(g_time @ _in_order(moved, moments))
        assert found[g] == pytest.approx((ends[0] - ends[1]) / (2 * FINE), rel=1e-4), g


def test_any_number_of_threads_gives_the_same_bits():
    wiring, raster, weight, neurons, rng = network()
    events, g = events_from_raster(raster), None
    found = []
    for threads in (1, 2, 5):
        moments = run_moments(wiring, events, weight, neurons, threads)
        g = rng.normal(size=moments.time.size) if g is None else g
        asked = run_eventprop(wiring, weight, neurons, moments, g, threads)
        found.append((moments.time, asked.weight, asked.delay, asked.v_th, asked.bias))
    for other in found[1:]:
        assert all(np.array_equal(x, y) for x, y in zip(found[0], other))


def test_a_neuron_learns_to_spike_at_a_moment():
    wiring, raster, weight, neurons, _ = network()
    events, wanted = events_from_raster(raster[:4]), 6.0
    errors = []
    for _ in range(25):
        moments = run_moments(wiring, events, weight, neurons)
        times, which = moments.first(wiring.answer)
        away = np.where(which >= 0, times - wanted, 0)
        errors.append(np.square(away).mean())
        g_time = np.zeros(moments.time.size)
        g_time[which[which >= 0]] = away[which >= 0]
        g = run_eventprop(wiring, weight, neurons, moments, g_time).weight
        weight = weight - 0.02 * g / max(1, np.abs(g).max())
    assert min(errors) < 0.5 * errors[0]


@pytest.mark.parametrize("a, c", [(0.1, 0.1), (0.0, 0.5), (0.4, 0.05), (0.05, 0.4)])
def test_a_crossing_is_the_first_one(a, c):
    rng = np.random.Generator(np.random.Philox(key=[1, 1]))
    grid = np.linspace(0, 10, 4001)
    for u, v, bias in rng.normal(0, 0.7, (60, 3)):
        v = min(v, 0.9)
        above = np.flatnonzero([voltage(u, v, a, c, bias, x) > 1 for x in grid])
        found = crossing(u, v, a, c, bias, 1.0, 10.0)
        assert found == (pytest.approx(grid[above[0]], abs=0.003) if len(above) else np.inf)


def test_first_moments_and_where_there_is_none():
    wiring, raster, weight, neurons, _ = network()
    quiet = raster.copy()
    quiet[1] = False
    moments = run_moments(wiring, events_from_raster(quiet), weight,
                          replace(neurons, bias=0 * neurons.bias))  # fmt: skip
    times, which = moments.first(wiring.answer)
    assert (which[1] == -1).all() and (times[1] == STEPS).all() and times.shape == (SAMPLES, 3)
    b = int(np.argmax(which[:, 0] >= 0))
    part = slice(*moments.start[b : b + 2])
    mine = moments.time[part][moments.neuron[part] == wiring.answer.start]
    assert times[b, 0] == mine.min() and raster.shape[2] == CHANNELS


def test_what_has_no_continuous_time_is_refused():
    wiring, raster, weight, neurons, _ = network()
    one = np.ones(wiring.neurons)
    bad = Neurons(one, 0 * one, 0 * one, neurons.bias)
    resting = replace(wiring, refractory=3 * wiring.refractory)
    with pytest.raises(TrainError, match="PJ704") as found:
        run_moments(resting, events_from_raster(raster), weight, bad)
    assert [f.where for f in found.value.faults] == ["neuron 0"] * 4


def test_feedback_that_runs_away_is_refused():
    wiring, raster, weight, neurons, _ = network()
    groups = wiring.groups.copy()
    groups[:, 2] = 0
    with pytest.raises(TrainError, match="runs away"):
        run_moments(replace(wiring, groups=groups), events_from_raster(raster[:1]), weight + 60,
                    neurons)  # fmt: skip


def latencies(graph, raster, values):
    """(first moments of the outputs, tensors of all parameters) of a float graph."""
    tensors = {name: Tensor(a, wants=True) for name, a in values.items()}
    events = events_from_raster(raster)
    return first_moments(graph, flatten(graph), constants(graph, tensors), events), tensors


def test_first_moments_of_a_graph_have_exact_gradients_on_the_tape(spiking):
    rng = np.random.Generator(np.random.Philox(key=[4, 4]))
    raster = rng.random((6, 10, 12)) < 0.5
    values = {name: a.astype(np.float64) for name, a in spiking.params.items()}
    values = {name: a + 0.2 if a.ndim == 2 else a for name, a in values.items()}
    times, tensors = latencies(spiking, raster, values)
    assert (times.data < 10).sum() > 6 and times.shape == (6, 4)
    g = rng.normal(size=times.shape)
    backward(times, g)
    for name in (n for n in values if "decay" not in n):
        way = rng.normal(size=values[name].shape)
        ends = [(g * latencies(spiking, raster, {**values, name: values[name] + s * FINE * way})
                 [0].data).sum() for s in (1, -1)]  # fmt: skip
        slope = (ends[0] - ends[1]) / (2 * FINE)
        assert np.sum(tensors[name].grad * way) == pytest.approx(slope, rel=1e-4, abs=1e-6), name


def test_integers_have_no_moments(spiking, chip, data):
    live = start_quantized(spiking, chip, data[0], bits=8)
    with pytest.raises(TrainError, match="computed in steps"):
        first_moments(live, flatten(live), {}, events_from_raster(np.zeros((1, 2, 12), bool)))
