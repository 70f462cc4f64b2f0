"""A strided matrix product held in vector registers: the inner loop of convolutions and products.

    c[i, :] = start + sum over r < turns, k < depth of a[r, i, k] * b[r, k, :],   i < rows

Strides are free, so over padded images it is a convolution (i: pixel, k: channels of a row of
the kernel, r: that row), its data gradient, and its weight gradient (i: channel, k: pixel).
Addresses are bare: callers own the bounds.  Vectors are as wide as the processor's registers.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from picojoule.fixed.jit import config, jit

FLOAT, INT64, INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)


def _features() -> set[str]:
    if config.CPU_NAME == "generic":
        return set()
    text = config.CPU_FEATURES or get_host_cpu_features()
    return {name[1:] for name in text.split(",") if name.startswith("+")}


ARM = platform.machine() in ("arm64", "aarch64")
LANES = 16 if "avx512f" in _features() else 8 if "avx2" in _features() else 4
FUSED = ARM or "fma" in _features()  # elsewhere a fused operation would be a slow call
MANY = LANES == 16 or ARM  # 32 vector registers, not 16
STORE, RECTIFY, ADD = 0, 1, 2  # what becomes of the accumulators

# rows x vectors of accumulators of every tile; one register holds a, `vectors` hold b
SHAPES: tuple[tuple[int, int], ...] = (
    ((28, 1), (14, 2), (12, 2), (8, 3), (7, 4), (14, 1), (7, 2), (4, 4), (3, 1))
    if MANY
    else ((12, 1), (6, 2), (4, 3), (3, 4), (7, 1), (3, 2), (2, 4), (4, 1), (3, 1))
)


@dataclass(frozen=True)
class Addresses:
    """The block of instructions that computes addresses, in units of floats."""

    builder: Any

    def number(self, value: int) -> Any:
        return ir.Constant(INT64, value)

    def add(self, base: Any, offset: Any) -> Any:
        """base + 4 * offset: the address of a float."""
        return self.builder.add(base, self.builder.mul(offset, self.number(4)))

    def load(self, base: Any, offset: Any, kind: Any) -> Any:
        pointer = self.builder.inttoptr(self.add(base, offset), kind.as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, value: Any, base: Any, offset: Any) -> None:
        pointer = self.builder.inttoptr(self.add(base, offset), value.type.as_pointer())
        self.builder.store(value, pointer, align=4)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    if not FUSED:
        return builder.fadd(builder.fmul(a, b), c)
    kind = ir.FunctionType(a.type, [a.type] * 3)
    name = f"llvm.fma.v{a.type.count}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def _loop(builder: Any, count: Any, values: list[Any], body: Any) -> list[Any]:
    """values = body(index, values), `count` >= 1 times, as a loop with its values in registers."""
    before = builder.block
    block, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
    builder.branch(block)
    builder.position_at_end(block)
    index = builder.phi(INT64)
    held = [builder.phi(value.type) for value in values]
    found = body(index, held)
    following = builder.add(index, ir.Constant(INT64, 1))
    index.add_incoming(ir.Constant(INT64, 0), before)
    index.add_incoming(following, builder.block)
    for phi, value, new in zip(held, values, found):
        phi.add_incoming(value, before)
        phi.add_incoming(new, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), block, after)
    builder.position_at_end(after)
    return found


def _accumulate(builder: Any, at: Addresses, rows: int, vectors: int, args: Any) -> list[Any]:
    """The accumulators, rows x vectors, after all turns."""
    a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start = args
    vector = ir.VectorType(FLOAT, LANES)
    spread = ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES)
    undefined = ir.Constant(vector, ir.Undefined)

    def of_turn(r: Any, sums: list[Any]) -> list[Any]:
        a_r, b_r = (at.add(p, builder.mul(r, step)) for p, step in ((a, a_turn), (b, b_turn)))

        def of_k(k: Any, sums: list[Any]) -> list[Any]:
            a_at, b_at = builder.mul(k, a_k), builder.mul(k, b_k)
            many = [builder.add(b_at, at.number(LANES * j)) for j in range(vectors)]
            of_b = [at.load(b_r, offset, vector) for offset in many]
            out = []
            for i in range(rows):
                offset = builder.add(a_at, builder.mul(at.number(i), a_row))
                one = at.load(a_r, offset, FLOAT)
                one = builder.insert_element(undefined, one, ir.Constant(INT32, 0))
                one = builder.shuffle_vector(one, undefined, spread)
                for j in range(vectors):
                    out.append(_multiply_add(builder, one, of_b[j], sums[i * vectors + j]))
            return out

        return _loop(builder, depth, sums, of_k)

    first = [at.load(start, at.number(LANES * j), vector) for j in range(vectors)]
    return _loop(builder, turns, first * rows, of_turn)


def _leave(builder: Any, at: Addresses, sums: list[Any], places: list[Any], how: Any) -> None:
    """Store, rectify and store, or add the accumulators (STORE, RECTIFY, ADD)."""
    c, zero = places[0], ir.Constant(sums[0].type, [0.0] * LANES)
    end = builder.append_basic_block("end")
    choice = builder.switch(how, builder.append_basic_block("store"))
    for mode in (STORE, RECTIFY, ADD):
        block = choice.default if mode == STORE else builder.append_basic_block("other")
        if mode != STORE:
            choice.add_case(ir.Constant(INT64, mode), block)
        builder.position_at_end(block)
        for offset, value in zip(places[1], sums):
            if mode == RECTIFY:  # written so that what is not a number stays
                value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
            elif mode == ADD:
                value = builder.fadd(at.load(c, offset, value.type), value)
            at.store(value, c, offset)
        builder.branch(end)
    builder.position_at_end(end)


def _micro(rows: int, vectors: int) -> Any:
    """The product for one shape of tile; all of its arguments are int64."""

    @intrinsic
    def product(
        typing, a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how
    ):  # fmt: skip
        def codegen(context, builder, signature, args):
            at, c, c_row, how = Addresses(builder), *args[10:]
            sums = _accumulate(builder, at, rows, vectors, args[:10])
            offsets = [
                builder.add(builder.mul(at.number(i), c_row), at.number(LANES * j))
                for i in range(rows)
                for j in range(vectors)
            ]
            _leave(builder, at, sums, [c, offsets], how)
            return context.get_dummy_value()

        return types.void(*([types.int64] * 13)), codegen

    return product


# at module level: numba's cache recognises globals again, but not what a closure holds
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8 = (_micro(*shape) for shape in SHAPES)


@jit
def tile(shape, a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how):
    """The product of the module for tile SHAPES[shape]; how: STORE, RECTIFY (max with 0) or ADD.

    a, b, start, c are addresses of float32; strides count floats; depth, turns >= 1.
    Reads `vectors * LANES` floats of start and of each row of b, writes as many a row of c.
    """
    if shape == 0:
        _T0(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 1:
        _T1(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 2:
        _T2(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 3:
        _T3(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 4:
        _T4(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 5:
        _T5(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 6:
        _T6(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    elif shape == 7:
        _T7(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)
    else:
        _T8(a, a_row, a_k, a_turn, b, b_k, b_turn, depth, turns, start, c, c_row, how)


@cache
def best_shape(rows: int, columns: int) -> tuple[int, int, int]:
    """(index of a tile in SHAPES, its rows, its columns in floats) for a product of this size.

    A tile takes as long as its multiplications, its loads, or the latency of one addition.
    """

    def time(shape: tuple[int, int]) -> int:
        tiles = -(-rows // shape[0]) * -(-columns // (shape[1] * LANES))
        return tiles * max(shape[0] * shape[1], shape[0] + shape[1], 8)

    k = min(range(len(SHAPES)), key=lambda i: time(SHAPES[i]))
    return k, SHAPES[k][0], SHAPES[k][1] * LANES


@cache
def weight_shape(taps: int, kernel_row: int, columns: int) -> tuple[tuple[int, int, int], bool]:
    """(tile as of `best_shape` for the gradient of weights, whether one tile has all taps).

    The one tile also has the bias, so it has a row more than there are taps.
    """
    enough = [k for k, (rows, vectors) in enumerate(SHAPES) if vectors == 1 and rows > taps]
    if not enough:
        return best_shape(kernel_row, columns), False
    k = min(enough, key=lambda i: SHAPES[i][0])
    return (k, SHAPES[k][0], LANES), True
