"""Reports as JSON files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

from picojoule.container import existing, regular, unopened
from picojoule.errors import Fault, UsageError
from picojoule.report.data import SCHEMA_VERSION, Report, problems

if TYPE_CHECKING:
    from pydantic import ValidationError

SIZE_LIMIT = 256 * 2**20  # bytes; a report is read whole


def to_json(report: Report) -> str:
    """The report as JSON text, fields in the order of `data`.

    Raises UsageError PJ807 when a number is not finite, PJ802 when one cannot be right.
    """
    _require_sound(report, "report")
    return json.dumps(asdict(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str | bytes, where: str = "report") -> Report:
    """Read what `to_json` wrote; `where` names the source in faults.

    Raises UsageError PJ802 for every field that is missing, unknown or of the wrong kind.
    """
    from pydantic import TypeAdapter, ValidationError

    tree = _tree(text, where)
    unknown = [Fault("PJ802", f"{path}: unknown field", where) for path in _unknown(tree, Report)]
    try:
        report = TypeAdapter(Report).validate_json(text, strict=True)
    except ValidationError as error:
        raise UsageError([*_faults(error, where), *unknown]) from None
    if unknown:
        raise UsageError(unknown)
    _require_sound(report, where)
    return report


def save_json(report: Report, path: str | Path) -> None:
    """Write the report to a file, whole or not at all.

    Raises UsageError PJ801 when the file cannot be written, and what `to_json` raises.
    """
    write_whole(path, to_json(report))


def load_json(path: str | Path) -> Report:
    """Read a report that `save_json` wrote.

    Raises UsageError PJ801 when the file cannot be read, and what `from_json` raises.
    """
    path = existing(path)
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise UsageError(Fault("PJ801", f"larger than {SIZE_LIMIT} bytes", str(path)))
        text = path.read_bytes()
    except OSError as error:
        raise unopened(path, "read", error) from None
    return from_json(text, str(path))


def write_whole(path: str | Path, text: str) -> None:
    """Write text as UTF-8 through a temporary file beside it, so no reader sees a half.

    Raises UsageError PJ801 when the file cannot be written.
    """
    path = regular(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise unopened(path, "written", error) from None
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.chmod(_mode(path))
        part.replace(path)
    except OSError as error:
        raise unopened(path, "written", error) from None
    finally:
        part.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions of a new file: what the old one had; mkstemp alone would give 0600."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0o644


def _tree(text: str | bytes, where: str) -> dict[str, object]:
    """The JSON object; other versions are refused before their fields raise odd faults."""
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(Fault("PJ802", f"not JSON: {error}", where)) from None
    if not isinstance(head, dict):
        raise UsageError(Fault("PJ802", "a report is a JSON object", where))
    version = head.get("schema_version", "missing")
    if version is True or version != SCHEMA_VERSION:
        what = f"schema_version is {version!r}; this Picojoule reads {SCHEMA_VERSION}"
        raise UsageError(Fault("PJ802", what, where, "make the report again"))
    return head


def _unknown(tree: object, kind: type, path: str = "") -> Iterator[str]:
    """Paths of the fields that the dataclass `kind`, or one inside it, does not have."""
    if not isinstance(tree, dict):
        return
    hints = get_type_hints(kind)
    for name, value in tree.items():
        here = f"{path}.{name}".removeprefix(".")
        if name not in hints:
            yield here
            continue
        parts = {f"{here}[{i}]": v for i, v in enumerate(value)} if isinstance(value, list) else {}
        for inner in _dataclasses(hints[name]):
            for where, part in (parts or {here: value}).items():
                yield from _unknown(part, inner, where)


def _dataclasses(hint: object) -> list[type]:
    """Dataclasses in a type hint: Row in `tuple[Row, ...]`, Raster in `Raster | None`."""
    return [e for e in (hint, *get_args(hint)) if isinstance(e, type) and is_dataclass(e)]


def _faults(error: ValidationError, where: str) -> list[Fault]:
    return [
        Fault("PJ802", f"{_dotted(each['loc'])}: {each['msg']}", where)
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _dotted(location: tuple[int | str, ...]) -> str:
    """`rows[0].accuracy.ptq` for ('rows', 0, 'accuracy', 'ptq')."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".") or "report"


def _require_sound(report: Report, where: str) -> None:
    faults = [
        Fault("PJ807" if "finite" in what else "PJ802", f"{path} {what}", where)
        for path, what in problems(report)
    ]
    if faults:
        raise UsageError(faults)
