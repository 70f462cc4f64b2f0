"""Errors of users become one message and an exit status, whatever command they met."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from picojoule.errors import Fault, PicojouleError, UsageError


class Commands(TyperGroup):
    """All commands; turns what they raise into exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PicojouleError as error:
            _complain(error)
        except MemoryError as error:
            _complain(UsageError(_too_large(error)))
        except KeyboardInterrupt:
            _complain(UsageError(interrupted()))
        raise typer.Exit(1)


def interrupted(what: str = "interrupted", fix: str = "") -> Fault:
    """Somebody pressed Ctrl-C."""
    return Fault("PJ805", what, fix=fix or "run it again; files written before are whole")


def full(stream: str, error: OSError) -> Fault:
    """Standard output, or standard error, takes no more."""
    what = f"{stream} cannot be written: {error.strerror or error}"
    return Fault("PJ801", what, fix="write it elsewhere; files written before are whole")


def _too_large(error: MemoryError) -> Fault:
    what = f"not enough memory: {str(error)[:200] or 'the system gives no more'}"
    return Fault("PJ804", what, fix="fewer samples or steps at a time, or a smaller network")


def _complain(error: PicojouleError) -> None:
    print(error, file=sys.stderr)
