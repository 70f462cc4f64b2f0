"""Batch normalization becomes part of the layer before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import BatchNorm, Conv, Dense
from picojoule.passes.canonicalise import fresh, only_reader


def fold_batch_norm(graph: Graph) -> Graph:
    """Absorb each BatchNorm into the Dense or Conv that it alone reads.

    The folded weight and bias are derivations `<layer>.weight_folded` and
    `<layer>.bias_folded` over the parameters of both, so training still reaches them.
    Leaves: every BatchNorm that remains reads something that others read too, that is not a
    Dense or Conv, or whose weights are pinned.  Values change only by float rounding.
    """
    for name in graph.names(BatchNorm):
        source = graph[graph[name].inputs[0]]
        pinned = any(c in graph.pinned for c in graph.constants(source).values())
        if isinstance(source.op, Dense | Conv) and only_reader(graph, source.name) and not pinned:
            graph = _fold(graph, source.name, name)
    return graph


def _fold(graph: Graph, layer_name: str, norm_name: str) -> Graph:
    layer, norm = graph[layer_name].op, graph[norm_name].op
    assert isinstance(layer, Dense | Conv) and isinstance(norm, BatchNorm)
    bias = layer.bias
    if bias is None:
        bias = fresh(graph.params, f"{layer_name}.bias")
        graph = graph.with_params({bias: np.zeros(layer.features)})
    weight_to = fresh(graph.derived, f"{layer_name}.weight_folded")
    bias_to = fresh(graph.derived, f"{layer_name}.bias_folded")
    options = (("eps", norm.eps),)
    graph = graph.with_derived({
        weight_to: Derivation(
            "fold_bn_weight", (layer.weight, norm.gain, norm.variance), options),
        bias_to: Derivation(
            "fold_bn_bias", (bias, norm.gain, norm.shift, norm.mean, norm.variance), options),
    })  # fmt: skip
    folded = replace(layer, weight=weight_to, bias=bias_to)
    return graph.swap(layer_name, folded).bypass(norm_name)
