"""One loop a neuron kind: n neurons of one sample advance by one step.

Each loop reads and clears its accumulators, updates its state words in place, writes `hit` (who
fired) and, where spikes carry payloads, `sent`; it returns how many neurons were active: those
with a state word (but `wait`), an accumulator or a bias that was not 0.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.arithmetic import cuba_neuron, fires, limit
from picojoule.fixed.draws import noise_draw
from picojoule.fixed.dynamics import (
    atrlif_neuron,
    cuba_noise_neuron,
    delta_neuron,
    graded_neuron,
    graded_relu_neuron,
    integrator_neuron,
    noise,
    payload,
    product_neuron,
    resets,
    resonator_iz_neuron,
    resonator_neuron,
    sigma_delta_neuron,
    ternary_neuron,
)
from picojoule.fixed.jit import jit
from picojoule.fixed.profile import CLIP, ODD, UNLIMITED, WRAP

# opcodes of kinds, in the order of `fixed.neurons.KINDS`; `cuba` has a row of its own
CUBA = 6  # op core n q u v wait spikes registers refractory first unit
CUBA_NOISE, CUBA_RESET, TERNARY, SIGMA_DELTA, DELTA, RESONATOR, RESONATOR_IZ = range(17, 24)
ATRLIF, PRODUCT, GRADED, GRADED_RELU, INTEGRATOR, THRESHOLD = range(24, 30)
# fields of the others; 7 and 10 as in the row of `cuba`
Q0, Q1, UNIT0, UNIT1, SPIKES, REGISTERS, FIRST, WORDS, OPTIONS = 3, 4, 5, 6, 7, 8, 10, 12, 16
COLUMN, REGION, ELEMENT, ROW = 21, 22, 23, 24
NOW, SAMPLE, SEED = range(3)  # of the clock
# numbers of the profile
DECAY_BITS, Q_MODE, Q_BITS, U_MODE, U_BITS, V_MODE, V_BITS, DRIVE_MODE, PAYLOAD_BITS = range(9)


@jit
def update_cuba(row, numbers, registers, state, flags):
    """Advance n CUBA-LIF neurons by one step (rules S1..S8); returns how many were active.

    Reads and clears q, updates u, v and wait in `state`; flags uint8 (n,) or longer, written:
    who fired.  Active: u, v, bias or q, as the accumulator holds it, was not 0 before.
    """
    q_mode, u_mode, v_mode, drive = numbers[1], numbers[3], numbers[5], numbers[7]
    # literal modes of the shipped profiles let the compiler vectorize the loop: 5 times faster
    if q_mode == WRAP and u_mode == WRAP and v_mode == CLIP and drive == WRAP:
        return advance_cuba(row, numbers, registers, state, flags, WRAP, WRAP, CLIP, WRAP)
    if q_mode == UNLIMITED and u_mode == ODD and v_mode == CLIP and drive == UNLIMITED:
        return advance_cuba(row, numbers, registers, state, flags, UNLIMITED, ODD, CLIP, UNLIMITED)
    if q_mode == UNLIMITED and u_mode == UNLIMITED and v_mode == UNLIMITED:
        return advance_cuba(
            row, numbers, registers, state, flags, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED
        )
    return advance_cuba(row, numbers, registers, state, flags, q_mode, u_mode, v_mode, drive)


@jit
def advance_cuba(row, numbers, registers, state, flags, q_mode, u_mode, v_mode, drive_mode):
    """`update_cuba` for given modes."""
    n, base, refractory, unit = row[2], row[8], row[9], row[11]
    q, u = state[row[3] : row[3] + n], state[row[4] : row[4] + n]
    v, wait = state[row[5] : row[5] + n], state[row[6] : row[6] + n]
    keep_u, keep_v = registers[base : base + n], registers[base + n : base + 2 * n]
    v_th, bias = registers[base + 2 * n : base + 3 * n], registers[base + 3 * n : base + 4 * n]
    decay_bits, q_bits, u_bits, v_bits = numbers[0], numbers[2], numbers[4], numbers[6]
    active = 0
    for i in range(n):
        total = np.int64(q[i]) << unit
        held = limit(total, q_mode, q_bits)
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], _, v[i], wait[i], flags[i] = cuba_neuron(
            np.int64(u[i]), np.int64(v[i]), np.int64(wait[i]), total, bias[i],
            keep_u[i], keep_v[i], v_th[i], refractory, decay_bits,
            q_mode, q_bits, u_mode, u_bits, v_mode, v_bits, drive_mode,
        )  # fmt: skip
        q[i] = 0
    return active


@jit
def update_kind(row, numbers, registers, state, hit, sent, clock, drawn):
    """One step of any kind but `cuba`.

    clock  int64 (3,): step and number of the sample, seed of the run
    drawn  int8 (columns,): recorded draws of this step; empty: draw them
    """
    kind = row[0]
    if kind == CUBA_NOISE:
        return advance_cuba_noise(row, numbers, registers, state, hit, clock, drawn)
    if kind == CUBA_RESET:
        return advance_cuba_reset(row, numbers, registers, state, hit, clock[NOW])
    if kind == TERNARY:
        return advance_ternary(row, numbers, registers, state, hit, sent)
    if kind == SIGMA_DELTA:
        return advance_sigma_delta(row, numbers, registers, state, hit, sent)
    if kind == DELTA:
        return advance_delta(row, numbers, registers, state, hit, sent)
    if RESONATOR <= kind <= RESONATOR_IZ:
        return advance_resonator(row, numbers, registers, state, hit)
    if kind == ATRLIF:
        return advance_atrlif(row, numbers, registers, state, hit)
    if kind == INTEGRATOR:
        return advance_integrator(row, numbers, registers, state, hit, sent)
    if kind == PRODUCT:
        return advance_product(row, numbers, registers, state, hit, sent)
    return advance_stateless(row, numbers, registers, state, hit, sent)


@jit
def word(row, state, k):
    """The n words of state word k."""
    return state[row[WORDS + k] : row[WORDS + k] + row[2]]


@jit
def register(row, registers, k):
    """The n values of register k."""
    start = row[REGISTERS] + k * row[2]
    return registers[start : start + row[2]]


@jit
def taken(row, state, field):
    """The sum in accumulator `field` (Q0 or Q1) of all neurons, int64 (n,); it is cleared."""
    n, start, unit = row[2], row[field], row[field + UNIT0 - Q0]
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = np.int64(state[start + i]) << unit
        state[start + i] = 0
    return out


@jit
def send(hit, sent, i, value, bits):
    """Note what neuron i sends (N1)."""
    sent[i] = payload(value, bits)
    hit[i] = sent[i] != 0


@jit
def advance_cuba_noise(row, numbers, registers, state, hit, clock, drawn):
    """N4."""
    q = taken(row, state, Q0)
    u, v, wait = word(row, state, 0), word(row, state, 1), word(row, state, 2)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    v_th, bias = register(row, registers, 2), register(row, registers, 3)
    v_low, v_high = register(row, registers, 4), register(row, registers, 5)
    noise_on = register(row, registers, 6)
    refractory, exponent, offset, on_v = row[OPTIONS + 1 : OPTIONS + 5]
    active = 0
    for i in range(row[2]):
        held = limit(q[i], numbers[Q_MODE], numbers[Q_BITS])
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i] | noise_on[i]) != 0
        added = 0
        if noise_on[i] != 0:
            added = noise(drawing(row, clock, drawn, i), offset, exponent)
        into_v = added * on_v
        u[i], v[i], wait[i], hit[i] = cuba_noise_neuron(
            np.int64(u[i]), np.int64(v[i]), np.int64(wait[i]), q[i], bias[i], keep_u[i], keep_v[i],
            v_th[i], v_low[i], v_high[i], added - into_v, into_v, refractory, numbers[DECAY_BITS],
            numbers[Q_MODE], numbers[Q_BITS], numbers[U_MODE], numbers[U_BITS],
            numbers[DRIVE_MODE],
        )  # fmt: skip
    return active


@jit
def drawing(row, clock, drawn, i):
    """The draw of neuron i in this step: recorded, or rule N3."""
    if drawn.size > 0:
        return np.int64(drawn[row[COLUMN] + i])
    return noise_draw(clock[SEED], row[REGION], clock[SAMPLE], clock[NOW], row[ELEMENT] + i)


@jit
def advance_cuba_reset(row, numbers, registers, state, hit, step):
    """N5, then S8."""
    q = taken(row, state, Q0)
    u, v, wait = word(row, state, 0), word(row, state, 1), word(row, state, 2)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    v_th, bias = register(row, registers, 2), register(row, registers, 3)
    refractory = row[OPTIONS + 1]
    kept = 0 if resets(step, row[OPTIONS + 2], row[OPTIONS + 3]) else 1
    active = 0
    for i in range(row[2]):
        held = limit(q[i], numbers[Q_MODE], numbers[Q_BITS])
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], _, v[i], wait[i], hit[i] = cuba_neuron(
            np.int64(u[i]) * kept, np.int64(v[i]) * kept, np.int64(wait[i]), q[i], bias[i],
            keep_u[i], keep_v[i], v_th[i], refractory, numbers[DECAY_BITS], numbers[Q_MODE],
            numbers[Q_BITS], numbers[U_MODE], numbers[U_BITS], numbers[V_MODE], numbers[V_BITS],
            numbers[DRIVE_MODE],
        )  # fmt: skip
    return active


@jit
def advance_ternary(row, numbers, registers, state, hit, sent):
    """N6."""
    q, u, v = taken(row, state, Q0), word(row, state, 0), word(row, state, 1)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    high, low = register(row, registers, 2), register(row, registers, 3)
    bias = register(row, registers, 4)
    active = 0
    for i in range(row[2]):
        held = limit(q[i], numbers[Q_MODE], numbers[Q_BITS])
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], v[i], sent[i] = ternary_neuron(
            np.int64(u[i]), np.int64(v[i]), q[i], bias[i], keep_u[i], keep_v[i], high[i], low[i],
            numbers[DECAY_BITS], numbers[Q_MODE], numbers[Q_BITS], numbers[U_MODE],
            numbers[U_BITS], numbers[V_MODE], numbers[V_BITS], numbers[DRIVE_MODE],
        )  # fmt: skip
        hit[i] = sent[i] != 0
    return active


@jit
def advance_sigma_delta(row, numbers, registers, state, hit, sent):
    """N7."""
    q, sigma, act = taken(row, state, Q0), word(row, state, 0), word(row, state, 1)
    residue, error = word(row, state, 2), word(row, state, 3)
    v_th, bias = register(row, registers, 0), register(row, registers, 1)
    exponent, cumulative, corrected = row[OPTIONS + 1 : OPTIONS + 4]
    active = 0
    for i in range(row[2]):
        active += (sigma[i] | act[i] | residue[i] | error[i] | q[i] | bias[i]) != 0
        sigma[i], act[i], residue[i], error[i], value = sigma_delta_neuron(
            np.int64(sigma[i]), np.int64(act[i]), np.int64(residue[i]), np.int64(error[i]), q[i],
            v_th[i], bias[i], exponent, cumulative, corrected,
        )  # fmt: skip
        send(hit, sent, i, value, numbers[PAYLOAD_BITS])
    return active


@jit
def advance_delta(row, numbers, registers, state, hit, sent):
    """N8."""
    q, act, residue = taken(row, state, Q0), word(row, state, 0), word(row, state, 1)
    v_th = register(row, registers, 0)
    exponent = row[OPTIONS] + row[OPTIONS + 1]
    active = 0
    for i in range(row[2]):
        active += (act[i] | residue[i] | q[i]) != 0
        act[i], residue[i], value = delta_neuron(
            np.int64(act[i]), np.int64(residue[i]), q[i], v_th[i], exponent, row[OPTIONS + 1]
        )
        send(hit, sent, i, value, numbers[PAYLOAD_BITS])
    return active


@jit
def advance_resonator(row, numbers, registers, state, hit):
    """N9, both kinds."""
    q0, q1 = taken(row, state, Q0), taken(row, state, Q1)
    re, im = word(row, state, 0), word(row, state, 1)
    sin, cos = register(row, registers, 0), register(row, registers, 1)
    v_th, decay_bits, exponent = register(row, registers, 2), row[OPTIONS], row[OPTIONS + 1]
    v_mode, v_bits, active = numbers[V_MODE], numbers[V_BITS], 0
    for i in range(row[2]):
        active += (re[i] | im[i] | q0[i] | q1[i]) != 0
    if row[0] == RESONATOR:
        for i in range(row[2]):
            re[i], im[i], hit[i] = resonator_neuron(
                np.int64(re[i]), np.int64(im[i]), q0[i], q1[i], sin[i], cos[i], v_th[i],
                decay_bits, exponent, v_mode, v_bits,
            )  # fmt: skip
        return active
    for i in range(row[2]):
        re[i], im[i], hit[i] = resonator_iz_neuron(
            np.int64(re[i]), np.int64(im[i]), q0[i], q1[i], sin[i], cos[i], v_th[i], decay_bits,
            exponent, v_mode, v_bits,
        )  # fmt: skip
    return active


@jit
def advance_atrlif(row, numbers, registers, state, hit):
    """N10."""
    q, current, v = taken(row, state, Q0), word(row, state, 0), word(row, state, 1)
    theta, r = word(row, state, 2), word(row, state, 3)
    keep_i, keep_v = register(row, registers, 0), register(row, registers, 1)
    keep_theta, keep_r = register(row, registers, 2), register(row, registers, 3)
    theta_0, theta_step = register(row, registers, 4), register(row, registers, 5)
    bias = register(row, registers, 6)
    active = 0
    for i in range(row[2]):
        held = limit(q[i], numbers[Q_MODE], numbers[Q_BITS])
        away = np.int64(theta[i]) - theta_0[i]
        active += (current[i] | v[i] | away | r[i] | held | bias[i]) != 0
        current[i], v[i], theta[i], r[i], hit[i] = atrlif_neuron(
            np.int64(current[i]), np.int64(v[i]), np.int64(theta[i]), np.int64(r[i]), q[i],
            bias[i], keep_i[i], keep_v[i], keep_theta[i], keep_r[i], theta_0[i], theta_step[i],
            numbers[DECAY_BITS], numbers[Q_MODE], numbers[Q_BITS], numbers[U_MODE],
            numbers[U_BITS], numbers[V_MODE], numbers[V_BITS], numbers[DRIVE_MODE],
        )  # fmt: skip
    return active


@jit
def advance_integrator(row, numbers, registers, state, hit, sent):
    """N12."""
    q, u, v = taken(row, state, Q0), word(row, state, 0), word(row, state, 1)
    keep_u, keep_v = register(row, registers, 0), register(row, registers, 1)
    bias = register(row, registers, 2)
    active = 0
    for i in range(row[2]):
        held = limit(q[i], numbers[Q_MODE], numbers[Q_BITS])
        active += (np.int64(u[i]) | np.int64(v[i]) | held | bias[i]) != 0
        u[i], v[i] = integrator_neuron(
            np.int64(u[i]), np.int64(v[i]), q[i], bias[i], keep_u[i], keep_v[i],
            numbers[DECAY_BITS], numbers[Q_MODE], numbers[Q_BITS], numbers[U_MODE],
            numbers[U_BITS], numbers[V_MODE], numbers[V_BITS], numbers[DRIVE_MODE],
        )  # fmt: skip
        send(hit, sent, i, np.int64(v[i]), numbers[PAYLOAD_BITS])
    return active


@jit
def advance_product(row, numbers, registers, state, hit, sent):
    """N11, two accumulators."""
    q0, q1 = taken(row, state, Q0), taken(row, state, Q1)
    v_th, active = register(row, registers, 0), 0
    for i in range(row[2]):
        active += (q0[i] | q1[i]) != 0
        value = product_neuron(q0[i], q1[i], v_th[i], row[OPTIONS])
        send(hit, sent, i, value, numbers[PAYLOAD_BITS])
    return active


@jit
def advance_stateless(row, numbers, registers, state, hit, sent):
    """N11, one accumulator: three kinds, three loops."""
    q, v_th, bits = taken(row, state, Q0), register(row, registers, 0), numbers[PAYLOAD_BITS]
    active = 0
    for i in range(row[2]):
        active += q[i] != 0
    if row[0] == GRADED:
        for i in range(row[2]):
            send(hit, sent, i, graded_neuron(q[i], v_th[i]), bits)
    elif row[0] == GRADED_RELU:
        for i in range(row[2]):
            send(hit, sent, i, graded_relu_neuron(q[i], v_th[i]), bits)
    else:
        for i in range(row[2]):
            hit[i] = fires(q[i], v_th[i])
    return active
