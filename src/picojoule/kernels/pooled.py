"""The largest of 2 x 2 pixels and its gradient, a vector of float32 channels at a time.

Written as vectors because a loop over a few channels costs more than what is done with them.
Addresses are bare: callers own the bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from picojoule.kernels.micro import FLOAT, LANES, Addresses

INT16 = ir.IntType(16)
FLOATS, TAPS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT16, LANES)


def _taps(value: int) -> Any:
    return ir.Constant(TAPS, [value] * LANES)


@intrinsic
def largest(typing, above, below, pixel, rectified, best, which):
    """best = the largest of four vectors, which (int16) = the first of equals that it is.

    above, below  addresses of two pixels of a row each, `pixel` floats apart
    rectified     1: `which` is -1 where the largest is not positive
    What is no number wins.
    """

    def emit(context, builder, signature, args):
        at = Addresses(builder)
        above, below, pixel, rectified, best, which = args
        none = at.number(0)
        value, tap = at.load(above, none, FLOATS), _taps(0)
        for k, (row, offset) in enumerate([(above, pixel), (below, none), (below, pixel)], 1):
            other = at.load(row, offset, FLOATS)
            more = builder.or_(
                builder.fcmp_ordered(">", other, value), builder.fcmp_unordered("uno", other, other)
            )
            value = builder.select(more, other, value)
            tap = builder.select(more, _taps(k), tap)
        zero = ir.Constant(FLOATS, [0.0] * LANES)
        off = builder.select(builder.fcmp_ordered("<=", value, zero), _taps(-1), tap)
        tap = builder.select(builder.icmp_signed("!=", rectified, none), off, tap)
        at.store(value, best, none)
        builder.store(tap, builder.inttoptr(which, TAPS.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 6)), emit


@intrinsic
def sent_back(typing, g, which, above, below, pixel):
    """Store g where it came from, 0 elsewhere, in two pixels of a row each: see `largest`."""

    def emit(context, builder, signature, args):
        at = Addresses(builder)
        g, which, above, below, pixel = args
        none, zero = at.number(0), ir.Constant(FLOATS, [0.0] * LANES)
        value = at.load(g, none, FLOATS)
        taps = builder.load(builder.inttoptr(which, TAPS.as_pointer()), align=2)
        places = ((above, none), (above, pixel), (below, none), (below, pixel))
        for k, (row, offset) in enumerate(places):
            here = builder.icmp_signed("==", taps, _taps(k))
            at.store(builder.select(here, value, zero), row, offset)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 5)), emit
