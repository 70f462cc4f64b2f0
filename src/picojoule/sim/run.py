"""Run a Program: `run(program, x) -> Run`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from picojoule.activity import Activity
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.fixed.profile import SPIKING
from picojoule.kernels.pool import checked_threads
from picojoule.program import Program
from picojoule.program.verify import verify
from picojoule.sim import layout
from picojoule.sim.batches import run_spiking, run_tensor
from picojoule.sim.samples import checked_samples
from picojoule.sim.streams import Joined, is_stream, pieces

Array = np.ndarray[Any, Any]
Engine = Literal["numba", "reference"]
Detail = Literal["each", "steps", "sum"]
ENGINES = ("numba", "reference")
DETAILS = ("each", "steps", "sum")


@dataclass(frozen=True)
class Run:
    """What a run of a Program gives.

    outputs   spiking: 'spikes' bool (n, steps, n_out), int32 where they carry payloads;
              tensor: 'output' int32 (n, n_out)
    activity  the counts, in the detail asked for
    state     spiking: region -> int64 (n, size) final state words, and 'inflight' int64
              (rows, 4), the spikes under way: sample, steps ahead, axon, how many, and where
              graded synapses read them a fifth column, the sum of their payloads; 'step' int64
              (n, 1), steps run, where neurons depend on them
    probes    name -> (n, steps, size): int64, and bool for binary spikes; tensor: int64 (n, size)
    seed      of the draws of noisy neurons; noise: recorded draws that were taken instead
    """

    program: Program
    outputs: Mapping[str, Array]
    activity: Activity
    state: Mapping[str, Array] = field(default_factory=dict)
    probes: Mapping[str, Array] = field(default_factory=dict)
    seed: int = 0
    engine: str = "numba"
    noise: Array | None = None

    @property
    def samples(self) -> int:
        return len(next(iter(self.outputs.values())))

    @cached_property
    def digests(self) -> dict[str, str]:
        """sha256 of the program, its machine, and of outputs with final state, hexadecimal."""
        sha = hashlib.sha256()
        for part in (self.outputs, self.state):
            for name in sorted(part):
                array = np.ascontiguousarray(part[name])
                sha.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
        return {"program": self.program.digest, "machine": self.program.machine,
                "result": sha.hexdigest()}  # fmt: skip

    def node(self, name: str, what: str) -> Array:
        """Final `what` (a state word) of a graph node, int64 (n, size) in node order.

        Raises UsageError PJ806 for a node that the program does not hold.
        """
        found = [s for s in self.program.where(name, what) if s.region in self.state]
        if not found:
            raise UsageError(Fault("PJ806", f"the run has no {what!r} of a node {name!r}"))
        out = np.zeros((self.samples, max(s.first + s.stop - s.start for s in found)), np.int64)
        for s in found:
            out[:, s.first : s.first + s.stop - s.start] = self.state[s.region][:, s.start : s.stop]
        return out

    def answers(self) -> Array:
        """The answer of each sample by the program's readout, int64 (n,).

        Raises UsageError PJ806 where the readout is 'none'.
        """
        readout = self.program.readout
        if readout.kind == "none":
            raise UsageError(Fault("PJ806", "the program has no readout; its outputs stand"))
        if "output" in self.outputs:
            return np.argmax(self.outputs["output"], axis=1)
        return readout.most_spikes(self.outputs["spikes"], self._label_voltages())

    def _label_voltages(self) -> Array:
        """Final voltage of the neuron behind each output label, int64 (n, labels)."""
        out = np.zeros((self.samples, self.outputs["spikes"].shape[2]), np.int64)
        for region, first, column, size in layout.label_voltages(self.program):
            out[:, column : column + size] = self.state[region][:, first : first + size]
        return out


def run(
    program: Program,
    x: Any,
    *,
    steps: int | None = None,
    engine: Engine = "numba",
    threads: int | None = None,
    probes: Sequence[str] = (),
    state: Mapping[str, Array] | None = None,
    detail: Detail = "each",
    seed: int = 0,
    noise: Array | None = None,
) -> Run:
    """Run a program on samples; the same integers for any engine, threads and batch split.

    x        samples (n, *encoder.shape); for 'events' encoders a raster (n, steps, *shape)
             of 0 and 1 (of payloads where the machine has graded spikes), or Events.
             Longer than memory: a Recording or its path, or an iterator of Events, each some
             steps of the same samples; they run to their end and the program's latency
    steps    steps to run, exactly; default: one inference, latency included (see x for streams)
    probes   'node.spike', or 'node.' and a state word, recorded at the end of each step;
             of a tensor program 'node.output'
    state    of an earlier run: continues it, spikes under way included, without a reset
    detail   counts kept per sample and window ('each'), per window ('steps'), or 'sum'
    seed     of the draws of noisy neurons, 0..2**32 - 1 (rule N3)
    noise    draws to replay instead, -127..127: (n, steps, noisy neurons), neurons in the order
             of the names of their nodes

    Raises UsageError: PJ802, PJ803 or PJ807 for x, PJ802 for state and noise, PJ806 for an option;
    ProgramError PJ603 for an invalid program.
    """
    _check_options(program, steps, engine, probes, detail, state)
    _check_seed(program, seed, noise)
    _verified(program)
    threads = checked_threads(threads)
    bits = SPIKING[program.profile].payload_bits if program.kind == "spiking" else 0
    if is_stream(x):
        stream = pieces(program, x, steps, bits)
        return _run_pieces(
            program, stream, bits, engine, threads, probes, state, detail, int(seed), noise
        )
    samples = checked_samples(program.encoder, x, bits)
    if program.kind == "tensor":
        output, watched, activity = run_tensor(program, samples, engine, threads, probes, detail)
        return Run(program, {"output": output}, activity, probes=watched, engine=engine)
    steps = program.steps if steps is None else int(steps)
    parts = run_spiking(
        program, samples, steps, engine, threads, probes, state, detail, seed, noise
    )
    spikes, final, watched, activity = parts
    return Run(program, {"spikes": spikes}, activity, final, watched, int(seed), engine, noise)


def _run_pieces(
    program: Program, stream: Iterator[Events], bits: int, engine: Engine, threads: int,
    probes: Sequence[str], state: Mapping[str, Array] | None, detail: Detail, seed: int,
    noise: Array | None,
) -> Run:  # fmt: skip
    """Piece after piece, each from the state of the one before."""
    joined = Joined(detail)
    for piece in stream:
        samples = checked_samples(program.encoder, piece, bits)
        now = slice(joined.steps, joined.steps + piece.steps)
        drawn = None if noise is None else _draws(noise, now)
        spikes, state, watched, activity = run_spiking(
            program, samples, piece.steps, engine, threads, probes, state, detail, seed, drawn
        )
        joined.add(spikes, watched, activity)
    if noise is not None and np.shape(noise)[1] != joined.steps:
        what = f"noise has shape {np.shape(noise)}, but {joined.steps} steps were run"
        raise UsageError(Fault("PJ802", what, fix=f"noise[:, :{joined.steps}], or other steps="))
    spikes, watched, activity = joined.whole(activity)
    return Run(program, {"spikes": spikes}, activity, state or {}, watched, seed, engine, noise)


def _draws(noise: Any, now: slice) -> Array:
    """Recorded draws of some steps.  Raises UsageError PJ802."""
    drawn = np.asarray(noise)
    if drawn.ndim != 3 or drawn.shape[1] < now.stop:
        what = f"noise has shape {drawn.shape}, the program draws (samples, steps, neurons)"
        fix = f"draws for at least {now.stop} steps"
        raise UsageError(Fault("PJ802", what, fix=fix))
    return drawn[:, now]


@layout.kept
def _verified(program: Program) -> bool:
    """Raises ProgramError."""
    verify(program, content=False)
    return True


def _check_seed(program: Program, seed: Any, noise: Any) -> None:
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise UsageError(Fault("PJ806", f"seed must be an integer 0..2**32 - 1, got {seed!r}"))
    if program.kind == "tensor" and noise is not None:
        raise UsageError(Fault("PJ806", "a tensor program has no noise"))


def _check_options(
    program: Program, steps: Any, engine: Any, probes: Any, detail: Any, state: Any
) -> None:
    faults = []
    whole = isinstance(steps, int | np.integer) and not isinstance(steps, bool)
    if steps is not None and (not whole or steps < 1):
        usual = f"{program.steps}, or leave it out"
        faults.append((f"steps must be a positive integer, got {steps!r}", usual))
    for what, given, known in (("engine", engine, ENGINES), ("detail", detail, DETAILS)):
        if given not in known:
            faults.append((f"no such {what}: {given!r}", f"one of {', '.join(known)}"))
    if isinstance(probes, str):
        faults.append((f"probes must be a list, got the string {probes!r}", f"[{probes!r}]"))
    if program.kind == "tensor" and (steps is not None or state is not None):
        faults.append(("a tensor program has no steps and no state", "leave them out"))
    if faults:
        raise UsageError([Fault("PJ806", what, fix=fix) for what, fix in faults])
