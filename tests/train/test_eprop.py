"""e-prop against backpropagation, where they are the same and where they are not."""

import numpy as np
import pytest
from spiking_nets import GROUPS, SAMPLES, STEPS, flat, make

from picojoule.fixed.contract import events_from_raster
from picojoule.kernels.train_blocks import Surrogate, run_backward, run_real
from picojoule.kernels.train_eprop import run_eprop

HIDDEN_TO_OUTPUT = ((-1, 0, 0), (-1, 1, 2), (0, 2, 1), (1, 2, 0))


def passes(groups, threads=1):
    """(e-prop's gradient, backpropagation's, wiring) of one random network with exact signals."""
    wiring, _, weights, neurons, drive, raster, rng = make(4, groups)
    events, surrogate, w = events_from_raster(raster), Surrogate(1, 2.0), flat(weights)
    record = run_real(wiring, events, w, neurons, drive, threads)
    g_voltage = rng.normal(size=(SAMPLES, STEPS, 3))
    silent = 0 * g_voltage
    back, _ = run_backward(wiring, events, w, neurons, record, surrogate, silent, g_voltage, 1)
    signal = signals(wiring, weights, neurons, record, g_voltage)
    found = run_eprop(wiring, events, neurons, record, surrogate, signal, g_voltage, threads)
    return found, back, wiring


def signals(wiring, weights, neurons, record, g_voltage):
    """What each hidden spike does through the outputs' voltages, which never are reset."""
    assert not (record.state[:, :, wiring.answer] != 0).any()
    keep_u, keep_v = neurons.keep_u[wiring.answer], neurons.keep_v[wiring.answer]
    from_current = np.zeros((SAMPLES, STEPS + 1, 3))
    from_voltage = np.zeros((SAMPLES, 3))
    for t in range(STEPS - 1, -1, -1):
        from_voltage = keep_v * from_voltage if t + 1 < STEPS else from_voltage
        from_voltage = from_voltage + g_voltage[:, t]
        from_current[:, t] = from_voltage + keep_u * from_current[:, t + 1]
    out = np.zeros_like(record.u)
    for (source, target, delay, *_), weight in zip(wiring.groups, weights):
        if source >= 0 and target == 2:
            part = slice(*wiring.populations[source])
            out[:, : STEPS - delay, part] += from_current[:, delay:STEPS] @ weight.T
    return out


@pytest.fixture(autouse=True)
def outputs_that_integrate(monkeypatch):
    import spiking_nets

    monkeypatch.setattr(spiking_nets, "OUTPUT_V_TH", 1e3)


def test_without_paths_between_hidden_neurons_it_is_backpropagation():
    found, back, _ = passes(HIDDEN_TO_OUTPUT)
    np.testing.assert_allclose(found, back, rtol=1e-9, atol=1e-12)
    assert np.abs(back).max() > 0.01


def test_with_loops_the_outputs_weights_are_still_exact_and_others_are_not():
    found, back, wiring = passes(GROUPS)
    for source, target, _, at, rows, columns in wiring.groups:
        ours, theirs = (g[at : at + rows * columns] for g in (found, back))
        same = np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        assert same == (target == 2), (source, target)


def test_any_number_of_threads_gives_the_same_bits():
    one, _, _ = passes(GROUPS)
    assert np.array_equal(one, passes(GROUPS, threads=3)[0])
