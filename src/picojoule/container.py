"""Files of arrays with one entry of JSON: safetensors, checked before anything is believed.

A file is 8 bytes of header length, a JSON header, and the arrays, each aligned to its element
size.  The header's metadata entry `picojoule` holds `kind`, `version` and whatever the writer
adds.  A file may come from anyone: every number in it is checked before it is used, nothing in
it is executed, and its arrays are read-only views of the mapped file.
"""

from __future__ import annotations

import difflib
import errno
import json
import math
import os
import secrets
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np

from picojoule.errors import Fault, PicojouleError, ProgramError, UsageError

HEADER_MAX = 64 * 2**20  # bytes
LARGEST = 4 * 2**30  # bytes of all arrays of an npz archive, unpacked
ALIGNMENT = 64  # bytes; arrays start where vector loads like them
DTYPES = {
    "I8": "<i1", "U8": "<u1", "I16": "<i2", "U16": "<u2", "BOOL": "|b1",
    "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
# everything that numpy and zipfile raise on damaged archives, but for OSError
DAMAGED = (ValueError, TypeError, KeyError, EOFError, MemoryError, OverflowError, RuntimeError,
           AttributeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error,
           tokenize.TokenError)  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

T = TypeVar("T")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Kind:
    """What a file holds: its name in the metadata, its version, and who complains.

    error    class of the error for damaged files; `damaged` and `other` are its codes for a
             damaged file and for one of another version
    """

    name: str
    version: int
    error: type[PicojouleError] = ProgramError
    damaged: str = "PJ601"
    other: str = "PJ602"
    fix: str = ""


@dataclass(frozen=True)
class Stream:
    """An array that is written in parts, along its first axis, and never held as a whole."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Callable[[], Iterator[Array]]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class _Entry:
    """Where one array lies in a file: bytes start..stop after the header."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


# ------------------------------------------------------------------------------------- writing


def write(
    path: str | Path, kind: Kind, about: Mapping[str, Any], arrays: Mapping[str, Array | Stream]
) -> None:
    """Write one file.  A reader sees the old file or the new one, never a part.

    about  JSON data; arrays by name, one after the other.
    Raises UsageError PJ801 where it cannot write.
    """
    packed = _packed(arrays)
    header = _header({"kind": kind.name, "version": kind.version, **about}, packed)
    path = regular(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            _write(file, header, packed)
        part.replace(path)
    except OSError as error:
        raise unopened(path, "written", error) from None
    finally:
        part.unlink(missing_ok=True)


def _packed(arrays: Mapping[str, Array | Stream]) -> dict[str, Stream]:
    """All arrays little-endian, the widest elements first so that none needs a gap."""
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    return {n: _stream(arrays[n]) for n in order}


def _stream(array: Array | Stream) -> Stream:
    small = array.dtype.newbyteorder("<")
    if isinstance(array, Stream):
        return Stream(small, array.shape, array.parts)
    return Stream(small, array.shape, lambda: iter((array,)))


def _header(about: Mapping[str, Any], arrays: Mapping[str, Stream]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"picojoule": _compact(about)}}
    start = 0
    for name, array in arrays.items():
        stop = start + array.nbytes
        dtype = NAMES[array.dtype]
        entries[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, stop]}
        start = stop
    text = _compact(entries).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    if len(text) > HEADER_MAX:
        what = f"the header would take {len(text)} bytes; a file holds {HEADER_MAX}"
        raise UsageError(Fault("PJ801", what))
    return len(text).to_bytes(8, "little") + text


