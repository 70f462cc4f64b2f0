"""Work over blocks: cuts, order, errors, nesting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from picojoule.errors import UsageError
from picojoule.kernels.pool import checked_threads, default_threads, over_blocks


@pytest.mark.parametrize("threads", [1, 2, 5, 100])
def test_blocks_and_their_order(threads):
    got = over_blocks(19, threads, lambda a, b: (a, b), block=8)
    assert got == [(0, 8), (8, 16), (16, 19)]
    assert over_blocks(0, threads, lambda a, b: (a, b)) == []


def test_several_threads_take_part():
    met = threading.Barrier(3, timeout=20)  # passes only if three blocks run at once
    over_blocks(3, 3, lambda a, b: met.wait(), block=1)


@pytest.mark.parametrize("bad", [0, 17, 39])
def test_an_error_of_a_block_is_raised(bad):
    def work(start, stop):
        if start <= bad < stop:
            raise KeyError(bad)

    for threads in (1, 4):
        with pytest.raises(KeyError):
            over_blocks(40, threads, work, block=4)


def test_nested_and_concurrent_calls_end():
    def inner(a, b):
        return sum(over_blocks(20, 4, lambda c, d: d - c, block=1))

    def outer(_):
        return sum(over_blocks(30, 8, inner, block=1))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outer, range(8))) == [600] * 8


def test_numbers_of_threads(monkeypatch):
    monkeypatch.setenv("PICOJOULE_THREADS", "3")
    assert default_threads() == checked_threads(None) == 3
    monkeypatch.setenv("PICOJOULE_THREADS", "")
    assert default_threads() >= 1
    for text in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("PICOJOULE_THREADS", text)
        with pytest.raises(UsageError, match="PJ806"):
            default_threads()
