"""How time and memory grow from a thousand to a million neurons: compile, save, open and run.

Each size is a sheet of neurons with 250 synapses each (`common/sheet.py`), compiled for the board
of 32 chips, saved, opened again and run for 100 steps, through the public interface, in a
process of its own.  A line is a size: wall and CPU seconds of each stage, and the peak of
resident memory up to its end, mapped files included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from common.turns import print_machine

STEPS, RATE = 100, 0.01
SIZES = (1_024, 10_240, 102_400, 1_024_000)
QUICK = SIZES[:2]
GIB = 2**20  # in the unit of ru_maxrss, KiB

T = TypeVar("T")


class Stages:
    """What each stage took, for one line."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
        self.found |= {
            f"{name}_s": _short(time.perf_counter() - wall),
            f"{name}_cpu_s": _short(time.process_time() - cpu),
            f"{name}_peak_gib": _short(peak),
        }
        return result


def measured(neurons: int, folder: str) -> dict[str, Any]:
    """One size, from nothing to a bill."""
    from common.sheet import SIDES, Sheet, graph_of, kick

    import picojoule as pj

    sheet, stage = Sheet(*SIDES[neurons]), Stages()
    board = pj.target("loihi1_board")
    path = Path(folder) / "sheet.pjp"
    digest = compiled_to(path, graph_of(sheet, RATE, STEPS), board, stage)
    opened = stage("open", lambda: pj.Program.open(path))
    run = stage("run", lambda: pj.run(opened, kick(STEPS), detail="steps"))
    bill = pj.cost(run, board)
    assert opened.digest == digest
    assert run.outputs["spikes"].any()
    return {
        "neurons": sheet.neurons, "synapses": graph_synapses(sheet.neurons),
        "cores": opened.cores, "file_gib": _short(path.stat().st_size / 2**30), **stage.found,
        "synapse_events": run.activity.total("synapse.event"),
        "hops_chip": run.activity.total("hop.chip"), "energy_j": _short(bill.total_j),
    }  # fmt: skip


def compiled_to(path: Path, graph: Any, board: Any, stage: Stages) -> str:
    """Compile and save a graph; the digest of the program, which is not kept."""
    import picojoule as pj

    program = stage("compile", lambda: pj.compile(graph, board))
    stage("save", lambda: program.save(path))
    return str(program.digest)


def graph_synapses(neurons: int) -> int:
    """Those near, and one each from the input."""
    from common.sheet import FAN_IN

    return neurons * (FAN_IN + 1)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes")
    parser.add_argument("--sizes", type=int, nargs="*", choices=SIZES)
    parser.add_argument("--one", type=int, choices=SIZES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(chosen.one, folder)), flush=True)
        return
    print_machine("scale", {"target": "loihi1_board", "steps": STEPS, "rate": RATE})
    one = [sys.executable, __file__, "--one"]
    subprocess.run([*one, str(SIZES[0])], check=True, stdout=subprocess.DEVNULL)  # compiles kernels
    for size in chosen.sizes or (QUICK if chosen.quick else SIZES):
        subprocess.run([*one, str(size)], check=True)


if __name__ == "__main__":
    main()
