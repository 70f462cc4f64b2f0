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
class Format:
    """A two's-complement or unsigned integer of 1 to 64 bits; `bits` include the sign."""

    bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ValueError(f"a format has 1 to 64 bits, got {self.bits}")

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The smallest numpy integer type that holds every value."""
        for size in (8, 16, 32, 64):
            if self.bits <= size:
                return np.dtype(f"{'int' if self.signed else 'uint'}{size}")
        raise AssertionError(self)

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def parse_format(text: str) -> Format:
    """The inverse of `str(Format)`: 'int9', 'uint8'.  Raises ValueError."""
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
