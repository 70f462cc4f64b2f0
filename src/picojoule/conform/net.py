"""A pinned Graph under construction, and populations cut where their options differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from picojoule.conform.trial import Quantity
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Delay, Input, IntCuba, IntNeuron, IntShared, IntSynapse
from picojoule.graph.types import Node, Op, Pinned

Array = np.ndarray[Any, Any]
UNIT = "unit"  # the name of the real step 1.0
INPUT = "in"


@dataclass(frozen=True, eq=False)
class Part:
    """Neurons of a block that share their options: a population of the Graph.

    index  int64: which neurons of the block, ascending
    """

    name: str
    index: Array
    options: tuple[tuple[str, int], ...] = ()

    @property
    def size(self) -> int:
        return len(self.index)


def parts(name: str, size: int, options: Mapping[str, int | Array]) -> tuple[Part, ...]:
    """Cut `size` neurons where an option, one value or one a neuron, differs."""
    keys = list(options)
    table = np.zeros((size, max(1, len(keys))), np.int64)
    for k, key in enumerate(keys):
        table[:, k] = options[key]
    rows, which = np.unique(table, axis=0, return_inverse=True)
    which = which.reshape(-1)
    found = []
    for k, row in enumerate(rows):
        chosen = tuple((key, int(value)) for key, value in zip(keys, row))
        own = name if len(rows) == 1 else f"{name}.{k}"
        found.append(Part(own, np.flatnonzero(which == k), chosen))
    return tuple(found)


@dataclass
class Net:
    """Nodes and pins of a network with one input of `channels` spikes."""

    name: str
    channels: int
    profile: str
    nodes: list[Node] = field(default_factory=list)
    pins: dict[str, Pinned] = field(default_factory=dict)
    feeds: dict[str, list[str]] = field(default_factory=dict)
    late: dict[tuple[str, int], str] = field(default_factory=dict)
    made: list[tuple[Part, Op]] = field(default_factory=list)

    @property
    def arithmetic(self) -> SpikingProfile:
        return SPIKING[self.profile]

    def pin(self, name: str, values: Array | int) -> str:
        """Pin integers in the smallest format that holds them; returns the name."""
        array = np.asarray(values).astype(np.int64)
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        bits = 1 + max(high.bit_length(), (~low if low < 0 else low).bit_length())
        self.pins[name] = Pinned(array, Format(bits))
        return name

    def delayed(self, source: str, steps: int) -> str:
        """The node `source`, `steps` steps later."""
        if steps == 0:
            return source
        if (source, steps) not in self.late:
            name = f"{source}.late{steps}"
            self.nodes.append(Node(name, Delay(steps=steps), (source,)))
            self.late[source, steps] = name
        return self.late[source, steps]

    def feed(self, name: str, op: Op, source: str, target: str, late: int = 0) -> str:
        """A group of synapses from `source`, `late` steps later, onto a population."""
        self.nodes.append(Node(name, op, (self.delayed(source, late),)))
        self.feeds.setdefault(target, []).append(name)
        return name

    def dense(self, name: str, weight: Array, source: str, target: str, late: int = 0,
              delays: Array | None = None, **fields: int | bool) -> str:  # fmt: skip
        """Mantissas (out, in) as an IntSynapse; delays: of each synapse, beyond the machine's."""
        op = IntSynapse(
            weight=self.pin(f"{name}.weight", weight), step_w=UNIT, features=len(weight),
            delays=None if delays is None else self.pin(f"{name}.delays", delays),
            **fields,  # type: ignore[arg-type]
        )  # fmt: skip
        return self.feed(name, op, source, target, late)

    def one_to_one(self, name: str, size: int, target: str, first: int = 0,
                   weight: int = 1) -> str:  # fmt: skip
        """Input first + i adds its payload times `weight` to neuron i, in the same step."""
        lists = {
            "row": np.ones(self.channels), "base": np.zeros(self.channels),
            "indptr": [0, 1, 1], "target": [0], "weight": [weight],
        }  # fmt: skip
        lists["row"][first : first + size] = 0
        lists["base"][first : first + size] = np.arange(size)
        named = {key: self.pin(f"{name}.{key}", np.asarray(v)) for key, v in lists.items()}
        op = IntShared(features=size, bits=8, dropped=0, graded=True, **named)
        return self.feed(name, op, INPUT, target)

    def silent(self, part: Part) -> None:
        """Synapses of weight 0 for a population that nothing else feeds."""
        if not self.feeds.get(part.name):
            weight = np.zeros((part.size, self.channels), np.int64)
            self.dense(f"{part.name}.silence", weight, INPUT, part.name)

    def neurons(self, part: Part, kind: str, registers: Mapping[str, int | Array],
                second: int = 0) -> None:  # fmt: skip
        """A population; registers: one value, or one a neuron of the block it is part of;
        with more axes an array that broadcasts to the shape of the population."""
        named = {}
        for key, values in registers.items():
            array = np.asarray(values)
            own = array[part.index] if array.ndim == 1 else array
            named[key] = self.pin(f"{part.name}.{key}", own)
        op: Op = IntNeuron(
            kind=kind, registers=tuple(named.items()), options=part.options, second=second,
            step=UNIT, profile=self.profile,
        )  # fmt: skip
        if kind == "cuba":
            fields: dict[str, Any] = {**named, **dict(part.options)}
            op = IntCuba(step=UNIT, profile=self.profile, **fields)
        self.made.append((part, op))

    def graph(self, output: str, steps: int) -> Graph:
        """The finished Graph; its only real is a step of 1."""
        for part, _ in self.made:
            self.silent(part)
        entry = Node(INPUT, Input(shape=(self.channels,), kind="spike"))
        cells = [Node(p.name, op, tuple(self.feeds[p.name])) for p, op in self.made]
        return Graph(
            name=self.name, nodes=(entry, *self.nodes, *cells), output=output, steps=steps,
            encoder=Encoder(kind="events", shape=(self.channels,), steps=steps),
            readout=Readout(kind="none"), params={UNIT: np.ones(())}, pinned=self.pins,
        )  # fmt: skip


