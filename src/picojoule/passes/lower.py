"""A frozen graph becomes a Program."""

from __future__ import annotations

from picojoule.errors import Fault, GraphError
from picojoule.graph import Graph
from picojoule.graph.faults import verify
from picojoule.passes.lower_spiking import lower_spiking
from picojoule.passes.lower_tensor import lower_tensor
from picojoule.program import Program
from picojoule.target import Target


def lower(graph: Graph, target: Target) -> Program:
    """The program of a frozen graph of Int ops, with delays scheduled where they matter.

    Raises GraphError PJ406 where the graph is not frozen, or with every fault where it is
    malformed (PJ4xx); CheckError where it does not fit.
    """
    if not graph.frozen:
        raise GraphError(Fault(
            "PJ406", f"graph {graph.name!r} has {len(graph.derived)} constants that are still"
            " derived from parameters", fix="freeze(graph) first",
        ))  # fmt: skip
    verify(graph)
    return (lower_spiking if target.kind == "spiking" else lower_tensor)(graph, target)
