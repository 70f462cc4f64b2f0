"""What can be done for a quantized network without training: equalise, correct, calibrate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph, Node
from picojoule.graph.derive import by_row
from picojoule.graph.ops import BatchNorm, Conv, Dense, Flatten, IntDense, MaxPool, Relu
from picojoule.passes.search_steps import start_step
from picojoule.train import tensor
from picojoule.train.derivations import constants
from picojoule.train.learned_edges import changed, moved, offset_name, settled
from picojoule.train.methods import layers
from picojoule.train.model import samples_of

Array = np.ndarray
PASSING = (Relu, MaxPool, Flatten)  # what scales with its input, channel by channel
MOST = 16.0  # factor of a channel: larger ones only move the trouble


# ------------------------------------------------------------------------------ equalisation


def equalise(graph: Graph, rounds: int = 2) -> Graph:
    """A float graph that computes the same, with weights of neighbours of like size.

    Each channel between two layers that are joined by Relu, MaxPool and Flatten alone is made
    smaller on one side and larger on the other, so that the largest weights on both are alike.
    Source: Nagel et al., Data-free quantization, ICCV 2019, section 4.1.
    """
    for _ in range(rounds):
        for first, norm, second in list(_pairs(graph)):
            graph = _balanced(graph, first, norm, second)
    return graph


def _pairs(graph: Graph) -> Iterator[tuple[str, str | None, str]]:
    """(layer, its batch norm, the next layer) where only one path joins them."""
    for name in graph.names(Dense, Conv):
        node, norm = _only_reader(graph, name), None
        if node is not None and isinstance(node.op, BatchNorm):
            norm, node = node.name, _only_reader(graph, node.name)
        while node is not None and isinstance(node.op, PASSING):
            node = _only_reader(graph, node.name)
        plain = node is not None and isinstance(node.op, Dense | Conv)
        if plain and node is not None and _has_parameters(graph, name, node.name):
            yield name, norm, node.name


def _only_reader(graph: Graph, name: str) -> Node | None:
    readers = graph.readers(name)
    return readers[0] if len(readers) == 1 and name != graph.output else None


def _has_parameters(graph: Graph, *names: str) -> bool:
    free = all(graph[n].op.weight in graph.params for n in names)
    return free and all(getattr(graph[n].op, "groups", 1) == 1 for n in names)


def _balanced(graph: Graph, first: str, norm: str | None, second: str) -> Graph:
    op, after = graph[first].op, graph[second].op
    weight, next_weight = (np.asarray(graph.params[o.weight], np.float64) for o in (op, after))
    channels = len(weight)
    gain = _gain(graph, norm, channels)
    ours = np.abs(weight).reshape(channels, -1).max(1) * np.abs(gain)
    flat = next_weight.reshape(len(next_weight), -1)
    by_channel, axis = _by_channel(flat, next_weight, channels, isinstance(after, Dense))
    theirs = np.abs(by_channel).max(axis=axis)
    good = (ours > 0) & (theirs > 0)
    root = np.sqrt(np.where(good, ours, 1) / np.where(good, theirs, 1))
    factor = np.where(good, np.clip(root, 1 / MOST, MOST), 1.0)
    params = _scaled_down(graph, first, norm, factor)
    shape = [1, 1, 1]
    shape[1 if not isinstance(after, Dense) else 2] = channels
    params[after.weight] = (by_channel * factor.reshape(shape)).reshape(next_weight.shape)
    return graph.with_params({n: a.astype(graph.params[n].dtype) for n, a in params.items()})


def _gain(graph: Graph, norm: str | None, channels: int) -> Array:
    if norm is None:
        return np.ones(channels)
    op = graph[norm].op
    gain, variance = (np.asarray(graph.params[n], np.float64) for n in (op.gain, op.variance))
    return gain / np.sqrt(variance + op.eps)


def _by_channel(
    flat: Array, weight: Array, channels: int, dense: bool
) -> tuple[Array, tuple[int, int]]:
    """Weights with an axis of input channels, and the other axes.

    A flattened image has its channels last, a Conv's weights have them second.
    """
    if dense:
        return flat.reshape(len(flat), -1, channels), (0, 1)
    return weight.reshape(len(weight), channels, -1), (0, 2)


def _scaled_down(graph: Graph, first: str, norm: str | None, factor: Array) -> dict[str, Array]:
    """What makes each output channel of a layer, or of its batch norm, smaller by its factor."""
    if norm is not None:
        op = graph[norm].op
        return {n: np.asarray(graph.params[n]) / factor for n in (op.gain, op.shift)}
    op = graph[first].op
    weight = np.asarray(graph.params[op.weight])
    found = {op.weight: weight / by_row(factor, weight.ndim)}
    if op.bias is not None:
        found[op.bias] = np.asarray(graph.params[op.bias]) / factor
    return found


# --------------------------------------------------------------------------- bias correction


def correct_biases(live: Graph, x: Array) -> Graph:
    """A live quantized graph whose biases make up for the mean error of rounded weights.

    Layer after layer: bias += (weight - step level) times the mean of what enters, over x.
    Source: Nagel et al., Data-free quantization, ICCV 2019, section 4.2.
    """
    x = samples_of(live, x)
    for layer in list(layers(live)):
        made = live.derived.get(live[layer.name].op.bias)
        target = None if made is None else _free_bias(live, made.inputs[0])
        if target is None:
            continue
        error = _mean_error(live, layer.name, layer.levels, layer.real, x)
        value = live.params[target]
        live = live.with_params({target: (value + error).astype(value.dtype)})
    return live


def _free_bias(live: Graph, name: str) -> str | None:
    """The parameter that moves a bias one to one: itself, or the shift of a folded batch norm."""
    made = live.derived.get(name)
    if made is not None and made.function == "fold_bn_bias":
        name = made.inputs[2]
    return name if name in live.params else None


def _mean_error(live: Graph, name: str, levels: str, real: str, x: Array) -> Array:
    node = live[name]
    known = constants(live, {n: Tensor(a) for n, a in live.params.items()})
    values = tensor.evaluate(live, known, x, training=False)
    entering = values.of[node.inputs[0]].data.astype(np.float64) - node.op.zero_in
    entering = entering * float(np.asarray(known[node.op.step_in].data))
    weight = np.asarray(known[real].data, np.float64)
    step = by_row(np.asarray(known[node.op.step_w].data, np.float64), weight.ndim)
    error = weight - step * known[levels].data
    if isinstance(node.op, IntDense):
        return error @ entering.reshape(len(entering), -1).mean(0)
    mean = entering.reshape(-1, entering.shape[-1]).mean(0)
    groups = node.op.groups
    each = np.repeat(mean.reshape(groups, -1), len(weight) // groups, axis=0)
    return (error.sum((2, 3)) * each).sum(1)


# ------------------------------------------------------------------------------- calibration


def recalibrate(live: Graph, x: Array, *, method: str, share: float = 0.999) -> Graph:
    """A live graph whose activation steps are chosen anew from samples x.

    method  'percentile': the largest integer is the `share` quantile of the accumulators;
            'lsq': 2 mean / sqrt(high) (Esser et al. 2020).  `quantize` has chosen by the
            least squared error.
    Raises UsageError PJ806.
    """
    if method not in ("percentile", "lsq") or not 0 < share <= 1:
        what = f"method={method!r} with share={share} is impossible"
        raise UsageError(Fault("PJ806", what, fix="'percentile' or 'lsq', share in 0..1"))
    x = samples_of(live, x)
    for node in live.nodes:
        step = getattr(node.op, "step_out", None)
        if step not in live.params or not hasattr(node.op, "weight"):
            continue
        values = np.abs(_before_clipping(live, node, x))
        values = values[values > 0]
        high = node.op.high - node.op.zero
        if values.size:
            best = float(start_step(values, high)) if method == "lsq" else (
                float(np.quantile(values, share)) / high)  # fmt: skip
            live = live.with_params({step: np.asarray(best)})
    return live


def choose_offsets(live: Graph, x: Array) -> Graph:
    """A live graph of LSQ+ whose steps and offsets fit what each edge holds on samples x.

    Of ranges between two quantiles, and of what there was, the one of least squared error.
    """
    x = samples_of(live, x)
    for node in list(moved(live)):
        op = live[node.name].op
        values = _before_clipping(live, live[node.name], x).reshape(-1)
        step, offset = float(live.params[op.step_out]), float(live.params[offset_name(node.name)])
        choices = [(step, offset), *_ranges(values, op.low, op.high)]
        step, offset = min(choices, key=lambda c: _error(values, *c, op.low, op.high))
        chosen = {op.step_out: np.asarray(step), offset_name(node.name): np.asarray(offset)}
        live = settled(live.with_params(chosen))
    return live


def _ranges(values: Array, low: int, high: int) -> Iterator[tuple[float, float]]:
    """(step, offset) of ranges that leave out few values, and hold 0."""
    for share in (0.0, 0.001, 0.005, 0.02):
        ends = np.quantile(values, (share, 1 - share))
        least, most = min(float(ends[0]), 0.0), max(float(ends[1]), 0.0)
        if most > least:
            step = (most - least) / (high - low)
            yield step, least - low * step


def _error(values: Array, step: float, offset: float, low: int, high: int) -> float:
    zero = np.clip(np.rint(-offset / step), low, high)
    level = np.clip(np.rint(values / step) + zero, low, high) - zero
    return float(np.mean((values - step * level) ** 2))


def _before_clipping(live: Graph, node: Node, x: Array) -> Array:
    """Real values of a node: from a graph, up to it, in which it has all the room of 16 bits."""
    wide, step = 1 << 15, node.op.step_out
    low = node.op.zero + (0 if node.op.low == node.op.zero else -wide)
    factor = (node.op.high - node.op.low) / (wide / 16)
    fine = np.asarray(live.params[step] * factor)
    graph = replace(live, nodes=tuple(_up_to(live, node.name)), output=node.name)
    graph = changed(graph, node.name, low=low, high=node.op.zero + wide - 1)
    graph = graph.with_params({step: fine})
    known = constants(graph, {n: Tensor(a) for n, a in graph.params.items()})
    values = tensor.evaluate(graph, known, x, training=False)
    return (values.of[node.name].data.astype(np.float64) - node.op.zero) * float(fine)


def _up_to(graph: Graph, name: str) -> list[Node]:
    """A node and all that it needs, in the graph's order."""
    needed = {name}
    for earlier in reversed(graph.order):
        if earlier in needed:
            needed.update(graph[earlier].inputs)
    return [node for node in graph.nodes if node.name in needed]
