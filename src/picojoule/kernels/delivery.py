"""Synapses: what the spikes that arrive now add to dendritic accumulators.

A row of the instruction table starts with its opcode; all rows are as long as the longest.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.arithmetic import effective_weight
from picojoule.fixed.dynamics import shifted_sum
from picojoule.fixed.jit import jit

DENSE = 2  # op  core  lo  hi  q  length  list  pool  w  graded
SPARSE = 3  # op core  lo  hi  q  rows    list  pool  w  graded  target
SHARED = 4  # op core  lo  hi  q  rows    list  pool  w  graded  target  row  base
ACCUMULATE = 5  # op core n sum q unit_sum exponent shift unit


@jit
def arrive(row, w8, w16, w64, target, rows, lists, state, ring, load, fill, now):
    """DENSE, SPARSE, SHARED: add the weights of the spikes that arrive now to q.

    Returns the synapses read.
    """
    first = lists[row[6]]
    stop = first + fill[now, row[6]]
    if row[7] == 8:
        return deliver(row, w8, target, rows, state, ring, load, now, first, stop)
    if row[7] == 16:
        return deliver(row, w16, target, rows, state, ring, load, now, first, stop)
    return deliver(row, w64, target, rows, state, ring, load, now, first, stop)


@jit
def deliver(row, weight, target, rows, state, ring, load, now, first, stop):
    """By opcode, and by what spikes carry; returns the synapses read."""
    if row[0] == DENSE and row[9] == 0:
        return deliver_dense(row, weight, state, ring, now, first, stop)
    if row[0] == DENSE:
        return deliver_dense_graded(row, weight, state, ring, load, now, first, stop)
    if row[0] == SPARSE and row[9] == 0:
        return deliver_sparse(row, weight, target, rows, state, ring, now, first, stop)
    if row[0] == SPARSE:
        return deliver_sparse_graded(row, weight, target, rows, state, ring, load, now, first, stop)
    return deliver_shared(row, weight, target, rows, state, ring, load, now, first, stop)


@jit
def deliver_dense(row, weight, state, ring, now, first, stop):
    """Add one row of `weight` to q for every axon in lo..hi; returns the synapses read.

    The axons are ring[now, first:stop].
    """
    low, high, length, base = row[2], row[3], row[5], row[8]
    q = state[row[4] : row[4] + length]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start = base + (axon - low) * length
            add_row(q, weight[start : start + length])
            read += length
    return read


@jit
def add_row(q, weight):
    """q += weight, elementwise; q is wide enough, or wraps where the machine wraps anyway."""
    for j in range(weight.size):
        q[j] += weight[j]


@jit
def deliver_dense_graded(row, weight, state, ring, load, now, first, stop):
    """The same times the payloads load[now, first:stop]."""
    low, high, length, base = row[2], row[3], row[5], row[8]
    q = state[row[4] : row[4] + length]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start, carried = base + (axon - low) * length, load[now, e]
            for j in range(length):
                q[j] += weight[start + j] * carried
            read += length
    return read


@jit
def deliver_sparse(row, weight, target, rows, state, ring, now, first, stop):
    """The same over compressed rows; returns the synapses read."""
    low, high, place = row[2], row[3], row[5] - row[2]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start, end = rows[place + axon], rows[place + axon + 1]
            w = weight[row[8] + start : row[8] + end]
            add_scattered(state, row[4], target[row[10] + start : row[10] + end], w)
            read += end - start
    return read


@jit
def add_scattered(q, first, target, weight):
    """q[first + target[j]] += weight[j].

    Indices are unsigned: for signed ones numba adds code that wraps negative indices.
    """
    for j in range(weight.size):
        q[np.uint64(first + target[j])] += weight[j]


@jit
def deliver_sparse_graded(row, weight, target, rows, state, ring, load, now, first, stop):
    """The same times the payloads."""
    low, high, place = row[2], row[3], row[5] - row[2]
    read = 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start, end = rows[place + axon], rows[place + axon + 1]
            w = weight[row[8] + start : row[8] + end]
            add_carried(state, row[4], target[row[10] + start : row[10] + end], w, load[now, e])
            read += end - start
    return read


@jit
def add_carried(q, first, target, weight, carried):
    """q[first + target[j]] += weight[j] * carried."""
    for j in range(weight.size):
        q[np.uint64(first + target[j])] += weight[j] * carried


@jit
def deliver_shared(row, weight, target, rows, state, ring, load, now, first, stop):
    """Rows that many axons share, each moved by the base of its axon; binary or graded."""
    low, high, read = row[2], row[3], 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            shared = row[5] + rows[row[11] + axon - low]
            start, end = rows[shared], rows[shared + 1]
            w = weight[row[8] + start : row[8] + end]
            to, base = target[row[10] + start : row[10] + end], row[4] + rows[row[12] + axon - low]
            if row[9] == 0:
                add_scattered(state, base, to, w)
            else:
                add_carried(state, base, to, w, load[now, e])
            read += end - start
    return read


@jit
def accumulate(row, state):
    """ACCUMULATE (N2): q += the shifted sum, which is cleared; both in units of their regions."""
    start, q, unit, exponent, shift, unit_q = row[3], row[4], row[5], row[6], row[7], row[8]
    for i in range(row[2]):
        total = shifted_sum(np.int64(state[start + i]) << unit, exponent) << shift
        state[q + i] += total >> unit_q
        state[start + i] = 0


@jit
def effective_weights(mantissa, exponent, shift, weight_limit, out):
    """out[i] = effective_weight(mantissa[i], ...): rule S9 on every element; out int64 (n,)."""
    for i in range(mantissa.size):
        out[i] = effective_weight(np.int64(mantissa[i]), exponent, shift, weight_limit)


@jit
def look_up(mantissa, low, table, out):
    """out[i] = table[mantissa[i] - low]; mantissa int16 or int64 (n,), out as `table`."""
    for i in range(mantissa.size):
        out[i] = table[np.int64(mantissa[i]) - low]
