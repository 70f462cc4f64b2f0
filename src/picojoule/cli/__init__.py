"""The command line: every command takes files, writes files, and prints for people or as JSON."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: an error with its code, 2: usage."""
    sys.exit(status(arguments))


def status(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.  No error of a user leaves a traceback."""
    import warnings

    from picojoule.cli.app import app

    warnings.showwarning = _show_warning
    try:
        app(args=arguments, prog_name="picojoule")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    print(f"warning: {message}", file=sys.stderr)
