"""What deliveries add to: dendritic accumulators of neurons, and sums that are shifted later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.program.opcodes import OPCODES
from picojoule.program.program import Instruction, Program, Span


@dataclass(frozen=True)
class Reader:
    """An instruction that takes what was added to a span; `raw`: plain sums of weights, not
    shifted by `weight_shift`; `later`: an `accumulate`, which shifts them itself."""

    index: int
    span: Span
    raw: bool
    later: bool


def readers(program: Program) -> list[Reader]:
    """Everything that takes sums: neurons, and `accumulate`."""
    found = []
    for index, i in enumerate(program.instructions):
        if i.op == "accumulate":
            found.append(Reader(index, i.reads[0], True, True))
        elif i.op in KINDS:
            kind = KINDS[i.op]
            found += [Reader(index, q, kind.raw, False) for q in i.writes[: kind.currents]]
    return found


def overlap(a: Span, b: Span) -> bool:
    """Whether two spans share an element."""
    return a.region == b.region and a.start < b.stop and b.start < a.stop


def is_raw(found: list[Reader], span: Span) -> bool:
    """Whether sums in `span` are in units of plain weights."""
    return any(reader.raw for reader in found if overlap(reader.span, span))


def sum_faults(program: Program) -> Iterator[str]:
    """Sums that two readers would take differently, and exponents where none may be."""
    if program.kind != "spiking":
        return
    found = readers(program)
    on_sum = SPIKING[program.profile].exponent_on == "sum"
    for index, i in enumerate(program.instructions):
        if not i.op.startswith("deliver") and i.op != "accumulate":
            continue
        mine = [reader for reader in found if overlap(reader.span, i.writes[0])]
        exponent = dict(zip(OPCODES[i.op].args, i.args))["exponent"]
        named = f"instruction {index} ({i.op!r} on core {i.core}): "
        yield from (named + what for what in _faults(i, mine, exponent, on_sum))
    for n, reader in enumerate(found):
        for other in found[:n]:
            if overlap(reader.span, other.span):
                yield f"instructions {other.index} and {reader.index} both take {reader.span}"


def _faults(i: Instruction, mine: list[Reader], exponent: int, on_sum: bool) -> Iterator[str]:
    later = any(reader.later for reader in mine)
    if len({(reader.raw, reader.later) for reader in mine}) > 1:
        yield f"{i.writes[0]} is taken by neurons with and without shifted sums"
    if i.op == "accumulate":
        if later:
            yield f"adds to {i.writes[0]}, which is itself a sum"
    elif later and exponent != 0:
        yield f"exponent {exponent} into a sum that `accumulate` shifts; it must be 0"
    elif on_sum and exponent < 0:
        yield f"exponent {exponent} floors each weight; the profile floors sums: use `accumulate`"
