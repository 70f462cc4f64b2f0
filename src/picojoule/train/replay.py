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
