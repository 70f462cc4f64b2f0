"""Synapses: what the spikes that arrive now add to dendritic accumulators.

A row of the instruction table starts with its opcode; all rows are as long as the longest.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.arithmetic import effective_weight
from picojoule.fixed.dynamics import shifted_sum
from picojoule.fixed.jit import jit, jit_lean
from picojoule.kernels.prefetch import prefetch

DENSE = 2  # op  core  lo  hi  q  length  list  pool  w  graded
SPARSE = 3  # op core  lo  hi  q  rows    list  pool  w  graded  target
SHARED = 4  # op core  lo  hi  q  rows    list  pool  w  graded  target  row  base
ACCUMULATE = 5  # op core n sum q unit_sum exponent shift unit
PACKED = 8  # op core lo  hi  q  rows    list  -     synapses
TARGET_BITS = 24  # of a packed synapse; the weight has the 8 above
TARGETS = (1 << TARGET_BITS) - 1
AHEAD = 4  # axons between the one whose synapses are added and the one whose are fetched
ONE = np.uint64(1)


@jit_lean
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


@jit_lean
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


@jit_lean
def deliver_dense(row, weight, state, ring, now, first, stop):
    """Add one row of `weight` to q for every axon in lo..hi; returns the synapses read.

    The axons are ring[now, first:stop].  Four rows go at once, so q is read and written less.
    """
    low, high, length, base = row[2], row[3], row[5], row[8]
    q = state[row[4] : row[4] + length]
    read, held, a, b, c = 0, 0, 0, 0, 0
    for e in range(first, stop):
        axon = ring[now, e]
        if low <= axon < high:
            start = base + (axon - low) * length
            read += length
            if held == 0:
                a = start
            elif held == 1:
                b = start
            elif held == 2:
                c = start
            else:
                add_four(q, weight, a, b, c, start)
            held = (held + 1) & 3
    if held > 0:
        add_row(q, weight[a : a + length])
    if held > 1:
        add_row(q, weight[b : b + length])
    if held > 2:
        add_row(q, weight[c : c + length])
    return read


@jit_lean
def add_four(q, weight, a, b, c, d):
    """q += the rows of `weight` that start at a, b, c and d."""
    n = q.size
    wa, wb, wc, wd = weight[a : a + n], weight[b : b + n], weight[c : c + n], weight[d : d + n]
    for j in range(n):
        q[j] += np.int64(wa[j]) + wb[j] + wc[j] + wd[j]


@jit_lean
def add_row(q, weight):
    """q += weight, elementwise; q is wide enough, or wraps where the machine wraps anyway."""
    for j in range(weight.size):
        q[j] += weight[j]


@jit_lean
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


@jit_lean
def deliver_packed(row, packed, rows, state, ring, now, first, stop):
    """Compressed rows whose synapses are weight * 2**24 + target; returns the synapses read."""
    low, high, read = row[2], row[3], 0
    q, synapses, starts = state[row[4] :], packed[row[8] :], rows[row[5] :]
    axons = ring[now]
    for e in range(first, stop):
        if e + AHEAD < stop and low <= axons[e + AHEAD] < high:
            soon = np.uint64(axons[e + AHEAD] - low)
            prefetch(synapses, starts[soon], starts[soon + ONE])
        if low <= axons[e] < high:
            axon = np.uint64(axons[e] - low)
            start, end = np.uint64(starts[axon]), np.uint64(starts[axon + ONE])
            for j in range(start, end):
                q[np.uint64(synapses[j] & TARGETS)] += synapses[j] >> TARGET_BITS
            read += np.int64(end - start)
    return read


@jit_lean
def deliver_sparse(row, weight, target, rows, state, ring, now, first, stop):
    """The same where targets and weights lie apart."""
    low, high, read = row[2], row[3], 0
    q, starts, axons = state[row[4] :], rows[row[5] :], ring[now]
    weights, targets = weight[row[8] :], target[row[10] :]
    for e in range(first, stop):
        if e + AHEAD < stop and low <= axons[e + AHEAD] < high:
            soon = np.uint64(axons[e + AHEAD] - low)
            prefetch(weights, starts[soon], starts[soon + ONE])
            prefetch(targets, starts[soon], starts[soon + ONE])
        if low <= axons[e] < high:
            axon = np.uint64(axons[e] - low)
            start, end = np.uint64(starts[axon]), np.uint64(starts[axon + ONE])
            for j in range(start, end):
                q[np.uint64(targets[j])] += weights[j]
            read += np.int64(end - start)
    return read


@jit_lean
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


@jit_lean
def add_carried(q, first, target, weight, carried):
    """q[first + target[j]] += weight[j] * carried."""
    for j in range(weight.size):
        q[np.uint64(first + target[j])] += weight[j] * carried


@jit_lean
def add_scattered(q, first, target, weight):
    """q[first + target[j]] += weight[j].

    Indices are unsigned: for signed ones numba adds code that wraps negative indices.
    """
    for j in range(weight.size):
        q[np.uint64(first + target[j])] += weight[j]


@jit_lean
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


@jit_lean
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
