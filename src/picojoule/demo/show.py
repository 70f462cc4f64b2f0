"""What the demonstration shows while it works."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Stage:
    """A progress bar over all epochs; finished stages stay as lines above it.

    Where standard error is no terminal, only the lines are printed.
    """

    def __init__(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description:<38}"), BarColumn(bar_width=24),
            TimeElapsedColumn(), TimeRemainingColumn(),
            console=self._console, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=epochs)

    def __enter__(self) -> Stage:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, what: str) -> None:
        """Name what is being done."""
        self._bar.update(self._task, description=what)

    def done(self, what: str) -> None:
        """Leave a line for what is finished."""
        self._console.print(f"  [green]✓[/green] {what}")

    def __call__(self, epoch: Any) -> None:
        """One epoch is over: the trainer's callback."""
        self._bar.advance(self._task)
