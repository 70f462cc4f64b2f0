"""Other ways to quantize, as other derivations in a live quantized graph of a tensor machine.

`quantize` gives LSQ (learned steps, straight through the rounding).  What is here changes how
weights or activation steps come from parameters; the integer operations stay what they are, so
training and the compiled program still agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.format import FLOATS
from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import IntConv2d, IntDense
from picojoule.target import Target
from picojoule.train.learned_edges import offset_name

Array = np.ndarray
TERNARY_SHARE = 0.7  # Li, Zhang, Liu 2016: 0.7 is near the optimum for normal weights
WEIGHTS = ("lsq", "tqt", "dorefa", "ternary", "binary")
FEW, FEW_BITS = ("ternary", "binary"), 2  # methods with so few levels, and bits that hold them
ACTIVATIONS = ("lsq", "lsq+", "tqt", "pact")
FIXES = {
    "weights": f"one of these, or for fine-tuning a format of the machine: {', '.join(FLOATS)}",
    "activations": "one of these",
}


@dataclass(frozen=True)
class Layer:
    """A layer of a live graph whose weights are quantized.

    levels  name of the integers, real: of what they quantize, step: of their step
    low, high  of the integers;  rows: whether each output has a step of its own
    """

    name: str
    levels: str
    real: str
    step: str
    low: int
    high: int
    rows: bool


def layers(graph: Graph) -> Iterator[Layer]:
    """The layers of a live graph whose weights come from `quantize`."""
    for node in graph.nodes:
        if not isinstance(node.op, IntDense | IntConv2d):
            continue
        made = graph.derived.get(node.op.weight)
        if made is None or made.function != "quantize":
            continue
        real, step = made.inputs
        options = dict(made.options)
        rows = np.ndim(graph.value(step)) == 1
        low, high = int(options["low"]), int(options["high"])
        yield Layer(node.name, node.op.weight, real, step, low, high, rows)


def use(graph: Graph, *, weights: str = "lsq", activations: str = "lsq") -> Graph:
    """A live quantized graph with other methods for weights and activations.

    weights      'lsq'  learned steps                       'tqt'  steps that are powers of two
                 'dorefa'  tanh before rounding             'ternary', 'binary'  two bits stored
    activations  'lsq'; 'tqt'; 'lsq+'  also learns an offset of the integers of either sign
                 'pact'  learns the largest value, from what is clipped alone; keep it small by
                 `penalties.shrink(".largest", ...)`
    Raises UsageError PJ806.
    """
    faults = [
        Fault("PJ806", f"{what}={given!r} is none of {list(known)}", fix=FIXES[what])
        for what, given, known in (
            ("weights", weights, WEIGHTS), ("activations", activations, ACTIVATIONS))
        if given not in known
    ]  # fmt: skip
    if faults:
        raise UsageError(faults)
    for layer in list(layers(graph)):
        graph = _with_weights(graph, layer, weights)
    for name in _activation_steps(graph):
        graph = _with_activations(graph, name, activations)
    return graph


def storage_faults(target: Target, weights: str) -> list[Fault]:
    """PJ209 where a method for weights needs bits that a tensor machine does not offer."""
    offered = target.weight_bits
    if weights not in FEW or target.kind != "tensor" or FEW_BITS in offered:
        return []
    what = f"weights={weights!r} are stored in {FEW_BITS} bits; {target.name!r} offers"
    return [Fault("PJ209", f"{what} {', '.join(map(str, offered))}",
                  where=target.where("core.choices.weight_bits"),
                  fix="another method, or a machine with such bits")]  # fmt: skip


def _with_weights(graph: Graph, layer: Layer, method: str) -> Graph:
    if method == "tqt":
        return _free_step(graph, layer.step)
    if method == "dorefa":
        squeezed = np.abs(np.tanh(graph.value(layer.real))).max(initial=0.0)
        step = np.full(np.shape(graph.value(layer.step)), max(squeezed, 2.0**-20) / layer.high)
        made = Derivation("tanh_levels", (layer.real, layer.step), (("high", layer.high),))
        return graph.with_params({layer.step: step}).with_derived({layer.levels: made})
    if method not in FEW:
        return graph
    rows = (("rows", int(layer.rows)),)
    share = (("share", TERNARY_SHARE),) if method == "ternary" else ()
    inputs = (layer.real, layer.step)
    graph = _without(graph, layer.step).with_derived({
        layer.step: Derivation(f"{method}_step", (layer.real,), (*share, *rows)),
        layer.levels: Derivation(method, inputs, (*share, *rows) if share else ()),
    })  # fmt: skip
    return graph.swap(layer.name, replace(graph[layer.name].op, weight_bits=FEW_BITS))


def _activation_steps(graph: Graph) -> list[str]:
    """Names of learned steps of edges, but for the network's input."""
    found = (getattr(node.op, "step_out", None) for node in graph.nodes)
    return [name for name in dict.fromkeys(found) if name in graph.params and name != "input.step"]


def _with_activations(graph: Graph, step: str, method: str) -> Graph:
    if method == "tqt":
        return _free_step(graph, step)
    if method == "lsq+":
        return _with_offset(graph, step)
    if method != "pact":
        return graph
    node = next(n for n in graph.nodes if getattr(n.op, "step_out", None) == step)
    high = int(node.op.high - getattr(node.op, "zero", 0))
    largest = step.rsplit(".", 1)[0] + ".largest"
    value = np.asarray(graph.value(step) * high)
    made = Derivation("clip_step", (largest,), (("high", high),))
    return _without(graph, step).with_params({largest: value}).with_derived({step: made})


def _with_offset(graph: Graph, step: str) -> Graph:
    """An offset for integers of either sign that one node alone makes; others gain nothing."""
    sharing = [n for n in graph.nodes if getattr(n.op, "step_out", None) == step]
    op = sharing[0].op
    if len(sharing) > 1 or not hasattr(op, "zero") or op.low >= op.zero:
        return graph
    if getattr(op, "result_kind", None):  # few significant bits: an offset would take them
        return graph
    if sharing[0].name == graph.output:
        return graph
    offset = np.asarray(-op.zero * float(graph.value(step)))
    return graph.with_params({offset_name(sharing[0].name): offset})


def _free_step(graph: Graph, step: str) -> Graph:
    """Make a step the next power of two of a free parameter, starting at the nearest."""
    free = f"{step}_free"
    value = np.asarray(graph.value(step), np.float64) * 2.0**-0.5
    made = Derivation("power_of_two", (free,))
    return _without(graph, step).with_params({free: value}).with_derived({step: made})


def _without(graph: Graph, name: str) -> Graph:
    return replace(graph, params={n: a for n, a in graph.params.items() if n != name})
