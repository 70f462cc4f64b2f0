"""Matrix products, and the BLAS threads of the process: one while bits must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import threadpoolctl
from threadpoolctl import threadpool_limits

from picojoule.kernels.product import fits, product

Array = np.ndarray[Any, Any]


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
    """a @ b + bias, rectified if asked; a (n, k), b (k, m), bias (m,).

    float32 runs in tiles of our own (`product`), what is small or of another type in BLAS.
    """
    start = np.zeros(b.shape[1], a.dtype) if bias is None else bias
    if type(a) is type(b) is type(start) is np.ndarray and fits(a, b, start):
        return product(a, b, start, relu, threads)
    out = np.matmul(a, b)
    if bias is not None:
        out += bias
    return np.maximum(out, 0, out=out) if relu else out
