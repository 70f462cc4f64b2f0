"""Compile kernels with numba, with a cache that is never stale.

numba keys its cache on the file that defines a function, so editing a rule leaves cached
callers in other files stale.  Here the cache directory is named by a digest of every source
in `fixed` and `kernels`, so any edit starts an empty one.  Where no cache directory can be
written, a temporary one serves this process.
"""

from __future__ import annotations

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

config: Any = numba_config  # its settings are set at run time
FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def source_digest() -> str:
    """Digest of all sources that decide what kernels compute, and of the compiler's settings."""
    root = Path(__file__).resolve().parents[1]
    sha = hashlib.sha256()
    for package in ("fixed", "kernels"):
        for path in sorted((root / package).rglob("*.py")):
            sha.update(str(path.relative_to(root)).encode())
            sha.update(path.read_bytes())
    settings = (numba.__version__, config.BOUNDSCHECK, sorted(FLAGS.items()))
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
def cache_directory() -> Path:
    """Where this process keeps compiled kernels; created on first use."""
    chosen = os.environ.get("PICOJOULE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    path = root / "picojoule" / source_digest()
    if _writable(path):
        return path
    temporary = tempfile.mkdtemp(prefix="picojoule-kernels-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


def jit(function: Callable[..., Any]) -> Any:
    """Compile lazily, without the interpreter lock, cached under `cache_directory()`."""
    if config.DISABLE_JIT:
        return function
    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_directory())
    try:
        return numba.njit(**FLAGS)(function)
    finally:
        config.CACHE_DIR = before
