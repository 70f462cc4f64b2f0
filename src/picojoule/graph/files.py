"""Graph files (`*.pjg`): the text of a graph with its arrays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from picojoule import container
from picojoule.errors import Fault, FrontendError, GraphError
from picojoule.fixed.format import Format
from picojoule.graph.faults import verify
from picojoule.graph.graph import Graph
from picojoule.graph.sparse import Sparse, from_arrays
from picojoule.graph.text import parse, text
from picojoule.graph.types import Pinned

KIND = container.Kind("graph", 1, FrontendError, "PJ501", "PJ501", fix="save the network again")


def save(graph: Graph, path: str | Path) -> None:
    """Write a graph, whole or not at all.

    Raises GraphError for a malformed graph, UsageError PJ801 where it cannot write.
    """
    verify(graph)
    arrays: dict[str, container.Array | container.Stream] = {
        f"params/{name}": array for name, array in graph.params.items()
    }
    arrays |= {f"pinned/{name}": pin.values for name, pin in graph.pinned.items()}
    arrays |= {k: v for item in graph.sparse.items() for k, v in _streams(*item).items()}
    container.write(path, KIND, {"graph": text(graph)}, arrays)


def _streams(name: str, weights: Sparse) -> dict[str, container.Array | container.Stream]:
    """Sparse weights as compressed rows, written piece by piece."""
    seen = weights.seen
    small = seen.low >= -(2**15) and seen.high < 2**15
    kinds = {"source": np.int32, "weight": np.int16 if small else np.int64}
    found: dict[str, container.Array | container.Stream] = {
        f"sparse/shape/{name}": np.array(weights.shape, np.int64),
        f"sparse/indptr/{name}": np.concatenate([[0], np.cumsum(_fan_in(weights))]),
    }
    for part, kind in kinds.items():
        found[f"sparse/{part}/{name}"] = container.Stream(
            np.dtype(kind), (seen.synapses,), partial(_parts, weights, part)
        )
    return found


def _fan_in(weights: Sparse) -> container.Array:
    """int64 (neurons,): synapses onto each."""
    return np.concatenate([np.diff(piece.indptr) for piece in weights.chunks()])


def _parts(weights: Sparse, part: str) -> Iterator[container.Array]:
    return (getattr(piece, part) for piece in weights.chunks())


def load(path: str | Path) -> Graph:
    """Read what `save` wrote; arrays are read-only views of the mapped file.

    Raises FrontendError PJ501 for a damaged file, GraphError for a malformed graph.
    """
    about, arrays = container.read(path, KIND)
    listed = about.get("graph")
    if not isinstance(listed, str):
        container.refuse(Path(path), KIND, "it has no text of a graph")
    parts: dict[str, dict[str, container.Array]] = {"params": {}, "pinned": {}, "sparse": {}}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            container.refuse(Path(path), KIND, f"array {name[:60]!r} belongs to nothing")
        parts[part][rest] = array
    try:
        pins = {name: Pinned(values, Format(64)) for name, values in parts["pinned"].items()}
        sparse = container.checked(Path(path), KIND, lambda: dict(_sparse(parts["sparse"])))
        graph = parse(listed, parts["params"], pins, sparse)  # the text knows formats and scales
        verify(graph)
    except GraphError as error:
        raise type(error)([_at(fault, str(path)) for fault in error.faults]) from None
    return graph


def _sparse(arrays: dict[str, container.Array]) -> Iterator[tuple[str, Sparse]]:
    """Name and weights, from the parts that `_streams` wrote.  Raises ValueError."""
    names = [name.removeprefix("shape/") for name in arrays if name.startswith("shape/")]
    for name in names:
        parts = [arrays.get(f"{part}/{name}") for part in ("shape", "indptr", "source", "weight")]
        found = [part for part in parts if part is not None and part.ndim == 1]
        if len(found) < len(parts) or found[0].size != 2 or found[0].min() < 1:
            raise ValueError(f": sparse weights {name[:60]!r} are incomplete")
        shape, *rest = found
        if rest[0].size != shape[0] + 1:
            raise ValueError(f": sparse weights {name[:60]!r} have {rest[0].size} bounds")
        yield name, from_arrays((int(shape[0]), int(shape[1])), *rest)


def _at(fault: Fault, path: str) -> Fault:
    where = f"{path}: {fault.where}" if fault.where else path
    return Fault(fault.code, fault.what, where, fault.fix)
