"""A golden vector as it lies on disk: parameters from its sidecar, arrays from its `.npz`.

Readers ask for one parameter or array at a time, with its shape; whatever is missing, misshapen
or not a number becomes an error that names the vector and the array.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.container import DAMAGED, npz_entries, sentence
from picojoule.errors import Fault, UsageError

Array = np.ndarray[Any, Any]
SIDECAR_BYTES = 64 * 2**20
STEPS_MAX = 10_000_000
Where = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Vector:
    """One recording.

    head    its sidecar NAME.json; empty where there is none
    arrays  what could be read; `broken` says of the others why not
    """

    name: str
    path: Path
    head: Mapping[str, Any]
    arrays: Mapping[str, Array]
    broken: Mapping[str, str] = field(default_factory=dict)

    def fail(self, what: str, code: str = "PJ802", fix: str = "") -> UsageError:
        """The error for something wrong with this vector."""
        return UsageError(Fault(code, f"vector {self.name!r}: {what}", str(self.path), fix))

    def array(self, key: str, *shape: int | None, optional: bool = False) -> Array:
        """Integers int64, or bools, of a given shape (None: any length of that axis).

        An optional array that is absent comes back empty.
        """
        if key in self.broken:
            raise self.fail(f"array {key!r} {self.broken[key]}")
        if key not in self.arrays:
            if optional:
                return np.zeros(0, np.int64)
            near = ", ".join(sorted(self.arrays)[:12]) or "none"
            raise self.fail(f"array {key!r} is missing; there are: {near}")
        made = self._whole(key, self.arrays[key])
        fits = len(shape) == made.ndim and all(
            n is None or n == m for n, m in zip(shape, made.shape)
        )
        if shape and not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise self.fail(f"array {key!r} has shape {list(made.shape)}, not [{wanted}]")
        return made

    def _whole(self, key: str, array: Array) -> Array:
        if array.dtype.kind == "b":
            return array
        if array.dtype.kind == "f":
            bad = ~np.isfinite(array)
            if bad.any():
                first = [int(i) for i in np.argwhere(bad)[0]]
                count = int(np.count_nonzero(bad))
                raise self.fail(
                    f"array {key!r} has {count} values that are not finite, first at {first}",
                    "PJ807",
                )
            if (np.abs(array) > 2**53).any() or (array != np.rint(array)).any():
                raise self.fail(f"array {key!r} holds reals that are not whole numbers")
        elif array.dtype.kind not in "iu":
            raise self.fail(f"array {key!r} holds {array.dtype}, not integers")
        elif array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
            raise self.fail(f"array {key!r} holds numbers beyond 63 bits")
        return array.astype(np.int64)

    def bits(self, key: str, steps: int, count: int) -> Array:
        """A raster of packed bits as bool (steps, count)."""
        packed = self.array(key, steps, -(-count // 8))
        if packed.size and not 0 <= packed.min() <= packed.max() <= 255:
            raise self.fail(f"array {key!r} holds numbers that are no bytes of packed bits")
        return np.unpackbits(packed.astype(np.uint8), axis=1, count=count).astype(bool)

    # ------------------------------------------------------------------------------- sidecar

    def get(self, *where: str | int, default: Any = None) -> Any:
        """A value of the sidecar by its path, or `default`."""
        here: Any = self.head
        for step in where:
            inside = isinstance(here, dict) if isinstance(step, str) else isinstance(here, list)
            if not inside or (step not in here if isinstance(step, str) else step >= len(here)):
                return default
            here = here[step]
        return here

    def integer(
        self, *where: str | int, low: int = -(2**53), high: int = 2**53, default: int | None = None
    ) -> int:
        """A whole number of the sidecar, within low..high."""
        value = self.get(*where, default=default)
        path = ".".join(map(str, where))
        if value is None:
            raise self.fail(f"the sidecar says no {path!r}")
        whole = value.is_integer() if isinstance(value, float) else type(value) is int
        if not whole:
            raise self.fail(f"{path} must be a whole number, got {str(value)[:60]!r}")
        if not low <= value <= high:
            raise self.fail(f"{path} must lie in {low}..{high}, got {value}")
        return int(value)

    def real(self, *where: str | int, default: float | None = None) -> float:
        """A finite real of the sidecar."""
        value = self.get(*where, default=default)
        path = ".".join(map(str, where))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(f"{path} must be a number, got {str(value)[:60]!r}")
        if not np.isfinite(value):
            raise self.fail(f"{path} is not finite", "PJ807")
        return float(value)

    def listed(self, *where: str | int) -> list[Any]:
        """A list of objects of the sidecar."""
        value = self.get(*where)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f"the sidecar's {'.'.join(map(str, where))!r} is not a list of objects")
        return value

    def flag(self, *where: str | int) -> bool:
        """A truth of the sidecar; absent means false."""
        value = self.get(*where, default=False)
        if value not in (0, 1):
            raise self.fail(f"{'.'.join(map(str, where))} must be true or false")
        return bool(value)

    def steps(self, *where: str | int) -> int:
        """How many steps were recorded."""
        return self.integer(*(where or ("T",)), low=1, high=STEPS_MAX)


def read_vector(path: Path, name: str) -> Vector:
    """Read NAME.npz, with NAME.json where there is one.

    Raises UsageError PJ801 where the archive or the sidecar as a whole cannot be read.
    """
    beside = path.with_suffix(".json")
    head = read_sidecar(beside) if beside.is_file() else {}
    try:
        arrays, broken = _read_arrays(path)
    except (OSError, *DAMAGED) as error:
        what = f"vector {name!r}: its arrays cannot be read: {sentence(error)}"
        raise UsageError(Fault("PJ801", what, str(path))) from None
    return Vector(name, path, head, arrays, broken)


def read_sidecar(path: Path) -> dict[str, Any]:
    """The JSON object beside the arrays."""
    try:
        size = path.stat().st_size
        if size > SIDECAR_BYTES:
            raise ValueError(f"it has {size} bytes, more than {SIDECAR_BYTES}")
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UsageError(Fault("PJ801", "the sidecar is nested too deeply", str(path))) from None
    except (OSError, ValueError) as error:
        what = f"the sidecar cannot be read as JSON: {' '.join(str(error).split())[:200]}"
        raise UsageError(Fault("PJ801", what, str(path))) from None
    if not isinstance(found, dict):
        raise UsageError(Fault("PJ801", "the sidecar is not a JSON object", str(path)))
    return found


def _read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    arrays: dict[str, Array] = {}
    broken: dict[str, str] = {}
    entries = npz_entries(path)
    with zipfile.ZipFile(path) as archive:
        for entry in entries:
            key = entry.filename.removesuffix(".npy")
            try:
                with archive.open(entry) as file:
                    arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
            except (OSError, *DAMAGED) as error:
                broken[key] = f"cannot be read: {sentence(error)}"
    return arrays, broken
