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
from picojoule.fixed.profile import CLIP, SPIKING, UNLIMITED, SpikingProfile
from picojoule.program import OPCODES, Instruction, Program, Span
from picojoule.sim import layout
from picojoule.sim.layout import Block, Piece, arguments, spans

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
            most = int(np.abs(weight).sum(axis=0).max(initial=0)) * len(self.program.instructions)
            exact = most < 2**53  # an axon hears each instruction once a step, at most
            found.append((i, weight.astype(np.float64 if exact else np.int64, order="C"), length))
        return found

    @cached_property
    def fan(self) -> dict[str, Array]:
        """Spike region -> int64 (neurons, 3): packets and hops that one spike costs."""
        return _fan(self.program)


@dataclass(frozen=True)
class _Now:
    """Values of a block while it runs: region -> int64 (n, size), and axons under way.

    arriving  int64 (depth, n, axons): spikes that act so many steps ahead, rolled each step
    counts    component and action -> int64 (n,), of this step
    """

    values: dict[str, Array]
    arriving: Array
    bases: dict[str, int]
    counts: Array
    components: tuple[str, ...]

    def add(self, component: str, action: str, many: Array) -> None:
        where = self.components.index(component), layout.ACTIONS.index(action)
        self.counts[:, where[0], where[1]] += many

    def axon(self, span: Span, ahead: int = 0) -> Array:
        first = self.bases[span.region]
        return self.arriving[ahead][:, first + span.start : first + span.stop]

    def __getitem__(self, span: Span) -> Array:
        return self.values[span.region][:, span.start : span.stop]


def run_block(model: Spiking, events: Events, state: dict[str, Array], inflight: Array) -> Block:
    """Run the samples of `events`; state: region -> (n, size); inflight as in `Block`."""
    program, raster = model.program, events.raster().astype(np.int64)
    n, steps = raster.shape[:2]
    values = {name: np.zeros((n, r.size), np.int64) for name, r in program.regions.items()
              if r.role != "const"}  # fmt: skip
    values.update({name: array.astype(np.int64) for name, array in state.items()})
    names = layout.components(program)
    arriving = np.zeros((layout.depth(program), n, layout.axons(program)), np.int64)
    arriving[inflight[:, 1], inflight[:, 0], inflight[:, 2]] = inflight[:, 3]
    counts = np.zeros((n, steps, len(names), len(layout.ACTIONS)), np.int64)
    spikes, watched = [], np.zeros((n, steps, model.columns), np.int64)
    for t in range(steps):
        now = _Now(values, arriving, layout.axon_bases(program), counts[:, t], names)
        _step(model, now, raster[:, t])
        spikes.append(values[layout.label_region(program)] != 0)
        for piece in model.pieces:
            part = values[piece.region][:, piece.first : piece.first + piece.size]
            watched[:, t, piece.column : piece.column + piece.size] = part
        arriving = np.concatenate([arriving[1:], np.zeros_like(arriving[:1])])
    final = {name: values[name] for name in state}
    return Block(np.stack(spikes, 1), final, _under_way(arriving), watched, counts)


def _under_way(arriving: Array) -> Array:
    by_sample = arriving.transpose(1, 0, 2)
    where = np.argwhere(by_sample)
    return np.column_stack([where, by_sample[tuple(where.T)]]).astype(np.int64)


def _step(model: Spiking, now: _Now, events: Array) -> None:
    program = model.program
    for name, region in program.regions.items():
        if region.role in ("buffer", "output") and name in now.values:
            now.values[name][:] = 0
    heard = np.zeros(events.shape[1], bool)
    for i in _having(program, "input"):
        source, axon = spans(i)["events"], spans(i)["axon"]
        heard[source.start : source.stop] = True
        now.axon(axon, arguments(i)["delay"])[:] += events[:, source.start : source.stop]
    for i, weight, row_length in model.synapses:
        arrived = now.axon(spans(i)["axon"])
        now[spans(i)["q"]][:] += _product(arrived, weight)
        now.add(f"core{i.core}", "synapse.event", arrived @ row_length)
    for i in _having(program, "cuba"):
        _cuba(model, i, now)
    for i in _having(program, "route"):
        now.axon(spans(i)["axon"], arguments(i)["delay"])[:] += now[spans(i)["spike"]]
    for i in _having(program, "output"):
        now[spans(i)["label"]][:] |= now[spans(i)["spike"]]
        now.add("host", "event.out", now[spans(i)["spike"]].sum(1))
    now.add("host", "event.in", events[:, heard].sum(1))
    now.add("chip", "step", np.int64(1))


def _product(arrived: Array, weight: Array) -> Array:
    """arrived @ weight, exactly: float64 (BLAS is fast) where no sum can leave its 53 bits."""
    if weight.dtype == np.int64:
        return arrived @ weight
    return (arrived.astype(np.float64) @ weight).astype(np.int64)


def _having(program: Program, op: str) -> list[Instruction]:
    return [i for i in program.instructions if i.op == op]


