"""Matrix products, and the BLAS threads of the process: one while bits must be the same.

Large products are cut into panels of columns, which depend on shapes only; our own pool of
threads works on them, each with a BLAS of one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import threadpoolctl
from threadpoolctl import threadpool_limits

from picojoule.kernels.pool import over_blocks

Array = np.ndarray[Any, Any]
LARGE = 1 << 22  # multiplications from which cutting a product pays
WIDE = 512  # columns of two panels; narrower ones cost more than they share


@dataclass
class _Users:
    """How many callers hold the limit, which is one for the whole process."""

    lock: Lock = field(default_factory=Lock)
    count: int = 0
    limit: Any = None


_USERS = _Users()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS on one thread; the last of several callers to leave restores what was before.

    BLAS sums in another order on another number of threads, so bits would differ.
    """
    with _USERS.lock:
        _USERS.count += 1
        if _USERS.count == 1:
            _take_control()
            _USERS.limit = threadpool_limits(1, user_api="blas")
    try:
        yield
    finally:
        with _USERS.lock:
            _USERS.count -= 1
            if _USERS.count == 0:
                _take_control()
                _USERS.limit.restore_original_limits()
                _take_control()


def _take_control() -> None:
    """Let this thread set the limit: threadpoolctl 3.7 and later obey only the first that did."""
    clear = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


def matmul(
    a: Array, b: Array, bias: Array | None = None, relu: bool = False, threads: int | None = None
) -> Array:
    """a @ b + bias, rectified if asked; a (n, k), b (k, m), bias (m,)."""
    n, m = len(a), b.shape[1]
    panels = 2 * max(1, m // WIDE)
    if n * a.shape[1] * m < LARGE or m < 64:
        return _panel(a, b, bias, relu, None)
    out = np.empty((n, m), np.result_type(a, b))

    def work(lo: int, hi: int) -> None:
        _panel(a, b[:, lo:hi], None if bias is None else bias[lo:hi], relu, out[:, lo:hi])

    over_blocks(m, threads, work, -(-m // panels))
    return out


def _panel(a: Array, b: Array, bias: Array | None, relu: bool, out: Array | None) -> Array:
    out = np.matmul(a, b, out=out)
    if bias is not None:
        out += bias
    return np.maximum(out, 0, out=out) if relu else out
