"""Programs as text that people read and `parse` reads back.

One logical line is one thing; a backslash at the end continues it; `#` starts a comment.
Everything that decides a run is in the text, the arrays by their checksums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from picojoule import units
from picojoule.fixed.contract import Encoder
from picojoule.fixed.format import Scale
from picojoule.fixed.neurons import KINDS
from picojoule.program.opcodes import OPCODES
from picojoule.program.parsing import GLOBAL, OPERAND, parse
from picojoule.program.program import FORMAT_VERSION, Instruction, Program, Region, Source
from picojoule.program.spans import span_word
from picojoule.words import checksum, shape_word, word, wrapped

__all__ = ["listing", "parse"]

INLINE_MAX = 4  # steps of a scale that a source line spells out


@dataclass
class _Core:
    """What belongs to one core, in order."""

    regions: dict[str, Region] = field(default_factory=dict)
    instructions: dict[int, Instruction] = field(default_factory=dict)


def listing(program: Program, limits: Mapping[str, int] | None = None) -> str:
    """The text of a program; `parse(listing(p), p.arrays, p.initial) == p`.

    limits  of one core, such as `target.core.limits`: then use is shown against them
    """
    lines = [*_head(program)]
    nodes = _nodes_by_region(program)
    for number, core in sorted(_by_core(program).items()):
        lines += ["", _core_head(program, number, core, limits or {})]
        lines += _regions(program, core, nodes)
        lines += _instructions(program, core)
    lines += _sources(program)
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------------- the program


def _head(program: Program) -> Iterator[str]:
    yield (
        f"program {word(program.name)}   target {word(program.target)}   kind {program.kind}"
        f"   profile {word(program.profile)}   format {FORMAT_VERSION}"
    )
    yield f"machine {word(program.machine)}"
    window = "step" if program.kind == "spiking" else "phase"
    yield f"steps {program.steps}   latency {program.latency}   # a window is one {window}"
    if program.phases:
        yield from wrapped("phases", [word(phase) for phase in program.phases])
    yield f"in   {_encoder(program.encoder)}"
    start = f" from {program.readout.start}" if program.readout.start else ""
    yield f"out  {program.readout.kind}{start}"


def _encoder(encoder: Encoder) -> str:
    """Kind, shape and the fields that have not their default."""
    usual = Encoder(kind=encoder.kind, shape=encoder.shape)
    fields = {
        "steps": encoder.steps, "high": float(encoder.high), "step": float(encoder.step),
        "zero": encoder.zero, "format": encoder.format,
    }  # fmt: skip
    changed = [f"{key} {value}" for key, value in fields.items() if value != getattr(usual, key)]
    return "   ".join([f"{encoder.kind} {shape_word(encoder.shape)}", *changed])


# ---------------------------------------------------------------------------------------- cores


def _by_core(program: Program) -> dict[int, _Core]:
    found: dict[int, _Core] = defaultdict(_Core)
    for core in range(len(program.positions)):
        found[core] = _Core()
    for name, region in program.regions.items():
        found[region.core].regions[name] = region
    for index, instruction in enumerate(program.instructions):
        found[instruction.core].instructions[index] = instruction
    return found


def _core_head(program: Program, number: int, core: _Core, limits: Mapping[str, int]) -> str:
    if number < 0:
        return GLOBAL
    place = ""
    if number < len(program.positions):
        place = " at ({},{})".format(*program.positions[number])
    used = [*_neurons_used(core, limits), *_memory_used(core, limits)]
    return f"core {number}{place}" + (f"   # {', '.join(used)}" if used else "")


def _neurons_used(core: _Core, limits: Mapping[str, int]) -> Iterator[str]:
    spans = [i.writes[0] for i in core.instructions.values() if i.op in KINDS and i.writes]
    if spans:
        most = f"/{limits['neurons']}" if "neurons" in limits else ""
        yield f"neurons {sum(span.size for span in spans)}{most}"


def _memory_used(core: _Core, limits: Mapping[str, int]) -> Iterator[str]:
    totals: dict[str, int] = defaultdict(int)
    for region in core.regions.values():
        totals[region.memory] += region.packed_bytes
    for memory, count in totals.items():
        most = ""
        if memory == "synapse" and "synapse_words" in limits:
            size = limits["synapse_words"] * limits["synapse_word_bits"] // 8
            most = f"/{units.format(size, 'B')}"
        yield f"{word(memory)} {units.format(count, 'B')}{most}"


# ------------------------------------------------------------------------------------- regions


def _regions(program: Program, core: _Core, nodes: Mapping[str, list[str]]) -> Iterator[str]:
    columns = [_region(program, *item) for item in core.regions.items()]
    widths = [max(map(len, column)) for column in zip(*columns)]
    for name, cells in zip(core.regions, columns):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths))
        yield f"  {line}".rstrip() + _comment(nodes.get(name, []))


def _region(program: Program, name: str, region: Region) -> tuple[str, ...]:
    kept = [
        f"{key} {checksum(arrays[name])}"
        for key, arrays in (("crc", program.arrays), ("initial", program.initial))
        if name in arrays
    ]
    return (
        region.role, word(name), str(region.format), shape_word(region.shape),
        word(region.memory), "  ".join(kept),
    )  # fmt: skip


def _nodes_by_region(program: Program) -> dict[str, list[str]]:
    """Region name -> 'node what, scale' of what lies in it."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in program.source:
        scale = f", {_step(source.scale)}" if source.scale else ""
        found[source.region].append(f"{word(source.node)} {word(source.what)}{scale}")
    return found


