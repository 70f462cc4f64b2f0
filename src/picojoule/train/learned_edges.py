"""What the integers of an edge learn: their step (LSQ), largest value (PACT) or also an offset.

LSQ+ moves the integers of an edge by an offset that is learned.  A machine's zero point is an
integer, so the offset is snapped to the step's grid each time: zero = round(-offset / step), in
low..high.  Every forward pass and every graph that training returns has its zeros settled so;
what is deployed is what was trained.
Source: Bhalgat et al., LSQ+, CVPR 2020 workshops; Choi et al., PACT, 2018.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor
from picojoule.graph import Graph, Node
from picojoule.graph.ops import Flatten, IntAdd, IntLookup, IntMaxPool
from picojoule.train.derivations import lsq_scale

Array = np.ndarray
PACT = "clip_step"  # the derivation that says so


def offset_name(node: str) -> str:
    """The parameter that moves the integers of a node."""
    return f"{node}.edge_offset"


def moved(graph: Graph) -> Iterator[Node]:
    """Nodes whose integers have a learned offset."""
    for node in graph.nodes:
        if offset_name(node.name) in graph.params and hasattr(node.op, "zero"):
            yield node


def settled(graph: Graph, params: Mapping[str, Array] | None = None) -> Graph:
    """The graph with every zero point where its learned offset puts it."""
    known = graph.params if params is None else params
    for node in list(moved(graph)):
        op: Any = node.op
        step, offset = (float(known[n]) for n in (op.step_out, offset_name(node.name)))
        zero = int(np.clip(np.rint(-offset / step), op.low, op.high))
        if zero != op.zero:
            graph = _with_zero(graph, node.name, zero)
    return graph


def _with_zero(graph: Graph, name: str, zero: int) -> Graph:
    graph = changed(graph, name, zero=zero)
    for reader, places in _readers(graph, name):
        op = graph[reader].op
        if isinstance(op, IntAdd):
            sides = {f"zero_{side}": zero for side, at in zip("ab", places) if at}
            graph = changed(graph, reader, **sides)
        elif hasattr(op, "zero_in"):
            graph = changed(graph, reader, zero_in=zero)
    return graph


def changed(graph: Graph, name: str, **fields: int) -> Graph:
    """A node with other zeros or limits; a table is derived for them."""
    op: Any = graph[name].op
    graph = graph.swap(name, replace(op, **fields))
    if not isinstance(op, IntLookup) or op.table not in graph.derived:
        return graph
    made = graph.derived[op.table]
    options = tuple({**dict(made.options), **fields}.items())
    return graph.with_derived({op.table: replace(made, options=options)})


def _readers(graph: Graph, name: str) -> Iterator[tuple[str, list[bool]]]:
    """What reads the integers of a node, and at which of its inputs."""
    for reader in graph.readers(name):
        if isinstance(reader.op, Flatten | IntMaxPool):
            yield from _readers(graph, reader.name)
        else:
            yield reader.name, [i == name for i in reader.inputs]


def learned(values: Any, node: Node) -> tuple[Tensor, ...]:
    """What a node's integers learn: the step, and the offset where there is one."""
    step = values.constant(node, "step_out")
    offset = values.constants.get(offset_name(node.name))
    return (step,) if offset is None else (step, offset)


def is_pact(values: Any, node: Node) -> bool:
    made = values.graph.derived.get(node.op.step_out)  # type: ignore[attr-defined]
    return made is not None and made.function == PACT


def gradients(
    op: Any, count: int, pact: bool, of_step: float, g: Array, inside: Array, out: Array
) -> tuple[Array, ...]:
    """Gradients of `count` learned quantities of an edge: of the step, and of the offset.

    of_step  sum over the edge of LSQ's gradient, unscaled;  g: what arrived;  inside: what of it
             goes on, 0 where the integer was clipped;  out: the integers
    LSQ+: d offset = sum of g where clipped (there the result is step low + offset, or high);
    the step's own gradient is then LSQ's with the level counted from the offset.
    PACT: d largest = sum of g where x exceeds it, so d step = largest level times that.
    """
    few = getattr(op, "result_kind", None) is not None  # of significant bits: levels are no measure
    scale = lsq_scale(out[0].size, 1 if few else op.high - op.zero)
    if pact:
        clipped = np.subtract(g, inside, dtype=np.float64)
        return (np.asarray((clipped * (out.astype(np.int64) - op.zero)).sum()),)
    if count == 1:
        return (np.asarray(of_step * scale),)
    clipped = np.subtract(g, inside, dtype=np.float64).sum()
    return np.asarray((of_step + op.zero * clipped) * scale), np.asarray(clipped * scale)
