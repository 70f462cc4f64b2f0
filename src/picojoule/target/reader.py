"""Read hardware models: a shipped name or a file becomes a `Target`, or all of its faults."""

from __future__ import annotations

import difflib
import importlib.resources
import os
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from picojoule.errors import Fault, TargetError
from picojoule.target import schema
from picojoule.target.build import build
from picojoule.target.machine import Target
from picojoule.target.yaml_tree import MAX_BYTES, Path, Tree, Value, read_tree

FOLDER = "hardware_models"
SUFFIXES = (".yaml", ".yml")


def names() -> list[str]:
    """The targets that ship with the package, sorted."""
    return sorted(
        file.name.removesuffix(".yaml")
        for file in _folder().iterdir()
        if file.name.endswith(".yaml")
    )


def load(name_or_path: str | os.PathLike[str]) -> Target:
    """The target of a shipped name (`loihi1`) or of a hardware model file of your own.

    What has a separator or ends in .yaml or .yml is a path.
    Raises TargetError: PJ105 when there is none, else every fault of the file (PJ101 to PJ106).
    """
    text = os.fspath(name_or_path)
    is_path = not isinstance(name_or_path, str) or text.endswith(SUFFIXES)
    if is_path or "/" in text or os.sep in text:
        return parse(_read_file(text), text)
    return parse(shipped(text).encode(), f"{FOLDER}/{text}.yaml")


def shipped(name: str) -> str:
    """The YAML text of a shipped model, to copy and change.  Raises TargetError PJ105."""
    if name not in names():
        raise TargetError(_unknown(name))
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def parse(data: bytes, path: str) -> Target:
    """The target that the bytes of a hardware model describe; `path` is what faults call it.

    Raises TargetError with every fault found.
    """
    tree = read_tree(data, path)
    if tree.faults:
        raise TargetError(tree.faults)
    faults = list(_source_faults(tree, path))
    spec: schema.ModelSpec | None = None
    try:
        spec = schema.ModelSpec.model_validate(tree.value)
    except ValidationError as error:
        faults += [_fault(details, tree, path) for details in error.errors(include_url=False)]
    if spec is None or faults:
        raise TargetError(sorted(faults, key=_line))
    return build(spec, tree, path)


def _folder() -> Traversable:
    """Where the shipped models are: in the installed package, or at the top of a checkout."""
    installed = importlib.resources.files("picojoule") / FOLDER
    if installed.is_dir():
        return installed
    return FilePath(__file__).resolve().parents[3] / FOLDER


def _read_file(path: str) -> bytes:
    try:
        with FilePath(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        what = f"cannot read the hardware model '{path}': {reason}"
        fix = "the path of a .yaml file, or a name of `picojoule targets`"
        raise TargetError(Fault("PJ105", what, fix=fix)) from None


def _unknown(name: str) -> Fault:
    known = names()
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    fix = f"'{near[0]}'" if near else "a known name, or the path of a .yaml file"
    return Fault("PJ105", f"no target '{name}'; known: {', '.join(known)}", fix=fix)


def _line(fault: Fault) -> int:
    line = fault.where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _source_faults(tree: Tree, path: str) -> Iterator[Fault]:
    """A number whose source is not in the table of sources; a source that nothing cites."""
    top = tree.value if isinstance(tree.value, dict) else {}
    known = top.get("sources")
    table = known if isinstance(known, dict) else {}
    for where, key in _cited(top, ()):
        if key not in table:
            what = f"the source '{key}' is not in the table 'sources'"
            fix = f"one of {', '.join(table)}" if table else "add it to 'sources'"
            yield Fault("PJ106", what, f"{path}:{tree.line(where)}", fix)


def _cited(value: Value, here: Path) -> Iterator[tuple[Path, str]]:
    """Every (path, key) of a field `source` or `band_source` below a value."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _cited(item, (*here, index))
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if name in ("source", "band_source") and isinstance(item, str):
            yield (*here, name), item
        else:
            yield from _cited(item, (*here, name))


def _fault(details: ErrorDetails, tree: Tree, path: str) -> Fault:
    """One pydantic error as a Fault with the line it is about."""
    place = _place(details["loc"], tree)
    where = f"{path}:{tree.line(place)}"
    dotted = ".".join(map(str, place)) or "the file"
    kind, name = details["type"], str(place[-1]) if place else "the file"
    if kind == "quantity":
        return Fault("PJ103", f"{dotted}: {details['msg']}", where)
    if kind == "missing" and name in ("source", "confidence"):
        what = f"{dotted} is missing: each number says where it comes from"
        return Fault("PJ106", what, where, f"add '{name}' beside the number")
    if kind == "missing":
        return Fault("PJ102", f"the field {dotted} is missing", where, f"add '{name}'")
    if kind == "extra_forbidden":
        return Fault("PJ102", f"unknown field {dotted}", where, _nearest_field(name))
    return Fault("PJ102", f"{dotted}: {_plain(details)}", where)


def _place(loc: tuple[str | int, ...], tree: Tree) -> Path:
    """A pydantic location without the union tags and `[key]` marks that pydantic adds."""
    place: Path = ()
    for position, name in enumerate(loc):
        last = position == len(loc) - 1
        invented = name in (schema.PRICED, schema.EXCLUDED, "[key]")
        if (*place, name) in tree.lines or (last and not invented):
            place = (*place, name)
    return place


def _plain(details: ErrorDetails) -> str:
    """The message without pydantic's vocabulary, and with the value that is wrong."""
    if details["type"] in ("model_type", "dict_type"):
        return "must be a mapping"
    message = details["msg"].replace("Input should be", "must be")
    message = message.replace("a valid integer", "an integer").replace("valid ", "")
    given = details["input"]
    if details["type"] == "model" or isinstance(given, dict | list | BaseModel):
        return message
    return f"{message}, not {given!r}"


def _nearest_field(name: str) -> str:
    fields = {
        field
        for model in vars(schema).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
        for field in model.model_fields
    }
    near = difflib.get_close_matches(name, sorted(fields - {name}), n=1, cutoff=0.7)
    return f"'{near[0]}'" if near else ""