def _compact(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def _write(file: BinaryIO, header: bytes, arrays: Mapping[str, Stream]) -> None:
    file.write(header)
    for array in arrays.values():
        start = file.tell()
        for part in array.parts():
            file.write(np.ascontiguousarray(part, array.dtype).data)
        assert file.tell() - start == array.nbytes, "a stream gave other elements than it said"
    file.flush()
    os.fsync(file.fileno())


# ------------------------------------------------------------------------------------ reading


def read(path: str | Path, kind: Kind) -> tuple[dict[str, Any], dict[str, Array]]:
    """(about, arrays) of a file of one kind; arrays are read-only views of the mapped file.

    Raises `kind.error` with its two codes; UsageError PJ801 where it cannot read.
    """
    path = regular(path)
    data, length = _mapped(path, kind)
    header = checked(path, kind, lambda: _parse_json(bytes(data[8 : 8 + length])))
    about = checked(path, kind, lambda: _about(header, kind))
    _same_version(path, about, kind)
    entries = checked(path, kind, lambda: list(_entries(header, len(data) - 8 - length)))
    return about, checked(path, kind, lambda: _views(data[8 + length :], entries))


def _mapped(path: Path, kind: Kind) -> tuple[Array, int]:
    """All bytes of the file, mapped, and the length of its header.

    The file is opened once: opened twice, it could be replaced in between.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = np.memmap(file, np.uint8, mode="r") if size else np.zeros(0, np.uint8)
    except OSError as error:
        raise unopened(path, "read", error) from None
    if size < 8:
        refuse(path, kind, f"{size} bytes are too few for a {kind.name}")
    length = int.from_bytes(bytes(data[:8]), "little")
    if length > HEADER_MAX or length < 2:
        refuse(path, kind, f"it does not begin like a {kind.name}: header of {length} bytes")
    if 8 + length > size:
        refuse(path, kind, f"header of {length} bytes, but the file has {size}")
    return data, length


def _parse_json(text: bytes | str) -> Any:
    """JSON without doubled keys, NaN or Infinity.  Raises ValueError."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(" is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f" is not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"there is no number {name}")


def _about(header: Any, kind: Kind) -> dict[str, Any]:
    """The metadata entry of ours."""
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get("picojoule") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError(f" has no metadata entry 'picojoule': it is not a {kind.name}")
    about = _parse_json(text)
    if not isinstance(about, dict):
        raise ValueError("'s metadata entry 'picojoule' is not an object")
    if about.get("kind") != kind.name:
        raise ValueError(_other_kind(str(about.get("kind"))[:30], kind.name))
    return about


def _other_kind(found: str, wanted: str) -> str:
    use = {
        "graph": "; compile it first: picojoule compile NETWORK.pjg --target NAME",
        "program": "; run it: picojoule run PROGRAM.pjp SAMPLES.npz",
        "run": "; price it: picojoule cost RUN.pjr",
    }
    return f" is a {found!r}, not a {wanted!r}{use.get(found, '')}"


def _same_version(path: Path, about: dict[str, Any], kind: Kind) -> None:
    version = about.get("version")
    if type(version) is not int:
        refuse(path, kind, "it names no format version")
    if version != kind.version:
        number = version if abs(version) < 2**31 else "with an absurd number"
        what = f"format version {number}; this Picojoule reads version {kind.version}"
        raise kind.error(Fault(kind.other, what, where=str(path), fix=kind.fix))


def _entries(header: dict[str, Any], room: int) -> Iterator[_Entry]:
    """The arrays of a header, checked: they tile `room` bytes without gap or overlap."""
    named = [item for item in header.items() if item[0] != "__metadata__"]
    entries = sorted((_entry(*item) for item in named), key=lambda e: (e.start, e.stop))
    end = 0
    for entry in entries:
        if entry.start != end:
            relation = "overlap" if entry.start < end else "leave a gap"
            raise ValueError(f": arrays {relation} at byte {min(entry.start, end)}")
        end = entry.stop
        yield entry
    if end != room:
        raise ValueError(f": arrays take {end} bytes, but the file has {room} for them")


def _entry(name: str, data: Any) -> _Entry:
    if not isinstance(data, dict) or data.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f": array {name[:60]!r} needs dtype, shape and data_offsets")
    dtype = DTYPES.get(data["dtype"]) if isinstance(data["dtype"], str) else None
    if dtype is None:
        raise ValueError(f": array {name[:60]!r} has an unknown dtype")
    shape, offsets = _naturals(name, data["shape"]), _naturals(name, data["data_offsets"])
    if len(offsets) != 2 or len(shape) > 8:
        raise ValueError(f": array {name[:60]!r} has too many axes or offsets")
    entry = _Entry(name, np.dtype(dtype), shape, *offsets)
    if entry.stop - entry.start != math.prod(shape) * entry.dtype.itemsize:
        raise ValueError(f": array {name[:60]!r} of shape {list(shape)} has the wrong size")
    if entry.start % entry.dtype.itemsize:
        raise ValueError(f": array {name[:60]!r} is not aligned")
    return entry


