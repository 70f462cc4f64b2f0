"""Programs as plain JSON data, and back with every type checked.

Fields that have their default are left out, so a field added later (with a default) changes
neither an old file nor its digest.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from picojoule.fixed.format import Format, parse_format
from picojoule.program.program import Program, Span

ARRAYS = ("arrays", "initial")
LARGEST = 2**63
LONGEST = 10_000  # characters of a name

Reader = Callable[[Any], Any]
T = TypeVar("T")


# ------------------------------------------------------------------------------------ writing


def plain(value: Any) -> Any:
    """A dataclass, tuple, mapping or scalar as dicts, lists, strings and numbers."""
    if isinstance(value, str | bool | None) or type(value) is int:
        return value
    if isinstance(value, Format | Span):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {f.name: _field(value, f) for f in _written(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return _number(value)


def _written(value: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in _fields(cast(Hashable, type(value))) if getattr(value, f.name) != f.default]


@cache
def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(f for f in dataclasses.fields(kind) if f.init and f.name not in ARRAYS)


def _field(value: Any, field: dataclasses.Field[Any]) -> Any:
    """A real field stays real even where it holds a whole number, and so has one spelling."""
    found = plain(getattr(value, field.name))
    if field.type == "float":
        return float(found)
    return [float(x) for x in found] if field.type == "tuple[float, ...]" else found


def _number(value: Any) -> int | float:
    whole = hasattr(value, "__index__")
    return int(value) if whole else float(value)


def canonical(program: Program) -> str:
    """One spelling of everything but the arrays, as JSON; equal programs have equal texts."""
    return json.dumps(plain(program), sort_keys=True, separators=(",", ":"))


# ------------------------------------------------------------------------------------ reading


def parse_span(text: str) -> Span:
    """The inverse of `str(Span)`: 'w0[0:256]'.  Raises ValueError."""
    region, _, rest = text.rpartition("[")
    start, colon, stop = rest.removesuffix("]").partition(":")
    numbers = start.isdecimal() and stop.isdecimal() and len(rest) < 50
    if not (region and colon and rest.endswith("]") and numbers and rest.isascii()):
        raise ValueError(f"{_short(text)} is not a span such as 'w0[0:256]'")
    return Span(region, int(start), int(stop))


def read(kind: type[T], data: Any) -> T:
    """Plain data as a `kind` (a dataclass); every field is checked.

    Raises ValueError that says which field is wrong, and how.
    """
    made: T = reader(cast(Hashable, kind))(data)
    return made


@cache
def reader(kind: Any) -> Reader:
    """The function that reads plain data of a type annotation."""
    origin, args = get_origin(kind), get_args(kind)
    simple: dict[Any, Reader] = {
        int: _int, float: _float, str: _str, bool: _bool, Format: _format, Span: _span,
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if origin is Literal:
        return lambda data: _one_of(data, args)
    if origin in (Union, types.UnionType):
        return _optional_reader(args)
    if origin is tuple:
        return _tuple_reader(args)
    assert origin is not None and issubclass(origin, Mapping), kind
    return lambda data: _mapping(data, reader(args[1]))


def _dataclass_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    fields = [f for f in dataclasses.fields(kind) if f.init and f.name not in ARRAYS]
    readers = {f.name: reader(hints[f.name]) for f in fields}
    needed = {f.name for f in fields if f.default is dataclasses.MISSING}
    extra: dict[str, Any] = {"arrays": {}} if "arrays" in hints else {}

    def read_fields(data: Any) -> Any:
        _expect(isinstance(data, dict), data, f"the fields of {kind.__name__}")
        if needed - data.keys() or data.keys() - readers.keys():
            raise ValueError(_misfit(needed - data.keys(), data.keys() - readers.keys()))
        found = {name: _at(f".{name}", readers[name], item) for name, item in data.items()}
        return kind(**found, **extra)

    return read_fields


def _misfit(missing: set[str], unknown: set[str]) -> str:
    if missing:
        return f" has no field {min(missing)!r}"
    return f" has an unknown field {_short(min(unknown))}"


def _tuple_reader(args: tuple[Any, ...]) -> Reader:
    if args[-1] is Ellipsis:
        each = reader(args[0])
        return lambda data: _items(data, [each] * len(data) if isinstance(data, list) else [])
    return lambda data: _items(data, [reader(arg) for arg in args])


def _optional_reader(args: tuple[Any, ...]) -> Reader:
    other = reader(next(arg for arg in args if arg is not type(None)))
    return lambda data: None if data is None else other(data)


def _items(data: Any, readers: list[Reader]) -> tuple[Any, ...]:
    _expect(isinstance(data, list), data, "a list")
    _expect(len(data) == len(readers), data, f"a list of {len(readers)}")
    return tuple(_at(f"[{i}]", each, item) for i, (each, item) in enumerate(zip(readers, data)))


def _mapping(data: Any, each: Reader) -> dict[str, Any]:
    _expect(isinstance(data, dict), data, "an object")
    return {_str(key): _at(f"[{_short(key)}]", each, item) for key, item in data.items()}


def _at(place: str, each: Reader, item: Any) -> Any:
    """Read one part; a complaint says where it was."""
    try:
        return each(item)
    except ValueError as error:
        raise ValueError(f"{place}{error}") from None


def _int(data: Any) -> int:
    _expect(type(data) is int and -LARGEST <= data < LARGEST, data, "an integer of 64 bits")
    return int(data)


def _float(data: Any) -> float:
    real = type(data) is float or (type(data) is int and abs(data) < 2**53)
    _expect(real and math.isfinite(data), data, "a finite number")
    return float(data)


def _str(data: Any) -> str:
    good = isinstance(data, str) and len(data) <= LONGEST and data.isprintable()
    _expect(good, data, "a printable string")
    return str(data)


def _bool(data: Any) -> bool:
    _expect(isinstance(data, bool), data, "true or false")
    return bool(data)


def _format(data: Any) -> Format:
    return _told(parse_format, _str(data))


def _span(data: Any) -> Span:
    return _told(parse_span, _str(data))


def _told(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f": {error}") from None


def _one_of(data: Any, options: tuple[Any, ...]) -> Any:
    known = isinstance(data, str) and data in options
    _expect(known, data, "one of " + ", ".join(options))
    return data


def _expect(good: bool, data: Any, what: str) -> None:
    if not good:
        raise ValueError(f" is {_short(data)}, expected {what}")


def _short(data: Any) -> str:
    if isinstance(data, dict | list):
        return f"{'an object' if isinstance(data, dict) else 'a list'} of {len(data)}"
    if type(data) is int and abs(data) >= LARGEST:
        return "a huge integer"
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
