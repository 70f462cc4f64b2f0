"""Program files (`*.pjp`): everything but the arrays as JSON, the arrays memory-mapped.

A file may come from anyone: every number in it is checked before it is used, and nothing in it
is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from picojoule import container
from picojoule.errors import Fault, ProgramError
from picojoule.program.plain import plain, read
from picojoule.program.program import FORMAT_VERSION, Program
from picojoule.program.verify import verify as verify_structure

KIND = container.Kind("program", FORMAT_VERSION, fix="compile the network again")
PARTS = ("arrays", "initial")  # what an array of the file is: the first part of its name


def save(program: Program, path: str | Path) -> None:
    """Write a program to one file.  A reader sees the old file or the new one, never a part.

    Raises ProgramError PJ603 for an invalid program, UsageError PJ801 where it cannot write.
    """
    verify_structure(program)
    arrays = {f"{part}/{n}": a for part in PARTS for n, a in getattr(program, part).items()}
    about = {"digest": program.digest, "program": plain(program)}
    container.write(path, KIND, about, arrays)


def load(path: str | Path, *, verify: bool = False) -> Program:
    """Read a program; its arrays are read-only views of the mapped file.

    The structure is always verified; with `verify` the content is too: every constant lies in
    its format and registers, and the digest is that of the program saved.
    Raises ProgramError PJ601 for a damaged file, PJ602 for one of another version, PJ603 for
    an invalid program, PJ605 for changed content; UsageError PJ801 where it cannot read.
    """
    about, arrays = container.read(path, KIND)
    program = container.checked(Path(path), KIND, lambda: _assembled(about, arrays))
    verify_structure(program, content=verify, where=str(path))
    if verify and program.digest != about.get("digest"):
        told = str(about.get("digest"))[:16]
        what = f"its content has digest {program.digest[:16]}..., but the file says {told!r}..."
        raise ProgramError(Fault("PJ605", what, where=str(path), fix=KIND.fix))
    return program


def _assembled(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Program:
    parts: dict[str, dict[str, np.ndarray]] = {part: {} for part in PARTS}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise ValueError(f": array {name[:60]!r} belongs to nothing")
        parts[part][rest] = array
    program = read(Program, about.get("program"))
    return replace(program, arrays=parts["arrays"], initial=parts["initial"])
