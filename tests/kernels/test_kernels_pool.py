"""Work over blocks: cuts, order, errors, nesting."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from picojoule.errors import UsageError
from picojoule.kernels import pool as threads_of
from picojoule.kernels.pool import (
    checked_threads,
    default_threads,
    over_blocks,
    shared,
    usual_threads,
)


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


def test_every_task_is_done_once_however_it_is_met():
    """Helpers that watch, sleep, come late or find their task withdrawn."""
    for pause in (0, 0, 0, 1e-4, 1e-3, 0, 2e-2, 0):
        done = []
        over_blocks(7, 3, lambda a, b, done=done: done.append(a), block=1)
        assert sorted(done) == list(range(7))
        time.sleep(pause)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_an_interrupt_waits_for_the_blocks_under_way_and_loses_no_helper():
    """Helpers work on memory of their caller, which goes when the caller is left."""
    main, begun, ended = threading.main_thread(), threading.Event(), []

    def work(start, stop):
        if threading.current_thread() is main:
            assert begun.wait(10)
            return
        begun.set()
        for _ in range(3):  # the caller waits by now; more than one may come
            time.sleep(0.02)
            signal.pthread_kill(main.ident, signal.SIGINT)
        time.sleep(0.05)
        ended.append(start)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for k in range(1, 4):
            begun.clear()
            with pytest.raises(KeyboardInterrupt):
                over_blocks(2, 2, work, block=1)
            assert len(ended) == k
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(threads_of._HELPERS) == len(threads_of._IDLE)
    assert over_blocks(4, 3, lambda a, b: a, block=1) == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    over_blocks(4, 3, lambda a, b: None, block=1)
    child = os.fork()
    if not child:  # no test runner here: leave by the number of blocks alone
        os._exit(len(over_blocks(4, 3, lambda a, b: time.sleep(1e-3), block=1)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4


def test_cuts_for_what_does_not_depend_on_them():
    assert shared(100, 2) == 25
    assert shared(100, 2, least=60) == 60
    assert shared(0, 4) == 1


def test_a_usual_number_of_threads():
    before = default_threads()
    with usual_threads(3), usual_threads(None):
        assert checked_threads(None) == 3 and checked_threads(2) == 2
        with usual_threads(1):
            assert default_threads() == 1
    assert default_threads() == before


def test_without_more_threads_the_caller_does_it_all(monkeypatch):
    def refused(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads_of, "_IDLE", [])
    monkeypatch.setattr(threads_of, "Thread", refused)
    assert over_blocks(3, 3, lambda a, b: a, block=1) == [0, 1, 2]
