"""Energy of spikes in the loss: fewer spikes, a cheaper deployed network."""

import numpy as np
import pytest

from picojoule.errors import UsageError
from picojoule.grad import ops
from picojoule.grad.tape import Tensor, backward
from picojoule.passes import freeze, lower
from picojoule.train import Options, accuracy, confirm, firing_rates, fit, start_quantized
from picojoule.train.energy_spiking import simulated_energy, spike_energy, spike_prices
from picojoule.train.model import forward_pass, prepare


@pytest.fixture
def live(spiking, chip, data):
    trained = fit(spiking, *data, epochs=15, batch=16, lr=1e-2, seed=0, options=Options(gain=0.5))
    return start_quantized(trained, chip, data[0], bits=8)


def test_the_line_meets_the_simulated_machine_where_it_starts(live, chip, data):
    x, _ = data
    prices = spike_prices(live, chip, x)
    assert prices.energy(live, x) == pytest.approx(simulated_energy(live, chip, x))
    assert prices.a_spike.tolist() == [4 * 23.6e-12, 0.0]  # each hidden spike reaches 4 neurons


def test_the_penalty_is_energy_and_its_gradient_reaches_weights(live, chip, data):
    x, _ = data
    prices = spike_prices(live, chip, x)
    leaves = {n: Tensor(a, wants=True) for n, a in live.params.items()}
    made = forward_pass(prepare(live), leaves, x)
    penalty = spike_energy(prices, 2.0)(made)
    spent = (prices.energy(live, x) - prices.constant_j) / prices.energy_j
    assert float(penalty.data) == pytest.approx(2 * spent, rel=1e-5)
    backward(ops.scale(penalty, 1.0))
    assert np.abs(leaves["fc1.weight"].grad).max() > 0


def test_priced_spikes_become_fewer(live, chip, data):
    x, y = data
    prices, found = spike_prices(live, chip, x), []
    for strength in (0.0, 300.0):
        options = Options(gain=0.5, step_lr=0.0, neuron_lr=0.0,
                          penalties=(spike_energy(prices, strength),))  # fmt: skip
        tuned = fit(live, x, y, epochs=15, batch=16, lr=5e-3, seed=0, options=options)
        frozen = freeze(tuned)
        assert confirm(frozen, lower(frozen, chip), x)
        found.append((firing_rates(tuned, x)["lif1"], simulated_energy(tuned, chip, x)))
        assert accuracy(tuned, x, y) > 0.85
    assert found[1][0] < 0.9 * found[0][0] and found[1][1] < found[0][1]


def test_machines_without_spikes_are_refused(dense, array, data):
    with pytest.raises(UsageError, match="PJ806"):
        spike_prices(start_quantized(dense, array, data[0], bits=8), array, data[0])
