"""The scalar definition of each neuron kind: one neuron, one step.

Rules are numbered as in `docs/numerics.md`; `cuba` itself is rule S8, in `arithmetic.py`.
Thresholds, biases and what decays leave (`keep`) come ready, as `sim.plan` makes them.
"""

from __future__ import annotations

from picojoule.fixed.arithmetic import (
    decay,
    fires,
    limit,
    next_current,
    next_voltage,
    shr_to_zero,
)
from picojoule.fixed.jit import jit
from picojoule.fixed.profile import WRAP


@jit
def payload(x: int, bits: int) -> int:
    """N1: what a graded spike carries of x: its low `bits`, the sign included; 0 is no spike."""
    return limit(x, WRAP, bits - 1)


@jit
def shifted_sum(total: int, exponent: int) -> int:
    """N2: floor(total * 2**exponent): the sum of a group's weights, shifted as a whole."""
    return total << exponent if exponent >= 0 else total >> -exponent


@jit
def noise(draw: int, offset: int, exponent: int) -> int:
    """N4: (draw + 64 * offset) * 2**(exponent - 7), rounded towards zero; draw in -127..127."""
    wide = draw + 64 * offset
    return wide << (exponent - 7) if exponent >= 7 else shr_to_zero(wide, 7 - exponent)


@jit
def cuba_noise_neuron(
    u: int, v: int, wait: int, q: int, bias: int, keep_u: int, keep_v: int, v_th: int, v_low: int,
    v_high: int, into_u: int, into_v: int, refractory: int, decay_bits: int, q_mode: int,
    q_bits: int, u_mode: int, u_bits: int, drive_mode: int,
) -> tuple[int, int, int, bool]:  # fmt: skip
    """N4: S8 with noise, and with limits of the voltage that are registers.

    into_u is noise added to q, into_v to current plus bias.  Returns (u, v, wait, fired).
    """
    u = next_current(u, q + into_u, keep_u, decay_bits, q_mode, q_bits, u_mode, u_bits)
    if wait > 0:
        return u, 0, wait - 1, False
    drive = limit(u + (bias + into_v), drive_mode, u_bits)
    reached = min(max(decay(v, keep_v, decay_bits) + drive, v_low), v_high)
    if fires(reached, v_th):
        return u, 0, refractory - 1, True
    return u, reached, 0, False


@jit
def resets(step: int, interval: int, offset: int) -> bool:
    """N5: whether `cuba_reset` clears u and v before it updates them; the first step is 0."""
    return (step + 1) % interval == offset % interval


@jit
def ternary_neuron(
    u: int, v: int, q: int, bias: int, keep_u: int, keep_v: int, v_th_high: int, v_th_low: int,
    decay_bits: int, q_mode: int, q_bits: int, u_mode: int, u_bits: int, v_mode: int, v_bits: int,
    drive_mode: int,
) -> tuple[int, int, int]:  # fmt: skip
    """N6: CUBA-LIF with a threshold on either side.  Returns (u, v, spike): spike -1, 0 or 1."""
    u = next_current(u, q, keep_u, decay_bits, q_mode, q_bits, u_mode, u_bits)
    v = next_voltage(v, u, bias, keep_v, decay_bits, drive_mode, u_bits, v_mode, v_bits)
    spike = (1 if v > v_th_high else 0) - (1 if v < v_th_low else 0)
    return u, (0 if spike != 0 else v), spike


@jit
def sigma_delta_neuron(
    sigma: int, act: int, residue: int, error: int, q: int, v_th: int, bias: int,
    state_exponent: int, cumulative: int, corrected: int,
) -> tuple[int, int, int, int, int]:  # fmt: skip
    """N7: sums its input, rectifies, and sends what changed.

    v_th and bias are shifted by both exponents already.
    Returns (sigma, act, residue, error, sent).
    """
    sigma = sigma + q
    reached = max(sigma + bias, 0)
    if corrected != 0:
        change = reached - act
        sent = (change if abs(change) >= v_th else 0) >> state_exponent
        return sigma, act + (sent << state_exponent), residue, error, sent
    change = reached - act + residue
    if cumulative != 0:
        error = error + change
        sent = change if abs(error) >= v_th else 0
        error = error if sent == 0 else 0
    else:
        sent = change if abs(change) >= v_th else 0
    return sigma, reached, change - sent, error, sent >> state_exponent


