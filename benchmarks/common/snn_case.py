"""A recurrent spiking network, 700-256-20 over 100 steps, on the training kernels.

v[t] = 0.95 v[t-1] (1 - s[t-1]) + x[t] w_in + s[t-1] v_rec;  s[t] = v[t] > 1  (reset to zero,
taken as given);  o[t] = 0.95 o[t-1] + s[t] w_out;  loss: cross-entropy of the mean of o over t.
The slope of the threshold is 1 / (1 + 25 |v - 1|)**2.
"""

import numpy as np

from picojoule.fixed.contract import events_from_raster
from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.train_blocks import Neurons, Surrogate, run_backward, run_real
from picojoule.kernels.train_spiking import Wiring

CHANNELS, HIDDEN, CLASSES, STEPS, DENSITY = 700, 256, 20, 100, 0.02
KEEP, SHARPNESS, NEVER = 0.95, 25.0, 1e6  # NEVER: a threshold that no output reaches


def case(batch, seed=0):
    """Raster bool (batch, steps, channels), labels (batch,), and weights (in, out) by name."""
    rng = np.random.default_rng(seed)
    raster = rng.random((batch, STEPS, CHANNELS)) < DENSITY
    spread = ((1 - KEEP**2) / (DENSITY * CHANNELS)) ** 0.5
    arrays = {
        "w_in": rng.normal(0, spread, (CHANNELS, HIDDEN)),
        "v_rec": rng.normal(0, 0.2 / 16, (HIDDEN, HIDDEN)),
        "w_out": rng.normal(0, 1 / 16, (HIDDEN, CLASSES)),
    }
    labels = rng.integers(0, CLASSES, batch)
    return raster, labels, {name: a.astype(np.float32) for name, a in arrays.items()}


def events_of(raster):
    """What `step` takes: event data sets hold events, so making them is not timed."""
    return events_from_raster(raster)


def wiring():
    """The network's layout: input, recurrence one step later, readout."""
    n = HIDDEN + CLASSES
    into, back = CHANNELS * HIDDEN, HIDDEN * HIDDEN
    groups = [
        [-1, 0, 0, 0, CHANNELS, HIDDEN],
        [0, 0, 1, into, HIDDEN, HIDDEN],
        [0, 1, 0, into + back, HIDDEN, CLASSES],
    ]
    parts = np.array([[0, HIDDEN], [HIDDEN, n]])
    return Wiring(parts, np.array(groups), np.ones(n, np.int64), 1)


WIRING = wiring()


def _neurons():
    n, one = HIDDEN + CLASSES, np.float32(1)
    v_th = np.r_[np.full(HIDDEN, one), np.full(CLASSES, NEVER, np.float32)]
    return Neurons(np.zeros(n, np.float32), np.full(n, KEEP, np.float32), v_th, 0 * v_th)


NEURONS = _neurons()


def step(arrays, events, labels, threads):
    """(loss, gradients by name): forward and back; the same bits for any number of threads."""
    with one_blas_thread():
        return _step(arrays, events, labels, threads)


def _step(arrays, events, labels, threads):
    weight = np.concatenate([a.reshape(-1) for a in arrays.values()])
    record = run_real(WIRING, events, weight, NEURONS, 0 * NEURONS.v_th, threads)
    loss, g = _loss(record.reached[:, :, WIRING.answer].mean(1), labels)
    g_voltage = np.empty((len(g), STEPS, CLASSES), np.float32)
    g_voltage[:] = g[:, None] / np.float32(STEPS)
    found, _ = run_backward(WIRING, events, weight, NEURONS, record, Surrogate(0, SHARPNESS),
                            np.zeros_like(g_voltage), g_voltage, threads)  # fmt: skip
    parts = np.split(found, np.cumsum([a.size for a in arrays.values()])[:-1])
    return loss, {n: p.reshape(a.shape) for (n, a), p in zip(arrays.items(), parts)}


def _loss(z, labels):
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(z))
    loss = float(-np.log(p[rows, labels]).mean())
    p[rows, labels] -= 1
    return loss, p / np.float32(len(z))
