"""Ctrl-C while numba compiles waits until it has compiled.

LLVM calls back into Python when machine code is ready.  An interrupt that lands there is printed
and lost, the code with it, and numba then fails with an error of its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from numba.core import event

COMPILING = "numba:compiler_lock"  # held while numba compiles, reads its cache or writes it
Handler = Callable[[int, FrameType | None], Any]


class _Patience(event.Listener):
    """Takes the place of the handler of Ctrl-C while the main thread compiles."""

    def __init__(self) -> None:
        self.depth = 0
        self.handler: Handler | None = None
        self.came = False

    def on_start(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth += 1
        found = signal.getsignal(signal.SIGINT)
        if self.depth == 1 and callable(found):  # not where interrupts are ignored
            self.handler, self.came = found, False
            signal.signal(signal.SIGINT, self._note)

    def on_end(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth -= 1
        if self.depth or self.handler is None:
            return
        handler, self.handler = self.handler, None
        signal.signal(signal.SIGINT, handler)
        if self.came:
            handler(signal.SIGINT, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True


def wait_for_compiler() -> None:
    """From now on, interrupts wait for the end of a compilation."""
    event.register(COMPILING, _Patience())  # type: ignore[no-untyped-call]
