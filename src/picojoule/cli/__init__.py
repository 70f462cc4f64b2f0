"""The command line: every command takes files, writes files, and prints for people or as JSON."""

from __future__ import annotations

import sys
import warnings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: an error with its code, 2: usage."""
    sys.exit(status(arguments))


def status(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.  No error of a user leaves a traceback."""
    import click
    import typer

    from picojoule.cli.app import app
    from picojoule.errors import Fault, PicojouleError, UsageError

    warnings.showwarning = _show_warning
    command = typer.main.get_command(app)
    try:
        command.main(args=arguments, prog_name="picojoule", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except PicojouleError as error:
        _complain(error)
        return 1
    except (KeyboardInterrupt, click.exceptions.Abort):
        fix = "run it again; what was written before is whole"
        _complain(UsageError(Fault("PJ805", "interrupted", fix=fix)))
        return 1
    except BrokenPipeError:
        return 1
    return 0


def _complain(error: Exception) -> None:
    print(f"\n{error}", file=sys.stderr)


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    print(f"warning: {message}", file=sys.stderr)
