"""All steps of a network of CUBA-LIF populations in one call: forward and back through time.

Populations lie one after the other in a flat space of neurons.  A synapse group is a dense
block from the input or a population to a population, with a delay in steps; a delay of 0
needs the source to come earlier in the list of populations.

Forward delivers events, so silence costs nothing.  Backward uses a surrogate slope at the
threshold, takes the reset as given, and adds up over fixed blocks of samples, in order:
gradients have the same bits for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.fixed.arithmetic import cuba_neuron, effective_weight
from picojoule.fixed.jit import jit

# columns of a synapse group; source -1 is the network's input
SOURCE, TARGET, DELAY, OFFSET, ROWS, COLUMNS = range(6)
FAST_SIGMOID, ARCTAN, TRIANGLE, BOXCAR, EXPONENTIAL = range(5)
SILENT, SPIKED, REFRACTORY = range(3)
BLOCK = 8  # samples a gradient block; fixed, so that sums have one order


@dataclass(frozen=True, eq=False)
class Wiring:
    """Which neurons exist and how they are joined, apart from any number that is trained.

    populations  int64 (P, 2)   start and stop in the flat space, in order of evaluation
    groups       int64 (G, 6)   source, target, delay, offset in the flat weights, rows, columns
    refractory   int64 (N,)
    output       the population whose spikes are the network's output
    """

    populations: np.ndarray
    groups: np.ndarray
    refractory: np.ndarray
    output: int

    @property
    def neurons(self) -> int:
        return len(self.refractory)

    @property
    def synapses(self) -> int:
        return int((self.groups[:, ROWS] * self.groups[:, COLUMNS]).sum())

    @property
    def answer(self) -> slice:
        """Where the output population lies."""
        return slice(*self.populations[self.output])


@dataclass(frozen=True, eq=False)
class Record:
    """What a forward pass leaves for the backward pass, by sample, step and neuron.

    u, reached  current, and voltage before the reset   (B, T, N) float, or int64
    state       SILENT, SPIKED or REFRACTORY            (B, T, N) uint8
    fired       neurons that spiked, by population; the first `count` of its part are valid
                int32 (B, T, N), int64 (B, T, P)
    """

    u: np.ndarray
    reached: np.ndarray
    state: np.ndarray
    fired: np.ndarray
    count: np.ndarray

    def final_voltage(self) -> np.ndarray:
        """(B, N): the voltage after the last step, zero after a reset."""
        return np.where(self.state[:, -1] == SILENT, self.reached[:, -1], 0)


def new_record(wiring: Wiring, samples: int, steps: int, dtype: type) -> Record:
    """Room for one forward pass."""
    shape = (samples, steps, wiring.neurons)
    return Record(
        np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, np.uint8),
        np.empty(shape, np.int32), np.zeros((*shape[:2], len(wiring.populations)), np.int64),
    )  # fmt: skip


@jit
def add_row(total, row):
    """total += row."""
    for j in range(row.size):
        total[j] += row[j]


@jit
def add_scaled(total, factor, row):
    """total += factor * row."""
    for j in range(row.size):
        total[j] += factor * row[j]


@jit
def source_events(group, b, t, indptr, index, populations, fired, count):
    """Channels or neurons of a group's source whose spikes arrive at step t of sample b."""
    steps = fired.shape[1]
    sent = t - group[DELAY]
    source = group[SOURCE]
    if sent < 0:
        return index[0:0]
    if source < 0:
        row = b * steps + sent
        return index[indptr[row] : indptr[row + 1]]
    start = populations[source, 0]
    return fired[b, sent, start : start + count[b, sent, source]]


@jit
def gather(q, p, b, t, indptr, index, populations, groups, weight, fired, count):
    """Add to q what arrives at population p in step t."""
    part = q[populations[p, 0] : populations[p, 1]]
    for g in range(groups.shape[0]):
        group = groups[g]
        if group[TARGET] != p:
            continue
        columns = group[COLUMNS]
        events = source_events(group, b, t, indptr, index, populations, fired, count)
        for e in range(events.size):
            first = group[OFFSET] + events[e] * columns
            add_row(part, weight[first : first + columns])


