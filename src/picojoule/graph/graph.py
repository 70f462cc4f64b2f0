"""What a network means: typed nodes, a parameter store, derivations, pins, an encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import Fault, GraphError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph.derive import FUNCTIONS
from picojoule.graph.ops import JOINING, Delay, Input
from picojoule.graph.sparse import Sparse
from picojoule.graph.types import Derivation, Node, Op, Pinned, TensorType


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with everything that one inference needs.  Immutable; compares by digest.

    nodes    in any order; edges act at once except through Delay
    output   the node whose values are the answer
    params   real arrays by name: the parameter store
    derived  constants computed from parameters, by name
    pinned   integers that no pass changes, by name
    sparse   weights that no pass changes and that are read in pieces, by name
    steps    steps that a sample is shown; an inference takes steps + latency of them
    latency  steps from input to output that the machine's own delays add
    machine  name of the target that a quantized graph was made for
    """

    name: str
    nodes: tuple[Node, ...]
    output: str
    encoder: Encoder
    readout: Readout = Readout()
    params: Mapping[str, np.ndarray] = field(default_factory=dict)
    derived: Mapping[str, Derivation] = field(default_factory=dict)
    pinned: Mapping[str, Pinned] = field(default_factory=dict)
    steps: int = 1
    latency: int = 0
    machine: str = ""
    sparse: Mapping[str, Sparse] = field(default_factory=dict)

    # ------------------------------------------------------------------------------ looking

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def names(self, *kinds: type) -> tuple[str, ...]:
        """Names of all nodes, or of those whose op is of one of `kinds`, in order."""
        nodes = (self[name] for name in self.order)
        return tuple(n.name for n in nodes if not kinds or isinstance(n.op, kinds))

    def readers(self, name: str) -> tuple[Node, ...]:
        """Nodes that have `name` among their inputs."""
        return tuple(node for node in self.nodes if name in node.inputs)

    @property
    def input(self) -> Node:
        """The one Input node."""
        return next(node for node in self.nodes if isinstance(node.op, Input))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names in an order of evaluation within a step; Delay nodes come first.

        Raises GraphError PJ403 when a cycle has no Delay.
        """
        waits = {
            n.name: set() if isinstance(n.op, Delay) else {i for i in n.inputs if i in self}
            for n in self.nodes
        }
        done: list[str] = []
        placed: set[str] = set()
        while len(done) < len(waits):
            ready = [n for n, needs in waits.items() if n not in placed and needs <= placed]
            if not ready:
                raise GraphError(_cycle_fault(waits, placed))
            done += ready
            placed.update(ready)
        return tuple(done)

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """Type of every node's result.  Raises ValueError where shapes do not match."""
        found: dict[str, TensorType] = {}
        pending = [self[name] for name in self.order]
        while pending:
            before = len(found)
            left = [node for node in pending if not _infer(node, found)]
            if len(left) == len(pending) and len(found) == before:
                break
            pending = left
        return found

    def value(self, name: str) -> np.ndarray:
        """A constant by name: a parameter, pinned integers, or a derivation evaluated.

        Sparse weights become a whole matrix; raises UsageError PJ804 where it is too large.
        """
        if name in self.sparse:
            return self.sparse[name].dense()
        if name in self.pinned:
            return self.pinned[name].values
        if name in self.params:
            return self.params[name]
        made = self.derived[name]
        inputs = [self.value(i) for i in made.inputs]
        return FUNCTIONS[made.function](*inputs, **dict(made.options))

    def constants(self, node: Node) -> dict[str, str]:
        """Field -> constant name, for the constants that a node has."""
        named = {f: getattr(node.op, f) for f in node.op.CONSTANTS}
        named |= dict(getattr(node.op, "registers", ()))
        return {f: name for f, name in named.items() if name is not None}

    @property
    def frozen(self) -> bool:
        """True when no derivation is left, so every integer is fixed."""
        return not self.derived

    @cached_property
    def digest(self) -> str:
        """sha256 over structure and all arrays, hexadecimal."""
        sha = hashlib.sha256()
        nodes = sorted(map(repr, map(_canonical, self.nodes)))
        head = (self.name, nodes, self.output, self.encoder, self.readout)
        rest = (self.steps, self.latency, self.machine, sorted(self.derived.items()))
        sha.update(repr(_canonical((head, rest))).encode())
        for name, pin in sorted(self.pinned.items()):
            sha.update(repr(_canonical((name, pin.format, pin.scale))).encode())
            sha.update(_bytes(pin.values))
        for name, array in sorted(self.params.items()):
            sha.update(name.encode() + _bytes(array))
        for name, weights in sorted(self.sparse.items()):
            sha.update(f"{name}{weights.seen.digest}".encode())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        from picojoule.graph.text import text  # it needs this module

        return text(self)

    # ----------------------------------------------------------------------------- changing

    def swap(self, name: str, op: Op, inputs: tuple[str, ...] | None = None) -> Graph:
        """The same graph with another op (and inputs, if given) at `name`."""
        nodes = tuple(
            Node(name, op, n.inputs if inputs is None else inputs) if n.name == name else n
            for n in self.nodes
        )
        return replace(self, nodes=nodes)

    def bypass(self, name: str) -> Graph:
        """The same graph without node `name`; its readers read its first input instead."""
        source = self[name].inputs[0]
        nodes = tuple(
            replace(n, inputs=tuple(source if i == name else i for i in n.inputs))
            for n in self.nodes
            if n.name != name
        )
        return replace(self, nodes=nodes, output=source if self.output == name else self.output)

    def add(self, *nodes: Node) -> Graph:
        """The same graph with more nodes."""
        return replace(self, nodes=self.nodes + nodes)

    def save(self, path: str | Path) -> None:
        """Write it to one file (`*.pjg`), which `picojoule.load` reads; see `graph.files.save`."""
        from picojoule.graph import files  # it needs this module

        files.save(self, path)

    def with_params(self, params: Mapping[str, np.ndarray]) -> Graph:
        """The same graph with some parameters replaced or added."""
        return replace(self, params={**self.params, **params})

    def with_derived(self, derived: Mapping[str, Derivation]) -> Graph:
        """The same graph with more derivations."""
        return replace(self, derived={**self.derived, **derived})


