"""Paired timing: we and a peer in turn, and one JSON line of the ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TURNS = 5
SETTLE = 0.02  # seconds; GNU's OpenMP lets threads spin for some milliseconds, ours for 0.2


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time that this process spends on `work`: other processes do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(
    ours: Callable[[], float], theirs: Callable[[], float], turns: int = TURNS
) -> list[tuple[float, float]]:
    """(our seconds, the peer's seconds) of each turn, one soon after the other."""
    return [(settled(ours), settled(theirs)) for _ in range(turns)]


def settled(measured: Callable[[], float]) -> float:
    """`measured()`, once idle threads of the other side have stopped to look for work."""
    time.sleep(SETTLE)
    return measured()


def print_line(head: Mapping[str, Any], times: list[tuple[float, float]], rest: Any = None) -> None:
    """A result: median, lowest and highest of the turns' ratios, peer's time by ours.

    head  benchmark, case, peer, threads;  rest  more of what was measured
    """
    ratios = sorted(theirs / ours for ours, theirs in times)
    found = {
        "ratio": _short(statistics.median(ratios)), "low": _short(ratios[0]),
        "high": _short(ratios[-1]), "turns": len(ratios),
        "ours_s": _short(statistics.median(ours for ours, _ in times)),
        "peer_s": _short(statistics.median(theirs for _, theirs in times)),
    }  # fmt: skip
    print(json.dumps({**head, **found, **(rest or {})}), flush=True)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def print_absent(head: Mapping[str, Any], why: str) -> None:
    """A peer that could not be measured: its line says so instead of a ratio."""
    print(json.dumps({**head, "ratio": None, "low": None, "high": None, "why": why}), flush=True)


def print_machine(benchmark: str, settings: Mapping[str, Any]) -> None:
    """Where and with what it was measured."""
    import numba
    import numpy as np

    about = {
        "benchmark": benchmark, "machine": cpu_name(), "cores": os.cpu_count(),
        "system": platform.platform(), "python": platform.python_version(),
        "numpy": np.__version__, "numba": numba.__version__,
        "clock": "CPU time of the process",
    }  # fmt: skip
    print(json.dumps({**about, **settings}), flush=True)


def cpu_name() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