def _cuba(model: Spiking, i: Instruction, now: _Now) -> None:
    p, at, args = model.profile, spans(i), arguments(i)
    consts = layout.constants(model.program)
    du, dv, v_th, bias = (
        np.asarray(consts[at[name].region][at[name].start : at[name].stop], np.int64).ravel()
        for name in ("decay_u", "decay_v", "v_th", "bias")
    )
    bias = bias * 2 ** args["bias_exponent"]
    u, v, wait = now[at["u"]], now[at["v"]], now[at["wait"]]
    q = _limited(now[at["q"]].copy(), p.q_mode, p.q_bits)
    now[at["q"]][:] = 0
    active = ((u != 0) | (v != 0) | (q != 0) | (bias != 0)).sum(1)
    full = 2**p.decay_bits
    u_new = _limited(_toward_zero(u * (full - p.u_decay_offset - du), full) + q, p.u_mode, p.u_bits)
    drive = _limited(u_new + bias, p.u_mode, p.u_bits)
    v_new = _limited(_toward_zero(v * (full - dv), full) + drive, p.v_mode, p.v_bits)
    resting = wait > 0
    fired = ~resting & (v_new > v_th * 2**p.weight_shift)
    wait_new = np.where(resting, wait - 1, np.where(fired, args["refractory"] - 1, 0))
    u[:], v[:], wait[:] = u_new, np.where(resting | fired, 0, v_new), wait_new
    now[at["spike"]][:] = fired
    core = f"core{i.core}"
    now.add(core, "neuron.active", active)
    now.add(core, "neuron.idle", u.shape[1] - active)
    cost = fired @ model.fan[at["spike"].region][at["spike"].start : at["spike"].stop]
    for column, action in enumerate(("packet.out", "hop.ew", "hop.ns")):
        now.add(core, action, cost[:, column])


def _toward_zero(x: Array, divisor: int) -> Array:
    return np.sign(x) * (np.abs(x) // divisor)


def _limited(x: Array, mode: int, bits: int) -> Array:
    if mode == UNLIMITED:
        return x
    if mode == CLIP:
        return np.clip(x, 1 - 2**bits, 2**bits - 1)
    return np.mod(x + 2**bits, 2 ** (bits + 1)) - 2**bits


def _matrix(program: Program, profile: SpikingProfile, i: Instruction) -> tuple[Array, Array]:
    consts, at = layout.constants(program), spans(i)
    part = {name: np.asarray(consts[at[name].region][at[name].start : at[name].stop])
            for name in ("indptr", "target", "weight") if name in at}  # fmt: skip
    mantissa, (exponent,) = part["weight"].astype(np.int64), i.args
    scaled = np.floor(mantissa * 2.0**exponent).astype(np.int64) * 2**profile.weight_shift
    if profile.weight_limit:
        scaled = np.clip(scaled, -profile.weight_limit, profile.weight_limit)
    shape = at["axon"].size, at["q"].size
    if i.op == "deliver_dense":
        return scaled.reshape(shape), np.full(shape[0], shape[1])
    length = np.diff(part["indptr"].astype(np.int64))
    out = np.zeros(shape, np.int64)
    stored = slice(int(part["indptr"][0]), int(part["indptr"][-1]))
    rows = np.repeat(np.arange(shape[0]), length)
    np.add.at(out, (rows, part["target"][stored].astype(np.int64)), scaled[stored])
    return out, length


def _fan(program: Program) -> dict[str, Array]:
    """One packet a neuron and distinct destination core, over the hops of the first route."""
    found: dict[str, Array] = {}
    for i in _having(program, "cuba"):
        region = spans(i)["spike"].region
        found[region] = np.zeros((program.regions[region].size, 3), np.int64)
    reached: set[tuple[str, int, int]] = set()
    for i in _having(program, "route"):
        spike, core = spans(i)["spike"], program.regions[spans(i)["axon"].region].core
        hops = (1, abs(arguments(i)["hops_ew"]), abs(arguments(i)["hops_ns"]))
        for neuron in range(spike.start, spike.stop):
            if (spike.region, neuron, core) not in reached:
                reached.add((spike.region, neuron, core))
                found[spike.region][neuron] += hops
    return found


# ------------------------------------------------------------------------------------ tensor


def forward(program: Program, x: Array) -> Mapping[str, Array]:
    """Run encoded integers (n, ...) through a tensor program: all regions at the end."""
    n = len(x)
    held = {name: np.zeros((n, *region.shape), np.int64)
            for name, region in program.regions.items()}  # fmt: skip
    for name, array in layout.constants(program).items():
        held[name][:] = array
    for name, region in program.regions.items():
        if region.role == "input":
            held[name][:] = x.reshape(n, *region.shape)
    for i in program.instructions:
        operands = [held[s.region][:, s.start : s.stop] for s in i.reads]
        for s in i.writes:
            held[s.region][:, s.start : s.stop] = _computed(i, operands)
    return held


def _computed(i: Instruction, operands: list[Array]) -> Array:
    if i.op in ("load", "store"):
        return operands[0]
    args = dict(zip(OPCODES[i.op].args, i.args))
    if i.op == "matmul":
        x, weight, bias = operands
        return _signed32((x - args["zero_in"]) @ weight[0].T + bias)
    if i.op == "requantize":
        scaled = _scaled(*operands)
    else:
        a, b, scaling = operands
        ma, ea, mb, eb, mo, eo = scaling[0]
        left = 2 ** args["left_shift"]
        total = _scaled((a - args["zero_a"]) * left, ma, ea) + _scaled(
            (b - args["zero_b"]) * left, mb, eb)  # fmt: skip
        scaled = _scaled(total, mo, eo)
    return np.clip(scaled + args["zero"], args["low"], args["high"])


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
