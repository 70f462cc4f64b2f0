"""Networks as text that people read and `parse` reads back.

Structure, derivations and formats are spelled out; arrays stand as digests.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

import numpy as np

from picojoule.errors import Fault, GraphError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format, Scale, parse_format
from picojoule.graph.faults import infer
from picojoule.graph.graph import Graph
from picojoule.graph.ops import OPS
from picojoule.graph.sparse import Sparse
from picojoule.graph.types import Derivation, Node, Op, Pinned
from picojoule.words import Line, lines, name, real, shape, shape_word, whole, word, wrapped

FORMAT_VERSION = 1
INPUTS = "<-"
FAULTS_MAX = 20
# fields that are tables, as `field.key=value`, by their type
TABLES: dict[str, Callable[[str], Any]] = {"Pairs": name, "Numbers": whole}


def text(graph: Graph) -> str:
    """The text of a network; `parse(text(g), g.params, g.pinned, g.sparse) == g`."""
    made = [*_head(graph), "", *_nodes(graph)]
    for part in (_params(graph), _pinned(graph), _sparse(graph), _derived(graph)):
        found = list(part)
        made += ["", *found] if found else []
    return "\n".join(made) + "\n"


def array_digest(array: np.ndarray) -> str:
    """The first 16 hexadecimal digits of sha256 over dtype, shape and elements."""
    packed = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    head = f"{packed.dtype.str}{packed.shape}".encode()
    return hashlib.sha256(head + packed.tobytes()).hexdigest()[:16]


# ------------------------------------------------------------------------------------- printing


def _head(graph: Graph) -> Iterator[str]:
    yield f"graph {word(graph.name)}   format {FORMAT_VERSION}"
    if graph.machine:
        yield f"machine {word(graph.machine)}"
    yield f"steps {graph.steps}   latency {graph.latency}"
    yield f"in   {' '.join(_assignments(graph.encoder, _unusual))}"
    yield f"out  {word(graph.output)}   {' '.join(_assignments(graph.readout, _present))}"


def _nodes(graph: Graph) -> Iterator[str]:
    types, _ = infer(graph)
    for node in graph.nodes:
        head = f"node {word(node.name)} = {type(node.op).__name__}"
        if node.inputs:
            head += f" {INPUTS} {' '.join(word(i) for i in node.inputs)}"
        comment = f"   # {types[node.name]}" if node.name in types else ""
        yield from wrapped(head, _assignments(node.op, _present), comment)


def _assignments(item: Any, shown: Callable[[Any, Field[Any]], bool]) -> Iterator[str]:
    """field=value of a dataclass, for the fields that are shown."""
    for each in fields(item):
        value = getattr(item, each.name)
        if each.type in TABLES:
            yield from (f"{each.name}.{word(key)}={_entry(entry)}" for key, entry in value)
        elif shown(value, each):
            yield f"{each.name}={_spelled(value, each)}"


def _entry(entry: str | int) -> str:
    return word(entry) if isinstance(entry, str) else str(entry)


def _unusual(value: Any, each: Field[Any]) -> bool:
    return bool(value != each.default)


def _present(value: Any, each: Field[Any]) -> bool:
    return value is not None


def _spelled(value: Any, each: Field[Any]) -> str:
    if isinstance(value, str):
        return word(value)
    if isinstance(value, tuple):
        return shape_word(value)
    if isinstance(value, bool | Format):
        return str(value)
    return repr(float(value)) if each.type == "float" else str(value)


def _array(array: np.ndarray) -> str:
    return f"{array.dtype.name} {shape_word(array.shape)}  sha {array_digest(array)}"


def _params(graph: Graph) -> Iterator[str]:
    for called, array in graph.params.items():
        yield f"param {word(called)}  {_array(array)}"


def _pinned(graph: Graph) -> Iterator[str]:
    for called, pin in graph.pinned.items():
        scale = [] if pin.scale is None else _scale(pin.scale)
        yield from wrapped(f"pinned {word(called)}  {pin.format}  {_array(pin.values)}", scale)


def _sparse(graph: Graph) -> Iterator[str]:
    for called, weights in graph.sparse.items():
        yield f"sparse {word(called)}  {_synapses(weights)}"


def _synapses(weights: Sparse) -> str:
    seen = weights.seen
    return f"{shape_word(weights.shape)}  synapses {seen.synapses}  sha {seen.digest}"


def _scale(scale: Scale) -> Iterator[str]:
    if scale.zero:
        yield f"zero {scale.zero}"
    if scale.axis is not None:
        yield f"axis {scale.axis}"
    yield "step"
    yield from (repr(float(step)) for step in scale.step)


def _derived(graph: Graph) -> Iterator[str]:
    for called, made in graph.derived.items():
        head = f"derived {word(called)} = {word(made.function)} {INPUTS}"
        inputs = " ".join(word(i) for i in made.inputs)
        options = [f"{word(key)}={_number(value)}" for key, value in made.options]
        yield from wrapped(f"{head} {inputs}".rstrip(), options)


def _number(value: float) -> str:
    return str(int(value)) if hasattr(value, "__index__") else repr(float(value))


# -------------------------------------------------------------------------------------- parsing


@dataclass
class _Draft:
    """What has been read of a graph so far."""

    params: Mapping[str, np.ndarray]
    pins: Mapping[str, Pinned]
    sparse: Mapping[str, Sparse]
    fields: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    found: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"params": {}, "pinned": {}, "derived": {}, "sparse": {}}
    )


def parse(
    source: str,
    params: Mapping[str, np.ndarray],
    pinned: Mapping[str, Pinned] | None = None,
    sparse: Mapping[str, Sparse] | None = None,
) -> Graph:
    """The network that a text describes, around its arrays.

    params  arrays by name; pinned: pins by name, of which only the values are used; sparse:
            weights that are read in pieces, by name
    Raises GraphError PJ408 with all lines that cannot be read, or whose arrays differ.
    """
    draft = _Draft(params, pinned or {}, sparse or {})
    found = [fault for line in lines(source) for fault in _line(draft, line)]
    needed = {"graph": "name", "steps": "steps", "in": "encoder", "out": "output"}
    if not found:
        lacking = [k for k, key in needed.items() if key not in draft.fields]
        found = [Fault("PJ408", f"there is no line '{k}'") for k in lacking]
    if found:
        raise GraphError(found[:FAULTS_MAX])
    made: dict[str, Any] = {**draft.fields, **draft.found}
    return Graph(nodes=tuple(draft.nodes), **made)


def _line(draft: _Draft, line: Line) -> list[Fault]:
    keyword = line.take("a keyword")
    try:
        if keyword not in KEYWORDS:
            raise ValueError(f"unknown keyword '{keyword[:40]}'")
        KEYWORDS[keyword](draft, line)
        line.end()
    except ValueError as error:
        return [Fault("PJ408", str(error), where=f"line {line.number}")]
    return []


def _graph(draft: _Draft, line: Line) -> None:
    _set(draft, name=name(line.take("a name")))
    line.expect("format")
    version = whole(line.take("a format version"))
    if version != FORMAT_VERSION:
        raise ValueError(f"format {version}; this Picojoule reads format {FORMAT_VERSION}")


def _machine(draft: _Draft, line: Line) -> None:
    _set(draft, machine=name(line.take("a name")))


def _steps(draft: _Draft, line: Line) -> None:
    steps = whole(line.take("a number of steps"))
    line.expect("latency")
    _set(draft, steps=steps, latency=whole(line.take("a number of steps")))


def _in(draft: _Draft, line: Line) -> None:
    _set(draft, encoder=_made(Encoder, line))


def _out(draft: _Draft, line: Line) -> None:
    _set(draft, output=name(line.take("a node")), readout=_made(Readout, line))


def _set(draft: _Draft, **given: Any) -> None:
    if draft.fields.keys() & given.keys():
        raise ValueError("a second line of this kind")
    draft.fields.update(given)


def _node(draft: _Draft, line: Line) -> None:
    called = name(line.take("a name"))
    line.expect("=")
    kind = line.take("an op")
    if kind not in OPS:
        near = difflib.get_close_matches(kind[:40], OPS, 4, 0.0)
        raise ValueError(f"no op '{kind[:40]}'; the nearest known: {', '.join(near)}")
    inputs = _names(line) if line.skip(INPUTS) else ()
    op: Op = _made(OPS[kind], line)
    draft.nodes.append(Node(called, op, inputs))


def _names(line: Line) -> tuple[str, ...]:
    """Words up to the first assignment."""
    found = []
    while line.words and not _is_assignment(line.words[0]):
        found.append(name(line.words.pop(0)))
    return tuple(found)


def _is_assignment(text: str) -> bool:
    return not text.startswith('"') and "=" in text


def _made(kind: Any, line: Line) -> Any:
    """A dataclass from the rest of the line: field=value words."""
    known = {each.name: each for each in fields(kind)}
    given: dict[str, Any] = {}
    for key, value in _pairs(line):
        table, dot, entry = key.partition(".")
        if dot and table in known and known[table].type in TABLES:
            read = TABLES[str(known[table].type)](value)
            given[table] = (*given.get(table, ()), (name(entry), read))
            continue
        if key not in known or key in given:
            raise ValueError(f"{kind.__name__} takes no {'second ' * (key in given)}'{key[:40]}'")
        given[key] = _read(known[key], value)
    lacking = [k for k, each in known.items() if each.default is MISSING and k not in given]
    if lacking:
        raise ValueError(f"{kind.__name__} needs {', '.join(lacking)}")
    return kind(**given)


def _pairs(line: Line) -> list[tuple[str, str]]:
    found = [each.partition("=") for each in line.words]
    line.words.clear()
    lone = [key for key, equals, _ in found if not equals]
    if lone:
        raise ValueError(f"'{lone[0][:40]}' is not field=value")
    return [(key, value) for key, _, value in found]


READERS: dict[str, Callable[[str], Any]] = {
    "int": whole, "float": real, "str": name, "str | None": name, "Kind": name,
    "int | None": whole,
    "Format": parse_format, "tuple[int, ...]": shape,
}  # fmt: skip


def _read(each: Field[Any], value: str) -> Any:
    kind = str(each.type)
    if kind == "bool":
        if value not in ("True", "False"):
            raise ValueError(f"{each.name} is True or False, not '{value[:40]}'")
        return value == "True"
    return READERS.get(kind, name)(value)


def _param(draft: _Draft, line: Line) -> None:
    called = name(line.take("a name"))
    _keep(draft, "params", called, _same_array(line, called, draft.params.get(called)))


def _pin(draft: _Draft, line: Line) -> None:
    called = name(line.take("a name"))
    form = parse_format(line.take("a format"))
    given = draft.pins.get(called)
    values = _same_array(line, called, None if given is None else given.values)
    scale = _read_scale(line) if line.words else None
    _keep(draft, "pinned", called, Pinned(values, form, scale))


def _sparse_weights(draft: _Draft, line: Line) -> None:
    called = name(line.take("a name"))
    if called not in draft.sparse:
        raise ValueError(f"no sparse weights given for {called!r}")
    told = " ".join(line.words)
    line.words.clear()
    weights = draft.sparse[called]
    if told != " ".join(_synapses(weights).split()):
        raise ValueError(f"sparse {called!r} is {_synapses(weights)}, not {told[:80]}")
    _keep(draft, "sparse", called, weights)


def _same_array(line: Line, called: str, array: np.ndarray | None) -> np.ndarray:
    """The array given under a name, if it is the one that the line describes."""
    told = line.take("a dtype"), line.take("a shape")
    line.expect("sha")
    digest = line.take("a digest")
    if array is None:
        raise ValueError(f"no array given for {called!r}")
    if told != (array.dtype.name, shape_word(array.shape)):
        raise ValueError(f"array {called!r} is {array.dtype.name} {shape_word(array.shape)}")
    if array_digest(array) != digest:
        raise ValueError(f"array {called!r} has digest {array_digest(array)}, not {digest[:40]}")
    return array


def _read_scale(line: Line) -> Scale:
    zero = whole(line.take("a zero")) if line.skip("zero") else 0
    axis = whole(line.take("an axis")) if line.skip("axis") else None
    line.expect("step")
    steps = tuple(real(w) for w in line.words)
    line.words.clear()
    if not steps:
        raise ValueError("a step is missing")
    return Scale(steps, zero, axis)


def _derivation(draft: _Draft, line: Line) -> None:
    called = name(line.take("a name"))
    line.expect("=")
    function = name(line.take("a function"))
    line.expect(INPUTS)
    inputs = _names(line)
    options = tuple((key, _read_number(value)) for key, value in _pairs(line))
    _keep(draft, "derived", called, Derivation(function, inputs, options))


def _read_number(text: str) -> float | int:
    return whole(text) if text.removeprefix("-").isdecimal() else real(text)


def _keep(draft: _Draft, part: str, called: str, item: Any) -> None:
    if called in draft.found[part]:
        raise ValueError(f"a second {called!r}")
    draft.found[part][called] = item


KEYWORDS: dict[str, Callable[[_Draft, Line], None]] = {
    "graph": _graph, "machine": _machine, "steps": _steps, "in": _in, "out": _out,
    "node": _node, "param": _param, "pinned": _pin, "derived": _derivation,
    "sparse": _sparse_weights,
}  # fmt: skip
