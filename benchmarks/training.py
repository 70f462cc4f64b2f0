"""Speed of a training step beside torch and what is built on it.

The same arrays, and the same loss and gradients, checked first, but for peers whose line says
`"agrees": false`: `note` tells how they differ.  Spikes come to us as events, made before the
clock starts, and to peers as the dense arrays that they take.  We and each peer run in turn, each
in a process of its own; a ratio is the peer's seconds a step by ours.  On one thread they are
CPU time; on more, time of the clock, of which the lowest of all turns is the one to trust where
others use the machine (`ratio_of_lowest`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common.training_cases import CASES, TAPE_LENGTH, arrays_of
from common.training_steps import STEPS, Step
from common.turns import in_turn, print_absent, print_line, print_machine
from common.workers import PeerFailed, Worker, interpreter
from peers.steps import timed

from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.memory import kept_memory


@dataclass(frozen=True)
class Peer:
    """What to know of a peer; `same`: whether its loss and gradients must be ours."""

    note: str = ""
    same: bool = True


BREVITAS = Peer("scales by its own rules: the cost of the library", same=False)
SPIKING = {
    "torch": Peer("input's product for all steps at once"),
    "torch per step": Peer(),
    "snntorch": Peer(),
    "norse": Peer("other neurons, whose current is a state too", same=False),
    "spikingjelly": Peer("a sigmoid for the slope, and a readout that does not leak", same=False),
}
PEERS: dict[str, dict[str, Peer]] = {  # of each case
    "mlp": {"torch": Peer("fused Adam"), "torch.compile": Peer("fused Adam, not compiled")},
    "cnn": {
        "torch channels_last": Peer(),
        "torch NCHW": Peer(),
        "torch.compile": Peer("channels_last"),
    },
    "qat": {
        "brevitas": BREVITAS,
        "torch channels_last": Peer("the float network, nothing quantized", same=False),
    },
    "lsq": {
        "torch composed": Peer(),
        "torch built-in": Peer("masks after rounding", same=False),
        "brevitas": BREVITAS,
    },
    "tape": {"torch": Peer(f"chain of {TAPE_LENGTH} operations on 16 elements")},
    "snn64": SPIKING,
    "snn8": SPIKING,
}
# what `kept_memory` does for us, said to glibc before the peer starts: else its page faults
# would make us look half as fast again
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
TIMES = {
    "mlp": 10,
    "cnn": 10,
    "qat": 5,
    "lsq": 20,
    "tape": 5,
    "snn64": 3,
    "snn8": 10,
}  # steps a turn
CLOSE = 2e-4  # of the largest gradient: what single precision and another order may differ


@dataclass(frozen=True)
class Case:
    """One line of results to be."""

    name: str
    peer: str
    threads: int
    turns: int

    @property
    def head(self) -> dict[str, Any]:
        about = (CASES[self.name].__doc__ or "").strip().splitlines()[0]
        return {"benchmark": "training", "case": self.name, "about": about, "peer": self.peer,
                "threads": self.threads}  # fmt: skip


def agrees(step: Step, worker: Worker, folder: str) -> bool:
    """Whether loss and gradients are the peer's.  Raises PeerFailed."""
    path = Path(folder) / "gradients.npz"
    theirs = worker.ask({"do": "check", "path": str(path)})["loss"]
    loss, gradients = step()
    with np.load(path) as found:
        away = [
            np.abs(gradients[name].ravel() - found[name].ravel()).max() / np.abs(found[name]).max()
            for name in found.files
        ]
    near = abs(loss - theirs) <= CLOSE * max(1.0, abs(theirs))
    return bool(near and max(away, default=1) < CLOSE)


def measure(case: Case, worker: Worker, folder: str) -> None:
    """One line of results; AssertionError where the maths should agree and does not."""
    request = {"case": case.name, "variant": case.peer, "threads": case.threads}
    versions = worker.ask({"do": "build", **request})["versions"]
    peer = PEERS[case.name][case.peer]
    step = STEPS[case.name](arrays_of(case.name))
    same = peer.same and agrees(step, worker, folder)
    assert same or not peer.same, f"{case}: loss or gradients differ"
    clock, times = ("cpu" if case.threads == 1 else "wall"), TIMES[case.name]
    found = in_turn(
        lambda: timed(step, times)[clock],
        lambda: worker.ask({"do": "run", "times": times})[clock], case.turns,
    )  # fmt: skip
    lowest = min(theirs for _, theirs in found) / min(ours for ours, _ in found)
    rest = {"ratio_of_lowest": round(lowest, 3), "clock": clock, "agrees": same,
            "note": peer.note, "versions": versions}  # fmt: skip
    print_line(case.head, found, rest)


def run_case(case: Case, folder: str) -> None:
    """Measure, or say why not."""
    python = interpreter("torch")
    if python is None:
        return print_absent(case.head, "make peers")
    os.environ["PICOJOULE_THREADS"] = str(case.threads)
    try:
        with Worker(python, "torch_training", KEPT) as worker:
            measure(case, worker, folder)
    except PeerFailed as error:
        print_absent(case.head, str(error))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first peer of each case, once")
    parser.add_argument("--case", choices=sorted(STEPS), help="this case only")
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas")
    parser.add_argument("--turns", type=int, help="how often each is timed")
    options = parser.parse_args()
    turns = options.turns or (3 if options.quick else 15)
    print_machine("training", {
        "clock": "CPU time on one thread, else the clock's", "turns": turns, "steps": TIMES,
        "peers_environment": KEPT,
        "our_threads": "own pool and products, BLAS on one thread",
    })  # fmt: skip
    threads = [1] if options.quick else [int(t) for t in options.threads.split(",")]
    with tempfile.TemporaryDirectory() as folder, one_blas_thread(), kept_memory():
        for name in [options.case] if options.case else STEPS:
            for peer in list(PEERS[name])[: 1 if options.quick else None]:
                for count in threads:
                    run_case(Case(name, peer, count, turns), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
