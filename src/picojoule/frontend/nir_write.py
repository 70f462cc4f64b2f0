"""Graphs to NIR files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import Fault, FrontendError, UsageError
from picojoule.frontend.nir_dialect import Dialect, find_dialect, nir_neuron
from picojoule.graph.graph import Graph
from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten, Input
from picojoule.graph.types import Node


def write(
    graph: Graph,
    path: str | os.PathLike[str],
    dialect: Dialect | str = "ode-exact",
    *,
    dt: float | None = None,
) -> None:
    """Write a Graph of Input, Dense, CubaLif, Delay and Flatten nodes as a NIR file.

    `read` with the same dialect and dt gives the same network, to float precision; steps and
    readout are not in the file.  dt and dialect are noted in the metadata, for people.  The
    file appears whole or not at all.

    Raises FrontendError: PJ502 with every node that NIR cannot say, PJ503 without dt;
    UsageError PJ801 where the file cannot be written, PJ806 for an unknown dialect.
    """
    dialect = find_dialect(dialect, dt)
    if dialect.dt is None:
        raise FrontendError(
            Fault("PJ503", "NIR is continuous time: dt must be given", fix="dt=1e-4, in seconds")
        )
    import nir  # costs half a second

    nodes, faults = {}, []
    for node in graph.nodes:
        try:
            nodes[node.name] = _nir_node(graph, node, dialect)
        except FrontendError as error:
            faults += [Fault(f.code, f"node '{node.name}': {f.what}", fix=f.fix)
                       for f in error.faults]  # fmt: skip
    if faults:
        raise FrontendError(faults)
    out = _fresh("output", graph)
    nodes[out] = nir.Output(output_type={"output": np.array(graph.types[graph.output].shape)})
    edges = [(source, n.name) for n in graph.nodes for source in n.inputs]
    noted = {"dt": dialect.dt, "dialect": dialect.name}
    _replace(Path(path), nir.NIRGraph(nodes, [*edges, (graph.output, out)], noted, False))


def _replace(path: Path, network: Any) -> None:
    import nir

    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        nir.write(part, network)
        part.replace(path)
    except (OSError, ValueError) as error:
        raise UsageError(Fault("PJ801", f"cannot write {path.name!r}: {error}")) from None
    finally:
        part.unlink(missing_ok=True)


def _fresh(name: str, graph: Graph) -> str:
    while name in graph:
        name += "_"
    return name


def _unsayable(what: str, fix: str = "") -> FrontendError:
    return FrontendError(Fault("PJ502", what, fix=fix))


def _nir_node(graph: Graph, node: Node, dialect: Dialect) -> Any:
    if node.name in ("", ".") or "/" in node.name:
        raise _unsayable("a NIR node cannot have this name", "a name without '/'")
    made = WRITERS.get(type(node.op))
    if made is None:
        raise _unsayable(
            f"NIR has no {type(node.op).__name__}",
            f"what can be written: {', '.join(op.__name__ for op in WRITERS)}",
        )
    return made(graph, node, dialect)


def _input(graph: Graph, node: Node, dialect: Dialect) -> Any:
    import nir

    return nir.Input(input_type={"input": np.array(node.op.shape)})


def _dense(graph: Graph, node: Node, dialect: Dialect) -> Any:
    import nir

    weight = np.asarray(graph.value(node.op.weight), np.float64)
    if node.op.bias is None:
        return nir.Linear(weight=weight)
    bias = np.asarray(graph.value(node.op.bias), np.float64)
    return nir.Affine(weight=weight, bias=np.broadcast_to(bias, len(weight)).copy())


def _neuron(graph: Graph, node: Node, dialect: Dialect) -> Any:
    import nir

    if node.op.refractory != 1:
        raise _unsayable("NIR has no refractory time")
    shape = graph.types[node.name].shape
    values = {"bias": np.zeros(())} | {
        field: np.asarray(graph.value(name), np.float64)
        for field, name in graph.constants(node).items()
    }
    full = {field: np.broadcast_to(array, shape).copy() for field, array in values.items()}
    kind, arrays = nir_neuron(full, dialect)
    return {"IF": nir.IF, "LIF": nir.LIF, "CubaLIF": nir.CubaLIF}[kind](**arrays)


def _delay(graph: Graph, node: Node, dialect: Dialect) -> Any:
    import nir

    seconds = node.op.steps * dialect.dt / dialect.time_unit_s
    return nir.Delay(delay=np.full(graph.types[node.name].shape, seconds))


def _flatten(graph: Graph, node: Node, dialect: Dialect) -> Any:
    import nir

    shape = np.array(graph.types[node.inputs[0]].shape)
    return nir.Flatten(input_type={"input": shape}, start_dim=0, end_dim=-1)


WRITERS: dict[type, Callable[[Graph, Node, Dialect], Any]] = {
    Input: _input, Dense: _dense, CubaLif: _neuron, Delay: _delay, Flatten: _flatten,
}  # fmt: skip
