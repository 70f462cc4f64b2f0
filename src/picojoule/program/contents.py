"""Whether the constants of a program hold what their instructions may read.

Everything here assumes that the structure is sound (`verify.py` calls it last).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.program.opcodes import OPCODES
from picojoule.program.program import Instruction, Program, Span

MULTIPLIER = (2**30, 2**31 - 1)  # or 0; rule T4 of docs/numerics.md
EXPONENT = (-31, 30)


def index_faults(program: Program) -> Iterator[str]:
    """Sparse rows whose indices would lead an engine outside its arrays."""
    for index, instruction in enumerate(program.instructions):
        if instruction.op == "deliver_sparse":
            named = f"instruction {index} ('deliver_sparse' on core {instruction.core}): "
            yield from (named + what for what in _sparse_faults(program, instruction))


def _sparse_faults(program: Program, instruction: Instruction) -> Iterator[str]:
    _, indptr, target, _ = instruction.reads
    rows = _values(program, indptr).astype(np.int64)
    if rows.size and (np.any(np.diff(rows) < 0) or rows[0] < 0 or rows[-1] > target.size):
        yield f"row bounds in {indptr} must rise from 0 to at most {target.size}"
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
    if op == "cuba":
        return _cuba_limits(SPIKING[program.profile])
    if op == "requantize":
        return {"multiplier": MULTIPLIER, "exponent": EXPONENT}
    return {"scaling": MULTIPLIER} if op == "add" else {}


def _cuba_limits(profile: SpikingProfile) -> dict[str, tuple[int, int]]:
    bias = profile.bias_mantissa_max if profile.has_bias else 0
    return {
        "decay_u": (0, profile.decay_max),
        "decay_v": (0, profile.decay_max),
        "v_th": (0, profile.v_th_max),
        "bias": (-bias, bias),
    }


def _values(program: Program, span: Span) -> np.ndarray:
    return program.arrays[span.region][span.start : span.stop]


def _outside(values: np.ndarray, low: int, high: int) -> str:
    """'least..most' where some value is not in low..high, else nothing."""
    if not values.size:
        return ""
    least, most = int(values.min()), int(values.max())
    return f"{least}..{most}" if least < low or most > high else ""