def _naturals(name: str, data: Any) -> tuple[int, ...]:
    good = isinstance(data, list) and all(type(x) is int and 0 <= x < 2**62 for x in data)
    if not good:
        raise ValueError(f": array {name[:60]!r} has an impossible shape or offset")
    return tuple(data)


def _views(data: Array, entries: list[_Entry]) -> dict[str, Array]:
    """Name -> read-only view."""
    if data.ctypes.data % 8:
        raise ValueError(": the arrays are not aligned")
    found = {}
    for entry in entries:
        view = data[entry.start : entry.stop].view(np.ndarray)
        if entry.dtype.kind == "b" and view.size and view.max() > 1:
            raise ValueError(f": array {entry.name[:60]!r} holds bytes that are no bools")
        found[entry.name] = view.view(entry.dtype).reshape(entry.shape)
    return found


# --------------------------------------------------------------------------------- complaining


def regular(path: str | Path) -> Path:
    """A path that names a file or nothing yet: reading a pipe could wait for ever."""
    path = Path(path)
    if not path.name or "\0" in str(path):
        raise UsageError(Fault("PJ801", f"{str(path)!r} is not the path of a file"))
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return path  # whoever opens it learns why
    if kind != stat.S_IFREG:
        what = "it is a directory" if kind == stat.S_IFDIR else "it is not a regular file"
        raise UsageError(Fault("PJ801", what, where=str(path), fix="the path of a file"))
    return path


def existing(path: str | Path) -> Path:
    """A path that names a file.  Raises UsageError PJ801 where there is none."""
    path = regular(path)
    try:
        path.stat()
    except OSError as error:
        raise unopened(path, "read", error) from None
    return path


def checked(path: Path, kind: Kind, work: Callable[[], T]) -> T:
    """What `work` returns; its ValueError as a fault of the file."""
    try:
        return work()
    except ValueError as error:
        refuse(path, kind, f"its content{error}")


def refuse(path: Path, kind: Kind, what: str) -> NoReturn:
    """Raise the error of a damaged file."""
    raise kind.error(Fault(kind.damaged, what, where=str(path), fix=kind.fix))


def unopened(path: Path, done: str, error: OSError) -> UsageError:
    """The error for a file that the system refuses."""
    what = f"cannot be {done}: {error.strerror or error}"
    return UsageError(Fault("PJ801", what, where=str(path), fix=_way_out(path, done, error)))


def _way_out(path: Path, done: str, error: OSError) -> str:
    if not path.parent.exists():
        return f"make the folder '{path.parent}' first, or give another path"
    if error.errno == errno.ENOENT and done == "read":
        near = difflib.get_close_matches(path.name, _neighbours(path), n=1, cutoff=0.6)
        return f"'{path.with_name(near[0])}'" if near else "the path of a file that exists"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, or write to another disk; what was there before is unchanged"
    return f"a path that may be {done}"


def _neighbours(path: Path) -> list[str]:
    try:
        return sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return []


def npz_entries(path: Path) -> list[zipfile.ZipInfo]:
    """What an npz archive holds.  Raises ValueError where its arrays would fill the memory."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > LARGEST:
        raise ValueError(f"its arrays would take {size} bytes, more than {LARGEST}")
    return entries


def sentence(error: BaseException) -> str:
    """The message of numpy or zipfile, without the advice that fits only them."""
    text = " ".join(str(error).split()).strip("'\"") or type(error).__name__
    if "allow_pickle" in text or "Object arrays" in text:
        return "it holds pickled objects, which are never loaded"
    return text[:200]
