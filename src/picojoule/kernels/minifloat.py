"""Rounding to small floating-point formats, kept in float32: nearest, ties to even.

Sources: OCP 8-bit floating point specification 1.0 (E4M3, E5M2); IEEE 754 binary16; bfloat16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks

Array = np.ndarray[Any, Any]
BLOCK = 1 << 16
EXPONENT, SIGN = np.int32(0x7F800000), np.int32(-(2**31))  # bits of a float32


@dataclass(frozen=True)
class Minifloat:
    """A format by its fraction bits, smallest normal exponent and largest number.

    saturates: what is larger becomes the largest number, not infinity
    """

    fraction: int
    lowest: int
    largest: float
    saturates: bool


FORMATS = {
    "e4m3": Minifloat(3, -6, 448.0, True),
    "e5m2": Minifloat(2, -14, 57344.0, True),
    "float16": Minifloat(10, -14, 65504.0, False),
}
KINDS = (*FORMATS, "bfloat16")


@jit
def round_flat(x, bits, room, room_bits, limits, numbers, out, out_bits):
    """out = x rounded; flat float32, each with an int32 view; room is scratch.

    limits   int32 (2,): bits of the exponents of the smallest normal number, of the largest
    numbers  float32 (3,): largest number, what overflow becomes, 1.5 * 2**(23 - fraction)
    Adding the last times 2**exponent leaves just the fraction's bits.
    """
    largest, beyond, factor = numbers
    for k in range(x.size):
        room_bits[k] = min(max(bits[k] & EXPONENT, limits[0]), limits[1])
    for k in range(x.size):
        value, add, most = x[k], room[k] * factor, largest + largest
        value = most if value > most else value
        value = -most if value < -most else value
        value = (value + add) - add
        value = beyond if value > largest else value
        out[k] = -beyond if value < -largest else value
    for k in range(x.size):  # zeros keep their sign
        out_bits[k] |= bits[k] & SIGN


@jit
def round_bfloat16_flat(bits, out):
    """bfloat16 in float32, by bits (uint32): the upper half, rounded to even."""
    for k in range(bits.size):
        b = bits[k]
        odd = (b >> np.uint32(16)) & np.uint32(1)
        rounded = (b + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
        none = (b & np.uint32(0x7FFFFFFF)) > np.uint32(EXPONENT)
        out[k] = (b | np.uint32(0x400000)) & np.uint32(0xFFFF0000) if none else rounded


def round_minifloat(x: Array, kind: str, threads: int | None = None) -> Array:
    """float32 of x's shape: x in a format of KINDS, ties to even; what is no number stays.

    E4M3 and E5M2 saturate; float16 and bfloat16 overflow to infinity.
    """
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty_like(x)
    flat, target = x.reshape(-1), out.reshape(-1)
    if kind == "bfloat16":
        words, made = flat.view(np.uint32), target.view(np.uint32)
        over_blocks(
            x.size, threads, lambda lo, hi: round_bfloat16_flat(words[lo:hi], made[lo:hi]), BLOCK
        )
        return out
    form = FORMATS[kind]
    over = form.largest if form.saturates else np.inf
    exponents = (form.lowest, math.floor(math.log2(form.largest)))
    limits = np.array([(e + 127) << 23 for e in exponents], np.int32)
    numbers = np.array([form.largest, over, 1.5 * 2.0 ** (23 - form.fraction)], np.float32)

    def work(lo: int, hi: int) -> None:
        part, room, made = flat[lo:hi], np.empty(hi - lo, np.float32), target[lo:hi]
        views = [array.view(np.int32) for array in (part, room, made)]
        round_flat(part, views[0], room, views[1], limits, numbers, made, views[2])

    over_blocks(x.size, threads, work, BLOCK)
    return out
