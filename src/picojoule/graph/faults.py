"""Whether a network is well formed: every fault at once, before anything is computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from picojoule.errors import Fault, GraphError
from picojoule.graph.constants import Constants
from picojoule.graph.graph import Graph
from picojoule.graph.ops import JOINING, Input, IntNeuron
from picojoule.graph.types import Node, TensorType

NAME_MAX = 200
ENCODERS = ("affine", "rate", "events")
READOUTS = ("argmax", "count", "none")


def verify(graph: Graph) -> None:
    """Raise GraphError with every fault of `graph`."""
    found = faults(graph)
    if found:
        raise GraphError(found)


def faults(graph: Graph) -> list[Fault]:
    """Everything that is wrong: names, inputs, cycles, shapes, constants, encoder, readout."""
    doubled = len({node.name for node in graph.nodes}) < len(graph.nodes)
    types, shape_faults = ({}, []) if doubled else infer(graph)
    constants = Constants(graph)
    return [
        *_name_faults(graph), *_input_faults(graph), *_op_faults(graph), *_cycle_faults(graph),
        *shape_faults, *constants.faults(types), *_contract_faults(graph, types),
    ]  # fmt: skip


# -------------------------------------------------------------------------------- names, inputs


def _name_faults(graph: Graph) -> Iterator[Fault]:
    counts = Counter(node.name for node in graph.nodes)
    for name, count in counts.items():
        if count > 1:
            yield Fault("PJ407", f"{count} nodes are called {name!r}", fix="give each its own name")
    for name in (*counts, *graph.params, *graph.derived, *graph.pinned, *graph.sparse):
        if not valid_name(name):
            shown = repr(name) if len(name) <= 60 else repr(name[:57]) + "..."
            yield Fault("PJ407", f"{shown} is not a valid name", fix="printable, without spaces")
    for name in sorted(graph.derived.keys() & graph.params.keys()):
        yield Fault("PJ407", f"{name!r} is both a parameter and derived")


def valid_name(name: str) -> bool:
    """Whether a node or constant may be called so: 1..200 printable characters, no blanks."""
    return 0 < len(name) <= NAME_MAX and name.isprintable() and " " not in name


def _input_faults(graph: Graph) -> Iterator[Fault]:
    entries = [node.name for node in graph.nodes if isinstance(node.op, Input)]
    if len(entries) != 1:
        listed = f": {', '.join(map(repr, entries[:6]))}" if entries else ""
        yield Fault("PJ401", f"a network has one Input, this one has {len(entries)}{listed}")
    if graph.output not in graph:
        yield Fault("PJ401", f"the output {graph.output!r} does not exist", fix=_known(graph))
    for node in graph.nodes:
        for name in node.inputs:
            if name not in graph:
                what = f"node {node.name!r} reads {name!r}, which does not exist"
                yield Fault("PJ401", what, fix=_known(graph))
        yield from _arity_faults(node)


def _known(graph: Graph) -> str:
    names = [node.name for node in graph.nodes]
    return "one of " + ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _arity_faults(node: Node) -> Iterator[Fault]:
    least, most = node.op.ARITY
    count = len(node.inputs)
    if count < least or (most is not None and count > most):
        needs = f"{least}" if most == least else f"at least {least}"
        what = f"node {node.name!r} has {count} inputs; {type(node.op).__name__} needs {needs}"
        yield Fault("PJ401", what)
    if isinstance(node.op, IntNeuron) and node.op.second >= max(count, 1):
        what = f"node {node.name!r}: no input feeds its second current"
        yield Fault("PJ401", what, fix=f"second below {count}, its number of inputs")


def _op_faults(graph: Graph) -> Iterator[Fault]:
    for node in graph.nodes:
        yield from (
            Fault("PJ405", f"node {node.name!r}: {complaint}") for complaint in node.op.complaints()
        )


def _cycle_faults(graph: Graph) -> Iterator[Fault]:
    try:
        _ = graph.order
    except GraphError as error:
        yield from error.faults


# ---------------------------------------------------------------------------------------- types


def infer(graph: Graph) -> tuple[dict[str, TensorType], list[Fault]]:
    """Types of all nodes whose inputs fit, and what is wrong with the others.

    A node behind a faulty one has neither a type nor a fault of its own.
    """
    found: dict[str, TensorType] = {}
    wrong: dict[str, Fault] = {}
    before = -1
    while len(found) + len(wrong) > before:
        before = len(found) + len(wrong)
        for node in graph.nodes:
            if node.name not in found and node.name not in wrong:
                _infer_one(node, found, wrong)
    for node in graph.nodes:
        _recheck(node, found, wrong)
    return found, [*wrong.values(), *_rootless_faults(graph, found, wrong)]


def _infer_one(node: Node, found: dict[str, TensorType], wrong: dict[str, Fault]) -> None:
    """Type a node from what is known; a node of many inputs, unless it joins, from any."""
    known = [found[i] for i in node.inputs if i in found]
    least, most = node.op.ARITY
    whole = most is not None or isinstance(node.op, JOINING)
    enough = len(known) == len(node.inputs) if whole else bool(known)
    if not enough or not least <= len(node.inputs) <= (most or len(node.inputs)):
        return
    try:
        found[node.name] = node.op.out_type(*known)
    except ValueError as error:
        wrong[node.name] = Fault("PJ402", f"node {node.name!r}: {error}")


def _recheck(node: Node, found: dict[str, TensorType], wrong: dict[str, Fault]) -> None:
    """Once more with all inputs, where a cycle was typed from some of them."""
    if node.name in found and all(i in found for i in node.inputs):
        _infer_one(node, found, wrong)


def _rootless_faults(
    graph: Graph, found: dict[str, TensorType], wrong: dict[str, Fault]
) -> Iterator[Fault]:
    """Cycles that nothing feeds, so that no shape ever enters them."""
    if wrong or list(_input_faults(graph)) or list(_cycle_faults(graph)):
        return
    for node in graph.nodes:
        if node.name not in found:
            yield Fault("PJ402", f"node {node.name!r} has no shape: the Input does not reach it")


# ------------------------------------------------------------------------- encoder and readout


def _contract_faults(graph: Graph, types: dict[str, TensorType]) -> Iterator[Fault]:
    for name, least, value in (
        ("steps", 1, graph.steps), ("latency", 0, graph.latency),
        ("the readout's start", 0, graph.readout.start), ("encoder steps", 1, graph.encoder.steps),
    ):  # fmt: skip
        if value < least:
            yield Fault("PJ405", f"{name} must be at least {least}, got {value}")
    for name, real in (("high", graph.encoder.high), ("step", graph.encoder.step)):
        if not (math.isfinite(real) and real > 0):
            yield Fault("PJ405", f"encoder {name} must be positive and finite, got {real}")
    yield from _entry_faults(graph)
    yield from _readout_faults(graph, types)


def _entry_faults(graph: Graph) -> Iterator[Fault]:
    encoder = graph.encoder
    if encoder.kind not in ENCODERS:
        yield Fault("PJ405", f"no encoder of kind {encoder.kind!r}; known: {', '.join(ENCODERS)}")
        return
    for entry in (node.op for node in graph.nodes):
        if not isinstance(entry, Input):
            continue
        if entry.shape != encoder.shape:
            what = f"the encoder gives {list(encoder.shape)}, the Input takes {list(entry.shape)}"
            yield Fault("PJ402", what)
        if (entry.kind == "spike") != (encoder.kind != "affine"):
            what = f"an encoder of kind {encoder.kind!r} cannot feed an Input of {entry.kind!r}"
            yield Fault("PJ405", what, fix="kind='spike' for rate and events, else 'real'")


def _readout_faults(graph: Graph, types: dict[str, TensorType]) -> Iterator[Fault]:
    kind = graph.readout.kind
    if kind not in READOUTS:
        yield Fault("PJ405", f"no readout of kind {kind!r}; known: {', '.join(READOUTS)}")
    elif graph.output in types and kind != "none":
        spiking = types[graph.output].kind == "spike"
        if spiking != (kind == "count"):
            what = f"a readout of kind {kind!r} cannot read {types[graph.output]}"
            yield Fault("PJ405", what, fix="'count' for spikes, 'argmax' for numbers")