def _infer(node: Node, found: dict[str, TensorType]) -> bool:
    if isinstance(node.op, Delay) and node.inputs[0] not in found:
        return False
    if any(i not in found for i in node.inputs):
        known = [i for i in node.inputs if i in found]
        if node.op.ARITY[1] is not None or isinstance(node.op, JOINING) or not known:
            return False
        found[node.name] = node.op.out_type(*(found[i] for i in known))
        return False  # settled again once all inputs are known
    found[node.name] = node.op.out_type(*(found[i] for i in node.inputs))
    return True


def _cycle_fault(waits: dict[str, set[str]], placed: set[str]) -> Fault:
    stuck = sorted(set(waits) - placed)
    return Fault(
        "PJ403",
        f"a cycle through {', '.join(repr(n) for n in stuck[:6])} has no Delay",
        fix="put a Delay of at least one step on the recurrent edge",
    )


def _canonical(value: Any) -> Any:
    """A value with one spelling: numpy's numbers as Python's, whole reals as reals."""
    if is_dataclass(value):
        named = [(f, getattr(value, f.name)) for f in fields(value)]
        made = [float(x) if f.type == "float" else _canonical(x) for f, x in named]
        return (type(value).__name__, *made)
    if isinstance(value, tuple | list):
        return tuple(_canonical(item) for item in value)
    if isinstance(value, str | bool | None):
        return value
    return int(value) if hasattr(value, "__index__") else float(value)


def _bytes(array: np.ndarray) -> bytes:
    array = np.ascontiguousarray(array)
    return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()


def constants_used(graph: Graph) -> Iterator[tuple[Node, str, str]]:
    """(node, field, constant name) for every constant that any node refers to."""
    for node in graph.nodes:
        for where, name in graph.constants(node).items():
            yield node, where, name