@jit
def note_spikes(state, start, stop, fired):
    """List the neurons of one population that spiked, counted from its start."""
    n = 0
    for i in range(start, stop):
        if state[i] == 1:
            fired[start + n] = i - start
            n += 1
    return n


@jit
def real_forward(
    lo, hi, indptr, index, populations, groups, refractory,
    weight, keep_u, keep_v, v_th, bias, drive, u, reached, state, fired, count,
):  # fmt: skip
    """Samples lo..hi in floating point; drive is a constant input to the currents."""
    steps, neurons = u.shape[1], u.shape[2]
    v = np.empty(neurons, u.dtype)
    wait = np.empty(neurons, np.int64)
    for b in range(lo, hi):
        v[:] = 0
        wait[:] = 0
        for t in range(steps):
            now = u[b, t]
            now[:] = drive
            if t > 0:
                for i in range(neurons):
                    now[i] += keep_u[i] * u[b, t - 1, i]
            for p in range(populations.shape[0]):
                start, stop = populations[p, 0], populations[p, 1]
                gather(now, p, b, t, indptr, index, populations, groups, weight, fired, count)
                for i in range(start, stop):
                    level = keep_v[i] * v[i] + now[i] + bias[i]
                    what = 2 if wait[i] > 0 else (1 if level > v_th[i] else 0)
                    wait[i] = wait[i] - 1 if what == 2 else (refractory[i] - 1 if what else 0)
                    v[i] = 0 if what else level
                    reached[b, t, i] = 0 if what == 2 else level
                    state[b, t, i] = what
                count[b, t, p] = note_spikes(state[b, t], start, stop, fired[b, t])


@jit
def integer_forward(
    lo, hi, indptr, index, populations, groups, refractory,
    weight, keep_u, keep_v, v_th, bias, rule, u, reached, state, fired, count,
):  # fmt: skip
    """Samples lo..hi with the machine's own arithmetic, all int64.

    weight holds effective weights; rule is decay_bits, then mode and bits of q, u and v.
    """
    steps, neurons = u.shape[1], u.shape[2]
    q = np.empty(neurons, np.int64)
    v = np.empty(neurons, np.int64)
    wait = np.empty(neurons, np.int64)
    for b in range(lo, hi):
        v[:] = 0
        wait[:] = 0
        for t in range(steps):
            q[:] = 0
            for p in range(populations.shape[0]):
                start, stop = populations[p, 0], populations[p, 1]
                gather(q, p, b, t, indptr, index, populations, groups, weight, fired, count)
                for i in range(start, stop):
                    before = u[b, t - 1, i] if t > 0 else 0
                    resting = wait[i] > 0
                    u[b, t, i], reached[b, t, i], v[i], wait[i], spiked = cuba_neuron(
                        before, v[i], wait[i], q[i], bias[i], keep_u[i], keep_v[i], v_th[i],
                        refractory[i], rule[0], rule[1], rule[2], rule[3], rule[4], rule[5],
                        rule[6],
                    )  # fmt: skip
                    state[b, t, i] = 1 if spiked else (2 if resting else 0)
                count[b, t, p] = note_spikes(state[b, t], start, stop, fired[b, t])


@jit
def effective_weights(mantissa, exponent, shift, weight_limit, out):
    """What one spike adds, for each mantissa of a flat array."""
    for i in range(mantissa.size):
        out[i] = effective_weight(mantissa[i], exponent, shift, weight_limit)


@jit
def slope(kind, x, sharpness):
    """Surrogate derivative of the step at a distance x from the threshold; 1 at 0.

    SuperSpike's fast sigmoid, arctan, triangle, boxcar (of half width 1 / sharpness),
    exponential.
    """
    a = abs(x) * sharpness
    if kind == 0:
        return 1 / ((1 + a) * (1 + a))
    if kind == 1:
        return 1 / (1 + a * a)
    if kind == 2:
        return 1 - a if a < 1 else 0 * a
    if kind == 3:
        return 1 + 0 * a if a < 1 else 0 * a
    return np.exp(-a)


