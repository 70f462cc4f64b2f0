"""What bits mean: formats of integers, scales that tie them to reals, casts between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Rounding = Literal["half_even", "half_away", "to_zero", "floor"]
Overflow = Literal["saturate", "wrap"]


@dataclass(frozen=True)
class FloatKind:
    """Numbers of few significant bits, as integers in units of the smallest one (rule T13).

    bits      of one number, its own exponent included
    fraction  bits behind the leading one
    high      the largest number
    block     how many along a row share an exponent of `SHARED_BITS`; 0: none do
    lift      the largest shared exponent, counted from the smallest of the row
    """

    bits: int
    fraction: int
    high: int
    block: int = 0
    lift: int = 0


SHARED_BITS = 8  # of a shared exponent (OCP Microscaling formats 1.0, section 5: E8M0)
# OCP 8-bit floating point 1.0, table 1; OCP Microscaling formats 1.0, table 1
FLOATS = {
    "e4m3": FloatKind(8, 3, 448 << 9),
    "e5m2": FloatKind(8, 2, 57344 << 16),
    "mxfp8_e4m3": FloatKind(8, 3, 448 << 9, 32, 7),
    "mxfp8_e5m2": FloatKind(8, 2, 57344 << 16, 32, 3),
    "mxfp6_e3m2": FloatKind(6, 2, 28 << 4, 32, 7),
    "mxfp6_e2m3": FloatKind(6, 3, 60, 32, 7),
    "mxfp4": FloatKind(4, 1, 12, 32, 7),
    "mxint8": FloatKind(8, 6, 127, 32, 7),
}


@dataclass(frozen=True)
class Format:
    """A two's-complement or unsigned integer of 1 to 64 bits; `bits` include the sign.

    kind  a name of FLOATS: integers of few significant bits, which memory holds in `bits`
    """

    bits: int
    signed: bool = True
    kind: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"a format has 1 to 64 bits, got {self.bits}")

    @property
    def low(self) -> int:
        if self.kind:
            return -self.high
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        if self.kind:
            return FLOATS[self.kind].high << FLOATS[self.kind].lift
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The smallest numpy integer type that holds every value."""
        for size in (8, 16, 32, 64):
            if -(1 << (size - 1)) <= self.low and self.high < 1 << (size - self.signed):
                return np.dtype(f"{'int' if self.signed else 'uint'}{size}")
        raise AssertionError(self)

    def packed_bits(self, rows: int, row: int = 1) -> int:
        """Bits of rows of `row` numbers packed without gaps, shared exponents included."""
        block = FLOATS[self.kind].block if self.kind else 0
        shared = -(-row // block) * SHARED_BITS if block else 0
        return rows * (row * self.bits + shared)

    def strays(self, values: np.ndarray) -> int:
        """How many of some integers (rows, ...) no number of the format stands for."""
        values = np.atleast_1d(values)
        outside = (values < self.low) | (values > self.high)
        if not self.kind or not values.size or outside.any():
            return int(np.count_nonzero(outside))
        kind, size = FLOATS[self.kind], np.abs(values.astype(np.int64))
        shared = shared_exponents(size, kind.block, kind.high, 62) if kind.block else np.int64(0)
        level = size >> shared
        extra = np.maximum(_bit_length(level) - 1 - kind.fraction, 0)
        return int(np.count_nonzero((level >> extra << extra << shared) != size))

    def __str__(self) -> str:
        return self.kind or f"{'int' if self.signed else 'uint'}{self.bits}"


def _bit_length(x: np.ndarray) -> np.ndarray:
    """Bits of integers 0 .. 2**53 - 1, int64."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def by_block(x: np.ndarray, block: int) -> np.ndarray:
    """The largest of each `block` along the rows of x (rows, ...), in the shape of x."""
    rows = x.reshape(len(x), -1)
    starts = np.arange(0, rows.shape[1], block)
    largest = np.maximum.reduceat(rows, starts, axis=1)
    return np.repeat(largest, block, axis=1)[:, : rows.shape[1]].reshape(x.shape)


def shared_exponents(size: np.ndarray, block: int, high: int, lift: int) -> np.ndarray:
    """The least exponent 0..lift with which a block's largest magnitude is at most `high`.

    size int (rows, ...); int64 of its shape.  Where numbers lie on the format's grid at all,
    they do so with this exponent: a smaller one is finer.
    """
    over = -(-by_block(size, block) // high)
    return np.minimum(_bit_length(np.maximum(over - 1, 0)), lift)


def float_format(kind: str) -> Format:
    """The format of a name of FLOATS."""
    return Format(FLOATS[kind].bits, kind=kind)


def parse_format(text: str) -> Format:
    """The inverse of `str(Format)`: 'int9', 'uint8', 'mxfp4'.  Raises ValueError."""
    if text in FLOATS:
        return float_format(text)
    found = re.fullmatch(r"(u?)int([1-9][0-9]?)", text)
    if found is None:
        raise ValueError(f"not a format: {text!r}")
    return Format(int(found[2]), signed=not found[1])


@dataclass(frozen=True)
class Scale:
    """real = step * (integer - zero).  `step` has one value, or one a channel of `axis`."""

    step: tuple[float, ...]
    zero: int = 0
    axis: int | None = None

    def __str__(self) -> str:
        many = f"[{len(self.step)}]@{self.axis}" if self.axis is not None else ""
        return f"step {self.step[0]!r}{many} zero {self.zero}"


@dataclass(frozen=True)
class Cast:
    """How reals become integers of a format."""

    format: Format
    rounding: Rounding = "half_even"
    overflow: Overflow = "saturate"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Cast finite float64 `x` (in units of the step) to int64 within the format."""
        rounded = ROUND[self.rounding](np.asarray(x, np.float64))
        low, high = self.format.low, self.format.high
        if self.overflow == "saturate":
            return np.clip(rounded, low, high).astype(np.int64)
        span = high - low + 1
        return ((rounded.astype(np.int64) - low) % span) + low


def _half_away(x: np.ndarray) -> np.ndarray:
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


ROUND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "half_even": np.rint,
    "half_away": _half_away,
    "to_zero": np.trunc,
    "floor": np.floor,
}
