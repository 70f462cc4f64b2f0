"""One pool of threads of our own: work over blocks, whose cuts never move a bit of a result.

A region of work in training lasts a tenth of a millisecond, and waking a sleeping thread half of
that.  So a thread without work watches for some for a moment before it sleeps, and whoever
waits for it watches likewise.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.kernels.watch import hand_over, watch

MOST = 64  # threads of the pool; they start only when needed


class _Helper:
    """A thread that does what one caller at a time posts.

    posted, taken, ended  (1,) int64: numbers of the tasks that came, began and ended last
    awake                 whether it watches for tasks, or sleeps until one comes
    """

    def __init__(self) -> None:
        hand_over(np.zeros(1, np.int64), 0, np.zeros(1, np.int64))  # compiled by one thread,
        watch(np.ones(1, np.int64), 0)  # and before it is needed
        self.tasks: SimpleQueue[tuple[int, Callable[[], None] | None]] = SimpleQueue()
        self.errors: SimpleQueue[BaseException | None] = SimpleQueue()
        self.posted, self.taken, self.ended = (np.zeros(1, np.int64) for _ in range(3))
        self.awake = False
        Thread(target=self._serve, name="picojoule", daemon=True).start()

    def post(self, task: Callable[[], None]) -> None:
        """Have a task done; `wait` must follow."""
        number = int(self.posted[0]) + 1
        self.tasks.put((number, task))
        if self.awake:
            hand_over(self.posted, number, self.taken)
        else:
            self.posted[0] = number

    def wait(self) -> BaseException | None:
        """What the task raised, once it is done; it is withdrawn if it has not begun."""
        try:
            self.tasks.get_nowait()
        except Empty:
            watch(self.ended, self.posted[0] - 1)
            return self.errors.get()
        self.ended[0] = self.posted[0]
        return None

    def works(self) -> bool:
        """Whether a task has begun that has not ended."""
        return bool(self.taken[0] > self.ended[0])

    def _serve(self) -> None:
        while True:
            self.awake = watch(self.posted, self.ended[0])
            try:
                number, task = self.tasks.get(block=not self.awake)
            except Empty:  # withdrawn
                continue
            if task is None:  # retired
                return
            self.awake = True
            self.taken[0] = number
            error = _error_of(task)
            del task
            self.ended[0] = number  # first: who has the error may post, and withdraw, the next
            self.errors.put(error)
            del error


def _error_of(task: Callable[[], None]) -> BaseException | None:
    try:
        task()
    except BaseException as error:  # noqa: BLE001  raised where the result is awaited
        return error
    return None


_HELPERS: list[_Helper] = []  # all there are
_IDLE: list[_Helper] = []  # those that nobody has claimed; the one used last at the end


def _forget() -> None:
    """Threads do not live on in a fork."""
    _HELPERS.clear()
    _IDLE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _claimed() -> _Helper | None:
    """A helper for this caller alone; None if there is none to be had."""
    try:
        return _IDLE.pop()
    except IndexError:
        if len(_HELPERS) >= MOST:
            return None
    try:
        helper = _Helper()
    except RuntimeError:  # the system gives no more threads
        return None
    _HELPERS.append(helper)
    return helper


_USUAL: ContextVar[int | None] = ContextVar("usual", default=None)


@contextmanager
def usual_threads(threads: int | None) -> Iterator[None]:
    """Let so many threads be the default within; None changes nothing.  Raises UsageError PJ806."""
    token = _USUAL.set(_USUAL.get() if threads is None else checked_threads(threads))
    try:
        yield
    finally:
        _USUAL.reset(token)


def default_threads() -> int:
    """Threads to use: `usual_threads`, PICOJOULE_THREADS, or one a core.

    Raises UsageError PJ806.
    """
    usual = _USUAL.get()
    if usual is not None:
        return usual
    text = os.environ.get("PICOJOULE_THREADS", "")
    if not text:
        return os.cpu_count() or 1
    return checked_threads(int(text) if text.isdecimal() else text)


def checked_threads(threads: int | str | None) -> int:
    """A usable number of threads; None: the default.  Raises UsageError PJ806."""
    if threads is None:
        return default_threads()
    if not isinstance(threads, int) or threads < 1:
        what = f"the number of threads must be a positive integer, got {threads!r}"
        raise UsageError(Fault("PJ806", what))
    return threads


def shared(n: int, threads: int | None, least: int = 1) -> int:
    """Size of blocks for `over_blocks`, where results do not depend on the cuts.

    A few for each thread, so that others take over from one that is late.
    """
    return max(least, -(-n // (2 * checked_threads(threads))))


def over_blocks(
    n: int, threads: int | None, work: Callable[[int, int], Any], block: int = 8
) -> list[Any]:
    """Results of work(start, stop) over the blocks of 0..n, in order.

    The calling thread works too, so nested and concurrent calls always advance.  The first
    exception of any block is raised, after the blocks under way have ended.
    """
    starts = list(range(0, n, block))
    results: list[Any] = [None] * len(starts)
    todo = deque(enumerate(starts))

    def drain() -> None:
        while todo:
            try:
                k, start = todo.popleft()
            except IndexError:  # another thread took the last block
                return
            results[k] = work(start, min(start + block, n))

    _share(drain, todo, min(checked_threads(threads), len(starts), MOST) - 1)
    return results


def _share(drain: Callable[[], None], todo: deque[Any], count: int) -> None:
    helpers: list[_Helper] = []
    try:
        _post(drain, count, helpers)
        errors = _drained(drain, todo, helpers)
    except BaseException:
        todo.clear()
        _retire(helpers)
        raise
    for error in filter(None, errors):
        raise error


def _post(task: Callable[[], None], count: int, helpers: list[_Helper]) -> None:
    """Have a task done by at most `count` helpers, which are added to the list."""
    for _ in range(count):
        helper = _claimed()
        if helper is None:
            return
        helpers.append(helper)
        helper.post(task)


def _drained(
    drain: Callable[[], None], todo: deque[Any], helpers: list[_Helper]
) -> list[BaseException | None]:
    """Work too, then wait for the helpers: what they raised.  Leaves the list empty."""
    try:
        drain()
    except BaseException:
        todo.clear()
        raise
    finally:
        errors = [helper.wait() for helper in helpers]
        idle = helpers.copy()
        helpers.clear()
        _IDLE.extend(idle)
    return errors


def _retire(helpers: list[_Helper]) -> None:
    """Give up helpers whose caller was interrupted while it posted or waited.

    Whatever else interrupts, none works on memory of the caller any more: what is still to do
    is empty.
    """
    while True:
        try:
            while any(helper.works() for helper in helpers):
                time.sleep(1e-4)
            break
        except KeyboardInterrupt:
            continue
    for helper in helpers:
        _HELPERS.remove(helper)
        helper.tasks.put((0, None))
