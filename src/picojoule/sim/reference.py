"""The reference engine: a plain numpy interpreter of Programs, written from the rules.

It shares no arithmetic with the kernels.  Slow, obvious, and the judge of the fast engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from picojoule.fixed.contract import Events
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.program import OPCODES, Instruction, Program, Span
from picojoule.program.sums import is_raw, readers
from picojoule.sim import kinds, layout
from picojoule.sim import reference_image as image
from picojoule.sim.layout import Block, Piece, arguments, spans
from picojoule.sim.reference_neurons import ADVANCE, Step, active, draws

Array = np.ndarray[Any, Any]


# ----------------------------------------------------------------------------------- spiking


@dataclass(frozen=True)
class Spiking:
    """A spiking program and what to watch."""

    program: Program
    pieces: tuple[Piece, ...]
    columns: int

    @property
    def profile(self) -> SpikingProfile:
        return SPIKING[self.program.profile]

    @cached_property
    def synapses(self) -> list[tuple[Instruction, Array, Array]]:
        """Of each delivery: effective weights (axons, neurons), synapses a row (axons,)."""
        delivers = [i for i in self.program.instructions if i.op.startswith("deliver")]
        found = []
        for i in delivers:
            weight, length = _matrix(self.program, self.profile, i)
            most = 8 * int(np.abs(weight).sum(axis=0).max(initial=0))
            most *= len(self.program.instructions)
            exact = most < 2**53  # an axon hears each instruction once a step, at most
            found.append((i, weight.astype(np.float64 if exact else np.int64, order="C"), length))
        return found

    @cached_property
    def fan(self) -> dict[str, Array]:
        """Spike region -> int64 (neurons, 3): packets and hops that one spike costs."""
        return _fan(self.program)

    @cached_property
    def noise(self) -> dict[int, kinds.Noisy]:
        """Identity of a noisy instruction -> where its draws come from."""
        return {id(row.instruction): row for row in kinds.noisy(self.program)}

    def registers(self, i: Instruction) -> dict[str, Array]:
        """Register -> int64 (1,) or (neurons,)."""
        consts, at = layout.constants(self.program), spans(i)
        return {name: np.asarray(consts[at[name].region][at[name].start : at[name].stop], np.int64)
                for name in KINDS[i.op].registers}  # fmt: skip

    def drawn(self, i: Instruction, now: _Now) -> Array:
        """Draws int64 (n, neurons) of a noisy population, zeros for others."""
        size = spans(i)["spike"].size
        row = self.noise.get(id(i))
        if row is None:
            return np.zeros((len(now.clock), size), np.int64)
        if now.recorded.shape[1]:
            return now.recorded[:, row.column : row.column + size].astype(np.int64)
        elements = np.arange(row.element, row.element + size)
        return draws(int(now.clock[0, 2]), row.node, now.clock[:, 1], now.clock[:, 0], elements)


@dataclass(frozen=True)
class _Now:
    """Values of a block while it runs: region -> int64 (n, size), and axons under way.

    arriving  int64 (depth, 2, n, axons): spikes that act so many steps ahead, and the sum of
              their payloads; rolled each step
    counts    component and action -> int64 (n,), of this step
    clock     int64 (n, 3): steps since the sample began, its number, seed
    recorded  int8 (n, noisy neurons): draws to replay; without columns: none
    """

    values: dict[str, Array]
    arriving: Array
    clock: Array
    recorded: Array
    bases: dict[str, int]
    counts: Array
    components: tuple[str, ...]

    def add(self, component: str, action: str, many: Array) -> None:
        where = self.components.index(component), layout.ACTIONS.index(action)
        self.counts[:, where[0], where[1]] += many

    def axon(self, span: Span, ahead: int = 0) -> Array:
        """int64 (2, n, axons of the span): how many, and their payloads."""
        first = self.bases[span.region]
        return self.arriving[ahead][:, :, first + span.start : first + span.stop]

    def send(self, span: Span, ahead: int, spikes: Array) -> None:
        self.axon(span, ahead)[0] += spikes != 0
        self.axon(span, ahead)[1] += spikes

    def __getitem__(self, span: Span) -> Array:
        return self.values[span.region][:, span.start : span.stop]


def run_block(
    model: Spiking, events: Events, state: dict[str, Array], inflight: Array, clock: Array,
    drawn: Array,
) -> Block:  # fmt: skip
    """Run the samples of `events`; arguments as for the compiled engine."""
    program, raster = model.program, events.raster().astype(np.int64)
    n, steps = raster.shape[:2]
    values = {name: np.zeros((n, r.size), np.int64) for name, r in program.regions.items()
              if r.role != "const"}  # fmt: skip
    values.update({name: array.astype(np.int64) for name, array in state.items()})
    names = layout.components(program)
    arriving = np.zeros((layout.depth(program), 2, n, layout.axons(program)), np.int64)
    for which in (0, 1):
        arriving[inflight[:, 1], which, inflight[:, 0], inflight[:, 2]] = inflight[:, 3 + which]
    counts = np.zeros((n, steps, len(names), len(layout.ACTIONS)), np.int64)
    spikes, watched = [], np.zeros((n, steps, model.columns), np.int64)
    for t in range(steps):
        here = clock + np.array([t, 0, 0])
        now = _Now(values, arriving, here, drawn[:, t], layout.axon_bases(program), counts[:, t],
                   names)  # fmt: skip
        _step(model, now, raster[:, t])
        spikes.append(values[layout.label_region(program)].copy())
        for piece in model.pieces:
            part = values[piece.region][:, piece.first : piece.first + piece.size]
            watched[:, t, piece.column : piece.column + piece.size] = part
        arriving = np.concatenate([arriving[1:], np.zeros_like(arriving[:1])])
    final = {name: values[name] for name in state}
    dtype = np.int32 if kinds.graded_output(program) else bool
    left = np.stack(spikes, 1).astype(dtype)
    return Block(left, final, _under_way(arriving, kinds.carrying_axons(program)), watched, counts)


def _under_way(arriving: Array, carries: Array) -> Array:
    many, payload = arriving.transpose(1, 2, 0, 3)
    where = np.argwhere(many)
    at = tuple(where.T)
    payload = np.where(carries, payload, many)
    return np.column_stack([where, many[at], payload[at]]).astype(np.int64)


def _step(model: Spiking, now: _Now, events: Array) -> None:
    program = model.program
    for name, region in program.regions.items():
        if region.role in ("buffer", "output") and name in now.values:
            now.values[name][:] = 0
    heard = np.zeros(events.shape[1], bool)
    for i in _having(program, "input"):
        source, axon = spans(i)["events"], spans(i)["axon"]
        heard[source.start : source.stop] = True
        now.send(axon, arguments(i)["delay"], events[:, source.start : source.stop])
    for i, weight, row_length in model.synapses:
        arrived = now.axon(spans(i)["axon"])
        carried = arrived[1] if arguments(i)["graded"] else arrived[0]
        now[spans(i)["q"]][:] += _product(carried, weight)
        now.add(f"core{i.core}", "synapse.event", arrived[0] @ row_length)
    for i in _having(program, "accumulate"):
        _accumulate(model, i, now)
    for i in (i for i in program.instructions if i.op in KINDS):
        _neurons(model, i, now)
    for i in _having(program, "route"):
        now.send(spans(i)["axon"], arguments(i)["delay"], now[spans(i)["spike"]])
    for i in _having(program, "output"):
        now[spans(i)["label"]][:] += now[spans(i)["spike"]]
        now.add("host", "event.out", (now[spans(i)["spike"]] != 0).sum(1))
    now.add("host", "event.in", (events[:, heard] != 0).sum(1))
    now.add("chip", "step", np.int64(1))


def _accumulate(model: Spiking, i: Instruction, now: _Now) -> None:
    """Rule N2."""
    total, q, (exponent,) = now[spans(i)["sum"]], spans(i)["q"], i.args
    shifted = total * 2**exponent if exponent >= 0 else total // 2**-exponent
    now[q][:] += shifted if is_raw(readers(model.program), q) else (
        shifted * 2**model.profile.weight_shift)  # fmt: skip
    total[:] = 0


def _product(arrived: Array, weight: Array) -> Array:
    """arrived @ weight, exactly: float64 (BLAS is fast) where no sum can leave its 53 bits."""
    if weight.dtype == np.int64 or np.abs(arrived).max(initial=0) > 8:
        return arrived @ weight.astype(np.int64)
    return (arrived.astype(np.float64) @ weight).astype(np.int64)


def _having(program: Program, op: str) -> list[Instruction]:
    return [i for i in program.instructions if i.op == op]


def _neurons(model: Spiking, i: Instruction, now: _Now) -> None:
    at, kind = spans(i), KINDS[i.op]
    sums = tuple(now[at[name]] for name in (("q",) if kind.currents == 1 else ("q0", "q1")))
    step = Step(
        model.profile, tuple(q.copy() for q in sums),
        {word: now[at[word]].copy() for word in kind.state}, model.registers(i), arguments(i),
        now.clock[:, :1], model.drawn(i, now),
    )  # fmt: skip
    busy = active(step).sum(1)
    for q in sums:
        q[:] = 0
    state, sent = ADVANCE[i.op](step)
    for word, value in state.items():
        now[at[word]][:] = value
    if kind.graded:
        top = 2 ** (model.profile.payload_bits - 1)
        sent = (sent + top) % (2 * top) - top
    now[at["spike"]][:] = sent
    core = f"core{i.core}"
    now.add(core, "neuron.active", busy)
    now.add(core, "neuron.idle", at["spike"].size - busy)
    place = at["spike"]
    cost = (sent != 0) @ model.fan[place.region][place.start : place.stop]
    for column, action in enumerate(("packet.out", "hop.ew", "hop.ns", "hop.chip")):
        now.add(core, action, cost[:, column])


def _matrix(program: Program, profile: SpikingProfile, i: Instruction) -> tuple[Array, Array]:
    consts, at = layout.constants(program), spans(i)
    part = {name: np.asarray(consts[at[name].region][at[name].start : at[name].stop])
            for name in ("row", "base", "indptr", "target", "weight") if name in at}  # fmt: skip
    mantissa, exponent = part["weight"].astype(np.int64), arguments(i)["exponent"]
    shift = 0 if is_raw(readers(program), at["q"]) else profile.weight_shift
    inside = shift if profile.weight_floor == "effective" else 0
    scaled = np.floor(mantissa * 2.0 ** (exponent + inside)).astype(np.int64)
    scaled = scaled * 2 ** (shift - inside)
    if profile.weight_limit:
        scaled = np.clip(scaled, -profile.weight_limit, profile.weight_limit)
    shape = at["axon"].size, at["q"].size
    if i.op == "deliver_dense":
        return scaled.reshape(shape), np.full(shape[0], shape[1])
    length = np.diff(part["indptr"].astype(np.int64))
    out = np.zeros(shape, np.int64)
    if i.op == "deliver_shared":
        for axon, (row, base) in enumerate(zip(part["row"], part["base"].astype(np.int64))):
            entries = slice(int(part["indptr"][row]), int(part["indptr"][row + 1]))
            np.add.at(out[axon], base + part["target"][entries].astype(np.int64), scaled[entries])
        return out, length[part["row"]]
    stored = slice(int(part["indptr"][0]), int(part["indptr"][-1]))
    rows = np.repeat(np.arange(shape[0]), length)
    np.add.at(out, (rows, part["target"][stored].astype(np.int64)), scaled[stored])
    return out, length


def _fan(program: Program) -> dict[str, Array]:
    """One packet a neuron and distinct destination core, over the hops of the first route."""
    found: dict[str, Array] = {}
    for i in (i for i in program.instructions if i.op in KINDS):
        region = spans(i)["spike"].region
        found[region] = np.zeros((program.regions[region].size, 4), np.int64)
    reached: set[tuple[str, int, int]] = set()
    for i in _having(program, "route"):
        spike, core = spans(i)["spike"], program.regions[spans(i)["axon"].region].core
        given = arguments(i)
        hops = (1, abs(given["hops_ew"]), abs(given["hops_ns"]), given["hops_chip"])
        for neuron in range(spike.start, spike.stop):
            if (spike.region, neuron, core) not in reached:
                reached.add((spike.region, neuron, core))
                found[spike.region][neuron] += hops
    return found


# ------------------------------------------------------------------------------------ tensor


def forward(program: Program, x: Array) -> Mapping[str, Array]:
    """Run encoded integers (n, ...) through a tensor program: all regions at the end."""
    n = len(x)
    held = {name: np.broadcast_to(np.int64(0), (n, *region.shape))
            for name, region in program.regions.items()}  # fmt: skip
    for name, array in layout.constants(program).items():
        held[name] = np.broadcast_to(array.astype(np.int64), (n, *array.shape))
    for name, region in program.regions.items():
        if region.role == "input":
            held[name] = x.reshape(n, *region.shape).astype(np.int64)
    for i in program.instructions:
        operands = [held[s.region][:, s.start : s.stop] for s in i.reads]
        for s in i.writes:
            made = _computed(i, operands, held[s.region][:, s.start : s.stop])
            if s.size < program.regions[s.region].shape[0]:
                whole = held[s.region].copy()
                whole[:, s.start : s.stop] = made
                made = whole
            held[s.region] = made
    return held


def _computed(i: Instruction, operands: list[Array], before: Array) -> Array:
    if i.op in ("load", "store", "barrier"):
        return operands[0]
    args, size = dict(zip(OPCODES[i.op].args, i.args)), before.shape[1]
    if i.op == "matmul":
        x, weight, bias = operands
        return _left((x - args["zero_in"]) @ weight[0].T, args.get("shift", 0), bias)
    if i.op == "conv":
        totals = image.conv(args, size, *operands[:2])
        return _left(totals, args.get("shift", 0), operands[2][:, None]).reshape(-1, size)
    if i.op in ("max_pool", "sum_pool"):
        return _signed32(image.pool(args, size, operands[0], largest=i.op == "max_pool"))
    if i.op == "lookup":
        return operands[1][0][operands[0] - args["first"]]
    if i.op == "place":
        count = operands[0].shape[1] * args["channels"] // size
        return image.among(args, before, operands[0].reshape(len(before), -1, count))
    if i.op == "requantize_channels":
        return image.among(args, before, image.requantize_channels(args, _scaled, *operands))
    if i.op == "requantize":
        scaled = _scaled(*operands)
    else:
        a, b, scaling = operands
        ma, ea, mb, eb, mo, eo = scaling[0]
        left = 2 ** args["left_shift"]
        total = _scaled((a - args["zero_a"]) * left, ma, ea) + _scaled(
            (b - args["zero_b"]) * left, mb, eb)  # fmt: skip
        scaled = _scaled(total, mo, eo)
    return image.limited(args, scaled)


def _left(totals: Array, shift: int, bias: Array) -> Array:
    """Sums rounded by `shift` bits, ties away from zero, plus the bias, in 32 bits."""
    half = 2**shift // 2
    return _signed32(np.sign(totals) * ((np.abs(totals) + half) // 2**shift) + bias)


def _signed32(x: Array) -> Array:
    return np.mod(x + 2**31, 2**32) - 2**31


def _scaled(x: Array, multiplier: Array, exponent: Array) -> Array:
    """Profile `double_round`: x * multiplier / 2**31 to nearest, ties up; then / 2**-exponent
    to nearest, ties away from zero (accelerators.md 1.2, profile A)."""
    left = np.maximum(exponent, 0)
    shifted = np.where(left > 0, _signed32(x * 2**left), x)
    product = (shifted * multiplier + 2**30) // 2**31
    saturates = (shifted == -(2**31)) & (multiplier == -(2**31))
    product = np.where(saturates, 2**31 - 1, product)
    divisor = 2 ** np.maximum(-exponent, 0)
    return np.sign(product) * ((2 * np.abs(product) + divisor) // (2 * divisor))
