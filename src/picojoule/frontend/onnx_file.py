"""What an ONNX file holds: its nodes with plain attributes, and its arrays.

Nothing in a file is trusted: sizes are bounded, arrays are checked against what they claim, and
weights beside the model are read from its own directory only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.container import unopened
from picojoule.errors import Fault, FrontendError

Array = np.ndarray[Any, Any]
FILE_MAX = 1 << 30
AXIS_MAX = 1 << 24
NODES_MAX = 100_000
# types of the attributes that are read, by name: the same for all nodes of ONNX
TYPES = {
    **dict.fromkeys(("allowzero", "axis", "ceil_mode", "count_include_pad", "end", "group",
                     "keepdims", "start", "storage_order", "training_mode", "transA", "transB"),
                    int),
    **dict.fromkeys(("alpha", "beta", "epsilon"), float),
    **dict.fromkeys(("axes", "dilations", "kernel_shape", "pads", "strides"), tuple),
    "auto_pad": str,
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One node: the names of its values, and its attributes as Python values."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """inputs: (name, shape) of each input that is no constant; None for an open axis."""

    items: tuple[Item, ...]
    constants: dict[str, Array]
    inputs: tuple[tuple[str, tuple[int | None, ...]], ...]
    outputs: tuple[str, ...]
    wrong: list[Fault] = field(default_factory=list)


def damaged(path: Path, what: str, fix: str = "export the network again") -> FrontendError:
    return FrontendError(Fault("PJ501", what, where=path.name, fix=fix))


def open_model(path: Path) -> OnnxFile:
    """Raises FrontendError PJ501 where the file is no sound ONNX model, or onnx is missing."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        what = "reading ONNX files needs the package onnx"
        raise damaged(path, what, "pip install 'picojoule[onnx]'") from None
    size = path.stat().st_size
    if size > FILE_MAX:
        raise damaged(path, f"a file of {size} bytes; at most {FILE_MAX} are read")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise unopened(path, "read", error) from None
    except DecodeError:
        raise damaged(path, "its content is not an ONNX model") from None
    graph = model.graph
    if not graph.node or not graph.output:
        raise damaged(path, "its content is not an ONNX model with nodes and outputs")
    if len(graph.node) > NODES_MAX:
        raise damaged(path, f"{len(graph.node)} nodes; at most {NODES_MAX} are read")
    return _read(path, model)


def _read(path: Path, model: Any) -> OnnxFile:
    graph, wrong = model.graph, []
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        try:
            constants[_text(tensor.name)] = _array(path, tensor)
        except ValueError as error:
            wrong.append(Fault("PJ501", f"array {tensor.name!r}: {error}", where=path.name))
    items = tuple(_items(path, graph, wrong))
    inputs = tuple(
        (_text(value.name), tuple(_axis(d) for d in value.type.tensor_type.shape.dim))
        for value in graph.input
        if _text(value.name) not in constants
    )
    return OnnxFile(items, constants, inputs, tuple(_text(v.name) for v in graph.output), wrong)


def _text(value: str | bytes) -> str:
    """A string of a file; protobuf gives bytes where it is not UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _axis(dim: Any) -> int | None:
    return int(dim.dim_value) if dim.dim_value > 0 else None


def _items(path: Path, graph: Any, wrong: list[Fault]) -> Iterator[Item]:
    used: set[str] = set()
    for number, node in enumerate(graph.node):
        kind, domain = _text(node.op_type), _text(node.domain)
        name = _name(_text(node.name) or f"{kind}{number}", used)
        standard = domain in ("", "ai.onnx")
        kind = kind if standard else f"{domain}.{kind}"
        try:
            attributes = {_text(a.name): _attribute(path, a) for a in node.attribute}
            _check_types(attributes if standard else {})
        except ValueError as error:
            wrong.append(Fault("PJ501", f"node {name!r}: {error}", where=path.name))
            attributes = {}
        yield Item(
            name, kind, tuple(map(_text, node.input)), tuple(map(_text, node.output)), attributes
        )


def _check_types(attributes: dict[str, Any]) -> None:
    """Raises ValueError for an attribute of a type that its name never has."""
    for name, value in attributes.items():
        if not isinstance(value, TYPES.get(name, object)):
            raise ValueError(f"attribute {name!r} has another type than in ONNX")


def _name(name: str, used: set[str]) -> str:
    """A name that a Graph can bear: printable, without blanks, its own."""
    plain = "".join(c if c.isprintable() and not c.isspace() else "_" for c in name)
    plain = plain.strip("/")[:150] or "node"
    found, tries = plain, 1
    while found in used:
        tries += 1
        found = f"{plain}_{tries}"
    used.add(found)
    return found


def _attribute(path: Path, attribute: Any) -> Any:
    """An attribute as a Python value; None for kinds that no supported node has."""
    kind = attribute.type
    known = attribute.AttributeType
    if kind == known.TENSOR:
        return _array(path, attribute.t)
    if kind == known.STRING:
        return attribute.s.decode("utf-8", "replace")
    plain = {known.FLOAT: attribute.f, known.INT: attribute.i}
    many = {known.INTS: attribute.ints, known.FLOATS: attribute.floats}
    if kind in many:
        return tuple(many[kind])
    return plain.get(kind)


def _array(path: Path, tensor: Any) -> Array:
    """The array of a tensor.  Raises ValueError where it is not what it claims."""
    import onnx
    from onnx import numpy_helper

    shape = tuple(tensor.dims)
    if any(not 0 <= side <= AXIS_MAX for side in shape) or math.prod(shape) > FILE_MAX:
        raise ValueError(f"an impossible shape {list(shape)}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor.raw_data = _beside(path, {e.key: e.value for e in tensor.external_data})
        tensor.data_location = onnx.TensorProto.DEFAULT
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # onnx raises whatever its own code trips over
        raise ValueError(f"its data do not fit its type and shape {list(shape)}") from error
    if array.dtype.kind in "SUOc":
        raise ValueError("its values are not real numbers")
    whole = array.dtype.kind in "iub"
    kept = whole or array.dtype in (np.float32, np.float64)
    array = array.astype(np.int64 if whole else array.dtype if kept else np.float32)
    if array.shape != shape:
        raise ValueError(f"its data do not fit its shape {list(shape)}")
    return array


def _beside(path: Path, where: dict[str, str]) -> bytes:
    """Bytes of a weight file in the directory of the model; links are not followed."""
    name = where.get("location", "")
    file = path.parent / name
    if not name or name != Path(name).name or file.is_symlink() or not file.is_file():
        raise ValueError(f"its data lie in {name[:60]!r}, which is no file beside the model")
    try:
        offset, length = int(where.get("offset", 0)), int(where.get("length", -1))
    except ValueError:
        raise ValueError("its place in the weight file is not a number") from None
    size = file.stat().st_size
    length = size - offset if length < 0 else length
    if offset < 0 or offset + length > size or length > FILE_MAX:
        raise ValueError(f"bytes {offset}..{offset + length} of a weight file of {size} bytes")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)
