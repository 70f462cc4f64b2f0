"""ONNX files of float networks to Graphs.

Samples of images are (height, width, channels) here, where ONNX has channels first; weights
behind a Flatten are permuted to match.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import Fault, FrontendError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.frontend.onnx_file import AXIS_MAX, Item, OnnxFile, damaged, open_model
from picojoule.frontend.onnx_ops import CONVERT
from picojoule.frontend.onnx_values import FOLDED_MAX, Draft, Unsupported, Value
from picojoule.graph.faults import faults
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Input
from picojoule.graph.types import Node

__all__ = ["SUPPORTED", "read"]

Array = np.ndarray[Any, Any]
SUPPORTED = tuple(CONVERT)
BATCH = 0  # stands for the batch in a shape that is computed; Reshape copies an axis of 0


def read(path: str | os.PathLike[str]) -> Graph:
    """Read an ONNX file as a Graph of real ops, its first axis taken as the batch.

    The network has one input, of vectors or images, and one output.  Its parameters are named
    after the ONNX nodes; the encoder's step is provisional until the network is quantized.

    Raises FrontendError with all faults: PJ501 the file is damaged or the package onnx is
    missing, PJ502 each node that is not supported, PJ4xx what is wrong with the network.
    """
    path = Path(path)
    file = open_model(path)
    if file.wrong:
        raise FrontendError(file.wrong)
    uses = Counter(name for item in file.items for name in item.inputs)
    draft = Draft(dict(file.constants), uses=uses + Counter(file.outputs))
    entry = _enter(path, file, draft)
    for item in file.items:
        _convert(draft, item, path)
    if draft.wrong:
        raise FrontendError(draft.wrong)
    graph = Graph(
        name=path.stem, nodes=tuple(draft.nodes), output=_output(path, file, draft),
        params=draft.params, encoder=Encoder(kind="affine", shape=entry.here, step=1 / 127),
        readout=Readout(),
    )  # fmt: skip
    graph = _reached(graph)
    found = faults(graph)
    if found:
        raise FrontendError([Fault(f.code, f.what, f.where or path.name, f.fix) for f in found])
    return graph


def _enter(path: Path, file: OnnxFile, draft: Draft) -> Value:
    """The one input, as a node.  Raises FrontendError PJ501 for any other."""
    if len(file.inputs) != 1:
        names = ", ".join(repr(name) for name, _ in file.inputs[:6])
        raise damaged(path, f"{len(file.inputs)} inputs ({names}); a Graph has one",
                      "export the network with one input")  # fmt: skip
    ((name, shape),) = file.inputs
    rest = shape[1:]
    sides = [side for side in rest if side is not None and side <= AXIS_MAX]
    if len(rest) not in (1, 3) or len(sides) < len(rest):
        shown = ["?" if side is None else side for side in shape]
        raise damaged(path, f"input {name!r} has shape [{', '.join(map(str, shown))}]; samples are"
                      " [batch, features] or [batch, channels, height, width]",
                      "export with these axes fixed, all but the batch")  # fmt: skip
    value = Value("input", tuple(sides))
    draft.values[name] = value
    draft.nodes.append(Node("input", Input(shape=value.here)))
    return value


def _output(path: Path, file: OnnxFile, draft: Draft) -> str:
    if len(file.outputs) != 1 or file.outputs[0] not in draft.values:
        names = ", ".join(map(repr, file.outputs[:6]))
        raise damaged(path, f"outputs {names}; a Graph has one, which depends on its input",
                      "export the network with one output")  # fmt: skip
    value = draft.values[file.outputs[0]]
    if value.order is not None:
        raise damaged(path, "the answer is an image made a vector, whose order differs here",
                      "end the network with the image, or with a Gemm")  # fmt: skip
    return value.node


def _convert(draft: Draft, item: Item, path: Path) -> None:
    """Add what an item computes; note a fault where it cannot be read.

    What follows an unreadable node is skipped: it has no fault of its own.
    """
    if any(name in draft.unknown for name in item.inputs):
        draft.unknown.update(item.outputs)
        return
    missing = [n for n in item.inputs if n and n not in draft.values and n not in draft.constants]
    try:
        if missing:
            raise Unsupported(f"reads {missing[0]!r}, which nothing before it gives")
        if not item.outputs or not _folded(draft, item):
            _converter(item)(draft, item)
    except Unsupported as error:
        what = f"node {item.name!r} ({item.kind}): {error}"
        draft.wrong.append(Fault("PJ502", what, where=path.name, fix=error.fix))
        draft.unknown.update(item.outputs)


def _converter(item: Item) -> Callable[[Draft, Item], None]:
    if item.kind not in CONVERT:
        raise Unsupported("it is not supported", "supported: " + ", ".join(SUPPORTED))
    if not item.inputs or not item.outputs:
        raise Unsupported("it has no inputs or no outputs")
    return CONVERT[item.kind]


# --------------------------------------------------------------------- constants, computed


def _folded(draft: Draft, item: Item) -> bool:
    """Compute what depends on shapes and constants alone; whether that was so."""
    if item.kind == "Constant":
        draft.constants[item.outputs[0]] = _constant(item)
        return True
    if item.kind == "Shape" and item.inputs and item.inputs[0] in draft.values:
        shape = (BATCH, *draft.values[item.inputs[0]].shape)
        part = slice(item.attributes.get("start", 0), item.attributes.get("end"))
        draft.constants[item.outputs[0]] = np.array(shape[part], np.int64)
        return True
    arrays = [draft.constants[n] for n in item.inputs if n in draft.constants]
    if item.kind not in FOLD or not arrays or len(arrays) < len([n for n in item.inputs if n]):
        return False
    if max(array.size for array in arrays) > FOLDED_MAX:
        return False
    try:
        draft.constants[item.outputs[0]] = np.asarray(FOLD[item.kind](item, arrays))
    except (ValueError, IndexError, TypeError) as error:
        raise Unsupported(f"cannot be computed: {error}") from None
    return True


def _constant(item: Item) -> Array:
    found = [v for k, v in item.attributes.items() if k.startswith("value") and v is not None]
    if len(found) != 1 or isinstance(found[0], str):
        raise Unsupported("a constant of a kind that is not read")
    array = np.asarray(found[0])
    return array.astype(np.int64) if array.dtype.kind in "iub" else array.astype(np.float32)


def _axes(item: Item, arrays: list[Array]) -> tuple[int, ...]:
    given = item.attributes.get("axes")
    return tuple(given) if given is not None else tuple(arrays[1].reshape(-1).tolist())


def _slice(item: Item, arrays: list[Array]) -> Array:
    starts, stops = (arrays[k].reshape(-1).tolist() for k in (1, 2))
    if arrays[0].ndim != 1 or len(starts) != 1 or len(item.inputs) > 4:
        raise ValueError("only a part of a vector is taken")
    return arrays[0][starts[0] : stops[0]]


FOLD: dict[str, Callable[[Item, list[Array]], Any]] = {
    "Gather": lambda item, a: np.take(a[0], a[1], axis=item.attributes.get("axis", 0)),
    "Unsqueeze": lambda item, a: np.expand_dims(a[0], _axes(item, a)),
    "Squeeze": lambda item, a: np.squeeze(a[0]),
    "Concat": lambda item, a: np.concatenate(a, axis=item.attributes.get("axis", 0)),
    "Cast": lambda item, a: a[0],
    "Slice": _slice,
}


def _reached(graph: Graph) -> Graph:
    """Without what the answer does not depend on."""
    needed, waiting = set(), [graph.output]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += graph[name].inputs
    nodes = tuple(node for node in graph.nodes if node.name in needed or node.name == "input")
    names = {c for node in nodes for c in graph.constants(node).values()}
    params = {name: array for name, array in graph.params.items() if name in names}
    return replace(graph, nodes=nodes, params=params)
