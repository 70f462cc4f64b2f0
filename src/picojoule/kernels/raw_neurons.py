"""Loops of the neuron kinds that take plain sums of weights; see `kernels.neurons`."""

from __future__ import annotations

import numpy as np

from picojoule.fixed.arithmetic import fires
from picojoule.fixed.dynamics import (
    delta_neuron,
    graded_neuron,
    graded_relu_neuron,
    product_neuron,
    resonator_iz_neuron,
    resonator_neuron,
    sigma_delta_neuron,
)
from picojoule.fixed.jit import jit_lean
from picojoule.kernels.fields import (
    GRADED,
    GRADED_RELU,
    OPTIONS,
    PAYLOAD_BITS,
    Q0,
    Q1,
    RESONATOR,
    UNIT0,
    UNIT1,
    V_BITS,
    V_MODE,
    register,
    send,
    sums,
    taken,
    word,
)


@jit_lean
def advance_sigma_delta(row, numbers, registers, state, hit, sent):
    """N7."""
    q, unit = sums(row, state, Q0), row[UNIT0]
    sigma, act = word(row, state, 0), word(row, state, 1)
    residue, error = word(row, state, 2), word(row, state, 3)
    v_th, bias = register(row, registers, 0), register(row, registers, 1)
    exponent, cumulative, corrected = row[OPTIONS + 1], row[OPTIONS + 2], row[OPTIONS + 3]
    bits, active = numbers[PAYLOAD_BITS], 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        active += (sigma[i] | act[i] | residue[i] | error[i] | total | bias[i]) != 0
        sigma[i], act[i], residue[i], error[i], value = sigma_delta_neuron(
            np.int64(sigma[i]), np.int64(act[i]), np.int64(residue[i]), np.int64(error[i]), total,
            v_th[i], bias[i], exponent, cumulative, corrected,
        )  # fmt: skip
        send(hit, sent, i, value, bits)
    return active


@jit_lean
def advance_delta(row, numbers, registers, state, hit, sent):
    """N8."""
    q, unit = sums(row, state, Q0), row[UNIT0]
    act, residue, v_th = word(row, state, 0), word(row, state, 1), register(row, registers, 0)
    spikes, exponent = row[OPTIONS + 1], row[OPTIONS] + row[OPTIONS + 1]
    bits, active = numbers[PAYLOAD_BITS], 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        active += (act[i] | residue[i] | total) != 0
        act[i], residue[i], value = delta_neuron(
            np.int64(act[i]), np.int64(residue[i]), total, v_th[i], exponent, spikes
        )
        send(hit, sent, i, value, bits)
    return active


@jit_lean
def advance_resonator(row, numbers, registers, state, hit):
    """N9, both kinds."""
    q0, q1, unit0, unit1 = sums(row, state, Q0), sums(row, state, Q1), row[UNIT0], row[UNIT1]
    re, im = word(row, state, 0), word(row, state, 1)
    sin, cos = register(row, registers, 0), register(row, registers, 1)
    v_th, decay_bits, exponent = register(row, registers, 2), row[OPTIONS], row[OPTIONS + 1]
    v_mode, v_bits, plain, active = numbers[V_MODE], numbers[V_BITS], row[0] == RESONATOR, 0
    for i in range(row[2]):
        first, second = taken(q0, i, unit0), taken(q1, i, unit1)
        active += (re[i] | im[i] | first | second) != 0
        if plain:
            re[i], im[i], hit[i] = resonator_neuron(
                np.int64(re[i]), np.int64(im[i]), first, second, sin[i], cos[i], v_th[i],
                decay_bits, exponent, v_mode, v_bits,
            )  # fmt: skip
        else:
            re[i], im[i], hit[i] = resonator_iz_neuron(
                np.int64(re[i]), np.int64(im[i]), first, second, sin[i], cos[i], v_th[i],
                decay_bits, exponent, v_mode, v_bits,
            )  # fmt: skip
    return active


@jit_lean
def advance_product(row, numbers, registers, state, hit, sent):
    """N11, two accumulators."""
    q0, q1, unit0, unit1 = sums(row, state, Q0), sums(row, state, Q1), row[UNIT0], row[UNIT1]
    v_th, exponent, bits = register(row, registers, 0), row[OPTIONS], numbers[PAYLOAD_BITS]
    active = 0
    for i in range(row[2]):
        first, second = taken(q0, i, unit0), taken(q1, i, unit1)
        active += (first | second) != 0
        send(hit, sent, i, product_neuron(first, second, v_th[i], exponent), bits)
    return active


@jit_lean
def advance_stateless(row, numbers, registers, state, hit, sent):
    """N11, one accumulator: three kinds."""
    q, unit, kind = sums(row, state, Q0), row[UNIT0], row[0]
    v_th, bits, active = register(row, registers, 0), numbers[PAYLOAD_BITS], 0
    for i in range(row[2]):
        total = taken(q, i, unit)
        active += total != 0
        if kind == GRADED:
            send(hit, sent, i, graded_neuron(total, v_th[i]), bits)
        elif kind == GRADED_RELU:
            send(hit, sent, i, graded_relu_neuron(total, v_th[i]), bits)
        else:
            hit[i] = fires(total, v_th[i])
    return active