def _step(scale: Scale) -> str:
    many = f" ({len(scale.step)} steps)" if len(scale.step) > 1 else ""
    return f"step {scale.step[0]:.4g}{many}"


def _comment(items: list[str]) -> str:
    more = f"; {len(items) - 2} more" if len(items) > 2 else ""
    return f"   # {'; '.join(items[:2])}{more}" if items else ""


# -------------------------------------------------------------------------------- instructions


def _instructions(program: Program, core: _Core) -> Iterator[str]:
    phase = 0
    for index, instruction in core.instructions.items():
        if instruction.phase != phase:
            phase = instruction.phase
            known = 0 <= phase < len(program.phases)
            yield f"  phase {phase}" + (f"   # {word(program.phases[phase])}" if known else "")
        yield from wrapped(f"  {index}  {word(instruction.op)}", _pieces(instruction))


def _pieces(instruction: Instruction) -> Iterator[str]:
    opcode = OPCODES.get(instruction.op)
    reads = opcode.reads if opcode else ()
    writes = opcode.writes if opcode else ()
    args = (opcode and opcode.given(len(instruction.args))) or ()
    for name, span in zip(_names(reads, instruction.reads), instruction.reads):
        yield f"{name} {span_word(span)}"
    for i, (name, span) in enumerate(zip(_names(writes, instruction.writes), instruction.writes)):
        yield f"{'-> ' if i == 0 else ''}{name} {span_word(span)}"
    for name, value in zip(_names(args, instruction.args), instruction.args):
        yield f"{name} {value}"
    yield from (f"loop {word(name)} {count}" for name, count in instruction.loops)
    if instruction.after:
        yield "after " + " ".join(map(str, instruction.after))


def _names(names: tuple[str, ...], items: tuple[object, ...]) -> tuple[str, ...]:
    """Names from the opcode's row; a stand-in each where the instruction does not match it."""
    return names if len(names) == len(items) else (OPERAND,) * len(items)


# -------------------------------------------------------------------------------------- sources


def _sources(program: Program) -> Iterator[str]:
    scales = [s.scale for s in program.source if s.scale and len(s.scale.step) > INLINE_MAX]
    numbers = {scale: i for i, scale in enumerate(dict.fromkeys(scales))}
    if program.source:
        yield ""
    for scale, number in numbers.items():
        yield from wrapped(f"scale {number}", _scale(scale))
    for source in program.source:
        pieces = [*_source(source), *_scale_pieces(source.scale, numbers)]
        yield from wrapped(f"source {word(source.node)} {word(source.what)}", pieces)


def _source(source: Source) -> Iterator[str]:
    yield f"in {word(source.region)}[{source.start}:{source.stop}]"
    if source.first:
        yield f"first {source.first}"


def _scale_pieces(scale: Scale | None, numbers: Mapping[Scale, int]) -> Iterator[str]:
    if scale is None:
        return
    if scale in numbers:
        yield f"scale {numbers[scale]}"
    else:
        yield from _scale(scale)


def _scale(scale: Scale) -> Iterator[str]:
    if scale.zero:
        yield f"zero {scale.zero}"
    if scale.axis is not None:
        yield f"axis {scale.axis}"
    yield "step"
    yield from (repr(float(step)) for step in scale.step)
