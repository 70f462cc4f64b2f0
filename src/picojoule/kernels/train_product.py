"""A product of matrices with few rows, added to what is there: what loops send back in a step.

Sums run over the depth in order, so shapes decide the bits and no number of threads does.
"""

from __future__ import annotations

from picojoule.fixed.jit import config, jit_lean
from picojoule.kernels.micro import ADD, LANES, MANY, SHAPES, STORE, tile

TILES = not config.DISABLE_JIT  # the micro-kernel has no Python form
HIGH = 4  # rows of a tile, and of the loops for what tiles leave
WIDE = (4 if MANY else 3) * LANES
SHAPE = SHAPES.index((HIGH, WIDE // LANES))


@jit_lean
def add_row(total, row):
    """total += row."""
    for j in range(row.size):
        total[j] += row[j]


@jit_lean
def add_scaled(total, factor, row):
    """total += factor * row."""
    for j in range(row.size):
        total[j] += factor * row[j]


@jit_lean
def add_product(a, b, room, out):
    """out += a @ b, for few rows of a, where BLAS would copy b first.

    a (rows, depth), b (depth, columns), out (rows, columns), contiguous, of one real dtype;
    room (1 + HIGH, WIDE), of which the first row is zeros.  After b, WIDE more numbers are read.
    """
    depth, rows = b.shape[0], out.shape[0] - out.shape[0] % HIGH
    for i in range(0, rows, HIGH):
        if TILES and a.itemsize == 4 and depth > 0:
            add_tiles(a, b, i, room, out)
        else:
            add_high(a, b, i, out)
    for i in range(rows, out.shape[0]):
        for k in range(depth):
            add_scaled(out[i], a[i, k], b[k])


@jit_lean
def add_tiles(a, b, i, room, out):
    """Rows i to i + HIGH of the product in float32; the last tile may reach over the edge."""
    depth, columns = b.shape
    of_a, of_b, of_out = a.ctypes.data + 4 * i * depth, b.ctypes.data, out[i].ctypes.data
    zeros, scratch = room.ctypes.data, room[1:]
    whole = columns - columns % WIDE
    for j in range(0, whole, WIDE):
        tile(SHAPE, of_a, depth, 1, 0, of_b + 4 * j, columns, 0, depth, 1, zeros, of_out + 4 * j,
             columns, ADD)  # fmt: skip
    if whole == columns:
        return
    tile(SHAPE, of_a, depth, 1, 0, of_b + 4 * whole, columns, 0, depth, 1, zeros,
         scratch.ctypes.data, WIDE, STORE)  # fmt: skip
    for m in range(HIGH):
        add_row(out[i + m, whole:], scratch[m, : columns - whole])


@jit_lean
def add_high(a, b, i, out):
    """Rows i to i + HIGH of the product, four of the depth at a time."""
    p, q, r, s = out[i], out[i + 1], out[i + 2], out[i + 3]
    whole = b.shape[0] - b.shape[0] % 4
    for k in range(0, whole, 4):
        x, y, z, w = b[k], b[k + 1], b[k + 2], b[k + 3]
        d, e = a[i, k : k + 4], a[i + 1, k : k + 4]
        f, g = a[i + 2, k : k + 4], a[i + 3, k : k + 4]
        for j in range(p.size):
            p[j] += d[0] * x[j] + d[1] * y[j] + d[2] * z[j] + d[3] * w[j]
            q[j] += e[0] * x[j] + e[1] * y[j] + e[2] * z[j] + e[3] * w[j]
            r[j] += f[0] * x[j] + f[1] * y[j] + f[2] * z[j] + f[3] * w[j]
            s[j] += g[0] * x[j] + g[1] * y[j] + g[2] * z[j] + g[3] * w[j]
    for k in range(whole, b.shape[0]):
        for m in range(i, i + HIGH):
            add_scaled(out[m], a[m, k], b[k])
