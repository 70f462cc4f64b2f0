"""Convolution and its gradients over blocks of images, in tiles of vector registers.

Images are float32 (n, height, width, channels), padded one at a time into scratch that stays
in the cache.  `geometry` is int64 (13,): kernel height and width, stride y and x, padding top
and left; shape, rows, columns of the tile; 1 for relu; rows and columns of the output; and 1
where it is then pooled, the largest of 2 x 2.
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.micro import ADD, LANES, RECTIFY, SHAPES, STORE, tile
from picojoule.kernels.pooled import largest, sent_back
from picojoule.kernels.pooling_loops import max_two_row

LAST = len(SHAPES) - 1  # 3 rows of one vector


@jit
def pad_image(image, top, left, height, width, out):
    """Copy what of an image lies in the first `height` x `width` of the padded image.

    image (h, w * c); out (height, width * c); its borders are left alone.  left counts floats.
    """
    count = min(image.shape[1], width - left)
    for i in range(min(image.shape[0], height - top)):
        source, target = image[i], out[i + top, left:]
        for k in range(count):
            target[k] = source[k]


@jit
def copy_tile(scratch, columns, out, first, channel):
    """out[first + p, channel + q] = scratch[p, q], as far as `out` goes."""
    count = min(columns, out.shape[1] - channel)
    for p in range(min(scratch.size // columns, out.shape[0] - first)):
        source, target = scratch[p * columns : p * columns + count], out[first + p, channel:]
        for q in range(count):
            target[q] = source[q]


@jit
def convolve_row(geometry, a, pixel, row, b, channels, stored, start, how, scratch, out):
    """One row of the output of a convolution.

    a        address of the first tap, in images with rows of `row` floats; output pixels lie
             `pixel` floats apart, and `channels` floats are a pixel
    b        address of (kh, kw, channels, stored) weights;  start  address of (stored,) sums
    scratch  a tile, for what does not fill one;  out (columns, out), written
    """
    kh, kw = geometry[0], geometry[1]
    shape, tile_rows, tile_columns = geometry[6], geometry[7], geometry[8]
    c, many = out.ctypes.data, out.shape[1]
    for j in range(0, out.shape[0], tile_rows):
        for o in range(0, many, tile_columns):
            whole = j + tile_rows <= out.shape[0] and o + tile_columns <= many
            to = c + 4 * (j * many + o) if whole else scratch.ctypes.data
            tile(
                shape, a + 4 * j * pixel, pixel, 1, row, b + 4 * o, stored,
                kw * channels * stored, kw * channels, kh, start + 4 * o, to,
                many if whole else tile_columns, how,
            )  # fmt: skip
            if not whole:
                copy_tile(scratch, tile_columns, out, j, o)


@jit
def forward_block(lo, hi, x, weight, bias, geometry, y, which):
    """y[lo:hi] = convolution of x[lo:hi].

    x (n, h, w, c); weight (kh, kw, c, stored), bias (stored,), filled up to whole tiles
    y (n, rows, columns, out), or pooled, with the taps `which` int16; written
    """
    kh, kw, sy, sx, top, left = geometry[:6]
    rows, columns, pooled = geometry[10:]
    channels, many = x.shape[3], y.shape[3]
    height, row = (rows - 1) * sy + kh, ((columns - 1) * sx + kw) * channels
    image = np.zeros(height * row + geometry[7] * sx * channels, np.float32)
    padded = image[: height * row].reshape(height, row)
    scratch = np.empty(geometry[7] * geometry[8], np.float32)
    pair = np.empty((2, columns, many), np.float32)
    b, start = weight.ctypes.data, bias.ctypes.data
    how = RECTIFY if geometry[9] else STORE
    for n in range(lo, hi):
        pad_image(x[n].reshape(x.shape[1], -1), top, left * channels, height, row, padded)
        for i in range(rows - rows % 2 if pooled else rows):
            convolve_row(
                geometry, image.ctypes.data + 4 * i * sy * row, sx * channels, row, b, channels,
                weight.shape[3], start, how, scratch, pair[i % 2] if pooled else y[n, i],
            )  # fmt: skip
            if pooled and i % 2:
                pool_rows(pair, geometry[9], y[n, i // 2], which[n, i // 2])


@jit
def pool_rows(pair, relu, best, which):
    """Largest of 2 x 2 pixels of two rows (2, columns, c); which: -1 where relu ends in 0."""
    many = pair.shape[2]
    if many % LANES == 0:
        above, below = pair[0].ctypes.data, pair[1].ctypes.data
        value, tap = best.ctypes.data, which.ctypes.data
        for j in range(best.shape[0]):
            for c in range(0, many, LANES):
                at, to = 4 * (2 * j * many + c), j * many + c
                largest(above + at, below + at, many, relu, value + 4 * to, tap + 2 * to)
        return
    best, which = best.reshape(-1), which.reshape(-1)
    max_two_row(pair[0].reshape(-1), pair[1].reshape(-1), many, best, which)
    if relu:
        for k in range(best.size):
            which[k] = np.int16(-1) if best[k] <= 0 else which[k]


@jit
def copy_where_positive(source, seen, relu, target):
    """target = source, or zero where a rectified result `seen` is zero; all flat."""
    if not relu:
        for k in range(source.size):
            target[k] = source[k]
        return
    for k in range(source.size):
        target[k] = np.float32(0) if seen[k] <= 0 else source[k]


@jit
def spread_gradient(g, y, relu, origin, row, pixel, out):
    """Lay the gradient of one image out as the tiles read it.

    g, y (rows, columns, out); out flat: pixel (i, j) starts at origin + i * row + j * pixel
    """
    columns, many = g.shape[1], g.shape[2]
    for i in range(g.shape[0]):
        at, source, seen = origin + i * row, g[i].reshape(-1), y[i].reshape(-1)
        if pixel == many:
            copy_where_positive(source, seen, relu, out[at : at + columns * many])
            continue
        for j in range(columns):
            for c in range(many):
                k = j * many + c
                value = source[k]
                out[at + c] = np.float32(0) if relu and seen[k] <= 0 else value
            at += pixel


@jit
def spread_pooled(g, which, origin, row, pixel, out):
    """`spread_gradient` of a pooled result: g, which (rows / 2, columns / 2, out)."""
    columns, many = g.shape[1], g.shape[2]
    value, tap, to = g.ctypes.data, which.ctypes.data, out.ctypes.data
    for i in range(g.shape[0] if many % LANES == 0 else 0):
        above = to + 4 * (origin + 2 * i * row)
        for j in range(columns):
            for c in range(0, many, LANES):
                at, here = (i * columns + j) * many + c, above + 4 * (2 * j * pixel + c)
                sent_back(value + 4 * at, tap + 2 * at, here, here + 4 * row, pixel)
    for i in range(0 if many % LANES == 0 else g.shape[0]):
        source, taps = g[i].reshape(-1), which[i].reshape(-1)
        for ky in range(2):
            start, first = origin + (2 * i + ky) * row, 2 * ky
            for j in range(columns):
                at, onto = j * many, start + 2 * j * pixel
                for c in range(many):
                    part, here = source[at + c], taps[at + c]
                    out[onto + c] = part if here == first else np.float32(0)
                    out[onto + pixel + c] = part if here == first + 1 else np.float32(0)


@jit
def weight_gradient(image, spread, sizes, geometry, none, out, how):
    """One image's gradient of the weights, stored or added.

    The last row of `out` is that of the bias, as if it were a weight of pixels that are all 1.

    image   the padded input, flat;  spread  address of the first pixel's gradient
    sizes   (rows, columns of the output, channels, floats of an image row, of a gradient row,
            of a gradient pixel)
    none    zeros, but for the last, which is 1
    out     (kh * m + 3, pixel floats): kernel rows of m >= kw * channels, in whole tiles
    """
    kh, kw, sy, sx = geometry[:4]
    shape, tile_rows, tile_columns = geometry[6:9]
    rows, columns, channels, image_row, spread_row, pixel = sizes
    start, m_rows = none.ctypes.data, (out.shape[0] - 3) // kh
    for ky in range(kh):
        c = out.ctypes.data + 4 * ky * m_rows * pixel
        for m in range(0, kw * channels, tile_rows):
            for o in range(0, pixel, tile_columns):
                tile(
                    shape, image + 4 * (ky * image_row + m), 1, sx * channels, sy * image_row,
                    spread + 4 * o, sx * pixel, sy * spread_row, columns, rows, start,
                    c + 4 * (m * pixel + o), pixel, how,
                )  # fmt: skip
    for o in range(0, pixel, LANES):
        tile(
            LAST, start + 4 * (none.size - 1), 0, 0, 0, spread + 4 * o, sx * pixel,
            sy * spread_row, columns, rows, start, out[kh * m_rows :].ctypes.data + 4 * o, pixel,
            how,
        )  # fmt: skip


@jit
def fill_shifted(image, sizes, kh, kw, shifted):
    """shifted[r] = the flat image from where tap r (row by row, then channel) sees it first."""
    channels, image_row = sizes[2], sizes[3]
    for ky in range(kh):
        for m in range(kw * channels):
            source = image[ky * image_row + m :]
            target = shifted[ky * kw * channels + m]
            for k in range(min(source.size, target.size)):
                target[k] = source[k]


@jit
def gradient_of_few(shifted, spread, sizes, geometry, none, out, how):
    """`weight_gradient` of few channels, all taps and the bias in one tile.

    shifted  (rows of the tile, floats of the image): of `fill_shifted`, then ones, then anything
    out      (rows of the tile, pixel floats), in the order of taps
    """
    sy, sx, shape = geometry[2], geometry[3], geometry[6]
    rows, columns, channels, image_row, spread_row, pixel = sizes
    for o in range(0, pixel, LANES):
        tile(
            shape, shifted.ctypes.data, shifted.shape[1], sx * channels, sy * image_row,
            spread + 4 * o, sx * pixel, sy * spread_row, columns, rows, none.ctypes.data,
            out.ctypes.data + 4 * o, pixel, how,
        )  # fmt: skip


@jit
def backward_block(lo, hi, x, g, y, which, mirrored, forth, back, of_x, of_weight):
    """Gradients of the images lo:hi.

    x (n, h, w, c); g, y (n, rows, columns, out), or pooled, with the taps `which`
    mirrored  (kh, kw, pixel, stored): weights turned about; stored 0 where of_x is not wanted
    forth     geometry of the weight gradient, back: of the data gradient
    of_x      (n, h, w, c), written;  of_weight as in `weight_gradient`, written
    """
    kh, kw, sy, sx, top, left = forth[:6]
    channels, pixel, stored = x.shape[3], mirrored.shape[2], mirrored.shape[3]
    rows, columns, pooled = forth[10:]
    height, width = (rows - 1) * sy + kh, ((columns - 1) * sx + kw) * channels
    image = np.zeros(height * width + forth[7], np.float32)
    padded = image[: height * width].reshape(height, width)
    row = (x.shape[2] + kw - 1) * pixel
    spread = np.zeros((x.shape[1] + kh - 1) * row + back[7] * pixel, np.float32)
    origin = (kh - 1 - top) * row + (kw - 1 - left) * pixel
    scratch = np.empty(back[7] * back[8], np.float32)
    none = np.zeros(max(forth[8], stored) + 1, np.float32)
    none[none.size - 1] = 1
    sizes = (rows, columns, channels, width, row, pixel)
    taps = kh * kw * channels
    few = taps < forth[7]  # all taps and the bias are one tile
    shifted = np.ones((forth[7] if few else 0, image.size), np.float32)
    for n in range(lo, hi):
        pad_image(x[n].reshape(x.shape[1], -1), top, left * channels, height, width, padded)
        if pooled:
            spread_pooled(g[n], which[n], origin, sy * row, sx * pixel, spread)
        else:
            spread_gradient(g[n], y[n], forth[9], origin, sy * row, sx * pixel, spread)
        how, at = ADD if n > lo else STORE, spread.ctypes.data  # held by the name `spread`
        if few:
            fill_shifted(image, sizes, kh, kw, shifted)
            gradient_of_few(shifted, at + 4 * origin, sizes, forth, none, of_weight, how)
        else:
            weight_gradient(image.ctypes.data, at + 4 * origin, sizes, forth, none, of_weight, how)
        for i in range(x.shape[1] if stored else 0):
            convolve_row(
                back, at + 4 * i * row, pixel, row, mirrored.ctypes.data, pixel, stored,
                none.ctypes.data, STORE, scratch, of_x[n, i],
            )  # fmt: skip


@jit
def backward_blocks(
    first, last, block, x, g, y, which, mirrored, forth, back, of_x, of_weight
):  # fmt: skip
    """`backward_block` of blocks first..last of so many images, each with its of_weight[k]."""
    for k in range(first, last):
        lo, hi = k * block, min((k + 1) * block, x.shape[0])
        backward_block(lo, hi, x, g, y, which, mirrored, forth, back, of_x, of_weight[k])
