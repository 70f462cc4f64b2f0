"""The worker's side: build a network once, then run it further, as often as asked."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from common.network import Network, load


class Simulation(Protocol):
    def run(self, steps: int) -> dict[str, Any] | None:
        """Advance.  May return 'seconds', where the process's own clock does not tell them."""

    def facts(self) -> dict[str, Any]:
        """What can be compared without having slowed the run: 'voltage', 'spikes', ..."""


def serve(versions: dict[str, str], build: Callable[[Network, dict[str, Any]], Simulation]) -> None:
    """Answer requests until the input ends.

    {"do": "build", "network": path, "settings": {...}} -> versions, and seconds it took
    {"do": "run", "steps": n}                           -> CPU seconds
    {"do": "facts"}                                     -> `Simulation.facts`
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer prints must not mix with the answers
    held: list[Simulation] = []
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), held, versions, build)
        except Exception as error:  # noqa: BLE001 - the benchmark reports it
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(
    request: dict[str, Any], held: list[Simulation], versions: dict[str, str], build: Callable
) -> dict[str, Any]:
    start = time.process_time()
    if request["do"] == "build":
        held.clear()
        held.append(build(load(request["network"]), request["settings"]))
        return {"versions": versions, "seconds": time.process_time() - start}
    if request["do"] == "facts":
        return held[0].facts()
    found = held[0].run(request["steps"]) or {}
    return {"seconds": time.process_time() - start, **found}
