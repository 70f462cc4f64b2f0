"""Rows of the instruction table that stand for neurons: their fields, and what these point at."""

from __future__ import annotations

import numpy as np

from picojoule.fixed.dynamics import payload
from picojoule.fixed.jit import jit_inline, jit_lean

# opcodes of kinds, in the order of `fixed.neurons.KINDS`; `cuba` has a row of its own
CUBA = 6  # op core n q u v wait spikes registers refractory first unit
CUBA_NOISE, CUBA_RESET, TERNARY, SIGMA_DELTA, DELTA, RESONATOR, RESONATOR_IZ = range(17, 24)
ATRLIF, PRODUCT, GRADED, GRADED_RELU, INTEGRATOR, THRESHOLD = range(24, 30)
# fields of the others; 7 and 10 as in the row of `cuba`
Q0, Q1, UNIT0, UNIT1, SPIKES, REGISTERS, FIRST, WORDS, OPTIONS = 3, 4, 5, 6, 7, 8, 10, 12, 16
COLUMN, NODE, ELEMENT = 21, 22, 23
# of all neuron rows: whether the spikes of all its neurons cost the same; length of a row
ALIKE, ROW = 24, 25
NOW, SAMPLE, SEED = range(3)  # of the clock
# numbers of the profile
DECAY_BITS, Q_MODE, Q_BITS, U_MODE, U_BITS, V_MODE, V_BITS, DRIVE_MODE, PAYLOAD_BITS = range(9)


@jit_inline
def word(row, state, k):
    """The n words of state word k."""
    return state[row[WORDS + k] : row[WORDS + k] + row[2]]


@jit_inline
def register(row, registers, k):
    """The n values of register k."""
    start = row[REGISTERS] + k * row[2]
    return registers[start : start + row[2]]


@jit_inline
def sums(row, state, field):
    """The n accumulators of `field` (Q0 or Q1)."""
    return state[row[field] : row[field] + row[2]]


@jit_lean
def taken(q, i, unit):
    """The sum in accumulator i, which is cleared."""
    total = np.int64(q[i]) << unit
    q[i] = 0
    return total


@jit_lean
def send(hit, sent, i, value, bits):
    """Note what neuron i sends (N1)."""
    sent[i] = payload(value, bits)
    hit[i] = sent[i] != 0
