"""Peers in Python environments of their own: a long-lived process each, asked by JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                                     "NUMEXPR_NUM_THREADS")}  # fmt: skip


class PeerFailed(Exception):
    """A worker that ended, or that answered with an error."""


def interpreter(environment: str) -> Path | None:
    """The Python of a peer's environment; None where `make peers` has not made it."""
    path = ROOT / f".venv-peers-{environment}" / "bin" / "python"
    return path if path.exists() else None


class Worker:
    """One process of `benchmarks/peers/<script>.py`, asked by `ask`; use it in a `with`."""

    def __init__(self, python: Path, script: str, more: dict[str, str] | None = None) -> None:
        path = ROOT / "benchmarks" / "peers" / f"{script}.py"
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT / "benchmarks")}
        environment |= more or {}  # of its environment
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [str(python), str(path)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer.  Raises PeerFailed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerFailed(self._last_words()) from error
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailed(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        return f"worker ended with {self._process.returncode}: {said[-1] if said else 'silent'}"

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
