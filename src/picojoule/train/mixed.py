"""Layers with bits of their own: set by hand, by a search over sensitivity and price, or learned.

Energies are the simulated machine's, from its own prices: the network is lowered, run on a
sample and priced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from picojoule.cost import price
from picojoule.errors import Fault, UsageError
from picojoule.grad import ops
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.passes import freeze, lower
from picojoule.passes.search_steps import one_step, row_steps
from picojoule.sim.run import run
from picojoule.target import Target
from picojoule.train.methods import Layer, layers
from picojoule.train.model import forward_pass, prepare, samples_of

Array = np.ndarray


@dataclass(frozen=True)
class Move:
    """One step of a search: a layer given fewer bits, and what the network is then."""

    layer: str
    bits: int
    loss: float
    energy_j: float


def with_weight_bits(live: Graph, name: str, bits: int) -> Graph:
    """A live quantized graph in which one layer has weights of `bits`, its steps chosen anew.

    Raises UsageError PJ806 where there is no such layer.
    """
    layer = next((found for found in layers(live) if found.name == name), None)
    if layer is None or bits < 2:
        what = f"no quantized layer {name!r}" if layer is None else f"bits={bits} is impossible"
        known = ", ".join(found.name for found in layers(live)) or "none"
        raise UsageError(Fault("PJ806", what, fix=f"2 bits or more of one of: {known}"))
    high = (1 << (bits - 1)) - 1
    values = np.asarray(live.value(layer.real), np.float64).reshape(len(live.value(layer.real)), -1)
    steps = row_steps(values, -high, high) if layer.rows else np.array(
        one_step(values, -high, high))  # fmt: skip
    made = replace(live.derived[layer.levels], options=(("low", -high), ("high", high)))
    live = live.with_derived({layer.levels: made})
    if layer.step in live.params:
        live = live.with_params({layer.step: np.maximum(steps, _least_step(live, name, layer))})
    return live.swap(name, replace(live[name].op, weight_bits=bits))


def _least_step(live: Graph, name: str, layer: Layer) -> Array:
    """Steps below which a bias would leave half of the accumulator: rows may have no weight."""
    op = live[name].op
    made = live.derived.get(op.bias)
    real = live.value(op.bias if made is None else made.inputs[0])
    least = np.abs(np.asarray(real, np.float64)) / (float(live.value(op.step_in)) * 2.0**30)
    return np.maximum(least if layer.rows else least.max(), 2.0**-60)


def energy_of(live: Graph, target: Target, x: Array) -> float:
    """Joules of one inference on the simulated machine: marginal, static and I/O energy.

    x: a sample or more, of which the mean is priced.  Raises CheckError where it does not fit.
    """
    done = run(lower(freeze(live), target), x, detail="sum")
    return float(price(done.activity, target).total_j)


def loss_of(graph: Graph, x: Array, y: Array) -> float:
    """Mean cross-entropy of a graph on samples and labels."""
    known = {n: Tensor(a) for n, a in graph.params.items()}
    scores = forward_pass(prepare(graph), known, samples_of(graph, x)).scores
    target = ops.smoothed(np.asarray(y), scores.shape[1], 0.0, np.float32)
    return float(ops.softmax_cross_entropy(scores, target).data)


def search(
    live: Graph, target: Target, x: Array, y: Array, *, budget_j: float,
    offered: Sequence[int] = (8, 4, 2),
) -> tuple[Graph, list[Move]]:  # fmt: skip
    """Fewer bits for the layers that mind least, until an inference costs at most `budget_j`.

    Greedy: of all layers, the one whose next fewer bits cost least loss for each joule saved.
    x, y  samples and labels that loss is measured on; one sample prices the network
    Returns the live graph, to be fine-tuned, and the moves made.
    Raises UsageError PJ806 where no choice is cheap enough.
    """
    bits = {layer.name: _bits(layer) for layer in layers(live)}
    energy, loss, moves = energy_of(live, target, x[:1]), loss_of(live, x, y), list[Move]()
    while energy > budget_j:
        tried = []
        for name, now in bits.items():
            fewer = max((b for b in offered if b < now), default=None)
            if fewer is not None:
                tried.append(_tried(live, target, x, y, name, fewer))
        cheaper = [(g, m) for g, m in tried if m.energy_j < energy]
        if not cheaper:
            what = f"no choice of bits costs at most {budget_j:.3g} J; the least is {energy:.3g} J"
            raise UsageError(Fault("PJ806", what, fix=f"a budget of {energy:.3g} J, or more"))
        here = (energy, loss)
        live, best = min(cheaper, key=lambda c: (c[1].loss - here[1]) / (here[0] - c[1].energy_j))
        bits[best.layer], energy, loss = best.bits, best.energy_j, best.loss
        moves.append(best)
    return live, moves


def _bits(layer: Layer) -> int:
    return layer.high.bit_length() + 1


def _tried(
    live: Graph, target: Target, x: Array, y: Array, name: str, bits: int
) -> tuple[Graph, Move]:
    found = with_weight_bits(live, name, bits)
    return found, Move(name, bits, loss_of(found, x, y), energy_of(found, target, x[:1]))
