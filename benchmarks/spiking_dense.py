"""Speed of the spiking engine on dense synapses, beside a plain C loop of the same integers.

Batches of samples with input channels and full recurrence, on one thread; every spike is
compared.  A ratio is the C loop's CPU time by ours, which includes all of `run`: checks,
planning, counts, rasters and final state.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile

import numpy as np
from common.c_loop import FLAGS, compiled
from common.turns import TURNS, cpu_seconds, in_turn, print_absent, print_line, print_machine

from picojoule.fixed.contract import Encoder, Events, Readout, events_from_raster
from picojoule.fixed.format import Format
from picojoule.program import Instruction, Program, Region, Span
from picojoule.sim import run

DECAY_U, DECAY_V, V_TH, SHIFT = 409, 128, 2000, 7  # registers; weights are multiples of 2**7
BIT, INT24 = Format(1, signed=False), Format(24)
CASES = (  # channels, neurons, steps, samples, rate of input events
    (784, 128, 100, 64, 0.05),
    (784, 1024, 100, 16, 0.05),
    (784, 1024, 100, 16, 0.3),
    (4096, 4096, 20, 4, 0.05),
)


def network(weight_in: np.ndarray, weight_rec: np.ndarray, steps: int) -> Program:
    """One population on one core; weights int8 (axons, neurons), in units of two mantissas."""
    (channels, n), core = weight_in.shape, 0
    regions = {"events": Region("host", -1, BIT, (channels,), "input"),
               "label": Region("host", -1, BIT, (n,), "output"),
               "in": Region("axon", core, BIT, (channels,), "buffer"),
               "rec": Region("axon", core, BIT, (n,), "buffer"),
               "q": Region("state", core, INT24, (n,), "buffer"),
               "spike": Region("state", core, BIT, (n,), "buffer")}  # fmt: skip
    regions |= {w: Region("state", core, INT24, (n,), "state") for w in ("u", "v", "wait")}
    arrays = {"w_in": 2 * weight_in.astype(np.int16), "w_rec": 2 * weight_rec.astype(np.int16)}
    registers = {"decay_u": DECAY_U, "decay_v": DECAY_V, "v_th": V_TH, "bias": 0}
    arrays |= {name: np.array([value], np.int32) for name, value in registers.items()}
    for name, array in arrays.items():
        form = Format(8 * array.itemsize)
        regions[name] = Region("const", core, form, array.shape, "const")
    at = {name: Span(name, 0, region.shape[0]) for name, region in regions.items()}

    def instruction(op: str, reads: str, writes: str, *args: int) -> Instruction:
        spans = (tuple(at[name] for name in names.split()) for names in (reads, writes))
        return Instruction(op=op, core=core, reads=next(spans), writes=next(spans), args=args)

    return Program(
        name="bench", target="none", machine="00", kind="spiking", profile="loihi1",
        regions=regions, arrays=arrays, steps=steps,
        instructions=(
            instruction("input", "events", "in", 0),
            instruction("deliver_dense", "in w_in", "q", 0),
            instruction("deliver_dense", "rec w_rec", "q", 0),
            instruction("cuba", "decay_u decay_v v_th bias", "q u v wait spike", 0, 1),
            instruction("route", "spike", "rec", 1, 0, 0),
            instruction("output", "spike", "label"),
        ),
        encoder=Encoder(kind="events", shape=(channels,), steps=steps), readout=Readout(),
    )  # fmt: skip


def run_c(loop: ctypes.CDLL, events: Events, w_in: np.ndarray, w_rec: np.ndarray) -> np.ndarray:
    """Spikes bool (samples, steps, neurons)."""
    n = w_in.shape[1]
    keep_u, keep_v = 4096 - 1 - DECAY_U, 4096 - DECAY_V
    sizes = (events.samples, events.steps, events.channels, n)
    numbers = np.array([*sizes, keep_u, keep_v, V_TH << 6, SHIFT], np.int64)
    spikes = np.empty((events.samples, events.steps, n), np.uint8)
    scratch = [np.zeros(n, np.int32) for _ in range(4)]
    arrays = [numbers, events.indptr, events.index, w_in, w_rec, *scratch, spikes]
    loop.run(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))
    return spikes.astype(bool)


def measure(case: tuple[int, int, int, int, float], loop: ctypes.CDLL | None) -> None:
    """One line of results.  Raises AssertionError where the two do not agree in each spike."""
    channels, n, steps, samples, rate = case
    rng = np.random.default_rng(1)
    w_in = rng.integers(-128, 128, (channels, n)).astype(np.int8)
    w_rec = rng.integers(-20, 16, (n, n)).astype(np.int8)
    events = events_from_raster(rng.random((samples, steps, channels)) < rate)
    program = network(w_in, w_rec, steps)
    name = f"{channels} channels, {n} neurons, {rate:.0%} input, {samples} samples"
    head = {"benchmark": "spiking_dense", "case": name, "peer": "C loop", "threads": 1}
    if loop is None:
        return print_absent(head, "no C compiler")
    mine = run(program, events, threads=1)  # compiles, or finds the compiled kernel
    assert np.array_equal(run_c(loop, events, w_in, w_rec), mine.outputs["spikes"])
    times = in_turn(
        lambda: cpu_seconds(lambda: run(program, events, threads=1)),
        lambda: cpu_seconds(lambda: run_c(loop, events, w_in, w_rec)),
    )
    found = {
        "steps": steps, "agrees": True, "rate": float(mine.outputs["spikes"].mean()),
        "synaptic_events": mine.activity.total("synapse.event"), "settings": " ".join(FLAGS[:2]),
    }  # fmt: skip
    print_line(head, times, found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest case only")
    quick = parser.parse_args().quick
    print_machine("spiking_dense", {"turns": TURNS, "compiler": " ".join(FLAGS[:2])})
    with tempfile.TemporaryDirectory() as folder:
        loop = compiled("spiking_dense", folder)
        for case in CASES[:1] if quick else CASES:
            measure(case, loop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