def matrices(post: Array, pre: Array, weight: Array, shape: tuple[int, int]) -> Array:
    """Dense matrices (k, *shape) that together hold all synapses; a pair that occurs twice
    needs two."""
    pair = post.astype(np.int64) * shape[1] + pre
    order = np.argsort(pair, kind="stable")
    first = np.searchsorted(pair[order], pair[order], side="left")
    turn = np.empty(len(pair), np.int64)
    turn[order] = np.arange(len(pair)) - first
    made = np.zeros((1 + turn.max(initial=0), *shape), np.int64)
    made[turn, post, pre] = weight
    return made


def bias_registers(value: Array, profile: SpikingProfile) -> tuple[Array, Array] | None:
    """Mantissas and exponents, one a neuron, of biases; None where one has none.

    One exponent for all neurons where that is possible, else the smallest of each.
    """
    top, found = profile.bias_mantissa_max, np.full(value.shape, -1)
    for exponent in range(profile.bias_exponent_max + 1):
        mantissa = value >> exponent
        good = (mantissa << exponent == value) & (np.abs(mantissa) <= top)
        if good.all():
            return mantissa, np.full(value.shape, exponent)
        found = np.where((found < 0) & good, exponent, found)
    return None if (found < 0).any() else (value >> np.maximum(found, 0), found)


def gathered(name: str, what: str, cells: Sequence[Part], want: Array, first: int = 0) -> Quantity:
    """A recorded array whose columns lie in several populations, by their index."""
    pieces = tuple((f"{part.name}.{what}", first + part.index) for part in cells)
    return Quantity(name, np.asarray(want).astype(np.int64), pieces)
