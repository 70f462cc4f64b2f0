"""Reading lava-dl's `.net` files (HDF5), meant for a process of its own: see `nir_file`.

A file has a group `layer` with groups 0, 1, ...; each has `type`, numbers and arrays, and most
have a group `neuron` with its `type` and numbers.  A group `simulation` may give `tSample`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from picojoule.frontend.hdf5 import (
    ARRAY_BYTES,
    Refusal,
    decoded,
    member_dataset,
    member_group,
    open_file,
    write_out,
)

LAYERS = 256
FIELDS = 64  # members of a layer or neuron


def main(path: str) -> None:
    """Write what a `.net` file holds to standard output: a line of JSON, then the arrays."""
    write_out(*unpack(Path(path)))


def unpack(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Content of a file as plain data, and its arrays, little-endian.

    The data: 'faults' sentences; 'layers' the numbers of the layers, ascending; 'texts' path to
    text; 'arrays' [path, dtype, shape].
    """
    reader = _Reader()
    try:
        damage = open_file(path, reader.file)
    except Refusal as error:
        damage = str(error)
    if damage is not None:
        reader.faults.append(damage)
    found = {
        "faults": reader.faults, "layers": reader.layers, "texts": reader.texts,
        "arrays": [(n, a.dtype.str, a.shape) for n, a in reader.arrays.items()],
    }  # fmt: skip
    return found, list(reader.arrays.values())


class _Reader:
    """Collects the layers, texts, arrays and faults of one file."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.layers: list[int] = []
        self.texts: dict[str, str] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.bytes_left = ARRAY_BYTES

    def file(self, file: Any) -> None:
        layers = member_group(file, "layer")
        names = [str(name) for name in layers]
        if len(names) > LAYERS:
            raise Refusal(f"the file has {len(names)} layers; at most {LAYERS} are read")
        strange = [name for name in names if not (name.isascii() and name.isdigit())]
        if strange:
            raise Refusal(f"a layer is called {strange[0][:40]!r}, not by its number")
        for name in sorted(names, key=int):
            self.layers.append(int(name))
            self._try(lambda n=name: self._members(member_group(layers, n), n, 0))  # type: ignore[misc]
        if "simulation" in file:
            self._try(lambda: self._members(member_group(file, "simulation"), "simulation", 1))

    def _try(self, work: Any) -> None:
        try:
            work()
        except Refusal as error:
            self.faults.append(str(error))

    def _members(self, group: Any, path: str, depth: int) -> None:
        import h5py

        if len(group) > FIELDS:
            raise Refusal(f"'{path}' has {len(group)} members; at most {FIELDS} are read")
        for name in map(str, group):
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.HardLink) and isinstance(group[name], h5py.Group):
                if depth == 0:
                    self._members(group[name], f"{path}/{name}", 1)
                continue
            self._one(group, name, f"{path}/{name}")

    def _one(self, group: Any, name: str, path: str) -> None:
        data = member_dataset(group, name)
        if data.dtype.kind in "OS":
            value = data[()] if data.shape == () else np.ravel(data[()])
            texts = [value] if data.shape == () else list(value)
            if len(texts) == 1:
                self.texts[path] = decoded(texts[0], f"'{path}'")
            return
        if data.dtype.kind not in "biuf":
            raise Refusal(f"'{path}' holds {data.dtype}, not numbers")
        self.bytes_left -= data.size * data.dtype.itemsize
        if self.bytes_left < 0:
            raise Refusal(f"'{path}': the arrays need more than {ARRAY_BYTES} bytes")
        array = np.asarray(data[()])
        bad = np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else ()
        if len(bad):
            raise Refusal(f"'{path}' has {len(bad)} values that are not finite")
        self.arrays[path] = array.astype(array.dtype.newbyteorder("<"), copy=False)
