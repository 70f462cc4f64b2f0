"""Edges of NIR graphs: resolve names, remove markers, fold scales, cut cycles with delays."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from picojoule.errors import Fault, FrontendError
from picojoule.frontend.nir_file import Item, NirFile
from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten
from picojoule.graph.types import Node

Sources = dict[str, tuple[str, ...]]


def sources(file: NirFile) -> Sources:
    """Names of the nodes that feed each node, in the order of the file's edges.

    An edge to a graph within the graph goes to its Input, one from it comes from its Output.
    A pair that is listed twice is one edge.  Raises FrontendError PJ501 with every name that
    two nodes have, and every edge that names no node.
    """
    faults = [
        Fault("PJ501", f"{count} nodes are called '{name}'")
        for name, count in Counter(i.name for i in file.items).items()
        if count > 1
    ]
    feeds: dict[str, dict[str, None]] = {item.name: {} for item in file.items}
    markers = _markers(file)
    for a, b in file.edges:
        try:
            source = _end(a, "Output", feeds, markers)
            reader = _end(b, "Input", feeds, markers)
            feeds[reader][source] = None
        except ValueError as error:
            faults.append(Fault("PJ501", f"edge ('{a}', '{b}'): {error}"))
    if faults:
        raise FrontendError(faults)
    return {name: tuple(found) for name, found in feeds.items()}


def _markers(file: NirFile) -> dict[str, dict[str, list[str]]]:
    """The Input and Output nodes of each graph within the graph."""
    found: dict[str, dict[str, list[str]]] = {g: {"Input": [], "Output": []} for g in file.graphs}
    for item in file.items:
        if item.graph and item.kind in ("Input", "Output"):
            found[item.graph][item.kind].append(item.name)
    return found


def _end(
    name: str, kind: str, nodes: Mapping[str, object], markers: dict[str, dict[str, list[str]]]
) -> str:
    """The node that an end of an edge means."""
    if name in nodes:
        return name
    if name not in markers:
        raise ValueError(f"there is no node '{name}'")
    inside = markers[name][kind]
    if len(inside) != 1:
        raise ValueError(f"graph '{name}' has {len(inside)} nodes of type {kind}, not one")
    return inside[0]


def without(feeds: Sources, name: str) -> Sources:
    """The same edges with node `name` removed: its readers read its sources instead."""
    through = tuple(n for n in feeds[name] if n != name)
    return {
        reader: tuple(dict.fromkeys(
            n for source in found for n in (through if source == name else (source,))))
        for reader, found in feeds.items()
        if reader != name
    }  # fmt: skip


def readers(feeds: Sources, name: str) -> list[str]:
    """Names of the nodes that `name` feeds."""
    return [reader for reader, found in feeds.items() if name in found]


# -------------------------------------------------------------------------------------- scale


def fold_scales(items: Mapping[str, Item], feeds: Sources) -> tuple[dict[str, Item], Sources]:
    """Absorb each Scale into the weights before it, or into those of all its readers.

    Raises FrontendError PJ502 with every Scale that has no weights beside it.
    """
    items = dict(items)
    faults = []
    for name in [n for n, item in items.items() if item.kind == "Scale"]:
        factor = np.asarray(items[name].arrays["scale"], np.float64)
        if not _fold(items, feeds, name, factor):
            what = f"node '{name}' is a Scale without an Affine or Linear of its own beside it"
            faults.append(Fault("PJ502", what, fix="multiply it into the weights"))
            continue
        del items[name]
        feeds = without(feeds, name)
    if faults:
        raise FrontendError(faults)
    return items, feeds


def _fold(items: dict[str, Item], feeds: Sources, name: str, factor: np.ndarray) -> bool:
    before, after = feeds[name], readers(feeds, name)
    if len(before) == 1 and _is_dense(items[before[0]]) and readers(feeds, before[0]) == [name]:
        items[before[0]] = _times(items[before[0]], factor, rows=True)
        return True
    if not after or not all(_is_dense(items[n]) and len(feeds[n]) == 1 for n in after):
        return False
    items.update({n: _times(items[n], factor, rows=False) for n in after})
    return True


def _is_dense(item: Item) -> bool:
    return item.kind in ("Affine", "Linear") and item.arrays["weight"].ndim == 2


def _times(item: Item, factor: np.ndarray, *, rows: bool) -> Item:
    weight = np.asarray(item.arrays["weight"], np.float64)
    if factor.size not in (1, weight.shape[0 if rows else 1]):
        raise FrontendError(
            Fault(
                "PJ501",
                f"a Scale of {factor.size} values stands beside node "
                f"'{item.name}' of shape {list(weight.shape)}",
            )
        )
    flat = factor.reshape(-1)
    scaled = {"weight": weight * (flat[:, None] if rows else flat)}
    if rows and "bias" in item.arrays:
        scaled["bias"] = np.asarray(item.arrays["bias"], np.float64) * flat
    return replace(item, arrays={**item.arrays, **scaled})


# ------------------------------------------------------------------------------------- cycles


def cut_cycles(nodes: Sequence[Node], start: str, steps: int) -> tuple[Node, ...]:
    """Put a Delay on one edge of each cycle that has none.

    Cut is the edge that leads back towards `start`, moved upstream through weights of its
    own to the neurons that send the spikes: where machines have their delay.
    """
    table = {node.name: node for node in nodes}
    depth = _depths(table, start)
    back = sorted(
        ((depth[source] - depth[node.name], source, node.name)
         for node in nodes for source in node.inputs
         if depth[source] >= depth[node.name] and not isinstance(node.op, Delay)),
        reverse=True,
    )  # fmt: skip
    for _, source, reader in back:
        if _reaches(table, reader, source):
            source, reader = _upstream(table, source, reader)
            _insert(table, source, reader, steps)
    return tuple(table.values())


def _depths(table: Mapping[str, Node], start: str) -> dict[str, int]:
    """Edges from `start` to each node; nodes out of reach count as deepest."""
    after: dict[str, list[str]] = {name: [] for name in table}
    for node in table.values():
        for source in node.inputs:
            after[source].append(node.name)
    depth = dict.fromkeys(table, len(table))
    depth[start] = 0
    queue = deque([start])
    while queue:
        name = queue.popleft()
        fresh = [n for n in after[name] if depth[n] == len(table)]
        depth.update(dict.fromkeys(fresh, depth[name] + 1))
        queue += fresh
    return depth


def _reaches(table: Mapping[str, Node], start: str, end: str) -> bool:
    """True where a path leads from `start` to `end` without passing a Delay."""
    seen: set[str] = set()
    queue = [end]  # backwards: inputs are at hand
    while queue:
        name = queue.pop()
        if name == start:
            return True
        node = table[name]
        if name not in seen and not isinstance(node.op, Delay):
            queue += node.inputs
        seen.add(name)
    return False


def _upstream(table: Mapping[str, Node], source: str, reader: str) -> tuple[str, str]:
    edge = source, reader
    for _ in table:
        if not isinstance(table[source].op, Dense | Flatten):
            break
        users = [n.name for n in table.values() if source in n.inputs]
        if len(users) > 1 or len(table[source].inputs) != 1:
            return edge
        source, reader = table[source].inputs[0], source
    return (source, reader) if isinstance(table[source].op, CubaLif) else edge


def _insert(table: dict[str, Node], source: str, reader: str, steps: int) -> None:
    name = f"{source}_to_{reader}"
    while name in table:
        name += "_"
    table[name] = Node(name, Delay(steps=steps), (source,))
    node = table[reader]
    inputs = tuple(name if n == source else n for n in node.inputs)
    table[reader] = replace(node, inputs=inputs)
