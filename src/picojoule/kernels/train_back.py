"""Back through all steps of a spiking network, a block of samples at a time.

A surrogate slope stands for the threshold's, and resets are taken as given.  Populations are
walked from the last stage to the first: what a later stage asks of an earlier one is one
product of matrices over all steps; only loops need one a step.  Every sum has one order,
whatever the number of threads.

Gradients of the currents lie by block, population, step, sample: `place` says where.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.jit import jit, jit_inline, jit_lean
from picojoule.kernels.train_product import HIGH, WIDE, add_product, add_row
from picojoule.kernels.train_spiking import (
    DELAY,
    OFFSET,
    SOURCE,
    TARGET,
    spread_out,
)

FAST_SIGMOID, ARCTAN, TRIANGLE, BOXCAR, EXPONENTIAL = range(5)


def block_size(samples: int) -> int:
    """Samples of a block: large enough for products of matrices, and some blocks to share."""
    return min(16, max(4, -(-samples // 4)))


@jit_lean
def slopes(kind, sharpness, reached, per_v_th, state, out):
    """Surrogate derivative of the step, by current or voltage; 0 where a neuron rests.

    Its value at the threshold is 1 / v_th: SuperSpike's fast sigmoid, arctan, triangle,
    boxcar (of half width 1 / sharpness), exponential, all of (reached - v_th) / v_th.
    """
    one = sharpness / sharpness
    zero = one - one
    if kind == 0:
        for i in range(out.size):
            away = one + abs(reached[i] * per_v_th[i] - one) * sharpness
            out[i] = zero if state[i] == 2 else per_v_th[i] / (away * away)
        return
    for i in range(out.size):
        out[i] = abs(reached[i] * per_v_th[i] - one) * sharpness
    if kind == 1:
        for i in range(out.size):
            out[i] = one / (one + out[i] * out[i])
    elif kind == 2:
        for i in range(out.size):
            out[i] = max(one - out[i], zero)
    elif kind == 3:
        for i in range(out.size):
            out[i] = one if out[i] < one else zero
    else:
        for i in range(out.size):
            out[i] = np.exp(-out[i])
    for i in range(out.size):
        out[i] = zero if state[i] == 2 else out[i] * per_v_th[i]


@jit_lean
def neurons_back(
    seen, slope, keep_u, keep_v, reached, state, u_before, reached_before, state_before,
    next_current, from_voltage, from_current, g_neuron, at,
):  # fmt: skip
    """Neurons of one population, of all samples of a block, one step back; flat arrays.

    seen                 gradient of their spikes, which becomes that of the step's argument
    from_voltage         gradient of the voltage after this step, and then of that before it
    next_current         gradient of the current of the next step
    from_current         gradient of the current, written
    g_neuron             (5, ...) of keep_u, keep_v, -v_th * v_th, bias, drive: added to from `at`;
                         or no rows where nobody asks
    Several loops: with more arrays in one, compilers give up on vectors.
    """
    zero, end = keep_v[0] - keep_v[0], at + seen.size
    for i in range(seen.size):
        seen[i] *= slope[i]
        from_voltage[i] = seen[i] + (from_voltage[i] if state[i] == 0 else zero)
    for i in range(seen.size):
        from_current[i] = from_voltage[i] + keep_u[i] * next_current[i]
    if g_neuron.shape[0]:
        add_row(g_neuron[4, at:end], from_current)
        add_each(g_neuron[0, at:end], from_current, u_before)
        add_each(g_neuron[2, at:end], seen, reached)
        add_row(g_neuron[3, at:end], from_voltage)
        g_keep_v = g_neuron[1, at:end]
        for i in range(seen.size):
            stayed = reached_before[i]
            g_keep_v[i] += from_voltage[i] * (stayed if state_before[i] == 0 else zero)
    for i in range(seen.size):
        from_voltage[i] *= keep_v[i]


@jit_lean
def add_each(total, a, b):
    """total += a * b."""
    for i in range(total.size):
        total[i] += a[i] * b[i]


@jit_lean
def place(lo, samples, first, size, steps, neurons):
    """Where the gradients of a block (lo, samples) and population (first, size) lie."""
    start = steps * (lo * neurons + samples * first)
    return start, start + steps * samples * size


@jit_lean
def ask_back(group, t, target, weight_t, room, seen):
    """Add to `seen` (S, rows), gradients of a source's spikes of step t, what a group asks.

    target (T, S, columns): gradients of the currents of the group's target, of later steps at
    least; weight_t: see `backward`
    """
    rows, columns, when = seen.shape[1], target.shape[2], t + group[DELAY]
    if when < target.shape[0]:
        at = group[OFFSET]
        block = weight_t[at : at + rows * columns].reshape(columns, rows)
        add_product(target[when], block, room, seen)


@jit_lean
def load(rows, lo, t, start, stop, out):
    """Copy step t of a population, samples lo.., from rows (B, T, N) to one flat array."""
    size = stop - start
    for s in range(out.size // size):
        row = rows[lo + s, t, start:stop]
        into = out[s * size : (s + 1) * size]
        for i in range(size):
            into[i] = row[i]


@jit_lean
def load_step(lo, t, start, stop, u, reached, state, u_t, reached_t, state_t):
    """The three of one step; before the first one, no current and no voltage."""
    if t < 0:
        u_t[:] = 0
        reached_t[:] = 0
        state_t[:] = 0
        return
    load(u, lo, t, start, stop, u_t)
    load(reached, lo, t, start, stop, reached_t)
    load(state, lo, t, start, stop, state_t)


@jit_lean
def population_back(
    lo, t, start, stop, seen, kind, sharpness, u, reached, state, spread, held, held_state,
    from_current, g_neuron,
):  # fmt: skip
    """All samples of a block, one population, one step back.

    seen         (S * n,)
    spread       (5, S * N)  keep_u, keep_v, 1 / v_th, zeros, room for slopes
    held         (4, S * N)  from_voltage, u_before, and voltages reached in even and odd steps
    held_state   (2, S * N)  what neurons did in even and odd steps
    from_current (T, S, n)
    """
    at, end = from_current.shape[1] * start, from_current.shape[1] * stop
    now, before = 2 + t % 2, 3 - t % 2
    if t + 1 == from_current.shape[0]:
        load_step(lo, t, start, stop, u, reached, state, held[1, at:end], held[now, at:end],
                  held_state[now - 2, at:end])  # fmt: skip
    load_step(lo, t - 1, start, stop, u, reached, state, held[1, at:end], held[before, at:end],
              held_state[before - 2, at:end])  # fmt: skip
    slopes(kind, sharpness, held[now, at:end], spread[2, at:end], held_state[now - 2, at:end],
           spread[4, at:end])  # fmt: skip
    following = spread[3, at:end]
    if t + 1 < from_current.shape[0]:
        following = from_current[t + 1].reshape(end - at)
    neurons_back(
        seen, spread[4, at:end], spread[0, at:end], spread[1, at:end], held[now, at:end],
        held_state[now - 2, at:end], held[1, at:end], held[before, at:end],
        held_state[before - 2, at:end], following, held[0, at:end],
        from_current[t].reshape(end - at), g_neuron, at,
    )  # fmt: skip


@jit_lean
def gather_in(populations, samples, values, out):
    """The opposite: sums over the samples, of each neuron."""
    for p in range(populations.shape[0]):
        start, stop = populations[p, 0], populations[p, 1]
        for s in range(samples):
            at = samples * start + s * (stop - start)
            for i in range(stop - start):
                out[start + i] += values[at + i]


@jit_inline
def part_of(flat, lo, samples, start, stop, steps, neurons):
    """(T, S, n): gradients of one block and population."""
    at, end = place(lo, samples, start, stop - start, steps, neurons)
    return flat[at:end].reshape(steps, samples, stop - start)


@jit_lean
def step_back(
    lo, t, p, populations, groups, output, weight_t, kind, sharpness, u, reached, state,
    g_spikes, g_voltage, g_count, seen, spread, held, held_state, g_current, sums, room,
):  # fmt: skip
    """Population p of a block, one step back."""
    steps, neurons, samples = u.shape[1], u.shape[2], held.shape[1] // u.shape[2]
    start, stop = populations[p, 0], populations[p, 1]
    ours = seen[: samples * (stop - start)].reshape(samples, stop - start)
    for s in range(samples):
        ours[s] = g_count[lo + s, p]
    for g in range(groups.shape[0]):
        if groups[g, SOURCE] == p:
            to = groups[g, TARGET]
            theirs = part_of(g_current, lo, samples, populations[to, 0], populations[to, 1],
                             steps, neurons)  # fmt: skip
            ask_back(groups[g], t, theirs, weight_t, room, ours)
    if p == output:
        for s in range(samples):
            at = samples * start + s * (stop - start)
            add_row(ours[s], g_spikes[lo + s, t])
            add_row(held[0, at : at + stop - start], g_voltage[lo + s, t])
    population_back(
        lo, t, start, stop, seen[: samples * (stop - start)], kind, sharpness, u, reached, state,
        spread, held, held_state,
        part_of(g_current, lo, samples, start, stop, steps, neurons), sums,
    )  # fmt: skip


@jit_lean
def stage_back(
    lo, stage, populations, groups, stages, output, weight_t, kind, sharpness, u, reached, state,
    g_spikes, g_voltage, g_count, seen, spread, held, held_state, g_current, sums, room,
):  # fmt: skip
    """All populations of one stage, all steps back."""
    for t in range(u.shape[1] - 1, -1, -1):
        for p in range(populations.shape[0] - 1, -1, -1):
            if stages[p] == stage:
                step_back(lo, t, p, populations, groups, output, weight_t, kind, sharpness, u,
                          reached, state, g_spikes, g_voltage, g_count, seen, spread, held,
                          held_state, g_current, sums, room)  # fmt: skip


@jit
def backward(
    lo, hi, populations, groups, stages, output, weight_t, keep_u, keep_v, v_th, kind,
    sharpness, u, reached, state, g_spikes, g_voltage, g_count, g_current, g_neuron,
):  # fmt: skip
    """Samples lo..hi back through time.

    weight_t   flat: blocks between populations as (columns, rows); WIDE more numbers at the end
    g_count    (B, P)  of the number of spikes of each population
    g_spikes, g_voltage (B, T, outputs)  of the output's spikes and of its voltages after a step
    g_current  flat (B * T * N,)  of all currents, written for this block
    g_neuron   (5, N) of keep_u, keep_v, v_th, bias, drive: zeros, added to; (0, N): unwanted
    """
    neurons, samples = u.shape[2], hi - lo
    size = samples * neurons
    seen, spread = np.empty(size, u.dtype), np.zeros((5, size), u.dtype)
    spread_out(populations, samples, keep_u, spread[0])
    spread_out(populations, samples, keep_v, spread[1])
    spread_out(populations, samples, sharpness / sharpness / v_th, spread[2])
    held, held_state = np.zeros((4, size), u.dtype), np.zeros((2, size), np.uint8)
    sums, room = np.zeros((g_neuron.shape[0], size), u.dtype), np.zeros((1 + HIGH, WIDE), u.dtype)
    for stage in range(stages.max(), -1, -1):
        stage_back(lo, stage, populations, groups, stages, output, weight_t, kind, sharpness, u,
                   reached, state, g_spikes, g_voltage, g_count, seen, spread, held, held_state,
                   g_current, sums, room)  # fmt: skip
    for k in range(g_neuron.shape[0]):
        gather_in(populations, samples, sums[k], g_neuron[k])
    for i in range(neurons if g_neuron.shape[0] else 0):
        g_neuron[2, i] /= -v_th[i]
