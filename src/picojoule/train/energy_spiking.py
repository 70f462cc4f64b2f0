"""Energy in the loss of a spiking network: spikes times fan-out, at the target's own prices.

A spike costs one synapse event for each synapse that it reaches.  All else (updates of neurons,
packets, resets) counts as constant: what the simulated machine paid besides, at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from picojoule.cost import price
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.grad import ops
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.kernels.train_spiking import COLUMNS, SOURCE
from picojoule.passes import freeze, lower
from picojoule.sim.run import run
from picojoule.target import Target
from picojoule.train.derivations import constants
from picojoule.train.evaluate import population_spikes
from picojoule.train.model import Pass, prepare, samples_of
from picojoule.train.options import Penalty

Array = np.ndarray
EVENT = "synapse.event"


@dataclass(frozen=True, eq=False)
class SpikePrices:
    """Joules of an inference as a line in the spikes of each population.

    energy_j  what the simulated machine asked for at first, of which `constant_j` is not spikes
    a_spike   joules a spike of each population, in the order of the graph's populations
    """

    energy_j: float
    constant_j: float
    a_spike: Array

    def energy(self, live: Graph, x: Array | Events) -> float:
        """Joules of an inference as the loss sees it, mean over samples x."""
        return self.constant_j + float(np.sum(_mean_spikes(live, x) * self.a_spike))


def simulated_energy(live: Graph, target: Target, x: Array | Events) -> float:
    """Joules of an inference on the simulated machine, mean over samples x."""
    done = run(lower(freeze(live), target), x, detail="sum")
    return float(price(done.activity, target).total_j)


def spike_prices(live: Graph, target: Target, x: Array | Events) -> SpikePrices:
    """Price the spikes of a live quantized graph; x: samples that its energy is measured on.

    Raises UsageError PJ806 where the target does not price synapse events.
    """
    known = target.price("core", EVENT)
    model = prepare(live)
    if known is None or model.flat is None:
        what = f"{target.name!r} has no price of {EVENT!r}, or {live.name!r} no spikes"
        raise UsageError(Fault("PJ806", what, fix="a spiking network for a spiking machine"))
    groups, fan_out = model.flat.wiring.groups, np.zeros(len(model.flat.populations))
    inner = groups[groups[:, SOURCE] >= 0]
    np.add.at(fan_out, inner[:, SOURCE], inner[:, COLUMNS])
    whole, a_spike = simulated_energy(live, target, x), fan_out * known.energy_j
    spent = float(np.sum(_mean_spikes(live, x) * a_spike))
    return SpikePrices(whole, whole - spent, a_spike)


def _mean_spikes(live: Graph, x: Array | Events) -> Array:
    """Spikes of each population in an inference, mean over samples."""
    model = prepare(live)
    known = constants(live, {n: Tensor(a) for n, a in live.params.items()})
    found = population_spikes(model, known, samples_of(live, x))
    return np.array([fired.sum((1, 2)).mean() for fired in found.values()])


def spike_energy(prices: SpikePrices, strength: float) -> Penalty:
    """strength times the energy of an inference, in parts of what it was at first."""
    return partial(_spike_energy, prices, strength)


def _spike_energy(prices: SpikePrices, strength: float, made: Pass) -> Tensor:
    assert made.spikes is not None, "a penalty on spikes needs a spiking network"
    share = strength * prices.a_spike / (prices.energy_j * len(made.spikes.data))
    weighted = ops.multiply(made.spikes, Tensor(share.astype(made.spikes.data.dtype)))
    return ops.total(ops.reshape(weighted, (-1,)), 0)
