"""Memory that is freed stays while it is wanted, and goes back after."""

import sys

import numpy as np
import pytest

from picojoule.kernels import memory


def faults():
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def churn():
    for _ in range(20):
        many = [np.ones(1 << 20, np.float32) for _ in range(3)]
        del many


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_freed_memory_is_used_again_without_page_faults():
    if memory._libc() is None:
        pytest.skip("no glibc")
    with memory.kept_memory():
        churn()
        before = faults()
        churn()
        assert faults() - before < 1000  # 61,440 pages were written


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory, "_libc", lambda: None)
    with memory.kept_memory():
        churn()
