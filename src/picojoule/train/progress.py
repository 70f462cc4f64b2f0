"""A line of progress on a terminal, and callbacks joined into one."""

from __future__ import annotations

import math
import sys
from typing import TextIO

from picojoule.train.options import Epoch, Progress


def line(stream: TextIO | None = None, what: str = "") -> Progress:
    """A callback that rewrites one line an epoch, and ends it with the last; files get a line each.

    stream  default: standard error
    """

    def callback(epoch: Epoch) -> None:
        out = stream or sys.stderr
        last = epoch.number + 1 >= epoch.epochs
        end = "\r" if out.isatty() and not last else "\n"
        out.write(words(epoch, what) + end)
        out.flush()

    return callback


def words(epoch: Epoch, what: str = "") -> str:
    """One line about an epoch: number, loss, accuracy where it is known, seconds, time left."""
    left = epoch.seconds * (epoch.epochs - epoch.number - 1)
    share = "" if math.isnan(epoch.accuracy) else f"  accuracy {epoch.accuracy:.2%}"
    head = f"{what}  " if what else ""
    return (
        f"{head}epoch {epoch.number + 1}/{epoch.epochs}  loss {epoch.loss:.4f}{share}"
        f"  {epoch.seconds:.1f} s  {left:.0f} s left"
    )


def all_of(*callbacks: Progress) -> Progress:
    """One callback that tells several, in order."""

    def callback(epoch: Epoch) -> None:
        for each in callbacks:
            each(epoch)

    return callback
