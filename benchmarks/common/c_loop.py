"""Compile a plain C loop and run the benchmark's network in it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np

from common.network import DECAY_V, KICK_EXPONENT, V_TH, Network

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
FOLDER = Path(__file__).resolve().parents[1]
SHIFT = 7  # weights are even, and are kept halved


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compiled(source: str, folder: str) -> ctypes.CDLL | None:
    """`benchmarks/<source>.c` as a library; None where there is no C compiler."""
    found = compiler()
    if found is None:
        return None
    library = Path(folder) / f"{source}.so"
    subprocess.run([found, *FLAGS, str(FOLDER / f"{source}.c"), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class RowsLoop:
    """`spiking_rows.c` over a network; continues where the last run ended."""

    def __init__(self, library: ctypes.CDLL, network: Network) -> None:
        n = network.neurons
        self._library, self.steps_done = library, 0
        self._fixed = [network.indptr, network.target, (network.weight // 2).astype(np.int8),
                       network.bias << 6]  # fmt: skip
        self._kick = network.kick // 2
        self.u, self.v, self._q = (np.zeros(n, np.int32) for _ in range(3))
        self._fired, self._hit = np.zeros(n + 1, np.int32), np.zeros(n, np.uint8)
        self.counts = np.zeros(2, np.int64)

    def run(self, steps: int, spikes: np.ndarray | None = None) -> None:
        """Advance; spikes uint8 (steps, n), written."""
        numbers = np.array([steps, self.v.size, 0, 4096 - DECAY_V, V_TH << 6, SHIFT], np.int64)
        arrays = [numbers, *self._fixed, self._kick]
        kick_at = 1 - self.steps_done  # loihi1: an event of step 0 acts in step 1
        state = [self.u, self.v, self._q, self._fired, self._hit, spikes, self.counts]
        self._library.run(*map(_pointer, arrays), ctypes.c_int64(kick_at),
                          ctypes.c_int64(KICK_EXPONENT), *map(_pointer, state))  # fmt: skip
        self.steps_done += steps


def _pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)
