"""The bias of a Dense becomes the bias of the neurons that it drives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import CubaLif, Dense
from picojoule.passes.canonicalise import fresh

DECAY_MIN = 2.0**-12  # one unit of a decay register: a current that never settles


def move_bias(graph: Graph) -> Graph:
    """Add the bias of each Dense to the neurons that alone read it, as a derivation.

    A neuron core adds its bias to the voltage, behind the leaky current.  A constant current
    b settles at b / decay_u, which is what is added; with decay_u = 1 that is exact from the
    first step, else only once the current has settled (`inexact_biases` names those).
    Leaves: no Dense that feeds neurons has a bias, unless it or the neurons' is pinned.
    """
    for name in graph.names(CubaLif):
        for source in graph[name].inputs:
            if _movable(graph, name, source):
                graph = _move(graph, source, name)
    return graph


def inexact_biases(graph: Graph) -> Iterator[tuple[str, str]]:
    """(Dense, CubaLif) wherever `move_bias` holds only once the current has settled."""
    for name in graph.names(CubaLif):
        lif = graph[name].op
        assert isinstance(lif, CubaLif)
        leaky = np.any(np.asarray(graph.value(lif.decay_u)) != 1)
        for source in graph[name].inputs:
            if leaky and _movable(graph, name, source) and _bias_acts(graph, source):
                yield source, name


def _bias_acts(graph: Graph, dense: str) -> bool:
    bias = graph.constants(graph[dense]).get("bias")
    return bias is not None and bool(np.any(graph.value(bias)))


def _movable(graph: Graph, lif_name: str, dense_name: str) -> bool:
    dense, lif = graph[dense_name].op, graph[lif_name].op
    if not isinstance(dense, Dense) or dense.bias is None:
        return False
    assert isinstance(lif, CubaLif)
    pinned = {dense.bias, lif.bias, lif.decay_u} & set(graph.pinned)
    return not pinned and len(graph.readers(dense_name)) == 1


def _move(graph: Graph, dense_name: str, lif_name: str) -> Graph:
    dense, lif = graph[dense_name].op, graph[lif_name].op
    assert isinstance(dense, Dense) and isinstance(lif, CubaLif) and dense.bias is not None
    decay = np.asarray(graph.value(lif.decay_u), np.float64)
    bias = dense.bias
    if np.any(decay != 1):
        graph, bias = _settled(graph, dense_name, bias, 1 / np.maximum(decay, DECAY_MIN))
    if lif.bias is not None:
        total = fresh(graph.derived, f"{lif_name}.bias_total")
        graph = graph.with_derived({total: Derivation("total", (lif.bias, bias))})
        bias = total
    graph = graph.swap(dense_name, replace(dense, bias=None))
    return graph.swap(lif_name, replace(lif, bias=bias))


def _settled(graph: Graph, dense_name: str, bias: str, gain: np.ndarray) -> tuple[Graph, str]:
    """The bias times what a constant current settles at."""
    name = fresh(graph.derived, f"{dense_name}.bias_settled")
    if np.all(gain == gain.flat[0]):
        factor = float(gain.flat[0])
        return graph.with_derived({name: Derivation("times", (bias,), (("factor", factor),))}), name
    gains = fresh(graph.params, f"{dense_name}.bias_gain")
    graph = graph.with_params({gains: gain})
    return graph.with_derived({name: Derivation("product", (bias, gains))}), name
