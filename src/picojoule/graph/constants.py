"""Whether the constants of a network exist, are finite, fit their shapes and their ranges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.errors import Fault
from picojoule.graph.derive import FUNCTIONS
from picojoule.graph.graph import Graph
from picojoule.graph.lists import list_faults
from picojoule.graph.ops import IntShared, IntSynapse
from picojoule.graph.sparse import Sparse
from picojoule.graph.types import Derivation, Node, Pinned, TensorType

# field -> lowest and highest value of a real op's constant
REAL_RANGES = {
    ("CubaLif", "decay_u"): (0.0, 1.0),
    ("CubaLif", "decay_v"): (0.0, 1.0),
    ("BatchNorm", "variance"): (0.0, np.inf),
    ("IntSynapse", "delays"): (0.0, 63.0),  # 6 bits; a machine may hold less (S10)
}
STEPS = ("step", "step_in", "step_w", "step_out", "step_a", "step_b")
EXACT = ("weight", "delays", "row", "base")  # fields that do not broadcast


class Constants:
    """The constants of one graph, each evaluated once; remembers why some cannot be."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, np.ndarray | None] = {}
        self.wrong: list[Fault] = []

    def faults(self, types: dict[str, TensorType]) -> list[Fault]:
        """All faults of parameters, pins, derivations and of how nodes use them."""
        self.wrong = [
            *(f for item in self.graph.params.items() for f in _param_faults(*item)),
            *(f for item in self.graph.pinned.items() for f in _pin_faults(*item)),
            *(f for item in self.graph.sparse.items() for f in _sparse_faults(*item)),
        ]
        for name in self.graph.derived:
            self.value(name)
        found = [f for node in self.graph.nodes for f in self._node_faults(node, types)]
        return self.wrong + found

    def value(self, name: str, path: tuple[str, ...] = ()) -> np.ndarray | None:
        """A constant, or None where it is faulty."""
        if name not in self.values:
            self.values[name] = self._evaluated(name, path)
        return self.values[name]

    def _evaluated(self, name: str, path: tuple[str, ...]) -> np.ndarray | None:
        if name in self.graph.pinned or name in self.graph.params:
            array = self.graph.value(name)
            return array if array.dtype.kind in "fiu" else None
        made = self.graph.derived[name]
        if name in path:
            self._refuse("PJ403", f"{name!r} is derived from itself")
            return None
        if made.function not in FUNCTIONS:
            what = f"{name!r} is derived by {made.function!r}, which does not exist"
            self._refuse("PJ404", what, "one of " + ", ".join(FUNCTIONS))
            return None
        return self._called(name, made, self._inputs(name, made, (*path, name)))

    def _inputs(
        self, name: str, made: Derivation, path: tuple[str, ...]
    ) -> list[np.ndarray | None]:
        for i in made.inputs:
            if not has_constant(self.graph, i):
                self._refuse("PJ404", f"{name!r} is derived from {i!r}, which does not exist")
        return [self.value(i, path) if has_constant(self.graph, i) else None for i in made.inputs]

    def _called(
        self, name: str, made: Derivation, inputs: list[np.ndarray | None]
    ) -> np.ndarray | None:
        sound = [i for i in inputs if i is not None]
        if len(sound) < len(inputs):
            return None
        try:
            with np.errstate(all="ignore"):
                value = FUNCTIONS[made.function](*sound, **dict(made.options))
        except (ValueError, TypeError) as error:
            self._refuse("PJ405", f"{name!r} = {made.function}(...): {error}")
            return None
        self.wrong += _finite_faults(name, value)
        return value

    def _refuse(self, code: str, what: str, fix: str = "") -> None:
        self.wrong.append(Fault(code, what, fix=fix))

    def _node_faults(self, node: Node, types: dict[str, TensorType]) -> Iterator[Fault]:
        known = all(i in types for i in node.inputs) and node.name in types
        shapes = node.op.shapes(*(types[i] for i in node.inputs)) if known else {}
        for where, name in self.graph.constants(node).items():
            if not has_constant(self.graph, name):
                what = f"node {node.name!r}: {where} is {name!r}, which does not exist"
                yield Fault("PJ404", what, fix=f"add a parameter {name!r}")
                continue
            if name in self.graph.sparse:
                yield from _sparse_use_faults(node, where, name, self.graph.sparse[name], shapes)
                continue
            value = self.value(name)
            if value is not None and where in shapes:
                yield from _shape_faults(node, where, name, value.shape, shapes[where])
            if value is not None:
                yield from _range_faults(node, where, name, value)
        if isinstance(node.op, IntShared):
            yield from self._list_faults(node, node.op)

    def _list_faults(self, node: Node, op: IntShared) -> Iterator[Fault]:
        names = self.graph.constants(node)
        values = {f: self.value(c) for f, c in names.items() if has_constant(self.graph, c)}
        for what in list_faults(op, values):
            yield Fault("PJ405", f"node {node.name!r}: {what}")


