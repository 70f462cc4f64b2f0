"""The small types of a network: what flows along an edge, a node, a derivation, a pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from picojoule.fixed.format import Format, Scale

Kind = Literal["real", "spike", "current", "integer"]


@dataclass(frozen=True)
class TensorType:
    """What flows along an edge: the shape of one sample (of one step), and its kind."""

    shape: tuple[int, ...]
    kind: Kind = "real"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __str__(self) -> str:
        return f"{self.kind}{list(self.shape)}"


class Op(Protocol):
    """What a node computes.  A frozen dataclass; fields that name constants are strings.

    CONSTANTS  names of the fields that refer to constants of the graph (None: absent)
    """

    CONSTANTS: tuple[str, ...]
    ARITY: tuple[int, int | None]  # fewest and most inputs

    def out_type(self, *inputs: TensorType) -> TensorType:
        """The type of the result.  Raises ValueError with a sentence about the shapes."""
        ...

    def shapes(self, *inputs: TensorType) -> dict[str, tuple[int, ...]]:
        """Shape that each present constant must broadcast to, by field name."""
        ...

    def complaints(self) -> list[str]:
        """Sentences about fields that are out of range, constants aside."""
        ...


@dataclass(frozen=True)
class Node:
    """One named op and the names of the nodes that feed it."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derivation:
    """A constant computed from parameters: `function(*inputs, **options)`, see `derive.py`."""

    function: str
    inputs: tuple[str, ...]
    options: tuple[tuple[str, float | int], ...] = ()


@dataclass(frozen=True, eq=False)
class Pinned:
    """Integers that no pass may change, with their format and, where known, their scale."""

    values: np.ndarray
    format: Format
    scale: Scale | None = None
