"""Bits of their own for layers: searched by sensitivity, or learned with energy in the loss."""

import numpy as np
import pytest

from picojoule.errors import UsageError
from picojoule.grad.tape import apply, check_grads
from picojoule.passes import freeze, lower
from picojoule.train import Options, accuracy, confirm, energy, fit, mixed, start_quantized


@pytest.fixture
def live(dense, array, data):
    trained = fit(dense, *data, epochs=15, batch=16, lr=1e-2, seed=0)
    return start_quantized(trained, array, data[0], bits=8)


def test_a_layer_with_fewer_bits_costs_less_and_agrees(live, array, data):
    x, _ = data
    fewer = mixed.with_weight_bits(live, "fc2", 2)
    assert mixed.energy_of(fewer, array, x[:1]) < mixed.energy_of(live, array, x[:1])
    frozen = freeze(fewer)
    assert set(np.unique(frozen.pinned[frozen["fc2"].op.weight].values)) <= {-1, 0, 1}
    assert confirm(frozen, lower(frozen, array), x) == 4 * len(x)
    with pytest.raises(UsageError, match=r"PJ806.*'fc9'"):
        mixed.with_weight_bits(live, "fc9", 4)


def test_the_search_keeps_its_budget_and_spares_what_minds_most(live, array, data):
    x, y = data
    whole = mixed.energy_of(live, array, x[:1])
    found, moves = mixed.search(live, array, x, y, budget_j=0.8 * whole)
    assert mixed.energy_of(found, array, x[:1]) == moves[-1].energy_j <= 0.8 * whole
    energies = [whole, *(move.energy_j for move in moves)]
    assert (np.diff(energies) < 0).all()
    assert mixed.loss_of(found, x, y) == pytest.approx(moves[-1].loss)
    assert accuracy(found, x, y) > 0.8
    with pytest.raises(UsageError, match=r"PJ806.*the least is"):
        mixed.search(live, array, x, y, budget_j=1e-15)


def test_real_bits_have_their_gradient_and_agree_with_full_ranges():
    rng = np.random.Generator(np.random.Philox(key=[2, 2]))
    weight, step = rng.normal(size=(5, 9)), rng.uniform(0.01, 0.1, 5)
    for rows, steps in ((True, step), (False, step[0])):
        check_grads(
            lambda x, s, rows=rows: apply(
                lambda *a: energy._bits(rows, *a), lambda *a: energy._bits_vjp(rows, *a), x, s
            ),
            weight, steps, rtol=1e-2,  # forward is float32
            size=1e-3,
        )  # fmt: skip
    levels = np.array([[7.0, -3.0], [-7.0, 1.0]])
    assert energy._bits(True, levels, np.ones(2))[0] == pytest.approx(4.0)


def test_energy_in_the_loss_makes_the_deployed_network_cheaper(live, array, data):
    x, y = data
    prices = energy.bit_prices(live, array, x)
    assert all(joules > 0 for joules in prices.joules_a_bit.values())
    costs = []
    for strength in (0.0, 3.0):
        penalties = (energy.energy(prices, strength),)
        tuned = fit(live, x, y, epochs=20, batch=16, lr=2e-2, options=Options(penalties=penalties))
        committed = fit(energy.commit(tuned), x, y, epochs=10, batch=16, lr=5e-3)
        estimate = prices.energy(energy.real_bits(tuned))
        costs.append((mixed.energy_of(committed, array, x[:1]), estimate))
        frozen = freeze(committed)
        assert confirm(frozen, lower(frozen, array), x)
        assert accuracy(frozen, x, y) > 0.85
    assert costs[1][0] < 0.9 * costs[0][0] and costs[1][1] < 0.9 * costs[0][1]
    assert costs[1][1] == pytest.approx(costs[1][0], rel=0.35)
