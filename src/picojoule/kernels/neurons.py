"""One loop a neuron kind: n neurons of one sample advance by one step.

Each loop reads and clears its accumulators, updates its state words in place, writes `hit` (who
fired) and, where spikes carry payloads, `sent`; it returns how many neurons were active: those
with a state word (but `wait`), an accumulator or a bias that was not 0.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.arithmetic import cuba_neuron, limit
from picojoule.fixed.draws import noise_draw
from picojoule.fixed.dynamics import (
    atrlif_neuron,
    cuba_noise_neuron,
    integrator_neuron,
    noise,
    resets,
    ternary_neuron,
)
from picojoule.fixed.jit import jit_lean
from picojoule.fixed.profile import CLIP, ODD, UNLIMITED, WRAP
from picojoule.kernels.fields import (
    ATRLIF,
    COLUMN,
    CUBA,
    CUBA_NOISE,
    CUBA_RESET,
    DECAY_BITS,
    DELTA,
    ELEMENT,
    GRADED,
    GRADED_RELU,
    NODE,
    NOW,
    OPTIONS,
    PAYLOAD_BITS,
    PRODUCT,
    Q0,
    Q_BITS,
    RESONATOR,
    RESONATOR_IZ,
    SAMPLE,
    SEED,
    SIGMA_DELTA,
    TERNARY,
    THRESHOLD,
    U_BITS,
    UNIT0,
    V_BITS,
    register,
    send,
    sums,
    taken,
    word,
)
from picojoule.kernels.raw_neurons import (
    advance_delta,
    advance_product,
    advance_resonator,
    advance_sigma_delta,
    advance_stateless,
)


@jit_lean
def waiting(table, state, waits):
    """Which rows of `cuba` must look at `wait`: waits uint8 (instructions,), written.

    Not those that never rest and in which nobody rests at the start.
    """
    for k in range(table.shape[0]):
        row = table[k]
        waits[k] = row[0] == CUBA and row[9] > 1
        if row[0] == CUBA:
            for i in range(row[6], row[6] + row[2]):
                waits[k] |= state[i] != 0


@jit_lean
def update_cuba(row, numbers, registers, state, flags, waits):
    """Advance n CUBA-LIF neurons by one step (rules S1..S8); returns how many were active.

    Reads and clears q, updates u, v and wait in `state`; flags uint8 (n,) or longer, written:
    who fired.  Active: u, v, bias or q, as the accumulator holds it, was not 0 before.
    waits: 0 where refractory is 1 and no neuron waits, so `wait` need not be looked at
    """
    q_mode, u_mode, v_mode, drive = numbers[1], numbers[3], numbers[5], numbers[7]
    # literal modes of the shipped profiles let the compiler vectorize the loop: 5 times faster
    if q_mode == WRAP and u_mode == WRAP and v_mode == CLIP and drive == WRAP:
        if waits == 0:
            return advance_cuba(row, numbers, registers, state, flags, 0, WRAP, WRAP, CLIP, WRAP)
        return advance_cuba(row, numbers, registers, state, flags, 1, WRAP, WRAP, CLIP, WRAP)
    if q_mode == UNLIMITED and u_mode == ODD and v_mode == CLIP and drive == UNLIMITED:
        return advance_cuba(
            row, numbers, registers, state, flags, 1, UNLIMITED, ODD, CLIP, UNLIMITED
        )
    if q_mode == UNLIMITED and u_mode == UNLIMITED and v_mode == UNLIMITED:
        if waits == 0:
            return advance_cuba(
                row, numbers, registers, state, flags, 0, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED
            )
        return advance_cuba(
            row, numbers, registers, state, flags, 1, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED
        )
    return advance_cuba(row, numbers, registers, state, flags, 1, q_mode, u_mode, v_mode, drive)


@jit_lean
def advance_cuba(row, numbers, registers, state, flags, waits, q_mode, u_mode, v_mode, drive_mode):
    """`update_cuba` for given modes."""
    n, base, refractory, unit = row[2], row[8], row[9], row[11]
    q, u = state[row[3] : row[3] + n], state[row[4] : row[4] + n]
    v, wait = state[row[5] : row[5] + n], state[row[6] : row[6] + n]
    keep_u, keep_v = registers[base : base + n], registers[base + n : base + 2 * n]
    v_th, bias = registers[base + 2 * n : base + 3 * n], registers[base + 3 * n : base + 4 * n]
    decay_bits, q_bits, u_bits, v_bits = numbers[0], numbers[2], numbers[4], numbers[6]
    active = 0
    for i in range(n):
        total, before = np.int64(q[i]) << unit, np.int64(wait[i]) if waits else 0
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | np.int64(bias[i])) != 0
        u[i], _, v[i], after, flags[i] = cuba_neuron(
            np.int64(u[i]), np.int64(v[i]), before, total, np.int64(bias[i]), np.int64(keep_u[i]),
            np.int64(keep_v[i]), np.int64(v_th[i]), refractory if waits else 1, decay_bits,
            q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
        q[i] = 0
        if waits:
            wait[i] = after
    return active


@jit_lean
def update_kind(row, numbers, registers, state, hit, sent, clock, drawn):
    """One step of any kind but `cuba`.

    clock  int64 (3,): step and number of the sample, seed of the run
    drawn  int8 (columns,): recorded draws of this step; empty: draw them
    """
    kind = row[0]
    if kind == SIGMA_DELTA:
        return advance_sigma_delta(row, numbers, registers, state, hit, sent)
    if kind == DELTA:
        return advance_delta(row, numbers, registers, state, hit, sent)
    if RESONATOR <= kind <= RESONATOR_IZ:
        return advance_resonator(row, numbers, registers, state, hit)
    if kind == PRODUCT:
        return advance_product(row, numbers, registers, state, hit, sent)
    if GRADED <= kind <= GRADED_RELU or kind == THRESHOLD:
        return advance_stateless(row, numbers, registers, state, hit, sent)
    q_mode, u_mode, v_mode, drive = numbers[1], numbers[3], numbers[5], numbers[7]
    # literal modes of the profiles that have these kinds: see `update_cuba`
    if kind == CUBA_NOISE and q_mode == WRAP and u_mode == WRAP and drive == WRAP:
        return advance_cuba_noise(
            row, numbers, registers, state, hit, clock, drawn, WRAP, WRAP, WRAP
        )
    if kind == CUBA_NOISE:
        return advance_cuba_noise(
            row, numbers, registers, state, hit, clock, drawn, q_mode, u_mode, drive
        )
    if q_mode == UNLIMITED and u_mode == ODD and v_mode == CLIP and drive == UNLIMITED:
        return advance_limited(
            row, numbers, registers, state, hit, sent, clock, UNLIMITED, ODD, CLIP, UNLIMITED
        )
    return advance_limited(
        row, numbers, registers, state, hit, sent, clock, q_mode, u_mode, v_mode, drive
    )


@jit_lean
def advance_limited(
    row, numbers, registers, state, hit, sent, clock, q_mode, u_mode, v_mode, drive_mode
):
    """The kinds whose state the profile limits, for given modes."""
    if row[0] == CUBA_RESET:
        return advance_cuba_reset(
            row, numbers, registers, state, hit, clock[NOW], q_mode, u_mode, v_mode, drive_mode
        )
    if row[0] == TERNARY:
        return advance_ternary(
            row, numbers, registers, state, hit, sent, q_mode, u_mode, v_mode, drive_mode
        )
    if row[0] == ATRLIF:
        return advance_atrlif(
            row, numbers, registers, state, hit, q_mode, u_mode, v_mode, drive_mode
        )
    return advance_integrator(
        row, numbers, registers, state, hit, sent, q_mode, u_mode, v_mode, drive_mode
    )


@jit_lean
def advance_cuba_noise(
    row, numbers, registers, state, hit, clock, drawn, q_mode, u_mode, drive_mode
):
    """N4."""
    q, unit = sums(row, state, Q0), row[UNIT0]
    u, v, wait = word(row, state, 0), word(row, state, 1), word(row, state, 2)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    v_th, bias = register(row, registers, 2), register(row, registers, 3)
    v_low, v_high = register(row, registers, 4), register(row, registers, 5)
    noise_on = register(row, registers, 6)
    refractory, exponent = row[OPTIONS + 1], row[OPTIONS + 2]
    offset, on_v = row[OPTIONS + 3], row[OPTIONS + 4]
    decay_bits, q_bits, u_bits = numbers[DECAY_BITS], numbers[Q_BITS], numbers[U_BITS]
    active = 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i] | noise_on[i]) != 0
        added = 0
        if noise_on[i] != 0:
            added = noise(drawing(row, clock, drawn, i), offset, exponent)
        into_v = added * on_v
        u[i], v[i], wait[i], hit[i] = cuba_noise_neuron(
            np.int64(u[i]), np.int64(v[i]), np.int64(wait[i]), total, bias[i], keep_u[i],
            keep_v[i], v_th[i], v_low[i], v_high[i], added - into_v, into_v, refractory,
            decay_bits, q_mode, q_bits, u_mode, u_bits, drive_mode,
        )  # fmt: skip
    return active


@jit_lean
def drawing(row, clock, drawn, i):
    """The draw of neuron i in this step: recorded, or rule N3."""
    if drawn.size > 0:
        return np.int64(drawn[row[COLUMN] + i])
    return noise_draw(clock[SEED], row[NODE], clock[SAMPLE], clock[NOW], row[ELEMENT] + i)


@jit_lean
def advance_cuba_reset(
    row, numbers, registers, state, hit, step, q_mode, u_mode, v_mode, drive_mode
):
    """N5, then S8."""
    q, unit = sums(row, state, Q0), row[UNIT0]
    u, v, wait = word(row, state, 0), word(row, state, 1), word(row, state, 2)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    v_th, bias = register(row, registers, 2), register(row, registers, 3)
    refractory, decay_bits = row[OPTIONS + 1], numbers[DECAY_BITS]
    q_bits, u_bits, v_bits = numbers[Q_BITS], numbers[U_BITS], numbers[V_BITS]
    kept = 0 if resets(step, row[OPTIONS + 2], row[OPTIONS + 3]) else 1
    active = 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], _, v[i], wait[i], hit[i] = cuba_neuron(
            np.int64(u[i]) * kept, np.int64(v[i]) * kept, np.int64(wait[i]), total,
            np.int64(bias[i]), np.int64(keep_u[i]), np.int64(keep_v[i]), np.int64(v_th[i]),
            refractory, decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
    return active


@jit_lean
def advance_ternary(row, numbers, registers, state, hit, sent, q_mode, u_mode, v_mode, drive_mode):
    """N6."""
    q, unit, u, v = sums(row, state, Q0), row[UNIT0], word(row, state, 0), word(row, state, 1)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    high, low = register(row, registers, 2), register(row, registers, 3)
    bias, decay_bits = register(row, registers, 4), numbers[DECAY_BITS]
    q_bits, u_bits, v_bits = numbers[Q_BITS], numbers[U_BITS], numbers[V_BITS]
    active = 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], v[i], sent[i] = ternary_neuron(
            np.int64(u[i]), np.int64(v[i]), total, bias[i], keep_u[i], keep_v[i], high[i], low[i],
            decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
        hit[i] = sent[i] != 0
    return active


@jit_lean
def advance_atrlif(row, numbers, registers, state, hit, q_mode, u_mode, v_mode, drive_mode):
    """N10."""
    q, unit = sums(row, state, Q0), row[UNIT0]
    current, v = word(row, state, 0), word(row, state, 1)
    theta, r = word(row, state, 2), word(row, state, 3)
    keep_i, keep_v = register(row, registers, 0), register(row, registers, 1)
    keep_theta, keep_r = register(row, registers, 2), register(row, registers, 3)
    theta_0, theta_step = register(row, registers, 4), register(row, registers, 5)
    bias, decay_bits = register(row, registers, 6), numbers[DECAY_BITS]
    q_bits, u_bits, v_bits = numbers[Q_BITS], numbers[U_BITS], numbers[V_BITS]
    active = 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        held = limit(total, q_mode, q_bits)
        away = np.int64(theta[i]) - theta_0[i]
        active += (current[i] | v[i] | away | r[i] | held | bias[i]) != 0
        current[i], v[i], theta[i], r[i], hit[i] = atrlif_neuron(
            np.int64(current[i]), np.int64(v[i]), np.int64(theta[i]), np.int64(r[i]), total,
            bias[i], keep_i[i], keep_v[i], keep_theta[i], keep_r[i], theta_0[i], theta_step[i],
            decay_bits, q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
    return active


@jit_lean
def advance_integrator(
    row, numbers, registers, state, hit, sent, q_mode, u_mode, v_mode, drive_mode
):
    """N12."""
    q, unit, u, v = sums(row, state, Q0), row[UNIT0], word(row, state, 0), word(row, state, 1)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    bias, decay_bits, bits = register(row, registers, 2), numbers[DECAY_BITS], numbers[PAYLOAD_BITS]
    q_bits, u_bits, v_bits = numbers[Q_BITS], numbers[U_BITS], numbers[V_BITS]
    active = 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], v[i] = integrator_neuron(
            np.int64(u[i]), np.int64(v[i]), total, bias[i], keep_u[i], keep_v[i], decay_bits,
            q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
        send(hit, sent, i, np.int64(v[i]), bits)
    return active
