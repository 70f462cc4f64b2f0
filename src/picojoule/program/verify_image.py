"""Whether instructions on images fit their operands: nothing outside them is ever touched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from picojoule.program.opcodes import OPCODES
from picojoule.program.program import Instruction, Program

SIDE_MAX = 2**16  # height, width, channels of an image
REACH_MAX = 2**12  # stride, dilation, padding, kernel
IMAGE_RANGES = {
    **dict.fromkeys(("height", "width", "columns", "channels", "groups"), (1, SIDE_MAX)),
    **dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x"), (1, REACH_MAX)),
    **dict.fromkeys(("kernel_y", "kernel_x"), (1, REACH_MAX)),
    **dict.fromkeys(("top", "left"), (0, REACH_MAX)),
    **dict.fromkeys(("first", "first_row"), (0, SIDE_MAX)),
    "lookup.first": (-(2**15), 2**15),
    "shift": (0, 32),
    "fraction": (0, 30),
}
IMAGE_SIZES = {
    "requantize_channels": (("same", "exponent", "multiplier"),),
    "lookup": (("same", "y", "x"),),
}


def image_faults(program: Program, i: Instruction) -> Iterator[str]:
    """What is wrong with an instruction on images whose spans lie inside their regions."""
    names = OPCODES[i.op].given(len(i.args))
    if i.op not in CHECKS or names is None:
        return
    args = dict(zip(names, i.args))
    known = {f"{i.op}.{n}" if f"{i.op}.{n}" in IMAGE_RANGES else n: v for n, v in args.items()}
    ranges = [(IMAGE_RANGES[n], v) for n, v in known.items() if n in IMAGE_RANGES]
    if all(low <= value <= high for (low, high), value in ranges):
        yield from CHECKS[i.op](program, i, args)


def _size(program: Program, i: Instruction, operand: str) -> int:
    opcode = OPCODES[i.op]
    span = dict(zip((*opcode.reads, *opcode.writes), (*i.reads, *i.writes)))[operand]
    return span.size * math.prod(program.regions[span.region].shape[1:])


def _conv(program: Program, i: Instruction, args: dict[str, int]) -> Iterator[str]:
    shape = program.regions[i.reads[1].region].shape
    count = i.reads[1].size
    if len(shape) != 4 or not count or not all(0 < side <= REACH_MAX for side in shape[2:]):
        yield f"weight of {list(shape)} needs 4 axes: out, in, height, width"
        return
    groups, channels = args["groups"], shape[1] * args["groups"]
    if _size(program, i, "bias") != count:
        yield f"bias has {_size(program, i, 'bias')} elements, weight {count} rows"
    if args["channels"] % groups or args["first"] + count > args["channels"]:
        yield (f"output channels {args['first']}..{args['first'] + count - 1} of"
               f" {args['channels']} in {groups} groups")  # fmt: skip
    x, acc = _size(program, i, "x"), _size(program, i, "acc")
    yield from _window_faults(args, None, (x, channels), (acc, count))


def _window_faults(
    args: dict[str, int], kernel: tuple[int, int] | None, x: tuple[int, int], y: tuple[int, int]
) -> Iterator[str]:
    """x, y: elements of an image or a tile of one, and channels of it; kernel: of a pool, all of
    whose windows hold some of the image."""
    height, width = args["height"], args["width"]
    if x[0] != height * width * x[1]:
        yield f"x has {x[0]} elements, not {height} x {width} x {x[1]}"
    if not y[1] or y[0] % (args["columns"] * y[1]):
        yield f"{y[0]} results are not whole rows of {args['columns']} x {y[1]}"
        return
    last = args["first_row"] + y[0] // (args["columns"] * y[1]) - 1
    bottom = last * args["stride_y"] - args["top"]
    right = (args["columns"] - 1) * args["stride_x"] - args["left"]
    beyond = REACH_MAX if kernel is None else 0  # a sum may have terms outside the image only
    if bottom >= height + beyond or right >= width + beyond:
        yield f"windows begin below or right of the image of {height} x {width}"
    if kernel is not None and (args["top"] >= kernel[0] or args["left"] >= kernel[1]):
        yield f"windows of {list(kernel)} end above or left of the image"


def _pool(program: Program, i: Instruction, args: dict[str, int]) -> Iterator[str]:
    size, place = _size(program, i, "x"), args["height"] * args["width"]
    if size % place or not size:
        yield f"x has {size} elements, not a number of channels times {place}"
        return
    kernel = (args["kernel_y"], args["kernel_x"])
    result = _size(program, i, OPCODES[i.op].writes[0])
    yield from _window_faults(args, kernel, (size, size // place), (result, size // place))


def _requantize(program: Program, i: Instruction, args: dict[str, int]) -> Iterator[str]:
    count = _size(program, i, "multiplier")
    yield from _place_faults(args, count, _size(program, i, "acc"), _size(program, i, "y"))


def _place(program: Program, i: Instruction, args: dict[str, int]) -> Iterator[str]:
    x, y = _size(program, i, "x"), _size(program, i, "y")
    places = y // args["channels"]
    count = x // places if places and x % places == 0 else 0
    yield from _place_faults(args, count, x, y)


def _place_faults(args: dict[str, int], count: int, size: int, result: int) -> Iterator[str]:
    """`count` channels a place of `size` elements go among the channels of the result."""
    if not count or size % count or size // count * args["channels"] != result:
        yield f"{size} elements of {count} channels do not fill {result} of {args['channels']}"
    elif args["first"] + count > args["channels"]:
        yield f"channels {args['first']}..{args['first'] + count - 1} of {args['channels']}"


def _lookup(program: Program, i: Instruction, args: dict[str, int]) -> Iterator[str]:
    form, entries = program.regions[i.reads[0].region].format, _size(program, i, "table")
    first = args["first"]
    if form.low < first or form.high >= first + entries:
        yield f"x holds {form.low}..{form.high}, the table {first}..{first + entries - 1}"


CHECKS: dict[str, Callable[[Program, Instruction, dict[str, int]], Iterator[str]]] = {
    "conv": _conv, "max_pool": _pool, "sum_pool": _pool, "requantize_channels": _requantize,
    "place": _place, "lookup": _lookup,
}  # fmt: skip
