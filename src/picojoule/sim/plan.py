"""Program -> flat tables for the spiking kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING, WRAP, SpikingProfile
from picojoule.kernels import neurons
from picojoule.kernels import spiking as k
from picojoule.program import Instruction, Program, Span
from picojoule.program.sums import Reader, is_raw, readers
from picojoule.sim import kinds, layout
from picojoule.sim.layout import Piece
from picojoule.sim.registers import register_block
from picojoule.sim.weights import Weights, packed, trailing_zeros, weigh

Array = np.ndarray[Any, Any]
CODES = {name: getattr(neurons, name.upper()) for name in KINDS}


@dataclass(frozen=True)
class Plan:
    """A spiking program, ready for the kernel.

    words    region -> first word of the state of a sample (state words and sums)
    size     words of a sample
    dtype    of a state word
    axons    region -> number of its first axon among all axons, in order of the lists
    carries  bool (lists,): lists whose spikes carry payloads
    graded   whether what leaves are payloads
    room     list entries in one slot of the ring
    """

    program: Program
    machine: k.Machine
    words: dict[str, int]
    size: int
    dtype: np.dtype[Any]
    axons: dict[str, int]
    carries: Array
    graded: bool
    room: int
    depth: int
    labels: int
    columns: int


@dataclass
class _Tables:
    """Pools under construction."""

    program: Program
    profile: SpikingProfile
    consts: dict[str, Array]
    readers: list[Reader]
    carrying: set[str]
    graded: set[str]
    words: dict[str, int] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    spikes: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    weights: dict[int, Weights] = field(default_factory=dict)
    pools: dict[int, list[Array]] = field(default_factory=lambda: {8: [], 16: [], 64: []})
    registers: list[Array] = field(default_factory=list)
    target: list[Array] = field(default_factory=list)
    rows: list[Array] = field(default_factory=list)


def make_plan(program: Program, pieces: Sequence[Piece] = (), columns: int = 0) -> Plan:
    """Tables of a spiking program.  Raises ProgramError PJ603 where one cannot be made."""
    order = layout.in_order(program)
    tables = _Tables(
        program, SPIKING[program.profile], layout.constants(program), readers(program),
        kinds.carrying(program), kinds.graded_spikes(program),
    )  # fmt: skip
    bases = layout.axon_bases(program)
    tables.lists = {name: number for number, name in enumerate(bases)}
    _place_words(tables)
    _place_spikes(tables, order)
    _weigh(tables, order)
    table = [_row(tables, i, n) for n, i in enumerate(order)]
    room = _list_rooms(tables, order)
    machine = _machine(tables, order, table, room, pieces)
    return Plan(
        program, machine, tables.words, sum(program.regions[name].size for name in tables.words),
        _state_dtype(tables.profile), bases, np.array([n in tables.carrying for n in bases], bool),
        kinds.graded_output(program), int(room.sum()), layout.depth(program),
        program.regions[layout.label_region(program)].size, columns,
    )  # fmt: skip


def _place_words(tables: _Tables) -> None:
    program, total = tables.program, 0
    for name in (*layout.state_regions(program), *layout.sum_regions(program)):
        tables.words[name] = total
        total += tables.program.regions[name].size


def _place_spikes(tables: _Tables, order: list[Instruction]) -> None:
    total = 0
    for i in order:
        span = layout.spans(i).get("spike")
        if span is not None and span.region not in tables.spikes:
            tables.spikes[span.region] = total
            total += tables.program.regions[span.region].size


def _weigh(tables: _Tables, order: list[Instruction]) -> None:
    """Effective weights of every delivery, and the unit that each q region counts in.

    All weights into one q region are multiples of 2**unit, so they are kept divided by it:
    8 bits hold what would take 32, and the neuron update multiplies the sum back, exactly.
    """
    for n, i in enumerate(order):
        if not i.op.startswith("deliver") and i.op != "accumulate":
            continue
        q = layout.spans(i)["q"]
        shift = 0 if is_raw(tables.readers, q) else tables.profile.weight_shift
        unit = shift
        if i.op != "accumulate":
            weight = _slice(tables, layout.spans(i)["weight"])
            exponent, most = layout.arguments(i)["exponent"], tables.profile.weight_limit
            tables.weights[n] = weigh(weight, *tables.profile.shifts(exponent, shift), most)
            unit = trailing_zeros(tables.weights[n].values)
        tables.units[q.region] = min(tables.units.get(q.region, 62), unit)


def _slice(tables: _Tables, span: Span) -> Array:
    values = tables.consts.get(span.region)
    if values is None:  # learned state before the first lesson
        values = np.zeros(tables.program.regions[span.region].shape, np.int64)
    return values[span.start : span.stop]


def _add(pool: list[Array], array: Array) -> int:
    """Append to a pool; returns where the array begins."""
    start = sum(part.size for part in pool)
    pool.append(array.ravel())
    return start


def _row(tables: _Tables, i: Instruction, n: int) -> list[int]:
    writer = {"input": _input, "route": _route, "output": _output, "cuba": _cuba,
              "accumulate": _accumulate}  # fmt: skip
    if i.op in writer:
        row = writer[i.op](tables, i)
    else:
        row = _kind(tables, i) if i.op in KINDS else _deliver(tables, i, n)
    return row + [0] * (k.ROW - len(row))


def _input(tables: _Tables, i: Instruction) -> list[int]:
    named, (delay,) = layout.spans(i), i.args
    events, axon = named["events"], named["axon"]
    _same_size(i, events, axon)
    if delay < 0:
        raise _invalid(f"input with delay {delay}: it must not be negative")
    number = tables.lists[axon.region]
    offset = axon.start - events.start
    carry = int(axon.region in tables.carrying)
    return [k.INPUT, i.core, events.start, events.stop, offset, delay, number, carry]


def _route(tables: _Tables, i: Instruction) -> list[int]:
    named, delay = layout.spans(i), i.args[0]
    spike, axon = named["spike"], named["axon"]
    _same_size(i, spike, axon)
    if delay < 1:
        raise _invalid(f"route with delay {delay}: a spike acts one step later at the earliest")
    number = tables.lists[axon.region]
    offset = axon.start - spike.start
    carry = int(axon.region in tables.carrying)
    return [k.ROUTE, i.core, spike.start, spike.stop, offset, delay, number,
            _spikes(tables, spike), carry]  # fmt: skip


def _output(tables: _Tables, i: Instruction) -> list[int]:
    named = layout.spans(i)
    spike, label = named["spike"], named["label"]
    _same_size(i, spike, label)
    graded = int(kinds.graded_output(tables.program))
    return [k.OUTPUT, i.core, spike.start, spike.stop, label.start - spike.start,
            _spikes(tables, spike), graded]  # fmt: skip


def _cuba(tables: _Tables, i: Instruction) -> list[int]:
    named, args = layout.spans(i), layout.arguments(i)
    _check_rest(i, args)
    first = [_first_word(tables, named[w]) for w in ("q", "u", "v", "wait")]
    return [k.CUBA, i.core, named["q"].size, *first, _spikes(tables, named["spike"]),
            _registers(tables, i), args["refractory"], named["spike"].start,
            tables.units.get(named["q"].region, 0)]  # fmt: skip


def _kind(tables: _Tables, i: Instruction) -> list[int]:
    """Row of any kind but `cuba`: fields as in `kernels.neurons`."""
    kind, named, args = KINDS[i.op], layout.spans(i), layout.arguments(i)
    _check_rest(i, args)
    row = [0] * neurons.ROW
    row[:3] = CODES[i.op], i.core, named["spike"].size
    sums = [named[name] for name in (("q",) if kind.currents == 1 else ("q0", "q1"))]
    for c, span in enumerate(sums):
        row[neurons.Q0 + c] = _first_word(tables, span)
        row[neurons.UNIT0 + c] = tables.units.get(span.region, 0)
    row[neurons.SPIKES], row[neurons.REGISTERS] = _spikes(tables, named["spike"]), _registers(
        tables, i)  # fmt: skip
    row[neurons.FIRST], row[k.KIND] = named["spike"].start, int(kind.graded)
    words = [_first_word(tables, named[word]) for word in kind.state]
    row[neurons.WORDS : neurons.WORDS + len(words)] = words
    row[neurons.OPTIONS : neurons.OPTIONS + len(kind.options)] = args.values()
    for place in kinds.noisy(tables.program):
        if place.instruction is i:
            row[neurons.COLUMN : neurons.ELEMENT + 1] = place.column, place.region, place.element
    return row


def _check_rest(i: Instruction, args: dict[str, int]) -> None:
    kind, named = KINDS[i.op], layout.spans(i)
    _same_size(i, *(span for name, span in named.items() if name not in kind.registers))
    if args.get("refractory", 1) < 1:
        raise _invalid(f"{i.op} with refractory {args['refractory']}: it must be at least 1")


def _first_word(tables: _Tables, span: Span) -> int:
    return tables.words[span.region] + span.start


def _spikes(tables: _Tables, span: Span) -> int:
    return list(tables.spikes).index(span.region)


def _registers(tables: _Tables, i: Instruction) -> int:
    named = layout.spans(i)
    raw = {name: np.asarray(_slice(tables, named[name]), np.int64).ravel()
           for name in KINDS[i.op].registers}  # fmt: skip
    block = register_block(i.op, raw, layout.arguments(i), tables.profile, named["spike"].size)
    return _add(tables.registers, block)


def _accumulate(tables: _Tables, i: Instruction) -> list[int]:
    named = layout.spans(i)
    total, q = named["sum"], named["q"]
    _same_size(i, total, q)
    shift = 0 if is_raw(tables.readers, q) else tables.profile.weight_shift
    return [k.ACCUMULATE, i.core, q.size, _first_word(tables, total), _first_word(tables, q),
            tables.units.get(total.region, 0), i.args[0], shift,
            tables.units.get(q.region, 0)]  # fmt: skip


def _deliver(tables: _Tables, i: Instruction, n: int) -> list[int]:
    named = layout.spans(i)
    axon, q = named["axon"], named["q"]
    weights = packed(tables.weights[n], tables.units[q.region])
    bits = 8 * weights.itemsize
    start = _add(tables.pools[bits], weights)
    head = [axon.start, axon.stop, tables.words[q.region] + q.start]
    number, graded = tables.lists[axon.region], layout.arguments(i)["graded"]
    if i.op == "deliver_dense":
        if weights.size != axon.size * q.size:
            raise _invalid(f"deliver_dense: {weights.size} weights for {axon.size} axons and "
                           f"{q.size} neurons")  # fmt: skip
        return [k.DENSE, i.core, *head, q.size, number, bits, start, graded]
    if i.op == "deliver_sparse":
        rows, target = _compressed(tables, named, axon.size)
        return [k.SPARSE, i.core, *head, rows, number, bits, start, graded, target]
    shared = [_add(tables.rows, np.asarray(_slice(tables, named[name]), np.int64))
              for name in ("row", "base")]  # fmt: skip
    rows, target = _compressed(tables, named, None)
    return [k.SHARED, i.core, *head, rows, number, bits, start, graded, target, *shared]


def _compressed(tables: _Tables, named: dict[str, Span], rows: int | None) -> tuple[int, int]:
    """Add the rows and targets of a delivery to their pools, checked; `rows`: how many, and that
    targets lie within q (where rows are shared, the program's verifier has looked)."""
    indptr = np.asarray(_slice(tables, named["indptr"]), np.int64).ravel()
    target = np.asarray(_slice(tables, named["target"]), np.int32).ravel()
    sizes = (indptr.size - 1, target.size, named["weight"].size)
    if sizes[1] != sizes[2] or (rows is not None and sizes[0] != rows):
        raise _invalid(f"deliver_sparse: {sizes[0]} rows, {sizes[1]} targets and {sizes[2]} "
                       f"weights for {named['axon'].size} axons")  # fmt: skip
    if indptr[0] < 0 or indptr[-1] > target.size or (np.diff(indptr) < 0).any():
        raise _invalid("deliver_sparse: row starts must rise within the entries")
    bound = target.size and rows is not None
    if bound and not 0 <= target.min() <= target.max() < named["q"].size:
        raise _invalid(f"deliver_sparse: a target is not in 0..{named['q'].size - 1}")
    return _add(tables.rows, indptr), _add(tables.target, target)


def _same_size(i: Instruction, *spans: Span) -> None:
    if len({span.size for span in spans}) != 1:
        raise _invalid(f"{i.op}: spans {', '.join(map(str, spans))} differ in size")


def _invalid(what: str) -> ProgramError:
    return ProgramError(Fault("PJ603", what))


def _list_rooms(tables: _Tables, order: list[Instruction]) -> Array:
    """Most spikes that can arrive at each axon region in one step: its writers, together."""
    room = np.zeros(len(tables.lists), np.int64)
    for i in order:
        if i.op in ("input", "route"):
            axon = layout.spans(i)["axon"]
            room[tables.lists[axon.region]] += axon.size
    return room


def _state_dtype(profile: SpikingProfile) -> np.dtype[Any]:
    """int32 where the profile limits state to 32 bits and sums of q cannot go astray there.

    A sum that wraps in 32 bits is still right where the machine wraps to fewer anyway.
    """
    narrow = profile.state_bits == 32 and profile.q_mode == WRAP
    return np.dtype(np.int32 if narrow else np.int64)


def _machine(
    tables: _Tables, order: list[Instruction], table: list[list[int]], room: Array,
    pieces: Sequence[Piece],
) -> k.Machine:  # fmt: skip
    profile = tables.profile
    numbers = (profile.decay_bits, profile.q_mode, profile.q_bits, profile.u_mode,
               profile.u_bits, profile.v_mode, profile.v_bits, profile.drive_mode,
               profile.payload_bits)  # fmt: skip
    return k.Machine(
        table=np.array(table, np.int64).reshape(-1, k.ROW),
        numbers=np.array(numbers, np.int64),
        registers=_pool(tables.registers, np.int64),
        w8=_pool(tables.pools[8], np.int8),
        w16=_pool(tables.pools[16], np.int16),
        w64=_pool(tables.pools[64], np.int64),
        target=_pool(tables.target, np.int32),
        rows=_pool(tables.rows, np.int64),
        lists=np.cumsum(np.concatenate([[0], room[:-1]])).astype(np.int64)[: room.size],
        spikes=np.array(list(tables.spikes.values()), np.int64),
        fan=_fan(tables, order),
        heard=_heard(tables, order),
        probes=_probes(tables, pieces),
        payloads=bool(tables.carrying or tables.graded),
    )


def _pool(parts: list[Array], dtype: Any) -> Array:
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.zeros(0, dtype)


def _fan(tables: _Tables, order: list[Instruction]) -> Array:
    """Packets and hops of each neuron's spike: one packet a distinct destination core."""
    regions = tables.program.regions
    fan = np.zeros((sum(regions[name].size for name in tables.spikes), 3), np.int32)
    sent: dict[tuple[str, int], Array] = {}
    for i in order:
        if i.op != "route":
            continue
        named, args = layout.spans(i), layout.arguments(i)
        spike, core = named["spike"], regions[named["axon"].region].core
        done = sent.setdefault((spike.region, core), np.zeros(regions[spike.region].size, bool))
        new = np.flatnonzero(~done[spike.start : spike.stop]) + spike.start
        fan[tables.spikes[spike.region] + new] += np.array(
            [1, abs(args["hops_ew"]), abs(args["hops_ns"])], np.int32)  # fmt: skip
        done[new] = True
    return fan


def _heard(tables: _Tables, order: list[Instruction]) -> Array:
    heard = np.zeros(tables.program.encoder.channels, bool)
    for i in order:
        if i.op == "input":
            events = layout.spans(i)["events"]
            heard[events.start : events.stop] = True
    return heard


def _probes(tables: _Tables, pieces: Sequence[Piece]) -> Array:
    rows = []
    for piece in pieces:
        kind, bases = (k.SPIKES, tables.spikes) if piece.what == "spike" else (
            k.WORDS, tables.words)  # fmt: skip
        rows.append((kind, bases[piece.region] + piece.first, piece.size, piece.column))
    return np.array(rows, np.int64).reshape(-1, 4)
