"""Reading NIR files (HDF5), meant for a process of its own: see `nir_file`.

The layout is that of nir 1.0: `version`, and a group `node` with `type`, one dataset a
parameter, and, in a graph, a group `nodes` and a list `edges` of pairs of names.  It is read
here without the nir package, which gives up at the first node that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.frontend.hdf5 import (
    ARRAY_BYTES,
    DAMAGED,
    TEXT,
    Refusal,
    decoded,
    member_dataset,
    member_group,
    open_file,
    write_out,
)

NODES = 4_096
EDGES = 16_384
DEPTH = 8  # graphs within graphs

# arrays of the node types that can be read; a trailing ? marks what older files leave out
ARRAYS: dict[str, tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": ("shape?",),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "IF": ("r", "v_threshold", "v_reset?"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset?"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset?", "w_in?"),
}
SUPPORTED = (*ARRAYS, "NIRGraph")


def main(path: str) -> None:
    """Write what a NIR file holds to standard output: a line of JSON, then the arrays."""
    write_out(*unpack(Path(path)))


def unpack(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Content of a NIR file as plain data, and its arrays, little-endian.

    The data: 'faults' [code, what, fix]; 'items' [path, type, graph, [[name, dtype, shape]]];
    'edges'; 'graphs'; 'dt_note'.
    """
    reader = _Reader()
    damage = open_file(path, reader.file)
    if damage is not None:
        reader.fault("PJ501", damage)
    return reader.found, reader.arrays


class _Reader:
    """Collects nodes, edges, arrays and faults of one file."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {
            "faults": [], "items": [], "edges": [], "graphs": [], "dt_note": None,
        }  # fmt: skip
        self.arrays: list[np.ndarray] = []
        self.bytes_left = ARRAY_BYTES

    def file(self, file: Any) -> None:
        try:
            root = member_group(file, "node")
            kind = _text(member_dataset(root, "type"))
            if kind != "NIRGraph":
                raise Refusal(f"the root is a {kind}, not a NIRGraph")
            self._graph(root, "", 0)
            self.found["dt_note"] = _dt_note(root)
        except Refusal as error:
            self.fault("PJ501", str(error))

    def fault(self, code: str, what: str) -> None:
        self.found["faults"].append([code, what])

    def _graph(self, group: Any, prefix: str, depth: int) -> None:
        if depth > DEPTH:
            raise Refusal(f"graphs are nested more than {DEPTH} deep at '{prefix[:-1]}'")
        nodes = member_group(group, "nodes")
        self.found["edges"] += [(prefix + a, prefix + b) for a, b in self._edges(group, prefix)]
        for name in nodes:
            if len(self.found["items"]) >= NODES:
                raise Refusal(f"the file has more than {NODES} nodes")
            self._node(nodes, str(name), prefix, depth)

    def _node(self, nodes: Any, name: str, prefix: str, depth: int) -> None:
        path = prefix + name
        try:
            group = member_group(nodes, name)
            kind = _text(member_dataset(group, "type"))
            if kind == "NIRGraph":
                self.found["graphs"].append(path)
                self._graph(group, path + ".", depth + 1)
            elif kind not in ARRAYS:
                self.fault("PJ502", f"node '{path}' is a {kind[:40]}, which is not supported")
            else:
                arrays = dict(self._arrays(group, kind))
                listed = [(n, a.dtype.str, a.shape) for n, a in arrays.items()]
                self.found["items"].append((path, kind, prefix[:-1], listed))
                self.arrays += arrays.values()
        except Refusal as error:
            self.fault("PJ501", f"node '{path[:TEXT]}': {error}")

    def _arrays(self, group: Any, kind: str) -> Iterator[tuple[str, np.ndarray]]:
        for field in ARRAYS[kind]:
            name = field.removesuffix("?")
            if name in group:
                yield name, self._array(member_dataset(group, name), name)
            elif name == field:
                raise Refusal(f"a {kind} needs {name!r}, which is missing")

    def _array(self, data: Any, name: str) -> np.ndarray:
        if data.dtype.kind not in "biuf":
            raise Refusal(f"{name!r} holds {data.dtype}, not numbers")
        self.bytes_left -= data.size * data.dtype.itemsize
        if self.bytes_left < 0:
            raise Refusal(f"{name!r}: the arrays of the file need more than {ARRAY_BYTES} bytes")
        array = np.asarray(data[()])
        bad = np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else ()
        if len(bad):
            at = list(map(int, bad[0]))
            raise Refusal(f"{name!r} has {len(bad)} values that are not finite, first at {at}")
        return array.astype(array.dtype.newbyteorder("<"), copy=False)

    def _edges(self, group: Any, prefix: str) -> list[tuple[str, str]]:
        data = member_dataset(group, "edges")
        if data.size == 0:
            return []
        if data.ndim != 2 or data.shape[1] != 2 or data.shape[0] > EDGES:
            raise Refusal(f"edges of '{prefix[:-1]}' have shape {list(data.shape)}, not (n, 2)")
        return [(decoded(a, "a name"), decoded(b, "a name")) for a, b in data[()]]


def _text(data: Any) -> str:
    if data.shape != ():
        raise Refusal(f"a text has shape {list(data.shape)}")
    return decoded(data[()], "a name or type")


def _dt_note(root: Any) -> float | None:
    """What the writer noted in the metadata, if it is a number."""
    try:
        return float(member_dataset(member_group(root, "metadata"), "dt")[()])
    except (Refusal, *DAMAGED):
        return None
