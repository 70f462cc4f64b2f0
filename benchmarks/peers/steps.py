"""The worker's side of the training benchmark: build a step once, then run it as often as asked."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], tuple[float, dict[str, Any]]]  # loss, gradients as numpy arrays by name


def timed(step: Callable[[], Any], times: int) -> dict[str, float]:
    """Seconds a step, after one to warm up: of the clock, and of the processor."""
    step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        step()
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {name: seconds / times for name, seconds in found.items()}


def serve(build: Callable[[str, str, int], tuple[Step, dict[str, str]]]) -> None:
    """Answer requests until the input ends.

    {"do": "build", "case", "variant", "threads"} -> {"versions": ...}
    {"do": "check", "path"}                       -> {"loss": ...}; gradients go to the path
    {"do": "run", "times"}                        -> `timed`
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer prints must not mix with the answers
    held: list[Step] = []
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), held, build)
        except Exception as error:  # noqa: BLE001 - the benchmark reports it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(request: dict[str, Any], held: list[Step], build: Callable[..., Any]) -> dict[str, Any]:
    if request["do"] == "build":
        held.clear()
        step, versions = build(request["case"], request["variant"], request["threads"])
        held.append(step)
        return {"versions": versions}
    if request["do"] == "check":
        loss, gradients = held[0]()
        np.savez(request["path"], **gradients)
        return {"loss": loss}
    return timed(held[0], request["times"])
