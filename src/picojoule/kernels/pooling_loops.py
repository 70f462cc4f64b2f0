"""Pooling loops over blocks of images (n, height, width, channels) of any one type.

`geometry` is int64 (6,): kernel height and width, stride y and x, padding top and left.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.jit import jit


@jit
def span(k, stride, padding, kernel, size):
    """(first, stop) of the taps of window k that lie in an image of `size` rows or columns."""
    start = k * stride - padding
    return max(0, -start), min(kernel, size - start)


@jit
def larger(source, tap, best, which):
    """best = max(best, source) and which = the tap it came from; what is no number wins."""
    for c in range(source.size):
        if source[c] > best[c] or source[c] != source[c]:
            best[c] = source[c]
            which[c] = tap


@jit
def max_block(lo, hi, x, geometry, lowest, y, which):
    """y[lo:hi] = largest of each window; which: the tap, counted row by row, -1 for none.

    x (n, h, w, c); lowest: no element is smaller; y of x's type, which int16 (n, rows, columns, c)
    """
    kh, kw, sy, sx, top, left = geometry
    for n in range(lo, hi):
        for i in range(y.shape[1]):
            above, below = span(i, sy, top, kh, x.shape[1])
            for j in range(y.shape[2]):
                before, after = span(j, sx, left, kw, x.shape[2])
                y[n, i, j, :] = lowest
                which[n, i, j, :] = -1
                for ky in range(above, below):
                    for kx in range(before, after):
                        seen = x[n, i * sy - top + ky, j * sx - left + kx]
                        larger(seen, ky * kw + kx, y[n, i, j], which[n, i, j])


@jit
def max_gradient_block(lo, hi, g, which, geometry, of_x):
    """of_x[lo:hi] = g, sent back to the taps it came from.

    g float, which int16 (n, rows, columns, c); of_x (n, h, w, c), written
    """
    kw, sy, sx, top, left = geometry[1:]
    for n in range(lo, hi):
        of_x[n] = 0
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                for c in range(g.shape[3]):
                    tap = which[n, i, j, c]
                    if tap >= 0:
                        row, column = i * sy - top + tap // kw, j * sx - left + tap % kw
                        of_x[n, row, column, c] += g[n, i, j, c]


@jit
def add_to(source, target):
    """target += source, elementwise."""
    for c in range(source.size):
        target[c] += source[c]


@jit
def sum_block(lo, hi, x, geometry, y):
    """y[lo:hi] = sum of each window's elements that lie in the image.

    x (n, h, w, c); y (n, rows, columns, c) of a type that holds the sums, written
    """
    kh, kw, sy, sx, top, left = geometry
    for n in range(lo, hi):
        for i in range(y.shape[1]):
            above, below = span(i, sy, top, kh, x.shape[1])
            for j in range(y.shape[2]):
                before, after = span(j, sx, left, kw, x.shape[2])
                y[n, i, j, :] = 0
                for ky in range(above, below):
                    for kx in range(before, after):
                        add_to(x[n, i * sy - top + ky, j * sx - left + kx], y[n, i, j])


@jit
def sum_gradient_block(lo, hi, g, geometry, of_x):
    """of_x[lo:hi]: every element gets the gradients of all windows that saw it.

    g float (n, rows, columns, c); of_x (n, h, w, c), written
    """
    kh, kw, sy, sx, top, left = geometry
    for n in range(lo, hi):
        of_x[n] = 0
        for i in range(g.shape[1]):
            above, below = span(i, sy, top, kh, of_x.shape[1])
            for j in range(g.shape[2]):
                before, after = span(j, sx, left, kw, of_x.shape[2])
                for ky in range(above, below):
                    for kx in range(before, after):
                        add_to(g[n, i, j], of_x[n, i * sy - top + ky, j * sx - left + kx])


# the usual case by itself: windows of 2 x 2 that touch and fill the image.  Rows are flat, as
# slices of a few channels would cost more than what is done with them.


@jit
def max_two_row(above, below, channels, best, which):
    """Largest of 2 x 2 pixels of two flat rows; the first of equals, what is no number wins."""
    for j in range(best.size // channels):
        to, at = j * channels, 2 * j * channels
        for k in range(channels):
            a, b = above[at + k], above[at + channels + k]
            c, d = below[at + k], below[at + channels + k]
            value, tap = a, np.int16(0)
            if b > value or b != b:
                value, tap = b, np.int16(1)
            if c > value or c != c:
                value, tap = c, np.int16(2)
            if d > value or d != d:
                value, tap = d, np.int16(3)
            best[to + k] = value
            which[to + k] = tap


@jit
def max_two_block(lo, hi, x, y, which):
    """`max_block` for 2 x 2 windows with stride 2 and no padding."""
    channels, count = x.shape[3], x.shape[2] * x.shape[3]
    out = y.shape[2] * channels
    for n in range(lo, hi):
        for i in range(y.shape[1]):
            above, below = x[n, 2 * i].reshape(count), x[n, 2 * i + 1].reshape(count)
            best, taps = y[n, i].reshape(out), which[n, i].reshape(out)
            max_two_row(above, below, channels, best, taps)


@jit
def keep_tap_row(g, which, channels, tap, zero, out):
    """One flat row of an image: g where it belongs to tap or tap + 1, else zero."""
    for j in range(g.size // channels):
        at, to = j * channels, 2 * j * channels
        for k in range(channels):
            value, here = g[at + k], which[at + k]
            out[to + k] = value if here == tap else zero
            out[to + channels + k] = value if here == tap + 1 else zero


@jit
def max_two_gradient_block(lo, hi, g, which, zero, of_x):
    """`max_gradient_block` for 2 x 2 windows with stride 2 and no padding."""
    channels, out = g.shape[3], of_x.shape[2] * g.shape[3]
    count, columns = g.shape[2] * channels, 2 * g.shape[2]
    for n in range(lo, hi):
        of_x[n, 2 * g.shape[1] :] = 0
        of_x[n, :, columns:] = 0
        for i in range(g.shape[1]):
            of_row, taps = g[n, i].reshape(count), which[n, i].reshape(count)
            for ky in range(2):
                target = of_x[n, 2 * i + ky].reshape(out)
                keep_tap_row(of_row, taps, channels, 2 * ky, zero, target)
