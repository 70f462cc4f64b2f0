"""A saved Program in a fresh process, without graph or trainer, against what training gave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, TrainError
from picojoule.graph import Graph
from picojoule.train.evaluate import dump_outputs

Array = np.ndarray
PART = 2500  # samples that a process replays at once


def replay_all(frozen: Graph, x: Array, program: Path, part: int = PART) -> tuple[int, int]:
    """(integers compared, how many differ) of all samples x, tensor or spiking, over both engines.

    `part` samples a fresh process; the dump of each lies beside the program while it runs.
    Raises TrainError PJ703 where the Program could not be replayed, UsageError PJ801 or PJ803.
    """
    dump = program.with_suffix(".safetensors")
    elements = mismatched = 0
    try:
        for at in range(0, max(len(x), 1), part):
            found = replayed(start_replay(frozen, x[at : at + part], program, dump))
            elements, mismatched = elements + found[0], mismatched + found[1]
    finally:
        dump.unlink(missing_ok=True)
    return elements, mismatched


def start_replay(frozen: Graph, x: Array, program: Path, dump: Path) -> subprocess.Popen[str]:
    """Write what the trainer computes for samples x to `dump`, and start `picojoule.sim.replay`,
    which runs the saved Program on both engines and compares.  Raises UsageError PJ801."""
    dump_outputs(frozen, x, dump)
    command = [sys.executable, "-m", "picojoule.sim.replay", str(program), str(dump)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def replayed(replay: subprocess.Popen[str]) -> tuple[int, int]:
    """(integers compared, how many differ), over both engines; waits for the process.

    Raises TrainError PJ703 where the Program could not be replayed.
    """
    out, err = replay.communicate()
    try:
        found = json.loads(out)
    except ValueError:
        what = f"the replay of a program failed: {err.strip()[-400:]}"
        raise TrainError(Fault("PJ703", what)) from None
    return found["elements"], found["mismatched"]
