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
        except KeyboardInterrupt:
            fix = "run it again; files written before are whole"
            _complain(UsageError(Fault("PJ805", "interrupted", fix=fix)))
        raise typer.Exit(1)


def _complain(error: PicojouleError) -> None:
    print(error, file=sys.stderr)
