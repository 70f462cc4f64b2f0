"""What flows between the nodes of an ONNX model, while it becomes a Graph.

ONNX lays out images as (channels, height, width); Graphs have channels last.  A vector made of an
image has its elements in another order in the two, which the next matrix makes good.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picojoule.errors import Fault
from picojoule.frontend.onnx_file import Item
from picojoule.graph.types import Node, Op

Array = np.ndarray[Any, Any]
SIZE_MAX = 1 << 31
FOLDED_MAX = 64  # elements of a constant that is computed, such as a shape


class Unsupported(ValueError):
    """A node that has no counterpart: a sentence, and what to do instead."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True, eq=False)
class Value:
    """A result of a Graph node.

    node   its name
    shape  without the batch, as ONNX has it: (channels, height, width), or (features,)
    order  of a vector: the place in ONNX of each of its elements here; None where the same
    """

    node: str
    shape: tuple[int, ...]
    order: Array | None = None

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def here(self) -> tuple[int, ...]:
        """The shape of the Graph's node."""
        return (*self.shape[1:], self.shape[0]) if self.is_image else self.shape


@dataclass
class Draft:
    """A Graph under construction.

    constants, values  arrays, and results of nodes, by their name in ONNX
    uses               how often each name is read, as the answer too
    unknown            names that no readable node gives
    """

    constants: dict[str, Array]
    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, Array] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    wrong: list[Fault] = field(default_factory=list)

    def value(self, name: str) -> Value:
        """Raises Unsupported where `name` is a constant."""
        if name not in self.values:
            raise Unsupported("needs a value that depends on the input, got a constant")
        return self.values[name]

    def constant(self, item: Item, index: int, what: str) -> Array:
        """A constant input.  Raises Unsupported where it depends on the samples."""
        name = item.inputs[index] if index < len(item.inputs) else ""
        if name not in self.constants:
            raise Unsupported(f"needs a constant as its {what}")
        return self.constants[name]

    def optional(self, item: Item, index: int, what: str) -> Array | None:
        absent = index >= len(item.inputs) or not item.inputs[index]
        return None if absent else self.constant(item, index, what)

    def read_once(self, node: str) -> bool:
        """Whether a node's result has one name, which one node reads."""
        names = [name for name, value in self.values.items() if value.node == node]
        return len(names) == 1 and self.uses[names[0]] == 1

    def param(self, name: str, array: Array) -> str:
        self.params[name] = np.ascontiguousarray(array)
        return name

    def emit(
        self, item: Item, op: Op, inputs: tuple[str, ...], shape: tuple[int, ...],
        order: Array | None = None,
    ) -> None:  # fmt: skip
        """Add a node for an item, and its result.  Raises Unsupported for impossible sizes."""
        if min(shape, default=1) < 1 or math.prod(shape) > SIZE_MAX:
            raise Unsupported(f"gives an impossible shape {list(shape)}")
        self.nodes.append(Node(item.name, op, inputs))
        self.values[item.outputs[0]] = Value(item.name, shape, order)


def same_order(values: list[Value]) -> bool:
    """Whether the elements of several values lie in one order."""
    orders = [np.arange(math.prod(v.shape)) if v.order is None else v.order for v in values]
    return all(np.array_equal(orders[0], order) for order in orders[1:])


def flat_order(value: Value) -> Array | None:
    """The order of an image's elements once it is a vector; None where the two agree."""
    if not value.is_image:
        return value.order
    channels, height, width = value.shape
    if channels == 1 or height * width == 1:
        return None
    places = np.arange(channels * height * width).reshape(channels, height, width)
    return places.transpose(1, 2, 0).reshape(-1)
