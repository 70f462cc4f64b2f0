"""Low-rank adapters (LoRA) for a live graph: a frozen network learns a new task with few numbers.

Each weight becomes `merge_lora(weight, down, up)`, a derivation: fine-tuning under quantization
reaches the adapters through it, and `freeze` merges them, so the machine never knows of them.
Source: Hu et al., LoRA, ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import Conv, Dense
from picojoule.train.model import trainable

Array = np.ndarray


def with_adapters(
    graph: Graph, *, rank: int, alpha: float | None = None, seed: int = 0,
    nodes: tuple[str, ...] | None = None,
) -> Graph:  # fmt: skip
    """A float graph whose Dense and Conv weights, of all or of some nodes, have adapters.

    rank   of each adapter, cut where a layer is smaller;  alpha: scale times rank, default `rank`
    Outputs are the same to the bit until the adapters, `<weight>.down` and `.up`, are trained:
    `up` starts at 0.  Train with `only_adapters(graph)` to freeze all else.
    Raises UsageError PJ806.
    """
    if rank < 1:
        raise UsageError(Fault("PJ806", f"rank={rank} is impossible", fix="rank of at least 1"))
    chosen = list(_adaptable(graph, nodes))
    if not chosen:
        what = "there is no Dense or Conv with parameters to adapt"
        raise UsageError(Fault("PJ806", what, fix=f"nodes of {graph.name!r}, before quantization"))
    for k, name in enumerate(chosen):
        graph = _adapted(graph, name, rank, alpha or float(rank), seed, k)
    return graph


def _adaptable(graph: Graph, nodes: tuple[str, ...] | None) -> Iterator[str]:
    for name in graph.names(Dense, Conv):
        if graph[name].op.weight in graph.params and (nodes is None or name in nodes):
            yield name


def _adapted(graph: Graph, name: str, rank: int, alpha: float, seed: int, stream: int) -> Graph:
    op = graph[name].op
    weight = graph.params[op.weight]
    rows, columns = len(weight), int(np.prod(weight.shape[1:]))
    rank = min(rank, rows, columns)
    draw = np.random.Generator(np.random.Philox(key=[seed, (7 << 32) + stream]))
    down = draw.normal(0, 1 / np.sqrt(columns), (rank, columns)).astype(np.float32)
    parts = {f"{op.weight}.down": down, f"{op.weight}.up": np.zeros((rows, rank), np.float32)}
    merged = f"{op.weight}.merged"
    made = Derivation("merge_lora", (op.weight, *parts), (("scale", alpha / rank),))
    graph = graph.with_params(parts).with_derived({merged: made})
    return graph.swap(name, replace(op, weight=merged))


def only_adapters(graph: Graph) -> tuple[str, ...]:
    """Names of all trained parameters but adapters: `Options.fixed` for LoRA fine-tuning."""
    return tuple(n for n in trainable(graph) if not n.endswith((".down", ".up")))


def merged(graph: Graph) -> Graph:
    """The graph with its adapters added into plain weights, float32."""
    for name in graph.names(Dense, Conv):
        op = graph[name].op
        made = graph.derived.get(op.weight)
        if made is None or made.function != "merge_lora":
            continue
        value = np.asarray(graph.value(op.weight), np.float32)
        kept = {n: a for n, a in graph.params.items() if n not in made.inputs[1:]}
        derived = {n: d for n, d in graph.derived.items() if n != op.weight}
        graph = replace(graph, params={**kept, made.inputs[0]: value}, derived=derived)
        graph = graph.swap(name, replace(op, weight=made.inputs[0]))
    return graph
