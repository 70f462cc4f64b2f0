"""The one BLAS limit of the process nests and is restored by whoever leaves last."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from picojoule.kernels.blas import one_blas_thread

assert np.__version__  # numpy brings a BLAS


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_overlapping_users_keep_one_thread_until_the_last_leaves():
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == before
