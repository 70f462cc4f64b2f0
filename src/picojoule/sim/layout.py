"""Where things lie in a spiking program: names and bookkeeping that both engines share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from picojoule.errors import Fault, ProgramError, UsageError
from picojoule.fixed.neurons import KINDS
from picojoule.program import OPCODES, Instruction, Program, Source, Span

Array = np.ndarray[Any, Any]
Found = TypeVar("Found")

# order within a step: what arrives, what it does, what leaves (cores may come in any order)
STAGES = {"input": 0, "deliver_dense": 1, "deliver_sparse": 1, "deliver_shared": 1,
          "accumulate": 2, "route": 4, "output": 4, "barrier": 5}  # fmt: skip
STAGES |= dict.fromkeys(KINDS, 3)
ACTIONS = (
    "neuron.active", "neuron.idle", "synapse.event", "packet.out", "hop.ew", "hop.ns",
    "hop.chip", "step", "reset", "event.in", "event.out",
)  # fmt: skip
INFLIGHT = "inflight"  # name of the state that holds the spikes under way
STEP = "step"  # name of the state that counts the steps since the start of a sample
WATCHED = {"spike", *(word for kind in KINDS.values() for word in kind.state)}


@dataclass(frozen=True)
class Block:
    """What one engine returns for one block of samples.

    spikes    bool (n, steps, labels); int32 where payloads leave
    state     region -> int64 (n, size)
    inflight  int64 (rows, 5): sample, steps ahead, axon, how many, sum of their payloads;
              sorted, no two alike.  A spike 0 steps ahead acts in the step that would come next.
    watched   int64 (n, steps, columns): the probes, side by side
    counts    int64 (n, steps, components, actions)
    """

    spikes: Array
    state: dict[str, Array]
    inflight: Array
    watched: Array
    counts: Array


@dataclass(frozen=True)
class Piece:
    """Words first..first + size of a region go to columns column.. of the watched values."""

    what: str
    region: str
    first: int
    size: int
    column: int


def kept(function: Callable[[Program], Found]) -> Callable[[Program], Found]:
    """Work out only once what follows from a program alone; nobody may change what it returns.

    It stays with the program, which never changes.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def found(program: Program) -> Found:
        if name not in program.held:
            program.held[name] = function(program)
        return program.held[name]

    return found


def spans(instruction: Instruction) -> dict[str, Span]:
    """Operands by name.  Raises ProgramError PJ603."""
    row = OPCODES.get(instruction.op)
    if row is None or row.machine == "tensor":
        raise _invalid(f"a spiking machine has no instruction {instruction.op!r}")
    if (len(row.reads), len(row.writes)) != (len(instruction.reads), len(instruction.writes)):
        raise _invalid(f"{row.name} reads {len(row.reads)} and writes {len(row.writes)} spans, got "
                       f"{len(instruction.reads)} and {len(instruction.writes)}")  # fmt: skip
    names = row.reads + row.writes
    return dict(zip(names, instruction.reads + instruction.writes))


def arguments(instruction: Instruction) -> dict[str, int]:
    """Integer arguments by name, 0 where left out.  Raises ProgramError PJ603."""
    row = OPCODES[instruction.op]
    if row.given(len(instruction.args)) is None:
        raise _invalid(f"{row.name} takes {len(row.args)} numbers, got {len(instruction.args)}")
    return dict.fromkeys(row.args, 0) | dict(zip(row.args, instruction.args))


def _invalid(what: str) -> ProgramError:
    return ProgramError(Fault("PJ603", what))


@kept
def in_order(program: Program) -> list[Instruction]:
    """Instructions in the order in which one step runs them."""
    listed = [i for i in program.instructions if i.op != "barrier"]
    return sorted(listed, key=lambda i: STAGES.get(i.op, 1))


@kept
def constants(program: Program) -> dict[str, Array]:
    """Region -> values: constants, and learned state that an instruction reads like one."""
    learned = {name: np.asarray(array).reshape(program.regions[name].shape)
               for name, array in program.initial.items()
               if name not in state_regions(program)}  # fmt: skip
    return {**program.arrays, **learned}


@kept
def components(program: Program) -> tuple[str, ...]:
    """Names of what is counted: every core, the chip, the host."""
    return (*(f"core{k}" for k in range(program.cores)), "chip", "host")


@kept
def nodes_of(program: Program) -> dict[str, tuple[str, ...]]:
    """Component -> graph nodes on it, from the source map."""
    found: dict[str, dict[str, None]] = {}
    for source in program.source:
        core = program.regions[source.region].core
        if core >= 0:
            found.setdefault(f"core{core}", {})[source.node] = None
    return {name: tuple(nodes) for name, nodes in found.items()}


