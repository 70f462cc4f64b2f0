"""Wait for another thread without Python's lock and without sleeping, for a moment.

A thread that asks for Python's lock while another holds it goes to sleep, and waking up costs
as much as a small region of work.  So hand-overs are timed such that nobody has to ask twice.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from picojoule.fixed.jit import config, jit_lean

# looks, of about 5 ns each
LONG = 50_000  # longer than most gaps between two regions of work
SHORT = 4_000  # for a thread that is awake to answer
START = 1_200  # from its answer until it has called compiled code


@intrinsic
def _look(context: Any, cell: Any) -> Any:
    """cell[0] of an int64 array, as other threads wrote it last."""

    def emit(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        held = target.make_array(signature.args[0])(target, builder, values[0])
        builder.fence("seq_cst")
        return builder.load_atomic(held.data, "acquire", 8)

    return types.int64(cell), emit


@jit_lean
def watch(cell, value):
    """True as soon as cell (1,) int64 holds anything but `value`; False after a moment."""
    for _ in range(LONG):
        if _look(cell) != value:
            break
    else:
        return False
    return True


@jit_lean
def hand_over(posted, number, taken):
    """posted[0] = number; wait until the other thread took it and is in compiled code."""
    posted[0] = number
    for _ in range(SHORT):
        if _look(taken) == number:
            break
    for _ in range(START):
        _look(taken)


if config.DISABLE_JIT:

    def watch(cell, value):
        """False: interpreted, it would keep the other thread from running."""
        return False

    def hand_over(posted, number, taken):
        """posted[0] = number."""
        posted[0] = number
