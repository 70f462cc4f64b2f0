"""The command line: every command takes files, writes files, and prints for people or as JSON."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: an error with its code, 2: usage."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = status(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unprintable(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter tries once more
    sys.exit(code)


def status(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.  No error of a user leaves a traceback."""
    import warnings

    from picojoule.cli.app import app

    warnings.showwarning = _show_warning
    try:
        app(args=arguments, prog_name="picojoule")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except OSError as error:
        if error.filename is not None:
            raise  # a file that some reader forgot to guard: our bug
        return _unprintable(error)
    return 0


def _unprintable(error: OSError) -> int:
    """A closed pipe is how `| head` says that it has enough; a full disk is worth a word."""
    if not isinstance(error, BrokenPipeError):
        from picojoule.cli.errors import full

        print(full("standard output", error), file=sys.stderr)
    return 1


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    print(f"warning: {message}", file=sys.stderr)