@jit
def arriving_gradient(seen, p, t, populations, groups, weight_t, from_current):
    """Add to `seen` (a row of one population) what its spikes of step t did later."""
    steps = from_current.shape[0]
    for g in range(groups.shape[0]):
        group = groups[g]
        when = t + group[DELAY]
        if group[SOURCE] != p or when >= steps:
            continue
        rows, first = group[ROWS], populations[group[TARGET], 0]
        for j in range(group[COLUMNS]):
            factor = from_current[when, first + j]
            at = group[OFFSET] + j * rows
            if factor != 0:
                add_scaled(seen, factor, weight_t[at : at + rows])


@jit
def neurons_back(
    start, stop, t, seen, kind, sharpness, keep_u, keep_v, v_th, u, reached, state,
    from_voltage, from_current, g_keep_u, g_keep_v, g_v_th, g_bias, g_drive,
):  # fmt: skip
    """One population, one step back; `from_voltage` is the gradient of the voltage after it."""
    last = t + 1 == u.shape[0]
    for i in range(start, stop):
        later = seen[i] * 0 if last else keep_u[i] * from_current[t + 1, i]
        through = seen[i] * 0
        if state[t, i] != 2:
            distance = (reached[t, i] - v_th[i]) / v_th[i]
            through = seen[i] * slope(kind, distance, sharpness) / v_th[i]
        kept = from_voltage[i] if state[t, i] == 0 else 0 * through
        onto = through + kept
        from_current[t, i] = onto + later
        from_voltage[i] = keep_v[i] * onto
        g_v_th[i] -= through * reached[t, i] / v_th[i]
        g_bias[i] += onto
        g_drive[i] += from_current[t, i]
        if t > 0:
            g_keep_u[i] += from_current[t, i] * u[t - 1, i]
            if state[t - 1, i] == 0:
                g_keep_v[i] += onto * reached[t - 1, i]


@jit
def weights_back(b, t, indptr, index, populations, groups, fired, count, from_current, g_weight):
    """Add the gradient of step t to the weights whose spikes arrived in it."""
    for g in range(groups.shape[0]):
        group = groups[g]
        first, columns = populations[group[TARGET], 0], group[COLUMNS]
        row = from_current[first : first + columns]
        events = source_events(group, b, t, indptr, index, populations, fired, count)
        for e in range(events.size):
            at = group[OFFSET] + events[e] * columns
            add_row(g_weight[at : at + columns], row)


@jit
def backward(
    lo, hi, indptr, index, populations, groups, output, weight_t, keep_u, keep_v, v_th,
    kind, sharpness, u, reached, state, fired, count, g_spikes, g_final, g_weight, g_neuron,
):  # fmt: skip
    """Samples lo..hi back through time.

    g_spikes (B, T, outputs) and g_final (B, outputs): of the output spikes and final voltages
    g_weight (synapses,), g_neuron (5, N) of keep_u, keep_v, v_th, bias, drive: added to
    """
    steps, neurons = u.shape[1], u.shape[2]
    first, end = populations[output, 0], populations[output, 1]
    from_current = np.empty((steps, neurons), u.dtype)
    from_voltage = np.empty(neurons, u.dtype)
    seen = np.empty(neurons, u.dtype)
    for b in range(lo, hi):
        from_voltage[:] = 0
        for i in range(first, end):
            from_voltage[i] = g_final[b, i - first]
        for t in range(steps - 1, -1, -1):
            seen[:] = 0
            for p in range(populations.shape[0] - 1, -1, -1):
                start, stop = populations[p, 0], populations[p, 1]
                arriving_gradient(seen[start:stop], p, t, populations, groups, weight_t,
                                  from_current)  # fmt: skip
                if p == output:
                    add_row(seen[start:stop], g_spikes[b, t])
                neurons_back(
                    start, stop, t, seen, kind, sharpness, keep_u, keep_v, v_th, u[b],
                    reached[b], state[b], from_voltage, from_current, g_neuron[0],
                    g_neuron[1], g_neuron[2], g_neuron[3], g_neuron[4],
                )  # fmt: skip
            weights_back(b, t, indptr, index, populations, groups, fired, count,
                         from_current[t], g_weight)  # fmt: skip
