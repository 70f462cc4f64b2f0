"""Vectors recorded from Brian2Loihi 0.5.2: every current, voltage and spike, bit for bit.

`picojoule.conform.brian2loihi` reads them; networks that learn are left out.
"""

import numpy as np
import pytest

from picojoule.conform import brian2loihi
from picojoule.conform.net import matrices
from picojoule.conform.replay import compare
from picojoule.conform.trial import NotYet
from picojoule.conform.vector import read_vector
from picojoule.fixed.arithmetic import effective_weight
from picojoule.fixed.profile import SPIKING

FOLDER = "golden/brian2loihi/"
PLAIN = ("b01_recurrent_exc_inh", "b02_mixed_odd_negexp", "b04_weight_bits", "b05_delays_0_62",
         "b07_decay_corners", "b08_threshold_zero")  # fmt: skip
LEARNING = ("b09_learn_tau1", "b10_stdp_exc", "b11_stdp_mixed_5bit", "b13_stdp_inh_saturate")


@pytest.fixture
def vector(request, shared):
    return read_vector(shared(f"{FOLDER}{request.param}.npz"), request.param)


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("vector", PLAIN, indirect=True)
def test_currents_voltages_and_spikes(vector, engine):
    (trial,) = brian2loihi.trials(vector)
    found = compare(trial, engine)
    assert not [str(c.first) for c in found if c.first]
    groups = range(len(vector.head["groups"]))
    assert [c.name for c in found] == [f"{q}{k}" for k in groups for q in ("I", "v", "spikes")]
    assert sum(q.want.sum() for q in trial.quantities if q.name.startswith("spikes")) > 0


@pytest.mark.golden
@pytest.mark.parametrize("vector", LEARNING, indirect=True)
def test_networks_that_learn_are_not_replayed_yet(vector):
    with pytest.raises(NotYet, match="learns"):
        list(brian2loihi.trials(vector))


@pytest.mark.golden
@pytest.mark.parametrize("vector", PLAIN, indirect=True)
def test_effective_weights(vector):
    profile = SPIKING["brian2loihi"]
    for k, projection in enumerate(vector.head["syns"]):
        kw = projection["kw"]
        mixed = kw.get("sign_mode", 2) == brian2loihi.MIXED
        stored, _ = brian2loihi.mantissas(
            vector.array(f"syn{k}_w0"), kw.get("num_weight_bits", 8), mixed
        )
        ours = [effective_weight(int(m), kw.get("w_exp", 0), profile.weight_shift,
                                 profile.weight_limit) for m in stored]  # fmt: skip
        assert np.array_equal(ours, vector.array(f"syn{k}_wact0"))


def test_pairs_that_occur_twice_get_a_matrix_each():
    made = matrices(np.array([0, 1, 0]), np.array([2, 0, 2]), np.array([5, 6, 7]), (2, 3))
    assert made.shape == (2, 2, 3)
    assert made[0].tolist() == [[0, 0, 5], [6, 0, 0]] and made[1].tolist() == [[0, 0, 7], [0] * 3]
