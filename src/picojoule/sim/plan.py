"""Program -> flat tables for the spiking kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING, WRAP, SpikingProfile
from picojoule.kernels import fields
from picojoule.kernels import spiking as k
from picojoule.program import Instruction, Program, Span
from picojoule.sim import kinds, layout
from picojoule.sim.layout import Piece
from picojoule.sim.pools import PACKED, Synapses, part_of, place_synapses, shift_of
from picojoule.sim.registers import register_block

Array = np.ndarray[Any, Any]
CODES = {name: getattr(fields, name.upper()) for name in KINDS}


@dataclass(frozen=True)
class Plan:
    """A spiking program, ready for the kernel.

    words    region -> first word of the state of a sample (state words and sums)
    size     words of a sample
    dtype    of a state word
    first    int64 (lists,): number of the first axon of each list among all axons
    carries  bool (lists,): lists whose spikes carry payloads
    graded   whether what leaves are payloads
    room     list entries in one slot of the ring
    axons    of all lists          components  that counts are kept of
    """

    machine: k.Machine
    words: dict[str, int]
    size: int
    dtype: np.dtype[Any]
    first: Array
    carries: Array
    graded: bool
    room: int
    depth: int
    labels: int
    columns: int
    axons: int
    components: int


@dataclass
class _Tables:
    """Tables under construction."""

    program: Program
    profile: SpikingProfile
    synapses: Synapses
    noisy: dict[int, kinds.Noisy]
    lists: dict[str, int]
    words: dict[str, int] = field(default_factory=dict)
    spikes: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    registers: list[Array] = field(default_factory=list)
    registered: int = 0

    @property
    def units(self) -> Any:
        return self.synapses.units


def make_plan(program: Program, pieces: Sequence[Piece] = (), columns: int = 0) -> Plan:
    """Tables of a spiking program.  Raises ProgramError PJ603 where one cannot be made.

    Kept with the program, but for the probes `pieces`, which read into so many columns.
    """
    plan, words, spikes = _planned(program)
    if not pieces:
        return plan
    probes = _probes(words, spikes, pieces)
    return replace(plan, machine=plan.machine._replace(probes=probes), columns=columns)


@layout.kept
def _planned(program: Program) -> tuple[Plan, dict[str, int], dict[str, int]]:
    """The plan without probes, and where the regions of words and of spikes begin."""
    order, profile = _ordered(program), SPIKING[program.profile]
    bases = layout.axon_bases(program)
    tables = _Tables(
        program, profile, place_synapses(program, profile, order),
        {id(row.instruction): row for row in kinds.noisy(program)},
        {name: number for number, name in enumerate(bases)},
    )  # fmt: skip
    _place_words(tables)
    _place_spikes(tables, order)
    fan = _fan(tables, order)
    table = [_row(tables, i, n, fan) for n, i in enumerate(order)]
    room = _list_rooms(tables, order)
    carrying = kinds.carrying(program)
    plan = Plan(
        _machine(tables, order, table, room, fan), tables.words,
        sum(program.regions[name].size for name in tables.words), _state_dtype(profile),
        np.array(list(bases.values()), np.int64), np.array([n in carrying for n in bases], bool),
        kinds.graded_output(program), int(room.sum()), layout.depth(program),
        program.regions[layout.label_region(program)].size, 0, layout.axons(program),
        len(layout.components(program)),
    )  # fmt: skip
    return plan, tables.words, tables.spikes


def _ordered(program: Program) -> list[Instruction]:
    """Instructions as a step runs them: of one stage, neurons in order of their spikes, so that
    the spikes of a region are listed in order."""

    def key(i: Instruction) -> tuple[int, int]:
        return layout.STAGES[i.op], layout.spans(i)["spike"].start if i.op in KINDS else 0

    return sorted(layout.in_order(program), key=key)


def _place_words(tables: _Tables) -> None:
    program, total = tables.program, 0
    for name in (*layout.state_regions(program), *layout.sum_regions(program)):
        tables.words[name] = total
        total += program.regions[name].size


def _place_spikes(tables: _Tables, order: list[Instruction]) -> None:
    total = 0
    for i in order:
        span = layout.spans(i).get("spike")
        if span is not None and span.region not in tables.spikes:
            tables.numbers[span.region] = len(tables.spikes)
            tables.spikes[span.region] = total
            total += tables.program.regions[span.region].size


def _row(tables: _Tables, i: Instruction, n: int, fan: Array) -> list[int]:
    writer = {"input": _input, "route": _route, "output": _output, "accumulate": _accumulate}
    if i.op in writer:
        row = writer[i.op](tables, i)
    elif i.op in KINDS:
        row = _cuba(tables, i) if i.op == "cuba" else _kind(tables, i)
        row += [0] * (fields.ALIKE - len(row)) + [_alike(tables, i, fan)]
    else:
        row = _deliver(tables, i, n)
    return row + [0] * (k.ROW - len(row))


def _alike(tables: _Tables, i: Instruction, fan: Array) -> int:
    """1 where a spike of any neuron of the instruction costs the same."""
    span = layout.spans(i)["spike"]
    costs = fan[tables.spikes[span.region] + span.start :][: span.size]
    return int((costs == costs[:1]).all())


def _input(tables: _Tables, i: Instruction) -> list[int]:
    named, (delay,) = layout.spans(i), i.args
    events, axon = named["events"], named["axon"]
    _same_size(i, events, axon)
    if delay < 0:
        raise _invalid(f"input with delay {delay}: it must not be negative")
    number = tables.lists[axon.region]
    offset = axon.start - events.start
    carry = int(axon.region in kinds.carrying(tables.program))
    return [k.INPUT, i.core, events.start, events.stop, offset, delay, number, carry]


def _route(tables: _Tables, i: Instruction) -> list[int]:
    named, delay = layout.spans(i), i.args[0]
    spike, axon = named["spike"], named["axon"]
    _same_size(i, spike, axon)
    if delay < 1:
        raise _invalid(f"route with delay {delay}: a spike acts one step later at the earliest")
    number = tables.lists[axon.region]
    offset = axon.start - spike.start
    carry = int(axon.region in kinds.carrying(tables.program))
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
    row = [0] * fields.ALIKE
    row[:3] = CODES[i.op], i.core, named["spike"].size
    sums = [named[name] for name in (("q",) if kind.currents == 1 else ("q0", "q1"))]
    for c, span in enumerate(sums):
        row[fields.Q0 + c] = _first_word(tables, span)
        row[fields.UNIT0 + c] = tables.units.get(span.region, 0)
    row[fields.SPIKES], row[fields.REGISTERS] = _spikes(tables, named["spike"]), _registers(
        tables, i)  # fmt: skip
    row[fields.FIRST], row[k.KIND] = named["spike"].start, int(kind.graded)
    words = [_first_word(tables, named[word]) for word in kind.state]
    row[fields.WORDS : fields.WORDS + len(words)] = words
    row[fields.OPTIONS : fields.OPTIONS + len(kind.options)] = args.values()
    place = tables.noisy.get(id(i))
    if place is not None:
        row[fields.COLUMN : fields.ELEMENT + 1] = place.column, place.node, place.element
    return row


def _check_rest(i: Instruction, args: dict[str, int]) -> None:
    kind, named = KINDS[i.op], layout.spans(i)
    _same_size(i, *(span for name, span in named.items() if name not in kind.registers))
    if args.get("refractory", 1) < 1:
        raise _invalid(f"{i.op} with refractory {args['refractory']}: it must be at least 1")


def _first_word(tables: _Tables, span: Span) -> int:
    return tables.words[span.region] + span.start


def _spikes(tables: _Tables, span: Span) -> int:
    return tables.numbers[span.region]


def _registers(tables: _Tables, i: Instruction) -> int:
    """Add the registers of an instruction; returns where they begin."""
    named = layout.spans(i)
    raw = {name: np.asarray(part_of(tables.program, named[name]), np.int64).ravel()
           for name in KINDS[i.op].registers}  # fmt: skip
    block = register_block(i.op, raw, layout.arguments(i), tables.profile, named["spike"].size)
    start, tables.registered = tables.registered, tables.registered + block.size
    tables.registers.append(block)
    return start


def _accumulate(tables: _Tables, i: Instruction) -> list[int]:
    named = layout.spans(i)
    total, q = named["sum"], named["q"]
    _same_size(i, total, q)
    shift = shift_of(tables.program, tables.profile, q)
    return [k.ACCUMULATE, i.core, q.size, _first_word(tables, total), _first_word(tables, q),
            tables.units.get(total.region, 0), i.args[0], shift,
            tables.units.get(q.region, 0)]  # fmt: skip


def _deliver(tables: _Tables, i: Instruction, n: int) -> list[int]:
    named, placed = layout.spans(i), tables.synapses.placed[n]
    axon, q = named["axon"], named["q"]
    head = [axon.start, axon.stop, tables.words[q.region] + q.start]
    number, graded = tables.lists[axon.region], layout.arguments(i)["graded"]
    tail = [number, placed.bits, placed.weight, graded]
    if i.op == "deliver_dense":
        return [k.DENSE, i.core, *head, q.size, *tail]
    if placed.bits == PACKED:
        return [k.PACKED, i.core, *head, placed.rows, number, 8, placed.weight]
    code = k.SPARSE if i.op == "deliver_sparse" else k.SHARED
    return [code, i.core, *head, placed.rows, *tail, placed.target, placed.row, placed.base]


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
    tables: _Tables, order: list[Instruction], table: list[list[int]], room: Array, fan: Array
) -> k.Machine:
    profile, pools = tables.profile, tables.synapses.pools
    numbers = (profile.decay_bits, profile.q_mode, profile.q_bits, profile.u_mode,
               profile.u_bits, profile.v_mode, profile.v_bits, profile.drive_mode,
               profile.payload_bits)  # fmt: skip
    rows = np.array(table, np.int64).reshape(-1, k.ROW)
    return k.Machine(
        table=rows,
        numbers=np.array(numbers, np.int64),
        registers=_register_pool(tables.registers, _state_dtype(profile)),
        w8=pools[8],
        w16=pools[16],
        w64=pools[64],
        packed=pools[PACKED],
        target=pools["target"],
        rows=pools["rows"],
        lists=np.cumsum(np.concatenate([[0], room[:-1]])).astype(np.int64)[: room.size],
        spikes=np.array(list(tables.spikes.values()), np.int64),
        fan=fan,
        heard=_heard(tables, order),
        probes=np.zeros((0, 4), np.int64),
        payloads=bool(kinds.carrying(tables.program) or kinds.graded_spikes(tables.program)),
        rare=0 if _has_rare(rows) else None,
    )


def _has_rare(table: Array) -> bool:
    """Whether a row is other than CUBA neurons, packed weights, or dense ones of 8 or 16 bits."""
    op, bits, graded = table[:, [0, 7, 9]].T
    common = (op == k.DENSE) & (bits <= 16) & (graded == 0)
    synapses = (op >= k.DENSE) & (op <= k.SHARED)
    return bool((synapses & ~common).any() or (op >= k.CUBA_NOISE).any())


def _register_pool(parts: list[Array], dtype: np.dtype[Any]) -> Array:
    """All registers, in the type of the state if it holds them: less memory to read a step."""
    pool = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    info = np.iinfo(dtype)
    fits = info.min <= pool.min(initial=0) and pool.max(initial=0) <= info.max
    return pool.astype(dtype, copy=False) if fits else pool


def _fan(tables: _Tables, order: list[Instruction]) -> Array:
    """Packets and hops of each neuron's spike: one packet a distinct destination core."""
    regions = tables.program.regions
    fan = np.zeros((sum(regions[name].size for name in tables.spikes), 4), np.int32)
    sent: dict[tuple[str, int], Array] = {}
    for i in order:
        if i.op != "route":
            continue
        named, args = layout.spans(i), layout.arguments(i)
        spike, core = named["spike"], regions[named["axon"].region].core
        done = sent.setdefault((spike.region, core), np.zeros(regions[spike.region].size, bool))
        new = np.flatnonzero(~done[spike.start : spike.stop]) + spike.start
        fan[tables.spikes[spike.region] + new] += np.array(
            [1, abs(args["hops_ew"]), abs(args["hops_ns"]), args["hops_chip"]],
            np.int32)  # fmt: skip
        done[new] = True
    return fan


def _heard(tables: _Tables, order: list[Instruction]) -> Array:
    heard = np.zeros(tables.program.encoder.channels, bool)
    for i in order:
        if i.op == "input":
            events = layout.spans(i)["events"]
            heard[events.start : events.stop] = True
    return heard


def _probes(words: dict[str, int], spikes: dict[str, int], pieces: Sequence[Piece]) -> Array:
    rows = []
    for piece in pieces:
        kind, bases = (k.SPIKES, spikes) if piece.what == "spike" else (k.WORDS, words)
        rows.append((kind, bases[piece.region] + piece.first, piece.size, piece.column))
    return np.array(rows, np.int64).reshape(-1, 4)
