"""Spiking loops three ways: compiled, as Python, and against numpy written another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.fixed import arithmetic
from picojoule.fixed.profile import CLIP, UNLIMITED, WRAP
from picojoule.kernels import delivery, neurons
from picojoule.kernels import spiking as k

seeds = st.integers(0, 10**6)


def python(kernel):
    return getattr(kernel, "py_func", kernel)


def row(*fields):
    return np.array([*fields] + [0] * (k.ROW - len(fields)), np.int64)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("modes", [
    (WRAP, WRAP, CLIP), (UNLIMITED, UNLIMITED, UNLIMITED), (CLIP, WRAP, WRAP)])  # fmt: skip
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_cuba_three_ways(dtype, modes, seed):
    """Compiled, interpreted, and one call of the scalar definition a neuron."""
    rng = np.random.default_rng(seed)
    n, unit = 21, 6
    waits = int(rng.integers(2))
    refractory = 3 if waits else 1
    state = np.concatenate([rng.integers(-9000, 9000, n), rng.integers(-(2**21), 2**21, 2 * n),
                            waits * rng.integers(0, 3, n) * (rng.random(n) < 0.3)])  # fmt: skip
    state[: 3 * n][rng.random(3 * n) < 0.5] = 0
    registers = np.concatenate([rng.integers(0, 4097, 2 * n), rng.integers(0, 2**20, n),
                                rng.integers(-500, 500, n) * (rng.random(n) < 0.5)])  # fmt: skip
    numbers = np.array([12, modes[0], 21, modes[1], 23, modes[2], 23, modes[1], 0])
    at = row(k.CUBA, 0, n, 0, n, 2 * n, 3 * n, 0, 0, refractory, 0, unit)
    results = []
    for kernel in (neurons.update_cuba, python(neurons.advance_cuba)):
        copy, flags = state.astype(dtype), np.zeros(n, np.uint8)
        more = () if kernel is neurons.update_cuba else (*modes, modes[1])
        active = kernel(at, numbers, registers.astype(dtype), copy, flags, waits, *more)
        results.append((active, copy, flags))
    want, fired, active = one_by_one(state, registers, n, unit, refractory, modes)
    for got_active, words, flags in results:
        assert got_active == active
        np.testing.assert_array_equal(words, want)
        np.testing.assert_array_equal(flags, fired)


def one_by_one(state, registers, n, unit, refractory, modes):
    q, u, v, wait = (part.tolist() for part in state.reshape(4, n))
    keep_u, keep_v, v_th, bias = (part.tolist() for part in registers.reshape(4, n))
    fired, active = [], 0
    for i in range(n):
        total = q[i] * 2**unit
        active += any((u[i], v[i], bias[i], arithmetic.limit(total, modes[0], 21)))
        u[i], _, v[i], wait[i], hit = arithmetic.cuba_neuron(
            u[i], v[i], wait[i], total, bias[i], keep_u[i], keep_v[i], v_th[i], refractory,
            12, modes[0], 21, modes[1], 23, modes[2], 23)  # fmt: skip
        fired.append(hit)
    return np.concatenate([np.zeros(n, int), u, v, wait]), fired, active


@pytest.mark.parametrize("pool", [np.int8, np.int16, np.int64])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_dense_delivery_three_ways(pool, dtype, seed):
    rng = np.random.default_rng(seed)
    axons, n, before = 7, 19, 5
    top = min(np.iinfo(pool).max, 2**20)
    weight = rng.integers(-top, top, (axons, n)).astype(pool)
    pools = np.concatenate([np.zeros(before, pool), weight.ravel()])
    arrived = rng.integers(0, 12, 6).astype(np.int32)  # axons 2..8 are ours
    at = row(k.DENSE, 0, 2, 2 + axons, 3, n, 0, 0, before)
    mine = arrived[(arrived >= 2) & (arrived < 2 + axons)] - 2
    want = np.zeros(3 + n, int)
    want[3:] = weight.astype(int)[mine].sum(axis=0)
    for kernel in (delivery.deliver_dense, python(delivery.deliver_dense)):
        state = np.zeros(3 + n, dtype)
        ring = np.stack([arrived + 1, arrived])
        assert kernel(at, pools, state, ring, 1, 0, 6) == n * len(mine)
        np.testing.assert_array_equal(state, want)


@pytest.mark.parametrize("pool", [np.int8, np.int16, np.int64])
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_sparse_delivery_three_ways(pool, seed):
    rng = np.random.default_rng(seed)
    axons, n = 6, 11
    dense = rng.integers(-9, 9, (axons, n)) * (rng.random((axons, n)) < 0.4)
    source, target = np.nonzero(dense)
    rows = np.searchsorted(source, np.arange(axons + 1))
    weight = np.concatenate([[99], dense[source, target]]).astype(pool)
    targets = np.concatenate([[98, 97], target]).astype(rng.choice([np.uint16, np.uint32]))
    arrived = rng.integers(0, 9, 7).astype(np.int32)  # axons 1..6 are ours
    at = row(k.SPARSE, 0, 1, 1 + axons, 4, 0, 0, 0, 1, 0, 2)
    mine = arrived[(arrived >= 1) & (arrived < 1 + axons)] - 1
    for kernel in (delivery.deliver_sparse, python(delivery.deliver_sparse)):
        state = np.zeros(4 + n, np.int32)
        got = kernel(at, weight, targets, rows, state, arrived[None], 0, 0, 7)
        assert got == (dense[mine] != 0).sum()
        np.testing.assert_array_equal(state[4:], dense[mine].sum(axis=0))
        assert not state[:4].any()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_packed_delivery_three_ways(dtype, seed):
    rng = np.random.default_rng(seed)
    axons, n = 9, 11
    dense = rng.integers(-128, 128, (axons, n)) * (rng.random((axons, n)) < 0.4)
    source, target = np.nonzero(dense)
    rows = np.searchsorted(source, np.arange(axons + 1)).astype(np.int32)
    packed = np.concatenate([[5], dense[source, target] * 2**24 + target]).astype(np.int32)
    arrived = rng.integers(0, 12, 13).astype(np.int32)  # axons 1..9 are ours
    at = row(k.PACKED, 0, 1, 1 + axons, 4, 0, 0, 0, 1)
    mine = arrived[(arrived >= 1) & (arrived < 1 + axons)] - 1
    for kernel in (delivery.deliver_packed, python(delivery.deliver_packed)):
        state = np.zeros(4 + n, dtype)
        got = kernel(at, packed, rows, state, arrived[None], 0, 0, 13)
        assert got == (dense[mine] != 0).sum()
        np.testing.assert_array_equal(state[4:], dense[mine].sum(axis=0))
        assert not state[:4].any()


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_spikes_are_listed_in_order(seed):
    rng = np.random.default_rng(seed)
    n, number, end = int(rng.integers(1, 40)), 5, 2
    hit = np.zeros(n + 8, np.uint8)
    hit[:n] = rng.random(n) < rng.choice([0, 0.1, 0.9, 1])
    hit[n:] = 1  # what follows is not listed
    for kernel in (k.listed, python(k.listed)):
        fired = np.full(end + n, -1, np.int32)
        found = kernel(hit, n, number, fired, end)
        assert fired[end : end + found].tolist() == (number + np.flatnonzero(hit[:n])).tolist()
        assert fired[:end].tolist() == [-1, -1]


@given(seed=seeds, least=st.integers(-1, 12))
@settings(max_examples=30, deadline=None)
def test_lower_bound_three_ways(seed, least):
    values = np.unique(np.random.default_rng(seed).integers(0, 12, 6)).astype(np.int32)
    want = 1 + np.searchsorted(values[1:], least)
    for kernel in (k.lower_bound, python(k.lower_bound)):
        assert kernel(values, 1, values.size, least) == want


def test_who_waits_is_looked_up_at_the_start():
    table = np.stack([row(k.CUBA, 0, 2, 0, 0, 0, first, 0, 0, refractory)
                      for first, refractory in ((0, 1), (2, 1), (0, 2))])  # fmt: skip
    state = np.array([0, 0, 0, 3])
    for kernel in (neurons.waiting, python(neurons.waiting)):
        waits = np.full(3, 9, np.uint8)
        kernel(table, state, waits)
        assert waits.tolist() == [0, 1, 1]


@given(seed=seeds, exponent=st.integers(-8, 7), bound=st.sampled_from([0, 2**21 - 64]))
@settings(max_examples=30, deadline=None)
def test_effective_weights_three_ways(seed, exponent, bound):
    mantissa = np.random.default_rng(seed).integers(-256, 256, 40)
    want = np.floor(mantissa * 2.0**exponent).astype(int) * 64
    want = np.clip(want, -bound, bound) if bound else want
    for kernel in (delivery.effective_weights, python(delivery.effective_weights)):
        out = np.zeros(40, np.int64)
        kernel(mantissa, exponent, 6, bound, out)
        np.testing.assert_array_equal(out, want)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_spikes_under_way_survive_the_ring(seed):
    rng = np.random.default_rng(seed)
    first, lists, depth = np.array([0, 3, 5]), np.array([0, 6, 10]), 4
    carries = np.array([False, True, False])
    axon = rng.permutation(9)
    payload = np.where((axon > 2) & (axon < 5), rng.integers(-9, 9, 9), 1)
    spikes = np.stack([rng.integers(0, 2, 9), rng.integers(0, depth, 9), axon, payload], axis=1)
    for load, drain in ((k.load_inflight, k.inflight_rows),
                        (python(k.load_inflight), python(k.inflight_rows))):  # fmt: skip
        ring, fill = np.zeros((2, depth, 20), np.int32), np.zeros((2, depth, 3), np.int32)
        loads = np.zeros((2, depth, 20), np.int64)
        load(spikes, ring, loads, fill, lists, first, carries)
        out = np.zeros((9, 4), np.int64)
        assert drain(ring, loads, fill, lists, first, carries, 0, out) == 9
        np.testing.assert_array_equal(np.unique(out, axis=0), np.unique(spikes, axis=0))
        drain(ring, loads, fill, lists, first, carries, 3, out)
        later = spikes.copy()
        later[:, 1] = (later[:, 1] + 1) % depth  # slot 0 comes right after slot 3
        np.testing.assert_array_equal(np.unique(out, axis=0), np.unique(later, axis=0))