@jit
def delta_neuron(
    act: int, residue: int, q: int, v_th: int, exponent: int, state_exponent: int
) -> tuple[int, int, int]:
    """N8: sends the change of its input; v_th is shifted by `exponent`, both exponents summed.

    Returns (act, residue, sent).
    """
    reached = q << exponent
    change = reached - act + residue
    sent = change if abs(change) >= v_th else 0
    return reached, change - sent, sent >> state_exponent


@jit
def rotated(
    re: int, im: int, q0: int, q1: int, sin: int, cos: int, decay_bits: int, state_exponent: int,
    v_mode: int, v_bits: int,
) -> tuple[int, int]:  # fmt: skip
    """N9: a damped rotation of (re, im) by one step, plus the input."""
    new_re = shr_to_zero(cos * re, decay_bits) - shr_to_zero(sin * im, decay_bits)
    new_im = shr_to_zero(sin * re, decay_bits) + shr_to_zero(cos * im, decay_bits)
    new_re = limit(new_re + (q0 << state_exponent), v_mode, v_bits)
    return new_re, limit(new_im + (q1 << state_exponent), v_mode, v_bits)


@jit
def resonator_neuron(
    re: int, im: int, q0: int, q1: int, sin: int, cos: int, v_th: int, decay_bits: int,
    state_exponent: int, v_mode: int, v_bits: int,
) -> tuple[int, int, bool]:  # fmt: skip
    """N9: fires where im rises through 0 while re >= v_th (shifted already)."""
    new_re, new_im = rotated(re, im, q0, q1, sin, cos, decay_bits, state_exponent, v_mode, v_bits)
    return new_re, new_im, new_re >= v_th and new_im >= 0 and im < 0


@jit
def resonator_iz_neuron(
    re: int, im: int, q0: int, q1: int, sin: int, cos: int, v_th: int, decay_bits: int,
    state_exponent: int, v_mode: int, v_bits: int,
) -> tuple[int, int, bool]:  # fmt: skip
    """N9: fires where im >= v_th; then re = 0 and im = v_th - 1 (Izhikevich's resonator)."""
    re, im = rotated(re, im, q0, q1, sin, cos, decay_bits, state_exponent, v_mode, v_bits)
    if im >= v_th:
        return 0, v_th - 1, True
    return re, im, False


@jit
def atrlif_neuron(
    i: int, v: int, theta: int, r: int, q: int, bias: int, keep_i: int, keep_v: int,
    keep_theta: int, keep_r: int, theta_0: int, theta_step: int, decay_bits: int, q_mode: int,
    q_bits: int, u_mode: int, u_bits: int, v_mode: int, v_bits: int, drive_mode: int,
) -> tuple[int, int, int, int, bool]:  # fmt: skip
    """N10: adaptive threshold theta and refractory state r; theta_0 and theta_step are shifted.

    Returns (i, v, theta, r, fired); v itself is not reset.
    """
    i = next_current(i, q, keep_i, decay_bits, q_mode, q_bits, u_mode, u_bits)
    v = next_voltage(v, i, bias, keep_v, decay_bits, drive_mode, u_bits, v_mode, v_bits)
    theta = decay(theta - theta_0, keep_theta, decay_bits) + theta_0
    r = decay(r, keep_r, decay_bits)
    if v - r >= theta:
        return i, v, theta + theta_step, r + 2 * theta, True
    return i, v, theta, r, False


@jit
def product_neuron(q0: int, q1: int, v_th: int, exponent: int) -> int:
    """N11: floor(q0 * q1 / 2**exponent), sent where its magnitude is above v_th."""
    return graded_neuron((q0 * q1) >> exponent, v_th)


@jit
def graded_neuron(q: int, v_th: int) -> int:
    """N11: the sum itself, sent where its magnitude is above v_th."""
    return q if abs(q) > v_th else 0


@jit
def graded_relu_neuron(q: int, v_th: int) -> int:
    """N11: the sum itself, sent where it is above v_th."""
    return q if q > v_th else 0


@jit
def integrator_neuron(
    u: int, v: int, q: int, bias: int, keep_u: int, keep_v: int, decay_bits: int, q_mode: int,
    q_bits: int, u_mode: int, u_bits: int, v_mode: int, v_bits: int, drive_mode: int,
) -> tuple[int, int]:  # fmt: skip
    """N12: S3 and S5 without a threshold.  Returns (u, v); v is what it sends."""
    u = next_current(u, q, keep_u, decay_bits, q_mode, q_bits, u_mode, u_bits)
    return u, next_voltage(v, u, bias, keep_v, decay_bits, drive_mode, u_bits, v_mode, v_bits)
