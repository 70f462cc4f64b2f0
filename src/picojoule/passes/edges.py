"""What the integers along the edges of a tensor network mean, while they are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.errors import Fault

CLIPPED_MAX = 0.5  # a larger share of clipped activations is worth a warning
NOTHING = 2.0**-64  # a step so small that its term of a sum scales to 0 (rule T4)


@dataclass(frozen=True)
class Edge:
    """What the integers of an edge mean: step (a constant's name), zero point, their range.

    kind  a name of FLOATS where they have few significant bits
    """

    step: str
    zero: int = 0
    low: int = -128
    high: int = 127
    kind: str | None = None

    @property
    def positive(self) -> bool:
        """Whether no integer stands for a negative number."""
        return self.low >= self.zero


@dataclass(frozen=True)
class Choice:
    """How one node becomes integers.

    clamp   lowest and highest integer of its result, and its format where it has one
    values  what its result (behind a Relu that it takes in) was on the samples
    """

    profile: str
    clamp: dict[str, Any]
    values: np.ndarray


def signed_range(bits: int) -> tuple[int, int]:
    """Lowest and highest integer of values of either sign."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def activation_faults(name: str, values: np.ndarray, step: float, high: int) -> list[Fault]:
    """PJ211 where a step silences or saturates a node."""
    acting = np.any(values != 0)
    if acting and not np.any(np.rint(values / step)):
        return [Fault("PJ211", f"every activation of {name!r} quantizes to 0",
                      fix="more activation bits, or other calibration samples")]  # fmt: skip
    clipped = float((values / step > high + 0.5).mean())
    if clipped <= CLIPPED_MAX:
        return []
    return [Fault("PJ211", f"{clipped:.0%} of the activations of {name!r} are clipped,"
                  f" more than {CLIPPED_MAX:.0%}", fix="more activation bits")]  # fmt: skip
