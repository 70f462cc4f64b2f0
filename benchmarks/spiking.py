"""Speed of the spiking engine beside that of other simulators, on one network.

Random networks of integrate-and-fire neurons with 100 synapses each run in Picojoule and in a
peer in turn, on one thread.  Each peer computes the very same spikes, and that is checked:
final voltages where they can be read, else counts.  A ratio is the peer's CPU time by ours;
ours includes all of `run`: checks, planning, counts, rasters and final state.  Peers are built
first and only run inside the clock.  `make peers` installs them; a missing one is reported.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common.c_loop import FLAGS, RowsLoop, compiled
from common.network import Network, random_network, save, voltage_digest
from common.program import events_of, program_of
from common.turns import TURNS, cpu_seconds, in_turn, print_absent, print_line, print_machine
from common.workers import PeerFailed, Worker, interpreter

from picojoule.sim import Run, run

SIZES, RATES = (1_000, 10_000, 100_000), (0.01, 0.05, 0.25)
STEPS = {1_000: 5000, 10_000: 500, 100_000: 50}  # of a turn: some 10 ms of ours at least


@dataclass(frozen=True)
class Peer:
    """A peer in an environment of its own.

    restarts  each turn repeats the first steps; otherwise it goes on where the last one ended
    steps     of a turn, where they differ from STEPS
    """

    name: str
    script: str
    environment: str
    settings: dict[str, Any] = field(default_factory=dict)
    profile: str = "loihi1"
    restarts: bool = False
    steps: dict[int, int] = field(default_factory=dict)


PEERS = (
    Peer("SANA-FE simple", "sanafe_simple", "sanafe", {"neurons_per_core": 1000},
         steps={100_000: 10}),
    Peer("NengoLoihi emulator", "nengo_loihi_emulator", "nengo"),
    Peer("Brian2Loihi (numpy)", "brian2loihi", "brian", {"codegen": "numpy"}, "brian2loihi",
         restarts=True),
    Peer("Brian2Loihi (cython)", "brian2loihi", "brian", {"codegen": "cython"}, "brian2loihi",
         restarts=True),
    Peer("Brian2 C++ standalone (float64, same spikes)", "brian2_standalone", "brian",
         {"dtype": "float64", "arithmetic": "exact"}, restarts=True),
    Peer("Brian2 C++ standalone (float32)", "brian2_standalone", "brian",
         {"dtype": "float32", "arithmetic": "float"}, restarts=True),
)  # fmt: skip
QUICK = ("SANA-FE simple", "NengoLoihi emulator", "Brian2Loihi (numpy)",
         "Brian2 C++ standalone (float64, same spikes)")  # fmt: skip


class Ours:
    """The network in Picojoule; goes on where its last run ended, unless it restarts."""

    def __init__(self, network: Network, profile: str, restarts: bool = False) -> None:
        self._program, self._profile = program_of(network, profile), profile
        self._restarts = restarts
        self.last: Run | None = None
        self.spikes = 0
        run(self._program, events_of(profile, 1, True), threads=1)  # finds the compiled kernels

    def run(self, steps: int) -> float:
        """CPU seconds of these steps."""
        first = self.last is None or self._restarts
        state = None if first or self.last is None else self.last.state
        events, held = events_of(self._profile, steps, first), []
        seconds = cpu_seconds(lambda: held.append(run(
            self._program, events, steps=steps, threads=1, state=state, detail="sum")))  # fmt: skip
        self.last = held[0]
        self.spikes += int(self.last.outputs["spikes"].sum())
        return seconds

    def facts(self) -> dict[str, int]:
        assert self.last is not None
        return {"voltage": voltage_digest(self.last.state["v"][0]), "fired": self.spikes}


def head(network: Network, peer: str) -> dict[str, Any]:
    case = f"{network.neurons} neurons, {network.rate:.0%}"
    return {"benchmark": "spiking", "case": case, "peer": peer, "threads": 1}


def check(ours: Ours, theirs: dict[str, Any]) -> None:
    """Raises AssertionError where the peer did not compute the same network."""
    mine = ours.facts()
    for name in mine.keys() & theirs.keys():
        assert mine[name] == theirs[name], f"{name}: {mine[name]} here, {theirs[name]} there"


def against_c(network: Network, folder: str) -> None:
    steps = STEPS[network.neurons]
    library = compiled("spiking_rows", folder)
    line = head(network, "C loop over the same rows")
    if library is None:
        return print_absent(line, "no C compiler")
    ours, loop = Ours(network, "loihi1"), RowsLoop(library, network)
    raster = np.zeros((steps, network.neurons), np.uint8)
    times = in_turn(lambda: ours.run(steps), lambda: cpu_seconds(lambda: loop.run(steps, raster)))
    assert ours.last is not None and np.array_equal(raster, ours.last.outputs["spikes"][0])
    check(ours, {"voltage": voltage_digest(loop.v), "fired": int(loop.counts[0])})
    rate = ours.spikes / (steps * TURNS * network.neurons)
    print_line(line, times, {"steps": steps, "agrees": True, "rate": rate,
                             "settings": " ".join(FLAGS[:2])})  # fmt: skip


def against(peer: Peer, network: Network, folder: str) -> None:
    """One line, a ratio or the reason why there is none."""
    line, python = head(network, peer.name), interpreter(peer.environment)
    if python is None:
        return print_absent(line, "not installed: make peers")
    try:
        with Worker(python, peer.script) as worker:
            measure(peer, network, folder, worker, line)
    except PeerFailed as error:
        print_absent(line, str(error))


def measure(
    peer: Peer, network: Network, folder: str, worker: Worker, line: dict[str, Any]
) -> None:
    steps = peer.steps.get(network.neurons, STEPS[network.neurons])
    path = Path(folder) / "network.npz"
    save(network, path)
    settings = {**peer.settings, "steps": steps}
    built = worker.ask({"do": "build", "network": str(path), "settings": settings})
    ours = Ours(network, peer.profile, peer.restarts)

    def theirs() -> float:
        return worker.ask({"do": "run", "steps": steps})["seconds"]

    _ = ours.run(steps), theirs()  # both have then done what they do only once
    times = in_turn(lambda: ours.run(steps), theirs)
    facts = worker.ask({"do": "facts"})
    check(ours, facts)
    print_line(line, times, {"steps": steps, "agrees": bool(facts), "settings": peer.settings,
                             "versions": built["versions"]})  # fmt: skip


def cases(quick: bool) -> Iterator[Network]:
    for neurons in SIZES[:1] if quick else SIZES:
        for rate in RATES[1:2] if quick else RATES:
            yield random_network(neurons, rate)


def chosen(quick: bool, text: str) -> Callable[[Peer], bool]:
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    if wanted:
        return lambda peer: any(part in peer.name.lower() for part in wanted)
    return lambda peer: peer.name in QUICK or not quick


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1000 neurons at 5 %% only")
    parser.add_argument("--peers", default="", help="only peers whose name holds one of these")
    options = parser.parse_args()
    wanted = chosen(options.quick, options.peers)
    print_machine("spiking", {"turns": TURNS, "compiler": " ".join(FLAGS[:2])})
    with tempfile.TemporaryDirectory() as folder:
        for network in cases(options.quick):
            if not options.peers or "c loop" in options.peers.lower():
                against_c(network, folder)
            for peer in filter(wanted, PEERS):
                against(peer, network, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
