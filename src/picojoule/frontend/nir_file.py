"""NIR files as nodes, arrays and edges.

Files may be hostile, and the HDF5 library (2.0, by way of h5py) is not made for that: of
files with a few random bytes changed, about one in 700 makes it crash or loop for ever.  So
a process of its own reads the file (`nir_unpack`) and passes on plain data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import Fault, FrontendError
from picojoule.frontend.nir_unpack import SUPPORTED

FILE_BYTES = 1 << 30
READ_SECONDS = 60.0
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from picojoule.frontend.{} import main; main(sys.argv[2])"
)


@dataclass(frozen=True, eq=False)
class Item:
    """One node of a file: its dotted path, its NIR type, its arrays."""

    name: str
    kind: str
    arrays: dict[str, np.ndarray]
    graph: str = ""  # path of the graph within the graph that it belongs to


@dataclass(frozen=True, eq=False)
class NirFile:
    """All nodes of a file, graphs within graphs unrolled, and its edges by dotted path.

    graphs   dotted paths of the graphs within the graph; edges may name them
    dt_note  the time step that the writer noted, seconds; says nothing about the meaning
    """

    items: tuple[Item, ...]
    edges: tuple[tuple[str, str], ...]
    graphs: tuple[str, ...]
    dt_note: float | None = None


def read_items(path: Path) -> NirFile:
    """Read a NIR file.

    Raises FrontendError: PJ501 where it is damaged or too large, PJ502 with every node of a
    type that cannot be read.
    """
    check_size(path)
    head, _, rest = child_output(path, "nir_unpack").partition(b"\n")
    found = json.loads(head)
    if found["faults"]:
        raise FrontendError(_with_help([Fault(code, what) for code, what in found["faults"]]))
    edges = tuple(dict.fromkeys((a, b) for a, b in found["edges"]))
    items = tuple(_items(found["items"], rest))
    return NirFile(items, edges, tuple(found["graphs"]), found["dt_note"])


def check_size(path: Path) -> None:
    """Raise FrontendError PJ501 for what is no file, or too large a file."""
    try:
        size = path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError) as error:
        raise _damaged(f"cannot be opened: {error}") from None
    if size < 0:
        raise _damaged("no such file")
    if size > FILE_BYTES:
        raise _damaged(f"the file has {size} bytes; at most {FILE_BYTES} are read")


def _damaged(what: str) -> FrontendError:
    return FrontendError(Fault("PJ501", what))


def child_output(path: Path, module: str) -> bytes:
    """What `main` of a module of `frontend` writes about a file, in a process of its own.

    Raises FrontendError PJ501 where that process fails, crashes or does not come to an end.
    """
    command = [sys.executable, "-c", CHILD.format(module), json.dumps(sys.path), os.fspath(path)]
    try:
        child = subprocess.run(command, capture_output=True, timeout=READ_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _damaged(
            "not a readable HDF5 file: the HDF5 library did not come to an end in "
            f"{READ_SECONDS:g} s"
        ) from None
    except OSError as error:
        raise _damaged(f"no process to read it could be started: {error}") from None
    if child.returncode < 0:
        raise _damaged(
            "not a readable HDF5 file: the HDF5 library crashed on it, by signal "
            f"{-child.returncode}"
        )
    if child.returncode:
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _damaged(f"the process that reads it failed: {last[:200]}")
    return child.stdout


def _items(listed: list[Any], data: bytes) -> Iterator[Item]:
    at = 0
    for name, kind, graph, fields in listed:
        arrays = {}
        for field, dtype, shape in fields:
            count = int(np.prod(shape, dtype=np.int64))
            # a copy: aligned, and not read-only
            arrays[field] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
            at += arrays[field].nbytes
        yield Item(name, kind, arrays, graph)


def _with_help(faults: list[Fault]) -> list[Fault]:
    """The same faults with a way out; of unsupported nodes the last says what is supported."""
    last = max((k for k, f in enumerate(faults) if f.code == "PJ502"), default=-1)
    fix = f"supported: {', '.join(SUPPORTED)}"
    again = "write the file again with nir.write"
    fixes = [fix if k == last else again * (f.code == "PJ501") for k, f in enumerate(faults)]
    return [Fault(f.code, f.what, fix=mend) for f, mend in zip(faults, fixes)]
