"""Turn a float network into the integers of a target, with every derivation still live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from picojoule.errors import CheckError, Fault
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.faults import verify
from picojoule.graph.ops import INTEGER_OPS, Delay, Flatten, Input
from picojoule.passes.bits import bits_faults, choose_bits
from picojoule.passes.calibrate import observe
from picojoule.passes.canonicalise import canonicalise
from picojoule.passes.fold_batch_norm import fold_batch_norm
from picojoule.passes.move_bias import inexact_biases, move_bias
from picojoule.passes.quantize_spiking import quantize_spiking
from picojoule.passes.quantize_tensor import quantize_tensor
from picojoule.passes.support import support_faults
from picojoule.passes.warning import warn
from picojoule.target import Target


def quantize(
    graph: Graph, target: Target, samples: np.ndarray | Events | None = None, *,
    bits: int | None = None, activation_bits: int | None = None, weights: str | None = None,
    activations: str | None = None,
) -> Graph:  # fmt: skip
    """The network in Int ops whose constants are derivations over real parameters.

    bits             of every weight, first and last layer included; default: all there are
    activation_bits  of every activation but the network's input, which has 8; default: `bits`,
                     where the target offers that
    weights, activations
                     a format of the target's `weight_formats`, such as 'e4m3' or 'mxfp4', or of
                     its `activation_formats`, in the place of integers; activations that meet an
                     Add, a Concat or a table stay integers
    Leaves: nodes that were integer, and pinned constants, untouched; `machine` set; no delay
    of the machine written yet (`schedule_delays`).  Warns (PicojouleWarning) where quantization
    silences or saturates a layer (PJ211) or a bias acts otherwise than in the network (PJ212).
    Raises GraphError for a malformed network, CheckError where the target has no such ops or
    bits, UsageError for bad samples.
    """
    verify(graph)
    faults = bits_faults(target, bits, activation_bits, weights, activations)
    graph = prepare(graph)
    faults += support_faults(graph, target)
    if faults:
        raise CheckError(faults)
    graph = replace(graph, machine=target.name)
    if all(isinstance(n.op, (*INTEGER_OPS, Input, Flatten, Delay)) for n in graph.nodes):
        return graph
    chosen = choose_bits(target, bits, activation_bits, weights, activations)
    if target.kind == "tensor":
        seen = observe(graph, samples)
        graph, found = quantize_tensor(graph, target.core.profile, seen, chosen)
    else:
        found = _bias_warnings(graph)
        graph = move_bias(graph)
        seen_or_none = None if samples is None else observe(graph, samples)
        graph, more = quantize_spiking(graph, target.core.profile, seen_or_none, chosen)
        found += more
    warn(found)
    return graph


def prepare(graph: Graph) -> Graph:
    """The canonical form with batch normalization folded: what can be quantized."""
    return canonicalise(fold_batch_norm(canonicalise(graph)))


def _bias_warnings(graph: Graph) -> list[Fault]:
    return [
        Fault(
            "PJ212", f"the bias of {dense!r} reaches the neurons {lif!r} at once, not through"
            " their leaky current: the two agree once the current has settled",
            fix="give the neurons the bias instead, or decay_u = 1",
        )
        for dense, lif in inexact_biases(graph)
    ]  # fmt: skip
