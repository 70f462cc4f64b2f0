"""Where a command writes, judged before it works: nobody waits an hour for a bad path."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from picojoule.container import regular, unopened
from picojoule.errors import Fault, UsageError


def output(
    asked: Path | None, source: Path, suffix: str, *inputs: Path | None, option: str = "--out"
) -> Path:
    """The path to write to: the one asked for, else that of `source` with another suffix.

    Raises UsageError PJ801 where nothing can be written, PJ806 where an input lies there.
    """
    path = regular(asked or regular(source).with_suffix(suffix))
    _require_folder(path)
    for other in (source, *inputs):
        if other is not None and _same(path, other):
            what = f"the output {str(path)!r} would replace an input of this command"
            raise UsageError(Fault("PJ806", what, fix=f"another path for {option}"))
    return path


def page(out: Path, source: Path, samples: Path | None) -> tuple[Path, Path]:
    """Paths of a report's page and of its JSON beside it.  Raises UsageError."""
    if out.suffix.lower() == ".json":
        what = f"the page cannot be {str(out)!r}: its JSON goes there"
        raise UsageError(Fault("PJ806", what, fix=f"--out {out.with_suffix('.html')}"))
    out = output(out, source, ".html", samples)
    beside = out.with_suffix(".json")
    if source.suffix.lower() != ".json":
        beside = output(beside, source, ".json", samples)
    return out, beside


def _require_folder(path: Path) -> None:
    code = 0
    if not path.parent.exists():
        code = errno.ENOENT
    elif not path.parent.is_dir():
        code = errno.ENOTDIR
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        code = errno.EACCES
    if code:
        raise unopened(path, "written", OSError(code, os.strerror(code)))


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
