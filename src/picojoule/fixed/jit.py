"""Compile kernels with numba, with a cache that is never stale.

numba keys its cache on the file that defines a function, so editing a rule leaves cached
callers in other files stale.  Here the cache directory of a source is named by a digest of
the source and of all in `fixed` and `kernels` that it imports, at any depth, so an edit starts
an empty one for whatever it may change.  Where no cache directory can be written, a temporary
one serves this process.
"""

from __future__ import annotations

import ast
import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config as numba_config

from picojoule.fixed.interrupts import wait_for_compiler

PACKAGE = Path(__file__).resolve().parents[1]
RULES = ("picojoule.fixed", "picojoule.kernels")
config: Any = numba_config  # its settings are set at run time
FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
LEAN: dict[str, Any] = {**FLAGS, "_nrt": False}
wait_for_compiler()


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Files of `fixed` and `kernels` that a source imports anywhere in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    wanted = [n.split(".") for n in names if n.startswith(RULES)]
    found = [PACKAGE.joinpath(*parts[1:]) for parts in wanted]
    files = [f for stem in found for f in (stem.with_suffix(".py"), stem / "__init__.py")]
    return tuple(sorted({f for f in files if f.is_file()}))


@cache
def source_digest(path: Path) -> str:
    """Digest of a source, of all rules and loops it reaches, and of the compiler's settings."""
    reached, waiting = set[Path](), [path.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in reached:
            reached.add(file)
            waiting += _imported(file)
    sha = hashlib.sha256()
    for file in sorted(reached):
        sha.update(file.name.encode())
        sha.update(file.read_bytes())
    settings = (numba.__version__, config.BOUNDSCHECK, sorted(LEAN.items()))
    sha.update(repr(settings).encode())
    return sha.hexdigest()[:20]


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


@cache
def cache_root() -> Path:
    """Where this process keeps compiled kernels; created on first use."""
    chosen = os.environ.get("PICOJOULE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    path = root / "picojoule"
    if _writable(path):
        return path
    temporary = tempfile.mkdtemp(prefix="picojoule-kernels-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


def cache_directory(path: Path) -> Path:
    """Where the kernels of one source are kept, as long as nothing that they reach changes."""
    return cache_root() / source_digest(path)


def jit(function: Callable[..., Any]) -> Any:
    """Compile lazily, without the interpreter lock, cached under `cache_directory`."""
    return _compiled(function, FLAGS)


def jit_lean(function: Callable[..., Any]) -> Any:
    """The same for loops that slice arrays but make none: no references are counted.

    Each slice of an array would else cost two atomic additions.  Nothing in such a function, nor
    an assignment to a slice, may allocate: the compiler refuses what does.
    """
    return _compiled(function, LEAN)


def jit_inline(function: Callable[..., Any]) -> Any:
    """The same, written into its callers before these are compiled, so it may return slices."""
    return _compiled(function, {**LEAN, "inline": "always"})


def _compiled(function: Callable[..., Any], flags: dict[str, Any]) -> Any:
    if config.DISABLE_JIT:
        return function
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_directory(Path(function.__code__.co_filename)))
    try:
        return numba.njit(**flags)(function)
    finally:
        config.CACHE_DIR = before
