"""Whether the constants of a program hold what their instructions may read.

Everything here assumes that the structure is sound (`verify.py` calls it last).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.fixed.neurons import KINDS, NeuronKind
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.program.opcodes import OPCODES
from picojoule.program.program import Instruction, Program, Span

MULTIPLIER = (2**30, 2**31 - 1)  # or 0; rule T4 of docs/numerics.md
EXPONENT = (-31, 30)


def index_faults(program: Program) -> Iterator[str]:
    """Sparse and shared rows whose indices would lead an engine outside its arrays."""
    checks = {"deliver_sparse": _sparse_faults, "deliver_shared": _shared_faults}
    for index, instruction in enumerate(program.instructions):
        if instruction.op in checks:
            named = f"instruction {index} ({instruction.op!r} on core {instruction.core}): "
            yield from (named + what for what in checks[instruction.op](program, instruction))


def _bound_faults(program: Program, indptr: Span, target: Span) -> Iterator[str]:
    rows = _values(program, indptr).astype(np.int64)
    if rows.size and (np.any(np.diff(rows) < 0) or rows[0] < 0 or rows[-1] > target.size):
        yield f"row bounds in {indptr} must rise from 0 to at most {target.size}"


def _shared_faults(program: Program, instruction: Instruction) -> Iterator[str]:
    _, row, _, indptr, target, _ = instruction.reads
    found = [*_bound_faults(program, indptr, target)]
    outside = _outside(_values(program, row), 0, indptr.size - 2)
    if outside:
        found.append(f"rows in {row} lie in {outside}, not in 0..{indptr.size - 2}")
    yield from found or _shared_target_faults(program, instruction)


def _shared_target_faults(program: Program, instruction: Instruction) -> Iterator[str]:
    """Lowest and highest target of each row, moved by the base of each axon that uses it."""
    _, row, base, indptr, target, _ = (
        _values(program, span).astype(np.int64)
        if span.region in program.arrays else np.zeros(0, np.int64)
        for span in instruction.reads
    )  # fmt: skip
    used = np.flatnonzero(np.diff(indptr)[row])  # axons whose row has synapses
    if not used.size:
        return
    starts = indptr[:-1][np.diff(indptr) > 0]
    bounds = np.zeros((2, indptr.size - 1), np.int64)
    for k, least in enumerate((np.minimum, np.maximum)):
        bounds[k, np.diff(indptr) > 0] = least.reduceat(target[: indptr[-1]], starts)
    low, high = bounds[:, row[used]] + base[used]
    neurons = instruction.writes[0].size
    outside = _outside(np.concatenate([low, high]), 0, neurons - 1)
    if outside:
        yield f"base + target reach {outside}, not within 0..{neurons - 1}"


def _sparse_faults(program: Program, instruction: Instruction) -> Iterator[str]:
    _, indptr, target, _ = instruction.reads
    yield from _bound_faults(program, indptr, target)
    neurons = instruction.writes[0].size
    outside = _outside(_values(program, target), 0, neurons - 1)
    if outside:
        yield f"targets in {target} lie in {outside}, not in 0..{neurons - 1}"


def content_faults(program: Program) -> Iterator[str]:
    """Constants outside their format, or outside the register that holds them."""
    for name, array in program.arrays.items():
        form = program.regions[name].format
        outside = _outside(array, form.low, form.high)
        if outside:
            yield f"constant {name!r} holds {outside}, {form} holds {form.low}..{form.high}"
        elif form.kind and (strays := form.strays(array)):
            yield f"{strays} values of constant {name!r} are no numbers of {form}"
    for index, instruction in enumerate(program.instructions):
        named = f"instruction {index} ({instruction.op!r} on core {instruction.core}): "
        yield from (named + what for what in _register_faults(program, instruction))


def _register_faults(program: Program, instruction: Instruction) -> Iterator[str]:
    limits = _limits(program, instruction.op)
    pairs = dict(zip(OPCODES[instruction.op].reads, instruction.reads))
    for operand in sorted(limits.keys() & pairs.keys()):
        span = pairs[operand]
        if span.region not in program.arrays:
            continue
        low, high = limits[operand]
        outside = _outside(_register_values(program, span, operand), low, high)
        if outside:
            yield f"{operand} {span} holds {outside}, the register holds {low}..{high}"


def _register_values(program: Program, span: Span, operand: str) -> np.ndarray:
    """What is held to the limits: all but multipliers of 0, which mean nothing at all."""
    values = _values(program, span)
    if operand == "scaling":
        values = values[::2]
    return values if operand == "exponent" else values[values != 0]


def _limits(program: Program, op: str) -> dict[str, tuple[int, int]]:
    if op in KINDS:
        return _kind_limits(KINDS[op], SPIKING[program.profile])
    if op in ("requantize", "requantize_channels"):
        return {"multiplier": MULTIPLIER, "exponent": EXPONENT}
    return {"scaling": MULTIPLIER} if op == "add" else {}


def _kind_limits(kind: NeuronKind, profile: SpikingProfile) -> dict[str, tuple[int, int]]:
    """Lowest and highest value of each register."""
    bias = profile.bias_mantissa_max if profile.has_bias else 0
    v_th, full = profile.v_th_max, 2**profile.v_bits - 1
    if kind.raw:  # thresholds and biases of plain sums: 32-bit integers
        return {name: (-(2**31), 2**31 - 1) for name in kind.registers}
    known = {
        "v_th": (0, v_th), "v_th_high": (0, v_th), "v_th_low": (-v_th, 0), "bias": (-bias, bias),
        "theta_0": (0, v_th), "theta_step": (0, v_th), "noise_on": (0, 1),
        "v_low": (-full, full), "v_high": (-full, full),
    }  # fmt: skip
    return {name: known.get(name, (0, profile.decay_max)) for name in kind.registers}


def _values(program: Program, span: Span) -> np.ndarray:
    return program.arrays[span.region][span.start : span.stop]


def _outside(values: np.ndarray, low: int, high: int) -> str:
    """'least..most' where some value is not in low..high, else nothing."""
    if not values.size:
        return ""
    least, most = int(values.min()), int(values.max())
    return f"{least}..{most}" if least < low or most > high else ""
