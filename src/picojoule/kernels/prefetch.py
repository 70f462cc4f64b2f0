"""Ask the processor to fetch what a loop reads soon; changes no result."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from picojoule.fixed.jit import config, jit_lean

LINE = 64  # bytes that come together


@intrinsic
def _elements(context: Any, array: Any) -> Any:
    """Elements of an array in a line: a constant of the compiled code."""
    count = LINE * 8 // array.dtype.bitwidth

    def emit(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        return target.get_constant(types.int64, count)

    return types.int64(array), emit


@intrinsic
def _prefetch(context: Any, array: Any, i: Any) -> Any:
    """The line that holds element i of a one-dimensional array, for reading."""

    def emit(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        held = target.make_array(signature.args[0])(target, builder, values[0])
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        at = builder.bitcast(builder.gep(held.data, [values[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        read, keep, data = word(0), word(3), word(1)
        builder.call(function, [at, read, keep, data])
        return target.get_dummy_value()

    return types.void(array, types.int64), emit


@jit_lean
def prefetch(array, start, stop):
    """Elements start..stop of a one-dimensional array; indices outside it do no harm."""
    for i in range(start, stop, _elements(array)):
        _prefetch(array, i)


if config.DISABLE_JIT:

    def prefetch(array, start, stop):
        """Nothing."""
