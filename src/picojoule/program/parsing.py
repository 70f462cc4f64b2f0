"""The text of a program read back: what `listing` writes, and what people edit of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Scale, parse_format
from picojoule.program.opcodes import OPCODES
from picojoule.program.plain import plain, read
from picojoule.program.program import (
    FORMAT_VERSION,
    Instruction,
    Program,
    Region,
    Source,
    Span,
)
from picojoule.program.spans import span
from picojoule.program.verify import verify
from picojoule.words import Line, checksum, lines, name, real, shape, whole

OPERAND = "operand"  # stands for a name where an instruction does not match its opcode
GLOBAL = "global"  # heads what belongs to no core
FAULTS_MAX = 20


@dataclass
class _Draft:
    """What has been read of a program so far."""

    arrays: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray]
    fields: dict[str, Any] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    instructions: dict[int, Instruction] = field(default_factory=dict)
    positions: list[tuple[int, int]] = field(default_factory=list)
    scales: dict[int, Scale] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    core: int = -1
    phase: int = 0


def parse(
    text: str,
    arrays: Mapping[str, np.ndarray],
    initial: Mapping[str, np.ndarray] | None = None,
) -> Program:
    """The program that `text` lists, around its constants and initial state.

    Raises ProgramError PJ604 with all lines that cannot be read, or whose arrays do not have
    the checksum listed; PJ603 when they can but make no valid program.
    """
    draft = _Draft(arrays, initial or {})
    found = [fault for line in lines(text) for fault in _line(draft, line)]
    if not found:
        found = _missing(draft)
    if found:
        raise ProgramError(found[:FAULTS_MAX])
    program = _assembled(draft)
    verify(program, content=False)
    return program


def _line(draft: _Draft, line: Line) -> list[Fault]:
    """Read one line into the draft; what is wrong with it."""
    keyword = line.take("a keyword")
    try:
        if keyword.isdecimal():
            _instruction(draft, whole(keyword), line)
        elif keyword in KEYWORDS:
            KEYWORDS[keyword](draft, line)
        else:
            raise ValueError(f"unknown keyword '{keyword[:40]}'")
        line.end()
    except ValueError as error:
        return [Fault("PJ604", str(error), where=f"line {line.number}")]
    return []


def _missing(draft: _Draft) -> list[Fault]:
    """Lines that every listing has, and gaps in numbered ones."""
    keys = {"program": "name", "machine": "machine", "steps": "steps", "in": "encoder",
            "out": "readout"}  # fmt: skip
    found = [f"there is no line '{k}'" for k, key in keys.items() if key not in draft.fields]
    gaps = sorted(set(range(len(draft.instructions))) - draft.instructions.keys())
    if gaps:
        found.append(f"instruction {gaps[0]} of {len(draft.instructions)} is missing")
    return [Fault("PJ604", what) for what in found]


def _assembled(draft: _Draft) -> Program:
    program = Program(
        regions=draft.regions, arrays=draft.arrays, initial=draft.initial,
        instructions=tuple(draft.instructions[i] for i in range(len(draft.instructions))),
        positions=tuple(draft.positions), source=tuple(draft.sources), **draft.fields,
    )  # fmt: skip
    try:
        read(Program, plain(program))
    except ValueError as error:
        raise ProgramError(Fault("PJ604", f"the program{error}")) from None
    return program


# --------------------------------------------------------------------------------- the program


def _program(draft: _Draft, line: Line) -> None:
    found = {"name": name(line.take("a name"))}
    for key in ("target", "kind", "profile"):
        line.expect(key)
        found[key] = name(line.take(key))
    line.expect("format")
    version = whole(line.take("a format version"))
    if version != FORMAT_VERSION:
        raise ValueError(f"format {version}; this Picojoule reads format {FORMAT_VERSION}")
    _set(draft, **found)


def _machine(draft: _Draft, line: Line) -> None:
    _set(draft, machine=name(line.take("a digest")))


def _steps(draft: _Draft, line: Line) -> None:
    steps = whole(line.take("a number of steps"))
    line.expect("latency")
    _set(draft, steps=steps, latency=whole(line.take("a number of steps")))


def _phases(draft: _Draft, line: Line) -> None:
    _set(draft, phases=tuple(name(w) for w in line.words))
    line.words.clear()


def _encoder(draft: _Draft, line: Line) -> None:
    kinds: dict[str, Callable[[str], Any]] = {
        "steps": whole, "high": real, "step": real, "zero": whole, "format": parse_format,
    }  # fmt: skip
    found: dict[str, Any] = {"kind": line.take("a kind of encoder")}
    found["shape"] = shape(line.take("a shape"))
    for key, convert in kinds.items():
        if line.skip(key):
            found[key] = convert(line.take(key))
    _set(draft, encoder=Encoder(**found))


def _readout(draft: _Draft, line: Line) -> None:
    kind: Any = line.take("a kind of readout")
    start = whole(line.take("a step")) if line.skip("from") else 0
    _set(draft, readout=Readout(kind=kind, start=start))


def _set(draft: _Draft, **fields: Any) -> None:
    if draft.fields.keys() & fields.keys():
        raise ValueError("a second line of this kind")
    draft.fields.update(fields)


# ---------------------------------------------------------------------------------------- cores


def _core(draft: _Draft, line: Line) -> None:
    draft.core, draft.phase = whole(line.take("a number")), 0
    if not line.skip("at"):
        return
    place = line.take("a position")
    if draft.core != len(draft.positions):
        raise ValueError(f"the position of core {len(draft.positions)} must come first")
    if not (place.startswith("(") and place.endswith(")") and place.count(",") == 1):
        raise ValueError(f"{place} is not a position such as (0,3)")
    x, y = place[1:-1].split(",")
    draft.positions.append((whole(x), whole(y)))


def _global(draft: _Draft, line: Line) -> None:
    draft.core, draft.phase = -1, 0


def _phase(draft: _Draft, line: Line) -> None:
    draft.phase = whole(line.take("a number"))


def _region(role: Any) -> Callable[[_Draft, Line], None]:
    def read_region(draft: _Draft, line: Line) -> None:
        called = name(line.take("a name"))
        form, dims = parse_format(line.take("a format")), shape(line.take("a shape"))
        memory = name(line.take("a memory"))
        if called in draft.regions:
            raise ValueError(f"a second region {called!r}")
        draft.regions[called] = Region(memory, draft.core, form, dims, role)
        for key, arrays in (("crc", draft.arrays), ("initial", draft.initial)):
            _same_content(line, key, called, arrays)

    return read_region


def _same_content(line: Line, key: str, called: str, arrays: Mapping[str, np.ndarray]) -> None:
    if not line.skip(key):
        if called in arrays:
            raise ValueError(f"there is an array for {called!r}, but no '{key}'")
        return
    told = line.take("a checksum")
    if called not in arrays:
        raise ValueError(f"no array given for {called!r}")
    found = checksum(arrays[called])
    if found != told:
        raise ValueError(f"array {called!r} has checksum {found}, the listing says {told}")


def _instruction(draft: _Draft, index: int, line: Line) -> None:
    op = name(line.take("an opcode"))
    if op not in OPCODES:
        near = difflib.get_close_matches(op[:40], OPCODES, n=3, cutoff=0.4) or sorted(OPCODES)[:5]
        raise ValueError(f"no opcode '{op[:40]}'; there is {', '.join(near)}")
    opcode = OPCODES[op]
    if index in draft.instructions:
        raise ValueError(f"a second instruction {index}")
    reads = _operands(line, opcode.reads)
    if opcode.writes:
        line.expect("->")
    writes = _operands(line, opcode.writes)
    least = len(opcode.args) - opcode.optional
    args = tuple(_named_int(line, arg) for n, arg in enumerate(opcode.args)
                 if n < least or line.peek() == arg)  # fmt: skip
    loops = []
    while line.skip("loop"):
        loops.append((name(line.take("a name")), whole(line.take("a count"))))
    after = tuple(whole(w) for w in line.words[1:]) if line.peek() == "after" else ()
    if after:
        line.words.clear()
    draft.instructions[index] = Instruction(
        op=op, core=draft.core, reads=reads, writes=writes, args=args, loops=tuple(loops),
        after=after, phase=draft.phase,
    )  # fmt: skip


def _operands(line: Line, names: tuple[str, ...]) -> tuple[Span, ...]:
    found = []
    for operand in names:
        line.expect(operand)
        found.append(span(line.take(f"the span of {operand}")))
    return tuple(found)


def _named_int(line: Line, key: str) -> int:
    line.expect(key)
    return whole(line.take(key))


# -------------------------------------------------------------------------------------- sources


def _scale_line(draft: _Draft, line: Line) -> None:
    number = whole(line.take("a number"))
    if number in draft.scales:
        raise ValueError(f"a second scale {number}")
    draft.scales[number] = _scale(line)


def _scale(line: Line) -> Scale:
    zero = _named_int(line, "zero") if line.peek() == "zero" else 0
    axis = _named_int(line, "axis") if line.peek() == "axis" else None
    line.expect("step")
    steps = tuple(real(w) for w in line.words)
    line.words.clear()
    if not steps:
        raise ValueError("a step is missing")
    return Scale(steps, zero, axis)


def _source(draft: _Draft, line: Line) -> None:
    node, what = name(line.take("a node")), name(line.take("what it is"))
    line.expect("in")
    place = span(line.take("a span"))
    first = _named_int(line, "first") if line.peek() == "first" else 0
    scale = _source_scale(draft, line) if line.words else None
    draft.sources.append(Source(place.region, place.start, place.stop, node, what, first, scale))


def _source_scale(draft: _Draft, line: Line) -> Scale:
    if not line.skip("scale"):
        return _scale(line)
    number = whole(line.take("a number"))
    if number not in draft.scales:
        raise ValueError(f"no scale {number} above")
    return draft.scales[number]


KEYWORDS: dict[str, Callable[[_Draft, Line], None]] = {
    "program": _program, "machine": _machine, "steps": _steps, "phases": _phases,
    "in": _encoder, "out": _readout, "core": _core, GLOBAL: _global, "phase": _phase,
    "scale": _scale_line, "source": _source,
    **{role: _region(role) for role in ("const", "state", "buffer", "input", "output")},
}  # fmt: skip
