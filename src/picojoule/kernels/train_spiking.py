"""All steps of a network of CUBA-LIF populations in one call: forward and back through time.

Populations lie one after the other in a flat space of neurons.  A synapse group is a dense
block from the input or a population to a population, with a delay in steps; a delay of 0
needs the source to come earlier in the list of populations.

Forward delivers events, so silence costs nothing; `train_back` goes back through time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from picojoule.fixed.arithmetic import cuba_neuron, effective_weight
from picojoule.fixed.jit import jit, jit_lean
from picojoule.kernels.train_product import add_row

# columns of a synapse group; source -1 is the network's input
SOURCE, TARGET, DELAY, OFFSET, ROWS, COLUMNS = range(6)
SILENT, SPIKED, REFRACTORY = range(3)
FEW = 32  # neurons that are passed over at once where none spiked


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

    @cached_property
    def stages(self) -> np.ndarray:
        """int64 (P,): how many populations outside its own loops lead to each one.

        Populations of a loop share a stage; every other group leads to a later one.
        """
        count = len(self.populations)
        reach = np.zeros((count, count), bool)
        inner = self.groups[self.groups[:, SOURCE] >= 0]
        reach[inner[:, SOURCE], inner[:, TARGET]] = True
        for k in range(count):
            reach |= reach[:, k : k + 1] & reach[k]
        return np.sum(reach & ~reach.T, axis=0, dtype=np.int64)

    @property
    def answer(self) -> slice:
        """Where the output population lies."""
        return slice(*self.populations[self.output])


@dataclass(frozen=True, eq=False)
class Record:
    """What a forward pass leaves for the backward pass, by sample, step and neuron.

    u, reached  current, and voltage before the reset   (B, T, N) float, or int64
    state       SILENT, SPIKED or REFRACTORY            (B, T, N) uint8
    fired       neurons that spiked, counted from the start of their population; those of step t
                and population p are fired[b, first[b, t * P + p] : first[b, t * P + p + 1]]
                int32 (B, T * N), int64 (B, T * P + 1)
    """

    u: np.ndarray
    reached: np.ndarray
    state: np.ndarray
    fired: np.ndarray
    first: np.ndarray

    def final_voltage(self, part: slice = slice(None)) -> np.ndarray:
        """(B, N): the voltage after the last step, zero after a reset; of a part of neurons."""
        return np.where(self.state[:, -1, part] == SILENT, self.reached[:, -1, part], 0)

    def counts(self, populations: int) -> np.ndarray:
        """(B, P): how often the neurons of each population spiked."""
        each = np.diff(self.first, axis=1)
        return each.reshape(len(each), -1, populations).sum(1)


def new_record(wiring: Wiring, samples: int, steps: int, dtype: type) -> Record:
    """Room for one forward pass."""
    shape = (samples, steps, wiring.neurons)
    return Record(
        np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, np.uint8),
        np.empty((samples, steps * wiring.neurons), np.int32),
        np.zeros((samples, steps * len(wiring.populations) + 1), np.int64),
    )  # fmt: skip


@jit_lean
def add_rows(total, weight, offset, events, lo, hi):
    """Add rows events[lo:hi] of a block of weights to total, in order, four at a time."""
    columns = total.size
    for e in range(lo, hi - 3, 4):
        at = offset + events[e] * columns
        a = weight[at : at + columns]
        at = offset + events[e + 1] * columns
        b = weight[at : at + columns]
        at = offset + events[e + 2] * columns
        c = weight[at : at + columns]
        at = offset + events[e + 3] * columns
        d = weight[at : at + columns]
        for j in range(columns):
            total[j] = total[j] + a[j] + b[j] + c[j] + d[j]
    for e in range(hi - (hi - lo) % 4, hi):
        at = offset + events[e] * columns
        add_row(total, weight[at : at + columns])


@jit_lean
def gather(q, p, b, t, steps, indptr, index, populations, groups, weight, fired, first):
    """Add to q (n,) what arrives at population p in step t."""
    for g in range(groups.shape[0]):
        sent = t - groups[g, DELAY]
        if groups[g, TARGET] != p or sent < 0:
            continue
        source, offset = groups[g, SOURCE], groups[g, OFFSET]
        if source < 0:
            row = b * steps + sent
            if indptr[row] < indptr[row + 1]:
                add_rows(q, weight, offset, index, indptr[row], indptr[row + 1])
            continue
        at = sent * populations.shape[0] + source
        if first[b, at] < first[b, at + 1]:
            add_rows(q, weight, offset, fired[b], first[b, at], first[b, at + 1])


@jit_lean
def note_spikes(state, fired, first, at):
    """List the neurons of a population that spiked, as entry `at` of the lists of a sample."""
    n = first[at]
    for k in range(0, state.size, FEW):
        part = state[k : k + FEW]
        some = np.uint8(0)
        for i in range(part.size):
            some |= part[i]
        if some == 0:
            continue
        for i in range(part.size):
            if part[i] == 1:
                fired[n] = k + i
                n += 1
    first[at + 1] = n


@jit_lean
def neurons_on(now, v, wait, keep_v, v_th, bias, refractory, reached, state):
    """One population, one step on, in floating point."""
    for i in range(now.size):
        level = keep_v[i] * v[i] + now[i] + bias[i]
        what = 2 if wait[i] > 0 else (1 if level > v_th[i] else 0)
        wait[i] = wait[i] - 1 if what == 2 else (refractory[i] - 1 if what else 0)
        v[i] = 0 if what else level
        reached[i] = 0 if what == 2 else level
        state[i] = what


@jit_lean
def quick_neurons_on(now, v, zero, keep_v, v_th, bias, reached, state):
    """The same for neurons that never rest, in loops that compilers turn into vectors."""
    for i in range(now.size):
        reached[i] = keep_v[i] * v[i] + now[i] + bias[i]
    for i in range(now.size):
        level, spiked = reached[i], reached[i] > v_th[i]
        state[i] = spiked
        v[i] = zero if spiked else level


@jit_lean
def spread_out(populations, samples, values, out):
    """One value a neuron to all samples of a block, by population."""
    for p in range(populations.shape[0]):
        start, stop = populations[p, 0], populations[p, 1]
        for s in range(samples):
            at = samples * start + s * (stop - start)
            for i in range(stop - start):
                out[at + i] = values[start + i]


@jit_lean
def store(flat, lo, t, start, stop, rows):
    """Copy a population of samples lo.. from a flat array to step t of rows (B, T, N)."""
    size = stop - start
    for s in range(flat.size // size):
        row, part = rows[lo + s, t, start:stop], flat[s * size : (s + 1) * size]
        for i in range(size):
            row[i] = part[i]


@jit_lean
def fire(at, end, quick, now, v, wait, known, refractory, reached, state):
    """Part at..end of flat arrays, one step on; known: rows keep_u, keep_v, v_th, bias, ..."""
    keep_v, v_th, bias = known[1, at:end], known[2, at:end], known[3, at:end]
    if quick:
        quick_neurons_on(now[at:end], v[at:end], known[5, 0], keep_v, v_th, bias,
                         reached[at:end], state[at:end])  # fmt: skip
    else:
        neurons_on(now[at:end], v[at:end], wait[at:end], keep_v, v_th, bias, refractory[at:end],
                   reached[at:end], state[at:end])  # fmt: skip


@jit_lean
def advance(
    lo, samples, indptr, index, populations, groups, quick, weight, known, rests, now, v, wait,
    reached_t, state_t, u, reached, state, fired, first,
):  # fmt: skip
    """All steps of `real_forward`, in flat arrays over its samples."""
    many = populations.shape[0]
    for t in range(u.shape[1]):
        for i in range(now.size):
            now[i] = known[4, i] + known[0, i] * now[i]
        for p in range(many):
            start, stop = populations[p, 0], populations[p, 1]
            at, end, n = samples * start, samples * stop, stop - start
            for s in range(samples):
                gather(now[at + s * n : at + s * n + n], p, lo + s, t, u.shape[1], indptr, index,
                       populations, groups, weight, fired, first)  # fmt: skip
            fire(at, end, quick, now, v, wait, known, rests, reached_t, state_t)
            store(now[at:end], lo, t, start, stop, u)
            store(reached_t[at:end], lo, t, start, stop, reached)
            store(state_t[at:end], lo, t, start, stop, state)
            for s in range(samples):
                note_spikes(state_t[at + s * n : at + s * n + n], fired[lo + s], first[lo + s],
                            t * many + p)  # fmt: skip


@jit
def real_forward(
    lo, hi, indptr, index, populations, groups, refractory,
    weight, keep_u, keep_v, v_th, bias, drive, u, reached, state, fired, first,
):  # fmt: skip
    """Samples lo..hi in floating point; drive is a constant input to the currents.

    All samples of a step are done together, population by population, in flat arrays.
    """
    samples, quick = hi - lo, refractory.max() <= 1
    size = samples * u.shape[2]
    known = np.zeros((6, size), u.dtype)  # the last row: zeros
    for k, values in enumerate((keep_u, keep_v, v_th, bias, drive)):
        spread_out(populations, samples, values, known[k])
    rests = np.empty(size, np.int64)
    spread_out(populations, samples, refractory, rests)
    now, v, wait = np.zeros(size, u.dtype), np.zeros(size, u.dtype), np.zeros(size, np.int64)
    reached_t, state_t = np.empty(size, u.dtype), np.empty(size, np.uint8)
    advance(lo, samples, indptr, index, populations, groups, quick, weight, known, rests, now, v,
            wait, reached_t, state_t, u, reached, state, fired, first)  # fmt: skip


@jit
def integer_forward(
    lo, hi, indptr, index, populations, groups, refractory,
    weight, keep_u, keep_v, v_th, bias, rule, u, reached, state, fired, first,
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
                gather(q[start:stop], p, b, t, steps, indptr, index, populations, groups, weight,
                       fired, first)  # fmt: skip
                for i in range(start, stop):
                    before = u[b, t - 1, i] if t > 0 else 0
                    resting = wait[i] > 0
                    u[b, t, i], reached[b, t, i], v[i], wait[i], spiked = cuba_neuron(
                        before, v[i], wait[i], q[i], bias[i], keep_u[i], keep_v[i], v_th[i],
                        refractory[i], rule[0], rule[1], rule[2], rule[3], rule[4], rule[5],
                        rule[6],
                    )  # fmt: skip
                    state[b, t, i] = 1 if spiked else (2 if resting else 0)
                at = t * populations.shape[0] + p
                note_spikes(state[b, t, start:stop], fired[b], first[b], at)


@jit
def effective_weights(mantissa, exponent, shift, weight_limit, out):
    """What one spike adds, for each mantissa of a flat array."""
    for i in range(mantissa.size):
        out[i] = effective_weight(mantissa[i], exponent, shift, weight_limit)
