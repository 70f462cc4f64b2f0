"""Small random spiking networks, for the kernels and their twin."""

import numpy as np
from twin import Net

from picojoule.kernels.train_blocks import Neurons
from picojoule.kernels.train_spiking import Wiring

SIZES = (5, 4, 3)
# input to both hidden populations, hidden to hidden, recurrence, a skip to the output
GROUPS = ((-1, 0, 0), (-1, 1, 2), (0, 1, 0), (1, 1, 1), (1, 0, 3), (0, 2, 1), (1, 2, 0))
# the same without the way back from population 1 to 0
LADDER = tuple(group for group in GROUPS if group != (1, 0, 3))
CHANNELS, STEPS, SAMPLES = 6, 12, 19
OUTPUT_V_TH = None  # a threshold for the outputs instead of random ones


def make(seed=0, groups=GROUPS):
    """(wiring, twin, weights, neurons, drive, raster, generator) of a random network."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 7]))
    stops = np.cumsum(SIZES)
    rows, offset, weights = [], 0, []
    for source, target, delay in groups:
        n_in, n_out = (CHANNELS if source < 0 else SIZES[source]), SIZES[target]
        rows.append((source, target, delay, offset, n_in, n_out))
        offset += n_in * n_out
        weights.append(rng.normal(0.1, 0.6, (n_in, n_out)))
    refractory = np.array([1, 2, 3, 1, 1, 1, 2, 1, 4, 1, 1, 2])
    wiring = Wiring(
        np.stack([stops - SIZES, stops], 1).astype(np.int64), np.array(rows, np.int64),
        refractory.astype(np.int64), 2,
    )  # fmt: skip
    n = wiring.neurons
    neurons = Neurons(
        rng.uniform(0.3, 0.9, n), rng.uniform(0.5, 1.0, n), rng.uniform(0.6, 1.4, n),
        rng.normal(0, 0.1, n),
    )  # fmt: skip
    if OUTPUT_V_TH is not None:
        neurons.v_th[wiring.answer] = OUTPUT_V_TH
    drive = rng.normal(0, 0.05, n)
    raster = rng.random((SAMPLES, STEPS, CHANNELS)) < 0.35
    net = Net(SIZES, [(*g, None) for g in groups], refractory, 2)
    return wiring, net, weights, neurons, drive, raster, rng


def flat(weights, dtype=np.float64):
    return np.concatenate([w.reshape(-1) for w in weights]).astype(dtype)
