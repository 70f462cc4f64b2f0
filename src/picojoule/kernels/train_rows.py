"""Gradients of spiking weights: sums over the events of each source, row by row.

Events are first sorted by row, so each row of weights is summed by one thread, in one order.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.jit import jit, jit_lean
from picojoule.kernels.train_product import add_row
from picojoule.kernels.train_spiking import COLUMNS, DELAY, OFFSET


@jit
def count_by_row(indptr, index, rows):
    """int64 (rows + 1,): where the events of each row begin, once they are sorted by row."""
    starts = np.zeros(rows + 1, np.int64)
    for e in range(indptr[0], indptr[-1]):
        starts[index[e] + 1] += 1
    for i in range(rows):
        starts[i + 1] += starts[i]
    return starts


@jit
def sort_by_row(indptr, index, starts):
    """int32 (events,): the entry of indptr (b * T + t) of each event, sorted by row."""
    free = starts[:-1].copy()
    found = np.empty(starts[-1], np.int32)
    for k in range(indptr.size - 1):
        for e in range(indptr[k], indptr[k + 1]):
            found[free[index[e]]] = k
            free[index[e]] += 1
    return found


@jit
def list_spikes(fired, first, p, populations):
    """The spikes of population p as (indptr, index), by sample and step."""
    samples, steps = first.shape[0], first.shape[1] // populations
    indptr = np.zeros(samples * steps + 1, np.int64)
    for b in range(samples):
        for t in range(steps):
            at = t * populations + p
            row = b * steps + t
            indptr[row + 1] = indptr[row] + first[b, at + 1] - first[b, at]
    index = np.empty(indptr[-1], np.int32)
    for b in range(samples):
        for t in range(steps):
            at, n = indptr[b * steps + t], first[b, t * populations + p]
            for e in range(indptr[b * steps + t + 1] - at):
                index[at + e] = fired[b, n + e]
    return indptr, index


@jit
def places_of(group, first, samples, steps, neurons, block):
    """int64 (B * T,): where the gradients lie that a spike of sample b, step t meets; else -1.

    first  where the target lies in the flat space; block: samples of a gradient block
    """
    out = np.full(samples * steps, -1, np.int64)
    for b in range(samples):
        start = b - b % block
        width = min(block, samples - start)
        at = steps * (start * neurons + width * first) + (b - start) * group[COLUMNS]
        for t in range(group[DELAY], steps):
            out[b * steps + t - group[DELAY]] = at + t * width * group[COLUMNS]
    return out


@jit
def weights_back(lo, hi, group, places, starts, found, g_current, g_weight):
    """Gradients of rows lo..hi of one group: sums over the events of each source."""
    columns = group[COLUMNS]
    met = np.empty(found.size, np.int64)
    for i in range(lo, hi):
        n = 0
        for e in range(starts[i], starts[i + 1]):
            met[n] = places[found[e]]
            n += met[n] >= 0
        at = group[OFFSET] + i * columns
        add_places(g_weight[at : at + columns], g_current, met[:n])


@jit_lean
def add_places(total, flat, places):
    """Add to total the parts of a flat array that begin at `places`, four at a time."""
    columns, n = total.size, places.size
    total[:] = 0
    for e in range(0, n - 3, 4):
        a = flat[places[e] : places[e] + columns]
        b = flat[places[e + 1] : places[e + 1] + columns]
        c = flat[places[e + 2] : places[e + 2] + columns]
        d = flat[places[e + 3] : places[e + 3] + columns]
        for j in range(columns):
            total[j] = total[j] + a[j] + b[j] + c[j] + d[j]
    for e in range(n - n % 4, n):
        add_row(total, flat[places[e] : places[e] + columns])
