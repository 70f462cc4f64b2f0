"""What deliveries add to: dendritic accumulators of neurons, and sums that are shifted later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def readers(program: Program) -> Readers:
    """Everything that takes sums: neurons, and `accumulate`."""
    found = []
    for index, i in enumerate(program.instructions):
        if i.op == "accumulate":
            found.append(Reader(index, i.reads[0], True, True))
        elif i.op in KINDS:
            kind = KINDS[i.op]
            found += [Reader(index, q, kind.raw, False) for q in i.writes[: kind.currents]]
    return Readers(found)


class Readers:
    """Who takes sums, found by region: programs of many cores have many readers."""

    def __init__(self, found: Iterable[Reader]) -> None:
        self.all = tuple(found)
        self._by_region: dict[str, list[Reader]] = {}
        for reader in self.all:
            self._by_region.setdefault(reader.span.region, []).append(reader)

    def of(self, span: Span) -> list[Reader]:
        """The readers that share an element with `span`, in order."""
        near = self._by_region.get(span.region, ())
        return [r for r in near if r.span.start < span.stop and span.start < r.span.stop]


def is_raw(found: Readers, span: Span) -> bool:
    """Whether sums in `span` are in units of plain weights."""
    return any(reader.raw for reader in found.of(span))


def sum_faults(program: Program) -> Iterator[str]:
    """Sums that two readers would take differently, and exponents where none may be."""
    if program.kind != "spiking":
        return
    found = readers(program)
    on_sum = SPIKING[program.profile].exponent_on == "sum"
    for index, i in enumerate(program.instructions):
        if not i.op.startswith("deliver") and i.op != "accumulate":
            continue
        mine = found.of(i.writes[0])
        exponent = dict(zip(OPCODES[i.op].args, i.args))["exponent"]
        named = f"instruction {index} ({i.op!r} on core {i.core}): "
        yield from (named + what for what in _faults(i, mine, exponent, on_sum))
    place = {id(reader): n for n, reader in enumerate(found.all)}
    for n, reader in enumerate(found.all):
        for other in found.of(reader.span):
            if place[id(other)] < n:
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
