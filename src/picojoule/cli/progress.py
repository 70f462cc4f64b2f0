"""A progress line for training."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Lines:
    """A bar that a trainer's callback moves; silent where standard error is no terminal."""

    def __init__(self, what: str, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.losses: list[float] = []
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._progress.add_task(what, total=epochs, loss="")

    def __enter__(self) -> Lines:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        at: TracebackType | None,
    ) -> None:  # fmt: skip
        self._progress.stop()

    def __call__(self, epoch: Any) -> None:
        self.losses.append(epoch.loss)
        self._progress.update(self._task, advance=1, loss=f"loss {epoch.loss:.4f}")
