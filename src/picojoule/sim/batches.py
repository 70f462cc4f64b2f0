"""Cut a batch of samples into blocks, run each on an engine, put the parts together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from picojoule.activity import Activity
from picojoule.fixed.contract import Encoder, Events
from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.pool import over_blocks
from picojoule.program import Program
from picojoule.sim import kinds, layout, reference, spiking, tensor
from picojoule.sim.layout import Block, Piece
from picojoule.sim.plan import make_plan
from picojoule.sim.samples import checked_noise, start_state, start_steps
from picojoule.sim.traffic import tensor_activity

Array = np.ndarray[Any, Any]
Engine = Callable[[Events, dict[str, Array], Array, Array, Array, Array], Block]
BLOCK, TENSOR_BLOCK = 8, 256  # samples of a block, whatever the number of threads


def run_spiking(
    program: Program,
    samples: Array | Events,
    steps: int,
    engine: str,
    threads: int,
    probes: Sequence[str],
    state: Mapping[str, Array] | None,
    detail: str,
    seed: int = 0,
    noise: Any = None,
) -> tuple[Array, dict[str, Array], dict[str, Array], Activity]:
    """(spikes, final state, probes, activity), as `Run` documents them."""
    n = samples.samples if isinstance(samples, Events) else len(samples)
    named, columns = _columns(program, probes)
    pieces = [piece for found, _, _ in named.values() for piece in found]
    simulate = _engine(program, engine, pieces, columns, detail == "sum")
    dtype = np.int32 if kinds.graded_output(program) else bool
    spikes = np.zeros((n, steps, program.regions[layout.label_region(program)].size), dtype)
    first, inflight = start_state(program, state, n)
    began, drawn = start_steps(program, state, n), checked_noise(program, noise, n, steps)
    clock = np.column_stack([began, np.arange(n), np.full(n, seed)]).astype(np.int64)

    def work(start: int, stop: int) -> Block:
        events = _events(program.encoder, samples, start, stop, steps)
        words = {name: values[start:stop] for name, values in first.items()}
        here = (inflight[:, 0] >= start) & (inflight[:, 0] < stop)
        mine = inflight[here] - (start, 0, 0, 0, 0)
        block = simulate(
            events, words, mine, clock[start:stop], drawn[start:stop], spikes[start:stop]
        )
        block.inflight[:, 0] += start
        if state is None:
            block.counts[:, 0, -2, layout.ACTIONS.index("reset")] = 1
        return _reduced(block, detail)

    blocks = over_blocks(n, threads, work, BLOCK)
    final = {name: _joined([b.state[name] for b in blocks]) for name in first}
    under_way = _joined([b.inflight for b in blocks])
    final[layout.INFLIGHT] = under_way if kinds.carrying(program) else under_way[:, :4].copy()
    if kinds.clocked(program):
        final[layout.STEP] = began[:, None] + steps
    watched = _watched(program, named, _joined([b.watched for b in blocks]))
    activity = _activity(program, [b.counts for b in blocks], detail, n, steps)
    return spikes, final, watched, activity


def _joined(parts: list[Array]) -> Array:
    """The parts one after the other; a single one as it is, since copies cost page faults."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _engine(
    program: Program, engine: str, pieces: Sequence[Piece], columns: int, together: bool
) -> Engine:
    """A block of samples on an engine, which writes what leaves into its last argument.

    together: the counts of all steps may come as one window
    """
    if engine == "numba":
        plan = make_plan(program, pieces, columns)
        return lambda events, *rest: spiking.run_block(
            plan, events, *rest, 1 if together else events.steps
        )
    model = reference.Spiking(program, tuple(pieces), columns)

    def simulate(*block: Any) -> Block:
        found = reference.run_block(model, *block[:-1])
        block[-1][:] = found.spikes
        return found

    return simulate


def _columns(
    program: Program, probes: Sequence[str]
) -> tuple[dict[str, tuple[list[Piece], int, int]], int]:
    """Probe -> (pieces, first column, columns); and the columns of all probes."""
    found, total = {}, 0
    for probe in dict.fromkeys(probes):
        pieces = layout.probe_pieces(program, probe, total)
        size = layout.width(pieces, total)
        found[probe] = (pieces, total, size)
        total += size
    return found, total


def _watched(
    program: Program, named: Mapping[str, tuple[list[Piece], int, int]], values: Array
) -> dict[str, Array]:
    found, graded = {}, kinds.graded_spikes(program)
    for probe, (pieces, first, size) in named.items():
        part = values[:, :, first : first + size]
        binary = all(p.what == "spike" and p.region not in graded for p in pieces)
        found[probe] = part.astype(bool) if binary else part
    return found


def _events(encoder: Encoder, samples: Array | Events, start: int, stop: int, steps: int) -> Events:
    if isinstance(samples, Events):
        return encoder.events(samples.take(start, stop), steps)
    return encoder.events(samples[start:stop], steps)


def _reduced(block: Block, detail: str) -> Block:
    counts = block.counts
    if detail != "each":
        counts = counts.sum(axis=0, keepdims=True)
    if detail == "sum":
        counts = counts.sum(axis=1, keepdims=True)
    return Block(block.spikes, block.state, block.inflight, block.watched, counts)


def _activity(
    program: Program, counts: list[Array], detail: str, samples: int, steps: int
) -> Activity:
    together = _joined(counts)
    if detail != "each":
        together = together.sum(axis=0, keepdims=True)
    return Activity(
        together, layout.components(program), layout.ACTIONS, samples, steps,
        machine=program.machine, nodes=layout.nodes_of(program),
    )  # fmt: skip


def run_tensor(
    program: Program,
    samples: Array,
    engine: str,
    threads: int,
    probes: Sequence[str],
    detail: str,
) -> tuple[Array, dict[str, Array], Activity]:
    """(output int32 (n, n_out), probes int64 (n, size), activity) of a tensor program."""
    forward = {"numba": tensor.forward, "reference": reference.forward}[engine]
    watched = {probe: layout.output_pieces(program, probe) for probe in dict.fromkeys(probes)}
    (name,) = [name for name, region in program.regions.items() if region.role == "output"]

    def work(start: int, stop: int) -> tuple[Array, dict[str, Array]]:
        held = forward(program, program.encoder.integers(samples[start:stop]))
        seen = {probe: layout.gathered(held, pieces) for probe, pieces in watched.items()}
        return held[name].reshape(stop - start, -1).astype(np.int32), seen

    with one_blas_thread():  # the blocks are what threads share
        blocks = over_blocks(len(samples), threads, work, TENSOR_BLOCK)
    output = _joined([part for part, _ in blocks])
    found = {probe: _joined([seen[probe] for _, seen in blocks]) for probe in watched}
    return output, found, tensor_activity(program, len(samples), detail)
