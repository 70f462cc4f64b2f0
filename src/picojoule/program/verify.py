"""Whether a program is well formed: what an engine may take for granted.

After `verify` every span lies inside its region, sizes agree, indices of sparse rows point
inside their rows, arguments lie in their ranges, and instructions can run in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.neurons import KINDS, NeuronKind
from picojoule.fixed.profile import SPIKING, TENSOR, SpikingProfile
from picojoule.program.contents import content_faults, index_faults
from picojoule.program.opcodes import OPCODES, Opcode
from picojoule.program.program import Instruction, Program, Region, Source, Span
from picojoule.program.sums import sum_faults
from picojoule.program.verify_image import IMAGE_RANGES, IMAGE_SIZES, image_faults

SIZE_MAX = 2**31  # elements of a region: kernels index with int64, files with less
CORE_MAX = 2**20
COUNT_MAX = 2**31 - 1  # steps, cycles, hops, loop counts
SHIFT_MAX = 24  # a state of 24 bits shifted by its option stays far below 63 bits
OPTION_RANGES = {  # of neuron kinds; 31: registers of 5 bits
    "noise_exponent": (0, 31), "noise_offset": (-64, 63), "noise_on_v": (0, 1),
    "reset_interval": (1, COUNT_MAX), "reset_offset": (0, COUNT_MAX), "cumulative": (0, 1),
    "corrected": (0, 1), "spike_exponent": (0, SHIFT_MAX), "state_exponent": (0, SHIFT_MAX),
    "decay_bits": (1, 30), "product.exponent": (0, 62),
}  # fmt: skip
INT32 = (-(2**31), 2**31 - 1)
KEPT = ("state", "buffer")
ROLES_KNOWN = ("const", "state", "buffer", "input", "output")

# operand name -> roles that its region may have; learned weights are state
ROLES: dict[str, tuple[str, ...]] = {
    "events": ("input",), "label": ("output",), "axon": KEPT, "spike": KEPT,
    **dict.fromkeys(("q", "q0", "q1", "sum"), KEPT),
    **{word: ("state",) for kind in KINDS.values() for word in kind.state},
    **{name: ("const", "state") for kind in KINDS.values() for name in kind.registers},
    "weight": ("const", "state", "buffer"), "bias": ("const", "state", "buffer"),
    **dict.fromkeys(("indptr", "row", "base"), ("const",)),
    "x": ("input", *KEPT), "a": ("input", *KEPT), "b": ("input", *KEPT),
    "acc": (*KEPT, "output"), "y": (*KEPT, "output"),
    "multiplier": ("const", "buffer"), "exponent": ("const", "buffer"),
    "scaling": ("const", "buffer"), "table": ("const", "buffer"),
}  # fmt: skip
MOVED = {
    ("load", "source"): ("const", "input", *KEPT), ("load", "target"): KEPT,
    ("store", "source"): (*KEPT, "output"), ("store", "target"): ("output", *KEPT),
    ("deliver_sparse", "target"): ("const",), ("deliver_shared", "target"): ("const",),
}  # fmt: skip

Relations = tuple[tuple[str, str, str], ...]


def _kind_sizes(kind: NeuronKind) -> Relations:
    """State and spikes are as many as the (first) accumulators; registers too, or one."""
    first, *rest = ("q",) if kind.currents == 1 else ("q0", "q1")
    same = (*rest, *kind.state, "spike")
    return (
        *(("same", name, first) for name in same),
        *(("one or same", name, first) for name in kind.registers),
    )


# opcode -> (relation, operand, operand it is measured by)
SIZES: dict[str, Relations] = {
    "input": (("same", "axon", "events"),),
    "route": (("same", "axon", "spike"),),
    "deliver_dense": (("rows", "weight", "axon"), ("columns", "weight", "q")),
    "deliver_sparse": (("one more", "indptr", "axon"), ("same", "weight", "target")),
    "deliver_shared": (
        ("same", "row", "axon"), ("same", "base", "axon"), ("same", "weight", "target"),
    ),
    "accumulate": (("same", "q", "sum"),),
    **{name: _kind_sizes(kind) for name, kind in KINDS.items()},
    "output": (("same", "label", "spike"),),
    "load": (("same", "target", "source"),),
    "matmul": (("rows", "weight", "acc"), ("columns", "weight", "x"), ("same", "bias", "acc")),
    "requantize": (
        ("same", "y", "acc"),
        ("one or same", "multiplier", "acc"), ("one or same", "exponent", "acc"),
    ),
    "add": (("same", "a", "y"), ("same", "b", "y"), ("six", "scaling", "scaling")),
    "store": (("same", "target", "source"),),
    **IMAGE_SIZES,
}  # fmt: skip


def verify(program: Program, *, content: bool = True, where: str = "") -> None:
    """Raise ProgramError PJ603 with every fault of `program`; `where` says what it is called."""
    found = faults(program, content=content, where=where)
    if found:
        raise ProgramError(found)


def faults(program: Program, *, content: bool = True, where: str = "") -> list[Fault]:
    """Everything that is wrong.  Without `content`, array values are not looked at, except
    indices that an engine follows."""
    parts = (_head_faults, _region_faults, _array_faults, _source_faults, _instruction_faults)
    found = [what for part in parts for what in part(program)]
    if not found:
        found += [*_update_faults(program), *_flow_faults(program), *index_faults(program)]
        found += [*sum_faults(program)]
    if content and not found:
        found += content_faults(program)
    return [Fault("PJ603", what, where=where, fix="compile the network again") for what in found]


# --------------------------------------------------------------------------------- the program


def _head_faults(program: Program) -> Iterator[str]:
    profiles = {"spiking": tuple(SPIKING), "tensor": tuple(TENSOR)}.get(program.kind)
    if profiles is None:
        yield f"kind is {program.kind!r}, not 'spiking' or 'tensor'"
    elif program.profile not in profiles:
        yield f"no {program.kind} profile {program.profile!r}; known: {', '.join(profiles)}"
    if not 1 <= program.steps <= COUNT_MAX:
        yield f"steps must lie in 1..{COUNT_MAX}, got {program.steps}"
    if not 0 <= program.latency <= program.steps:
        yield f"latency must lie in 0..steps = {program.steps}, got {program.latency}"
    if not 0 <= program.readout.start <= program.steps:
        yield f"readout starts at step {program.readout.start} of {program.steps}"
    if program.kind == "spiking" and program.cores > len(program.positions) > 0:
        yield f"{len(program.positions)} positions for {program.cores} cores"
    names = (program.name, program.target, program.machine, *program.phases)
    yield from (f"{name!r} is not printable" for name in names if not name.isprintable())
    yield from _encoder_faults(program)


def _encoder_faults(program: Program) -> Iterator[str]:
    encoder = program.encoder
    if (encoder.kind == "affine") != (program.kind == "tensor"):
        yield f"a {program.kind} program cannot have an encoder of kind {encoder.kind!r}"
    if not encoder.shape or min(encoder.shape) < 1 or encoder.channels > SIZE_MAX:
        yield f"encoder has an impossible shape {list(encoder.shape)}"
    if not 1 <= encoder.steps <= COUNT_MAX:
        yield f"encoder steps must lie in 1..{COUNT_MAX}, got {encoder.steps}"
    for name, value in (("high", encoder.high), ("step", encoder.step)):
        if not (math.isfinite(value) and value > 0):
            yield f"encoder {name} must be positive and finite, got {value}"
    if not encoder.format.low <= encoder.zero <= encoder.format.high:
        yield f"encoder zero {encoder.zero} does not fit {encoder.format}"
    entries = [region for region in program.regions.values() if region.role == "input"]
    if len(entries) == 1 and entries[0].size != encoder.channels:
        yield f"encoder gives {encoder.channels} channels, the input holds {entries[0].size}"


# -------------------------------------------------------------------- regions, arrays, sources


def _region_faults(program: Program) -> Iterator[str]:
    for name, region in program.regions.items():
        if not name or not name.isprintable() or not region.memory.isprintable():
            yield f"region {name!r} in {region.memory!r}: names must be printable"
        if region.role not in ROLES_KNOWN:
            yield f"region {name!r} has an unknown role {region.role!r}"
        if not region.shape or min(region.shape) < 0 or region.size > SIZE_MAX:
            yield f"region {name!r} has an impossible shape {list(region.shape)}"
        if not -1 <= region.core < CORE_MAX:
            yield f"region {name!r} is on core {region.core}, not -1..{CORE_MAX - 1}"


def _array_faults(program: Program) -> Iterator[str]:
    consts = {name for name, region in program.regions.items() if region.role == "const"}
    yield from (f"constant {name!r} has no array" for name in sorted(consts - set(program.arrays)))
    for name, array in program.arrays.items():
        if name not in consts:
            yield f"array {name!r} belongs to no constant region"
            continue
        region = program.regions[name]
        if array.dtype != region.format.dtype or array.shape != region.shape:
            yield (
                f"array {name!r} is {array.dtype}{list(array.shape)}, its region holds"
                f" {region.format.dtype}{list(region.shape)}"
            )
    for name, array in program.initial.items():
        yield from _initial_faults(program.regions.get(name), name, array.dtype.kind, array.size)


def _initial_faults(region: Region | None, name: str, kind: str, size: int) -> Iterator[str]:
    if region is None or region.role not in KEPT:
        yield f"initial values {name!r} belong to no state region"
    elif size != region.size:
        yield f"{size} initial values for {name!r}, which holds {region.size}"
    if kind not in "iu":
        yield f"initial values {name!r} are not integers"


def _source_faults(program: Program) -> Iterator[str]:
    for source in program.source:
        named = f"source of {source.node!r} {source.what!r}"
        region = program.regions.get(source.region)
        if not (source.node.isprintable() and source.what.isprintable()):
            yield f"{named}: names must be printable"
        if region is None:
            yield f"{named}: no region {source.region!r}"
        elif not 0 <= source.start <= source.stop <= region.size or source.first < 0:
            yield f"{named}: {source.start}..{source.stop} is not inside {source.region!r}"
        yield from (f"{named}: {what}" for what in _scale_faults(source))


def _scale_faults(source: Source) -> Iterator[str]:
    if source.scale is None:
        return
    if not source.scale.step or not all(map(math.isfinite, source.scale.step)):
        yield "its scale needs finite steps"


# ------------------------------------------------------------------------------- instructions


def _instruction_faults(program: Program) -> Iterator[str]:
    ranges = _ranges(program)
    for index, instruction in enumerate(program.instructions):
        found = [*_place_faults(program, index, instruction)]
        opcode = OPCODES.get(instruction.op)
        if opcode is None:
            found.append(f"no such opcode; known: {', '.join(OPCODES)}")
        else:
            found += _operand_faults(program, instruction, opcode)
            found += _argument_faults(instruction, opcode, ranges)
        named = f"instruction {index} ({instruction.op!r} on core {instruction.core}): "
        yield from (named + what for what in found)


def _place_faults(program: Program, index: int, instruction: Instruction) -> Iterator[str]:
    for earlier in instruction.after:
        if not 0 <= earlier < index:
            yield f"waits for instruction {earlier}, which is not an earlier one"
    if not 0 <= instruction.phase < max(1, len(program.phases)):
        yield f"phase {instruction.phase} of {len(program.phases)}"
    if not -1 <= instruction.core < CORE_MAX:
        yield f"core must lie in -1..{CORE_MAX - 1}"
    for name, count in instruction.loops:
        if not 0 <= count <= COUNT_MAX or not name.isprintable():
            yield f"loop {name!r} of {count}"


def _operand_faults(program: Program, instruction: Instruction, opcode: Opcode) -> Iterator[str]:
    if opcode.machine not in (program.kind, "any"):
        yield f"is for {opcode.machine} machines, the program is {program.kind}"
    elif opcode.name in KINDS and program.profile in SPIKING:
        known = SPIKING[program.profile].kinds
        if opcode.name not in known:
            yield f"profile {program.profile!r} has no such neurons; it has {', '.join(known)}"
    for what, spans, names in (
        ("reads", instruction.reads, opcode.reads),
        ("writes", instruction.writes, opcode.writes),
    ):
        if len(spans) != len(names):
            yield f"{what} {len(spans)} spans, needs {len(names)}: {', '.join(names)}"
    pairs = (*zip(opcode.reads, instruction.reads), *zip(opcode.writes, instruction.writes))
    found = [what for name, span in pairs for what in _span_faults(program, opcode, name, span)]
    yield from found
    if not found and len(pairs) == len(opcode.reads) + len(opcode.writes):
        yield from _size_faults(program, opcode, dict(pairs))
        yield from _core_faults(program, instruction, opcode, dict(pairs))
        yield from image_faults(program, instruction)


def _span_faults(program: Program, opcode: Opcode, name: str, span: Span) -> Iterator[str]:
    region = program.regions.get(span.region)
    if region is None:
        yield f"{name}: no region {span.region!r}"
        return
    if not 0 <= span.start <= span.stop <= (region.shape[0] if region.shape else 0):
        yield f"{name}: {span} is not inside {list(region.shape)}"
    allowed = MOVED.get((opcode.name, name)) or ROLES[name]
    if region.role not in allowed:
        yield f"{name}: {span.region!r} is {region.role!r}, not {' or '.join(allowed)}"
    if name in opcode.writes and region.role == "const":
        yield f"writes the constant {span.region!r}"


def _size_faults(program: Program, opcode: Opcode, spans: dict[str, Span]) -> Iterator[str]:
    for relation, name, by in SIZES.get(opcode.name, ()):
        region = program.regions[spans[name].region]
        has = _elements(program, spans[name])
        needed = _elements(program, spans[by])
        if not RELATIONS[relation](region.shape, spans[name].size, has, needed):
            other = "" if name == by else f"; {by} {spans[by]} has {needed} elements"
            yield (
                f"{name} {spans[name]} of {list(region.shape)} has {has} elements{other}"
                f" ({MEANING[relation]})"
            )


RELATIONS: dict[str, Callable[[tuple[int, ...], int, int, int], bool]] = {
    "same": lambda shape, rows, has, needed: has == needed,
    "one or same": lambda shape, rows, has, needed: has in (1, needed),
    "one more": lambda shape, rows, has, needed: has == needed + 1,
    "rows": lambda shape, rows, has, needed: rows == needed,
    "columns": lambda shape, rows, has, needed: len(shape) == 2 and shape[1] == needed,
    "six": lambda shape, rows, has, needed: has == 6,
}
MEANING = {
    "same": "they must be equal", "one or same": "one, or one each", "one more": "one more",
    "rows": "a row for each", "columns": "a column for each", "six": "needs 6",
}  # fmt: skip


def _elements(program: Program, span: Span) -> int:
    return span.size * math.prod(program.regions[span.region].shape[1:])


def _core_faults(
    program: Program, instruction: Instruction, opcode: Opcode, spans: dict[str, Span]
) -> Iterator[str]:
    """Spiking compute stays on its own core."""
    if program.kind != "spiking" or opcode.kind != "compute":
        return
    for name, span in spans.items():
        core = program.regions[span.region].core
        if core not in (-1, instruction.core):
            yield f"{name} {span} is on core {core}"


def _argument_faults(
    instruction: Instruction, opcode: Opcode, ranges: dict[str, tuple[int, int]]
) -> Iterator[str]:
    if opcode.given(len(instruction.args)) is None:
        names = ", ".join(opcode.args) or "none"
        yield f"has {len(instruction.args)} arguments, needs {len(opcode.args)}: {names}"
        return
    found = dict(zip(opcode.args, instruction.args))
    for name, value in found.items():
        family = opcode.name.partition("_")[0]  # deliver_dense, deliver_sparse ...
        keys = (f"{opcode.name}.{name}", f"{family}.{name}", name)
        low, high = next((ranges[key] for key in keys if key in ranges), (0, COUNT_MAX))
        if not low <= value <= high:
            yield f"{name} must lie in {low}..{high}, got {value}"
    if "low" in found and found["low"] >= found["high"]:
        yield f"low {found['low']} is not below high {found['high']}"


def _ranges(program: Program) -> dict[str, tuple[int, int]]:
    """Argument name, or opcode.argument -> lowest and highest value; others are counts."""
    signed = ("zero_in", "zero", "low", "high", "zero_a", "zero_b")
    found = {name: INT32 for name in signed} | {"left_shift": (0, 31), "bytes": (0, 2**48)}
    found |= IMAGE_RANGES
    profile = SPIKING.get(program.profile)
    return found | (_spiking_ranges(profile) if profile else {})


def _spiking_ranges(profile: SpikingProfile) -> dict[str, tuple[int, int]]:
    return {
        "input.delay": (0, profile.input_delay + profile.delay_max),
        "route.delay": (profile.spike_delay, profile.spike_delay + profile.delay_max),
        "exponent": (profile.weight_exponent_min, profile.weight_exponent_max),
        "bias_exponent": (0, profile.bias_exponent_max),
        "refractory": (1, profile.refractory_max),
        "deliver.graded": (0, int(profile.payload_bits > 0)),
        **OPTION_RANGES,
    }


# ---------------------------------------------------------------------- between instructions


def _update_faults(program: Program) -> Iterator[str]:
    """No neuron is updated twice a step."""
    spans = sorted(
        ((span.region, span.start, span.stop), index)
        for index, instruction in enumerate(program.instructions)
        if instruction.op in KINDS
        for span in instruction.writes
    )
    for ((region, _, stop), first), ((other, start, _), second) in pairwise(spans):
        if region == other and start < stop:
            yield f"instructions {first} and {second} both update {region}[{start}:{stop}]"


def _flow_faults(program: Program) -> Iterator[str]:
    """Outputs are written; what a tensor machine reads from a buffer was written before."""
    written: set[str] = set()
    for index, instruction in enumerate(program.instructions):
        for name in sorted({span.region for span in instruction.reads} - written):
            if program.kind == "tensor" and program.regions[name].role == "buffer":
                yield f"instruction {index} reads {name!r} before anything is written to it"
        written.update(span.region for span in instruction.writes)
    for name, region in program.regions.items():
        if region.role == "output" and name not in written:
            yield f"output {name!r} is never written"
