"""A strict subset of YAML, read into plain values that remember their lines.

Mappings with string keys, sequences and scalars; no aliases, anchors, tags or second documents,
no duplicate keys, at most 1 MB and 20 levels.  Scalars are decimal integers, decimal fractions,
true, false, null, or text: `012`, `.nan`, `yes` and `1:30` stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from picojoule.errors import Fault

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
FIX = "close brackets and quotes here or before, and indent with spaces"

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
FRACTION = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}

Path: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"


@dataclass
class Tree:
    """What a file says: `value`, the 1-based line of each path in it, and what is wrong."""

    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass
class _Level:
    """A mapping or sequence being read."""

    value: dict[str, Value] | list[Value]
    path: Path
    key: str | None = None


def read_tree(data: bytes, name: str) -> Tree:
    """Read the bytes of a file; `name` is what faults call it (`loihi1.yaml:12`).

    Never raises for what the bytes hold: every fault found is in `faults`
    (PJ101 syntax and duplicate keys, PJ104 size, depth, aliases, anchors, tags).
    """
    tree = Tree()
    if len(data) > MAX_BYTES:
        what = f"the file has more than {MAX_BYTES} bytes, the most a hardware model may have"
        tree.faults.append(Fault("PJ104", what, name))
        return tree
    builder = _Builder(tree, name)
    try:
        for event in YAML(typ="safe", pure=True).parse(data.decode("utf-8")):
            if not builder.take(event):
                return tree
    except UnicodeDecodeError as error:
        tree.faults.append(Fault("PJ101", f"the file is not UTF-8: {error}", name))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        what = f"not valid YAML: {error.problem}"
        tree.faults.append(Fault("PJ101", what, where, FIX))
    except (YAMLError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        tree.faults.append(Fault("PJ101", f"not valid YAML: {first}", name, FIX))
    return tree


class _Builder:
    """Puts events together, on an explicit stack so that depth cannot exhaust Python's."""

    def __init__(self, tree: Tree, name: str) -> None:
        self.tree = tree
        self.name = name
        self.stack: list[_Level] = []
        self.documents = 0

    def take(self, event: Event) -> bool:
        """Add one event; False when reading on makes no sense."""
        line: int = event.start_mark.line + 1
        for what in _forbidden(event):
            self.fault("PJ104", what, line)
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.fault("PJ101", "a hardware model is one YAML document, not several", line)
                return False
        elif isinstance(event, AliasEvent):
            self.add(None, line)
        elif isinstance(event, ScalarEvent):
            self.scalar(event, line)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            return self.open(event, line)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self.stack.pop()
        return True

    def fault(self, code: str, what: str, line: int) -> None:
        self.tree.faults.append(Fault(code, what, f"{self.name}:{line}"))

    def open(self, event: Event, line: int) -> bool:
        if len(self.stack) >= MAX_DEPTH:
            self.fault("PJ104", f"nested more than {MAX_DEPTH} levels deep", line)
            return False
        value: dict[str, Value] | list[Value]
        value = {} if isinstance(event, MappingStartEvent) else []
        level = _Level(value, self.add(value, line))
        self.stack.append(level)
        return True

    def scalar(self, event: ScalarEvent, line: int) -> None:
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.value, dict) and top.key is None:
            top.key = event.value
            path = (*top.path, top.key)
            if path in self.tree.lines:
                first = self.tree.lines[path]
                what = f"the key '{top.key}' is already on line {first}"
                self.fault("PJ101", what, line)
            self.tree.lines[path] = line
            return
        plain = event.style is None
        self.add(_resolve(event.value) if plain else event.value, line)

    def add(self, value: Value, line: int) -> Path:
        """Place a value where the reader stands; returns its path."""
        if not self.stack:
            self.tree.value = value
            self.tree.lines.setdefault((), line)
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            path: Path = (*top.path, len(top.value))
            top.value.append(value)
            self.tree.lines[path] = line
            return path
        if top.key is None:
            self.fault("PJ101", "a key must be plain text", line)
            top.key = "?"
            return (*top.path, top.key)
        path, top.value[top.key] = (*top.path, top.key), value
        top.key = None
        return path


def _forbidden(event: Event) -> Iterator[str]:
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if isinstance(event, AliasEvent):
        yield f"alias '*{anchor}': write the value out"
    elif anchor:
        yield f"anchor '&{anchor}': write the value out where it is needed"
    if isinstance(event, DocumentStartEvent):
        if event.tags:
            yield "a %TAG directive: hardware models have no tags"
    elif tag:
        yield f"tag '{tag}': hardware models have no tags"


def _resolve(text: str) -> Value:
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if FRACTION.fullmatch(text) and text != "-" else text
