"""Program -> flat tables for the spiking kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.profile import SPIKING, WRAP, SpikingProfile
from picojoule.kernels import spiking as k
from picojoule.program import Instruction, Program, Span
from picojoule.sim import layout
from picojoule.sim.layout import Piece

Array = np.ndarray[Any, Any]

TABLE = 1 << 20  # most mantissas that are looked up rather than computed one by one


@dataclass(frozen=True)
class Plan:
    """A spiking program, ready for the kernel.

    words    region -> first word of the state of a sample (u, v, wait and q)
    size     words of a sample
    dtype    of a state word
    axons    region -> number of its first axon among all axons, in order of the lists
    room     list entries in one slot of the ring
    """

    program: Program
    machine: k.Machine
    words: dict[str, int]
    size: int
    dtype: np.dtype[Any]
    axons: dict[str, int]
    room: int
    depth: int
    labels: int
    columns: int


class _Weights(NamedTuple):
    """Mantissas int (n,) of one delivery; values: the effective weights of all `codes`."""

    mantissa: Array
    codes: Array
    values: Array


@dataclass
class _Tables:
    """Pools under construction."""

    program: Program
    profile: SpikingProfile
    consts: dict[str, Array]
    words: dict[str, int] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    spikes: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    weights: dict[int, _Weights] = field(default_factory=dict)
    pools: dict[int, list[Array]] = field(default_factory=lambda: {8: [], 16: [], 64: []})
    registers: list[Array] = field(default_factory=list)
    target: list[Array] = field(default_factory=list)
    rows: list[Array] = field(default_factory=list)


def make_plan(program: Program, pieces: Sequence[Piece] = (), columns: int = 0) -> Plan:
    """Tables of a spiking program.  Raises ProgramError PJ603 where one cannot be made."""
    order = layout.in_order(program)
    tables = _Tables(program, SPIKING[program.profile], layout.constants(program))
    bases = layout.axon_bases(program)
    tables.lists = {name: number for number, name in enumerate(bases)}
    _place_words(tables, order)
    _place_spikes(tables, order)
    _weigh(tables, order)
    table = [_row(tables, i, n) for n, i in enumerate(order)]
    room = _list_rooms(tables, order)
    machine = _machine(tables, order, table, room, pieces)
    return Plan(
        program, machine, tables.words, sum(program.regions[name].size for name in tables.words),
        _state_dtype(tables.profile), bases, int(room.sum()), layout.depth(program),
        program.regions[layout.label_region(program)].size, columns,
    )  # fmt: skip


def _place_words(tables: _Tables, order: list[Instruction]) -> None:
    regions = list(layout.state_regions(tables.program))
    regions += dict.fromkeys(layout.spans(i)["q"].region for i in order
                             if "q" in layout.spans(i))  # fmt: skip
    total = 0
    for name in regions:
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
        if i.op.startswith("deliver"):
            named, profile = layout.spans(i), tables.profile
            mantissa = _mantissas(_slice(tables, named["weight"]))
            codes = _codes(mantissa)
            values = np.empty(codes.size, np.int64)
            k.effective_weights(
                codes, i.args[0], profile.weight_shift, profile.weight_limit, values
            )
            tables.weights[n] = _Weights(mantissa, codes, values)
            q = named["q"].region
            tables.units[q] = min(tables.units.get(q, 62), _trailing_zeros(values))


def _mantissas(weight: Array) -> Array:
    """Flat, in one of two types, so that few kernels are compiled."""
    small = weight.dtype.itemsize == 1 or weight.dtype == np.int16
    return np.require(weight.ravel(), np.int16 if small else np.int64, ["C", "W"])


def _codes(mantissa: Array) -> Array:
    """All mantissas that can occur, ascending multiples of a power of two, int64.

    Where they are too many for a table: the mantissas as they come.
    """
    low, high = int(mantissa.min(initial=0)), int(mantissa.max(initial=0))
    if high - low > TABLE:
        return mantissa
    step = 1 << min(_trailing_zeros(mantissa), 8)
    return np.arange(low - low % step, high + 1, step, dtype=np.int64)


def _trailing_zeros(values: Array) -> int:
    together = int(np.bitwise_or.reduce(values)) if values.size else 0
    return min((together & -together).bit_length() - 1, 62) if together else 62


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
    writer = {"input": _input, "route": _route, "output": _output, "cuba": _cuba}
    row = writer[i.op](tables, i) if i.op in writer else _deliver(tables, i, n)
    return row + [0] * (k.ROW - len(row))


def _input(tables: _Tables, i: Instruction) -> list[int]:
    named, (delay,) = layout.spans(i), i.args
    events, axon = named["events"], named["axon"]
    _same_size(i, events, axon)
    if delay < 0:
        raise _invalid(f"input with delay {delay}: it must not be negative")
    number = tables.lists[axon.region]
    offset = axon.start - events.start
    return [k.INPUT, i.core, events.start, events.stop, offset, delay, number]


def _route(tables: _Tables, i: Instruction) -> list[int]:
    named, delay = layout.spans(i), i.args[0]
    spike, axon = named["spike"], named["axon"]
    _same_size(i, spike, axon)
    if delay < 1:
        raise _invalid(f"route with delay {delay}: a spike acts one step later at the earliest")
    number = tables.lists[axon.region]
    offset = axon.start - spike.start
    spikes = list(tables.spikes).index(spike.region)
    return [k.ROUTE, i.core, spike.start, spike.stop, offset, delay, number, spikes]


def _output(tables: _Tables, i: Instruction) -> list[int]:
    named = layout.spans(i)
    spike, label = named["spike"], named["label"]
    _same_size(i, spike, label)
    spikes = list(tables.spikes).index(spike.region)
    return [k.OUTPUT, i.core, spike.start, spike.stop, label.start - spike.start, spikes]


def _cuba(tables: _Tables, i: Instruction) -> list[int]:
    named, args = layout.spans(i), layout.arguments(i)
    n = named["q"].size
    _same_size(i, *(named[name] for name in ("q", "u", "v", "wait", "spike")))
    if args["refractory"] < 1:
        raise _invalid(f"cuba with refractory {args['refractory']}: it must be at least 1")
    first = [tables.words[named[w].region] + named[w].start for w in ("q", "u", "v", "wait")]
    registers = _add(tables.registers, _register_block(tables, named, args["bias_exponent"], n))
    spikes = list(tables.spikes).index(named["spike"].region)
    unit = tables.units.get(named["q"].region, 0)
    return [k.CUBA, i.core, n, *first, spikes, registers, args["refractory"],
            named["spike"].start, unit]  # fmt: skip


def _register_block(tables: _Tables, named: dict[str, Span], bias_exponent: int, n: int) -> Array:
    """keep_u, keep_v, v_th and bias of n neurons, one after the other, int64 (4 n,)."""
    profile = tables.profile
    full = 1 << profile.decay_bits
    raw = {name: np.asarray(_slice(tables, named[name]), np.int64).ravel()
           for name in ("decay_u", "decay_v", "v_th", "bias")}  # fmt: skip
    if not profile.has_bias and raw["bias"].any():
        raise _invalid(f"profile {profile.name!r} has no bias, but a bias register is not 0")
    values = (
        full - profile.u_decay_offset - raw["decay_u"], full - raw["decay_v"],
        raw["v_th"] << profile.weight_shift, raw["bias"] << bias_exponent,
    )  # fmt: skip
    if any(value.size not in (1, n) for value in values):
        raise _invalid(f"a register of {n} neurons must have 1 or {n} values")
    return np.concatenate([np.broadcast_to(value, n) for value in values])


def _deliver(tables: _Tables, i: Instruction, n: int) -> list[int]:
    named = layout.spans(i)
    axon, q = named["axon"], named["q"]
    weights = _packed(tables.weights[n], tables.units[q.region])
    bits = 8 * weights.itemsize
    start = _add(tables.pools[bits], weights)
    head = [axon.start, axon.stop, tables.words[q.region] + q.start]
    number = tables.lists[axon.region]
    if i.op == "deliver_dense":
        if weights.size != axon.size * q.size:
            raise _invalid(f"deliver_dense: {weights.size} weights for {axon.size} axons and "
                           f"{q.size} neurons")  # fmt: skip
        return [k.DENSE, i.core, *head, q.size, number, bits, start]
    rows, target = _compressed(tables, named)
    return [k.SPARSE, i.core, *head, rows, number, bits, start, target]


def _packed(weights: _Weights, unit: int) -> Array:
    """Effective weights / 2**unit in the smallest type that holds them, flat."""
    mantissa, codes, values = weights
    units = values >> unit
    low, high = int(units.min()), int(units.max())
    bits = next(b for b in (8, 16, 64) if -(1 << (b - 1)) <= low and high < 1 << (b - 1))
    if codes is mantissa:
        return units.astype(f"int{bits}")
    table = np.zeros(int(codes[-1] - codes[0]) + 1, f"int{bits}")
    table[codes - codes[0]] = units
    out = np.empty(mantissa.size, table.dtype)
    k.look_up(mantissa, int(codes[0]), table, out)
    return out


def _compressed(tables: _Tables, named: dict[str, Span]) -> tuple[int, int]:
    """Add the rows and targets of a sparse delivery to their pools, checked."""
    indptr = np.asarray(_slice(tables, named["indptr"]), np.int64).ravel()
    target = np.asarray(_slice(tables, named["target"]), np.int32).ravel()
    sizes = (indptr.size - 1, target.size, named["weight"].size)
    if sizes != (named["axon"].size, named["weight"].size, target.size):
        raise _invalid(f"deliver_sparse: {sizes[0]} rows, {sizes[1]} targets and {sizes[2]} "
                       f"weights for {named['axon'].size} axons")  # fmt: skip
    if indptr[0] < 0 or indptr[-1] > target.size or (np.diff(indptr) < 0).any():
        raise _invalid("deliver_sparse: row starts must rise within the entries")
    if target.size and not 0 <= target.min() <= target.max() < named["q"].size:
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
               profile.u_bits, profile.v_mode, profile.v_bits)  # fmt: skip
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