def has_constant(graph: Graph, name: str) -> bool:
    """Whether the graph has a constant of this name, of any kind."""
    known = (graph.params, graph.pinned, graph.derived, graph.sparse)
    return any(name in names for names in known)


def _sparse_faults(name: str, weights: Sparse) -> Iterator[Fault]:
    """What is wrong with the pieces; where the shape is, they are not asked for."""
    if not _is_shaped(weights):
        what = f"sparse {name!r} of {list(weights.shape)} in pieces of {weights.chunk} neurons"
        yield Fault("PJ402", what, fix="(neurons, sources), each at least 1, and a chunk of 1")
        return
    for what in weights.seen.faults:
        yield Fault("PJ405", f"sparse {name!r}, {what}")


def _is_shaped(weights: Sparse) -> bool:
    numbers = (*weights.shape, weights.chunk)
    whole = all(isinstance(n, int | np.integer) for n in numbers)
    return len(weights.shape) == 2 and whole and min(numbers) >= 1


def _sparse_use_faults(
    node: Node, where: str, name: str, weights: Sparse, shapes: dict[str, tuple[int, ...]]
) -> Iterator[Fault]:
    """Only weights of an IntSynapse without delays of their own may be sparse constants."""
    if not isinstance(node.op, IntSynapse) or where != "weight":
        what = f"node {node.name!r}: {where} is {name!r}, which holds sparse weights"
        yield Fault("PJ405", what, fix="IntSynapse(weight=...), or a pinned array")
        return
    if node.op.delays is not None:
        what = f"node {node.name!r}: sparse weights {name!r} cannot have a delay each"
        yield Fault("PJ405", what, fix="an IntSynapse for each delay")
    if "weight" in shapes and _is_shaped(weights):
        yield from _shape_faults(node, where, name, weights.shape, shapes["weight"])


def _param_faults(name: str, array: np.ndarray) -> Iterator[Fault]:
    if array.dtype.kind not in "fiu":
        yield Fault("PJ404", f"parameter {name!r} is {array.dtype}, not a real number")
        return
    yield from _finite_faults(name, array)


def _finite_faults(name: str, array: np.ndarray) -> Iterator[Fault]:
    """Where the first value is that is not finite, and how many there are."""
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        place = "[" + ", ".join(map(str, first)) + "]" if first else ""
        count = int(np.count_nonzero(bad))
        more = f" ({count} such values)" if count > 1 else ""
        yield Fault("PJ404", f"{name}{place} is {array[first]}, not a finite number{more}")


def _pin_faults(name: str, pin: Pinned) -> Iterator[Fault]:
    if pin.values.dtype.kind not in "iu":
        yield Fault("PJ404", f"pinned {name!r} is {pin.values.dtype}, not an integer")
    elif pin.values.size:
        low, high = int(pin.values.min()), int(pin.values.max())
        if low < pin.format.low or high > pin.format.high:
            what = (
                f"pinned {name!r} holds {low}..{high}, {pin.format} holds"
                f" {pin.format.low}..{pin.format.high}"
            )
            yield Fault("PJ405", what)
        elif pin.format.kind and (strays := pin.format.strays(pin.values)):
            what = f"{strays} values of pinned {name!r} are no numbers of {pin.format}"
            yield Fault("PJ405", what)
    if pin.scale and not (pin.scale.step and np.all(np.isfinite(pin.scale.step))):
        yield Fault("PJ404", f"pinned {name!r} has a step that is not finite")


def _shape_faults(
    node: Node, where: str, name: str, has: tuple[int, ...], needs: tuple[int, ...]
) -> Iterator[Fault]:
    if where in EXACT and has != needs:
        relation = "needs"
    elif not _broadcasts(has, needs):
        relation = "does not broadcast to"
    else:
        return
    what = f"node {node.name!r}: {where} {name!r} has shape {list(has)}, {relation} {list(needs)}"
    yield Fault("PJ402", what)


def _broadcasts(has: tuple[int, ...], needs: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(has, needs) == needs
    except ValueError:
        return False


def _range_faults(node: Node, where: str, name: str, value: np.ndarray) -> Iterator[Fault]:
    kind = type(node.op).__name__
    low, high = REAL_RANGES.get((kind, where), (-np.inf, np.inf))
    bad = (value < low) | (value > high)
    if where in STEPS:
        bad, low = value <= 0, 0.0
    if not np.any(bad):
        return
    first = float(value[bad].flat[0]) if value.ndim else float(value)
    limits = "be positive" if low == 0.0 and high == np.inf else f"lie in {low:g}..{high:g}"
    if (kind, where) == ("BatchNorm", "variance"):
        limits = "not be negative"
    yield Fault("PJ405", f"node {node.name!r}: {where} {name!r} must {limits}, got {first:g}")
