"""One pool of threads of our own: work over fixed blocks, whose cuts no thread count moves."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from picojoule.errors import Fault, UsageError

MOST = 64  # threads of the pool; they start only when needed


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST, thread_name_prefix="picojoule")


def default_threads() -> int:
    """Threads to use: PICOJOULE_THREADS, or one a core.  Raises UsageError PJ806."""
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


def _share(drain: Callable[[], None], todo: deque[Any], helpers: int) -> None:
    futures = [_executor().submit(drain) for _ in range(helpers)]
    try:
        drain()
    except BaseException:
        todo.clear()
        raise
    finally:
        late = [future for future in futures if not future.cancel()]
        errors = [future.exception() for future in late]
    for error in filter(None, errors):
        raise error
