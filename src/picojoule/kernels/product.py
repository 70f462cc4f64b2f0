"""Matrix product of float32 in tiles of vector registers, as fast as the processor multiplies.

numpy brings a BLAS that does not know every processor: on one that it takes for an older kind it
gives half the speed.  Here columns of b are packed into panels that stay in the cache, and
`micro.tile` does the rest.  Each element is one sum over k in order, so its bits depend on
nothing but its row and its column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from picojoule.fixed.jit import config, jit
from picojoule.kernels.micro import FLOAT, INT32, LANES, RECTIFY, STORE, Addresses, best_shape, tile
from picojoule.kernels.pool import over_blocks, shared

Array = np.ndarray[Any, Any]
ROWS = 256  # of a: one piece of work, with one panel
DEEP = 8192  # largest k: a panel must stay in the cache


@intrinsic
def _copy(typing, source, target):
    """Copy a vector of floats from one address to another."""

    def emit(context, builder, signature, args):
        at, zero = Addresses(builder), ir.Constant(ir.IntType(64), 0)
        at.store(at.load(args[0], zero, ir.VectorType(FLOAT, LANES)), args[1], zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


def _interleaved(builder: Any, rows: list[Any], step: int) -> list[Any]:
    """One stage of a transposition: exchange blocks of `step` between rows `step` apart."""
    lanes, out = len(rows), list(rows)
    for i in range(lanes):
        if i & step:
            continue
        pair = rows[i], rows[i + step]
        for k, offset in ((i, 0), (i + step, step)):
            picks = [
                (c & ~step) + offset + (lanes if c & step else 0)
                for c in range(lanes)
            ]  # fmt: skip
            mask = ir.Constant(ir.VectorType(INT32, lanes), picks)
            out[k] = builder.shuffle_vector(*pair, mask)
    return out


@intrinsic
def _transpose(typing, source, source_row, target, target_row):
    """A square of LANES floats a side, transposed; rows of both lie that many floats apart."""

    def emit(context, builder, signature, args):
        at, vector = Addresses(builder), ir.VectorType(FLOAT, LANES)
        places = [
            [builder.mul(row, at.number(i)) for i in range(LANES)] for row in (args[1], args[3])
        ]
        rows = [at.load(args[0], offset, vector) for offset in places[0]]
        step = LANES // 2
        while step:
            rows, step = _interleaved(builder, rows, step), step // 2
        for offset, row in zip(places[1], rows):
            at.store(row, args[2], offset)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4)), emit


@intrinsic
def _copy_one(typing, source, target):
    """Copy one float from one address to another."""

    def emit(context, builder, signature, args):
        at, zero = Addresses(builder), ir.Constant(ir.IntType(64), 0)
        at.store(at.load(args[0], zero, FLOAT), args[1], zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@jit
def pack(b, b_k, b_column, depth, columns, packed):
    """packed (depth, columns) = b; addresses of floats, one of the strides is 1.

    columns  whole vectors
    """
    if b_column == 1:
        for k in range(depth):
            for j in range(0, columns, LANES):
                _copy(b + 4 * (k * b_k + j), packed + 4 * (k * columns + j))
        return
    whole = depth - depth % LANES
    for k in range(0, whole, LANES):
        for j in range(0, columns, LANES):
            _transpose(
                b + 4 * (j * b_column + k), b_column, packed + 4 * (k * columns + j), columns
            )
    for k in range(whole, depth):
        for j in range(columns):
            _copy_one(b + 4 * (j * b_column + k), packed + 4 * (k * columns + j))


@jit
def product_pieces(first, last, sizes, a, a_row, a_k, b, b_k, b_column, start, c, how):
    """Pieces first..last of c = a b + start; a piece is a panel of columns times ROWS rows.

    sizes  (rows n, depth k, columns m, index of the tile, its rows, its columns)
    a, b, start, c  addresses of float32; strides count floats, rows of c lie m apart
    The last tile and panel reach back over what is already there, and write the same again.
    """
    n, depth, m, shape, tile_rows, columns = sizes
    packed = np.empty(depth * columns, np.float32)
    pieces, held = -(-n // ROWS), -1
    for piece in range(first, last):
        o = min(piece // pieces * columns, m - columns)
        if held != o:
            pack(b + 4 * o * b_column, b_k, b_column, depth, columns, packed.ctypes.data)
            held = o
        at = piece % pieces * ROWS
        for i in range(at, min(at + ROWS, n), tile_rows):
            i = min(i, n - tile_rows)
            tile(
                shape, a + 4 * i * a_row, a_row, a_k, 0, packed.ctypes.data, columns, 0, depth, 1,
                start + 4 * o, c + 4 * (i * m + o), m, how,
            )  # fmt: skip


def fits(a: Array, b: Array, bias: Array) -> bool:
    """Whether `product` takes these: float32, not too small for a tile, not too deep.

    It reads bare addresses, so nothing that does not fit may reach it.
    """
    (n, k), (depth, m) = a.shape, b.shape
    if config.DISABLE_JIT or {x.dtype for x in (a, b, bias)} != {np.dtype(np.float32)}:
        return False
    if k != depth or bias.shape != (m,) or n < 32 or m < 64 or not 0 < k <= DEEP:
        return False
    steps = (*a.strides, *b.strides)
    return 4 in b.strides and all(s > 0 and s % 4 == 0 for s in steps) and bias.strides == (4,)


def product(
    a: Array, b: Array, bias: Array, relu: bool = False, threads: int | None = None
) -> Array:
    """a @ b + bias, rectified if asked; a (n, k), b (k, m), bias (m,) contiguous, all float32."""
    (n, k), m = a.shape, b.shape[1]
    shape, rows, columns = best_shape(min(n, ROWS), m)
    sizes = (n, k, m, shape, rows, columns)
    c = np.empty((n, m), np.float32)
    places = (
        a.ctypes.data, a.strides[0] // 4, a.strides[1] // 4,
        b.ctypes.data, b.strides[0] // 4, b.strides[1] // 4, bias.ctypes.data, c.ctypes.data,
    )  # fmt: skip
    pieces, how = -(-m // columns) * -(-n // ROWS), RECTIFY if relu else STORE
    over_blocks(
        pieces, threads, lambda lo, hi: product_pieces(lo, hi, sizes, *places, how),
        shared(pieces, threads),
    )  # fmt: skip
    return c