@kept
def state_regions(program: Program) -> tuple[str, ...]:
    """Regions of the state words of neurons, in order of first use."""
    found: dict[str, None] = {}
    for instruction in program.instructions:
        if instruction.op in KINDS:
            named = spans(instruction)
            found.update(dict.fromkeys(named[w].region for w in KINDS[instruction.op].state))
    return tuple(found)


@kept
def sum_regions(program: Program) -> tuple[str, ...]:
    """Regions that deliveries add to, or neurons and `accumulate` read, in order of first use."""
    found: dict[str, None] = {}
    for instruction in in_order(program):
        for name, span in spans(instruction).items():
            if name in ("q", "q0", "q1", "sum"):
                found[span.region] = None
    return tuple(found)


@kept
def axon_bases(program: Program) -> dict[str, int]:
    """Axon region -> number of its first axon among all axons of the program."""
    names = set()
    for instruction in program.instructions:
        if instruction.op != "barrier":
            names |= {s.region for name, s in spans(instruction).items() if name == "axon"}
    bases, total = {}, 0
    for name in sorted(names):
        bases[name] = total
        total += program.regions[name].size
    return bases


@kept
def axons(program: Program) -> int:
    """How many axons the program has, over all cores."""
    return sum(program.regions[name].size for name in axon_bases(program))


@kept
def depth(program: Program) -> int:
    """Steps that a spike can be under way, plus one."""
    delays = [arguments(i)["delay"] for i in program.instructions if i.op in ("input", "route")]
    return 1 + max(delays, default=0)


@kept
def label_region(program: Program) -> str:
    """The region that faces the host.  Raises ProgramError PJ603 if there is not just one."""
    found = [name for name, region in program.regions.items() if region.role == "output"]
    if len(found) != 1:
        raise _invalid(f"a program needs one output region, got {len(found)}")
    return found[0]


def probe_pieces(program: Program, probe: str, column: int) -> list[Piece]:
    """Where a probe 'node.what' reads, its columns starting at `column`.

    what: a state word such as 'u', or 'spike'.  Raises UsageError PJ806 for a probe of nothing.
    """
    node, _, what = probe.rpartition(".")
    what = "spike" if what == "spikes" else what
    found = [s for s in program.where(node, what) if what in WATCHED]
    if not found:
        known = sorted({f"{s.node}.{s.what}" for s in program.source if s.what in WATCHED})
        raise UsageError(Fault("PJ806", f"no such probe: {probe!r}", fix=", ".join(known[:12])))
    return [Piece(what, s.region, s.start, s.stop - s.start, column + s.first) for s in found]


def output_pieces(program: Program, probe: str) -> list[Source]:
    """Where a probe 'node.output' of a tensor program reads.

    Raises UsageError PJ806 for a probe of nothing.
    """
    node, _, what = probe.rpartition(".")
    found = program.where(node, what) if what == "output" else ()
    if not found:
        known = sorted({f"{s.node}.output" for s in program.source if s.what == "output"})
        raise UsageError(Fault("PJ806", f"no such probe: {probe!r}", fix=", ".join(known[:12])))
    return list(found)


def gathered(held: Mapping[str, Array], pieces: Sequence[Source]) -> Array:
    """The integers of a node from the contents of regions, int64 (samples, size)."""
    parts = [held[s.region][:, s.start : s.stop].astype(np.int64) for s in pieces]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def width(pieces: list[Piece], column: int) -> int:
    """Columns that the pieces of one probe take."""
    return max(p.column + p.size for p in pieces) - column


def sorted_inflight(spikes: Array, depth: int, axons: int) -> Array:
    """int64 (rows, 4) spikes and payloads in any order to the rows of `Block.inflight`."""
    key = (spikes[:, 0] * depth + spikes[:, 1]) * axons + spikes[:, 2]
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        spikes, key = spikes[order], key[order]
    new = np.ones(len(key), bool)
    np.not_equal(key[1:], key[:-1], out=new[1:])
    first = np.flatnonzero(new)
    rows = np.empty((first.size, 5), np.int64)
    rows[:, :3] = spikes[first, :3]
    rows[:, 3] = np.diff(first, append=len(key))
    rows[:, 4] = np.add.reduceat(spikes[:, 3], first) if first.size else 0
    return rows


@kept
def label_voltages(program: Program) -> list[tuple[str, int, int, int]]:
    """(region of v, first element, first label, how many) behind the output labels that have
    one."""
    cubas = [spans(i) for i in program.instructions if i.op in KINDS and "v" in KINDS[i.op].state]
    found = []
    for out in (spans(i) for i in program.instructions if i.op == "output"):
        for cuba in (c for c in cubas if c["spike"].region == out["spike"].region):
            start = max(cuba["spike"].start, out["spike"].start)
            stop = min(cuba["spike"].stop, out["spike"].stop)
            first = cuba["v"].start + start - cuba["spike"].start
            label = out["label"].start + start - out["spike"].start
            if start < stop:
                found.append((cuba["v"].region, first, label, stop - start))
    return found
