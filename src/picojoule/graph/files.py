"""Graph files (`*.pjg`): the text of a graph with its arrays."""

from __future__ import annotations

from pathlib import Path

from picojoule import container
from picojoule.errors import Fault, FrontendError, GraphError
from picojoule.fixed.format import Format
from picojoule.graph.faults import verify
from picojoule.graph.graph import Graph
from picojoule.graph.text import parse, text
from picojoule.graph.types import Pinned

KIND = container.Kind("graph", 1, FrontendError, "PJ501", "PJ501", fix="save the network again")


def save(graph: Graph, path: str | Path) -> None:
    """Write a graph, whole or not at all.

    Raises GraphError for a malformed graph, UsageError PJ801 where it cannot write.
    """
    verify(graph)
    arrays = {f"params/{name}": array for name, array in graph.params.items()}
    arrays |= {f"pinned/{name}": pin.values for name, pin in graph.pinned.items()}
    container.write(path, KIND, {"graph": text(graph)}, arrays)


def load(path: str | Path) -> Graph:
    """Read what `save` wrote; arrays are read-only views of the mapped file.

    Raises FrontendError PJ501 for a damaged file, GraphError for a malformed graph.
    """
    about, arrays = container.read(path, KIND)
    listed = about.get("graph")
    if not isinstance(listed, str):
        container.refuse(Path(path), KIND, "it has no text of a graph")
    parts: dict[str, dict[str, container.Array]] = {"params": {}, "pinned": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            container.refuse(Path(path), KIND, f"array {name[:60]!r} belongs to nothing")
        parts[part][rest] = array
    try:
        pins = {name: Pinned(values, Format(64)) for name, values in parts["pinned"].items()}
        graph = parse(listed, parts["params"], pins)  # the text knows formats and scales
        verify(graph)
    except GraphError as error:
        raise type(error)([_at(fault, str(path)) for fault in error.faults]) from None
    return graph


def _at(fault: Fault, path: str) -> Fault:
    where = f"{path}: {fault.where}" if fault.where else path
    return Fault(fault.code, fault.what, where, fault.fix)
