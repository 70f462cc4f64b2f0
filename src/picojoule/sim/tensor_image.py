"""The compiled engine's instructions on images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picojoule.fixed.format import Format
from picojoule.kernels.tensor import requantize_array
from picojoule.kernels.tensor_image import conv_rows, max_rows, sum_rows
from picojoule.program import OPCODES, Instruction

Array = np.ndarray[Any, Any]


def reach(form: Format, zero: int = 0) -> int:
    """Largest |q - zero| of a format."""
    return max(abs(form.low - zero), abs(form.high - zero))


def _arguments(i: Instruction) -> dict[str, int]:
    found = dict(zip(OPCODES[i.op].args, i.args))
    del found["cycles"]
    return found


def _image(memory: Any, i: Instruction, args: dict[str, int]) -> Array:
    x = memory[i.reads[0]]
    return x.reshape(len(x), args.pop("height"), args.pop("width"), -1)


def _conv(memory: Any, i: Instruction) -> None:
    args = _arguments(i)
    x, (_, weight, bias), regions = _image(memory, i, args), i.reads, memory.regions
    acc = conv_rows(
        x, memory[weight][0], memory[bias][0], rows=_rows(i, args, weight.size),
        x_limit=reach(regions[i.reads[0].region].format, args["zero_in"]), **args,
    )  # fmt: skip
    memory[i.writes[0]] = acc.reshape(len(acc), -1)


def _rows(i: Instruction, args: dict[str, int], channels: int) -> int:
    return i.writes[0].size // (args["columns"] * channels)


def _max_pool(memory: Any, i: Instruction) -> None:
    args = _arguments(i)
    x = _image(memory, i, args)
    y = max_rows(x, rows=_rows(i, args, x.shape[3]), **args)
    memory[i.writes[0]] = y.reshape(len(y), -1)


def _sum_pool(memory: Any, i: Instruction) -> None:
    args = _arguments(i)
    x = _image(memory, i, args)
    acc = sum_rows(x, rows=_rows(i, args, x.shape[3]), **args)
    memory[i.writes[0]] = acc.reshape(len(acc), -1)


def _requantize(memory: Any, i: Instruction) -> None:
    args = _arguments(i)
    acc, multiplier, exponent = (memory[span] for span in i.reads)
    scaling = multiplier[0], exponent[0]
    dtype = memory.regions[i.writes[0].region].format.dtype
    by_channel = acc.reshape(-1, scaling[0].size)
    limits = args["zero"], args["low"], args["high"]
    rounding = {"fraction": args.get("fraction", 0)}
    made = requantize_array(by_channel, *scaling, *limits, dtype, **rounding)
    _into(memory, i, args, made.reshape(len(acc), -1, scaling[0].size))


def _into(memory: Any, i: Instruction, args: dict[str, int], part: Array) -> None:
    """Write (n, places, count) among the channels of what instruction i writes."""
    target, first = i.writes[0], args["first"]
    if part.shape[2] == args["channels"]:
        memory[target] = part.reshape(len(part), -1)
        return
    view = memory.writable(target, len(part), part.dtype)
    for channel in range(part.shape[2]):  # a span is a slice, which no reshape can view
        view[:, first + channel :: args["channels"]] = part[:, :, channel]


def _place(memory: Any, i: Instruction) -> None:
    args = _arguments(i)
    x, places = memory[i.reads[0]], i.writes[0].size // args["channels"]
    _into(memory, i, args, x.reshape(len(x), places, -1))


def _lookup(memory: Any, i: Instruction) -> None:
    x, table = (memory[span] for span in i.reads)
    dtype = memory.regions[i.writes[0].region].format.dtype
    memory[i.writes[0]] = table[0].astype(dtype)[x.astype(np.int64) - i.args[0]]


RUN_IMAGE: dict[str, Callable[[Any, Instruction], None]] = {
    "conv": _conv, "requantize_channels": _requantize, "max_pool": _max_pool,
    "sum_pool": _sum_pool, "place": _place, "lookup": _lookup,
}  # fmt: skip
