"""Convolution of images (n, height, width, channels), and its gradients.

float32 without dilation or groups runs in tiles of vector registers (`convolution_tiles`); all
else is one matrix product a tap, in numpy.  Weights are (out, channels // groups, kh, kw).
Sums over images go over blocks that depend on shapes only, so bits do not depend on the number
of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from picojoule.fixed.jit import config
from picojoule.kernels.convolution_tiles import backward_blocks, forward_block
from picojoule.kernels.micro import best_shape, weight_shape
from picojoule.kernels.pool import over_blocks, shared
from picojoule.kernels.pooling import TWO, max_pool, max_pool_gradient
from picojoule.kernels.window import Window

Array = np.ndarray[Any, Any]
PARTS = 8  # most blocks whose weight gradients are summed


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of a convolution; x is None where it was not wanted."""

    x: Array | None
    weight: Array
    bias: Array


def convolve(
    x: Array, weight: Array, bias: Array | None, window: Window, *, groups: int = 1,
    relu: bool = False, threads: int | None = None,
) -> Array:  # fmt: skip
    """y (n, rows, columns, out) = convolution of x (n, h, w, c), + bias (out,), rectified if asked.

    x, weight, bias of one dtype: float32, float64 or int64, where sums must fit.
    Raises ValueError where shapes do not fit.
    """
    _check(x, weight, window, groups)
    bias = np.zeros(len(weight), x.dtype) if bias is None else bias
    if _tiles(x, window, groups):
        return _convolve_tiles(x, weight, bias, window, (relu, False), threads)[0]
    y = np.concatenate(over_blocks(
        len(x), threads, lambda lo, hi: _convolve_taps(x[lo:hi], weight, window, groups),
    )) if len(x) else _convolve_taps(x, weight, window, groups)  # fmt: skip
    y += bias
    return np.maximum(y, 0, out=y) if relu else y


def convolve_pooled(
    x: Array, weight: Array, bias: Array, window: Window, *, groups: int = 1, relu: bool = False,
    threads: int | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """`convolve`, of which the largest of each 2 x 2 pixels is kept; and int16 where it lay.

    Both (n, rows // 2, columns // 2, out).  -1: nowhere, since relu made it 0.
    """
    _check(x, weight, window, groups)
    if _tiles(x, window, groups):
        return _convolve_tiles(x, weight, bias, window, (relu, True), threads)
    whole = convolve(x, weight, bias, window, groups=groups, relu=relu, threads=threads)
    y, which = max_pool(whole, TWO, threads)
    if relu:
        which[y <= 0] = -1
    return y, which


def convolution_gradients(
    g: Array, x: Array, weight: Array, window: Window, *, groups: int = 1, y: Array | None = None,
    which: Array | None = None, wants_x: bool = True, threads: int | None = None,
) -> Gradients:  # fmt: skip
    """Gradients of `convolve`, given g (n, rows, columns, out).

    y: the result, where it was rectified;  which: that of `convolve_pooled`, where g is its
    """
    _check(x, weight, window, groups)
    size = window.out_size(*x.shape[1:3])
    halves = size if which is None else (size[0] // 2, size[1] // 2)
    if g.shape != (len(x), *halves, len(weight)):
        raise ValueError(f"a gradient {g.shape} of images {x.shape} through {window}")
    if any(seen is not None and seen.shape != g.shape for seen in (y, which)):
        raise ValueError(f"a result of another shape than its gradient, {g.shape}")
    if _tiles(x, window, groups) and _mirrors(window) and len(x):
        return _gradients_tiles(g, x, weight, window, (y, which), wants_x, threads)
    if which is not None:
        whole = (len(x), *window.out_size(*x.shape[1:3]), len(weight))
        g = max_pool_gradient(g, which, TWO, whole, threads)
    g = g if y is None else g * (y > 0)
    return _gradients_taps(g, x, weight, window, groups, wants_x)


def _check(x: Array, weight: Array, window: Window, groups: int) -> None:
    """Tiles read bare addresses, so nothing that does not fit may reach them."""
    fits = x.ndim == weight.ndim == 4 and weight.shape[2:] == window.kernel
    fits = fits and x.shape[3] == weight.shape[1] * groups and len(weight) % groups == 0
    if not fits or min(window.out_size(*x.shape[1:3])) < 1 or min(window.padding) < 0:
        what = f"images {x.shape} do not fit weights {weight.shape} in {groups} groups"
        raise ValueError(f"{what} and {window}")


# -------------------------------------------------------------------------------- tiles


def _tiles(x: Array, window: Window, groups: int) -> bool:
    plain = groups == 1 and window.dilation == (1, 1)
    return plain and x.dtype == np.float32 and not config.DISABLE_JIT


def _mirrors(window: Window) -> bool:
    """Whether no side is padded by a whole kernel, so that the data gradient is a convolution."""
    (kh, kw), (top, left, bottom, right) = window.kernel, window.padding
    return max(top, bottom) < kh and max(left, right) < kw


def _geometry(
    window: Window, shape: tuple[int, int, int], size: tuple[int, int] = (0, 0),
    relu: bool = False, pooled: bool = False,
) -> Array:  # fmt: skip
    ends = (window.kernel, window.stride, window.padding[:2], shape, (relu,), size, (pooled,))
    return np.array([number for part in ends for number in part], np.int64)


def _whole(count: int, tile: int) -> int:
    return -(-count // tile) * tile


def _convolve_tiles(
    x: Array, weight: Array, bias: Array, window: Window, how: tuple[bool, bool],
    threads: int | None,
) -> tuple[Array, Array]:  # fmt: skip
    out, channels = weight.shape[:2]
    size = window.out_size(*x.shape[1:3])
    shape = best_shape(size[1], out)
    packed = np.zeros((*window.kernel, channels, _whole(out, shape[2])), np.float32)
    packed[..., :out] = weight.transpose(2, 3, 1, 0)
    start = np.zeros(packed.shape[3], np.float32)
    start[:out] = bias
    halves = (size[0] // 2, size[1] // 2) if how[1] else size
    y = np.empty((len(x), *halves, out), np.float32)
    which = np.empty(y.shape if how[1] else (0, 0, 0, 0), np.int16)
    args = (np.ascontiguousarray(x), packed, start, _geometry(window, shape, size, *how), y, which)
    size = shared(len(x), threads)
    over_blocks(len(x), threads, lambda lo, hi: forward_block(lo, hi, *args), size)
    return y, which


def _gradients_tiles(
    g: Array, x: Array, weight: Array, window: Window, seen: tuple[Array | None, Array | None],
    wants_x: bool, threads: int | None,
) -> Gradients:  # fmt: skip
    (out, channels), (kh, kw), n = weight.shape[:2], window.kernel, len(x)
    forth, few = weight_shape(kh * kw * channels, kw * channels, out)
    back = best_shape(x.shape[2], channels)
    pixel = _whole(out, forth[2])
    mirrored = np.zeros((kh, kw, pixel, wants_x * _whole(channels, back[2])), np.float32)
    if wants_x:
        mirrored[:, :, :out, :channels] = weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    block = -(-n // PARTS)
    of_x = np.empty(x.shape if wants_x else (0, *x.shape[1:]), np.float32)
    kernel_row = kw * channels if few else _whole(kw * channels, forth[1])
    stored = forth[1] if few else kh * kernel_row + 3
    of_weight = np.empty((-(-n // block), stored, pixel), np.float32)
    g, x = np.ascontiguousarray(g, np.float32), np.ascontiguousarray(x)
    y, which = g if seen[0] is None else seen[0], seen[1]
    none = np.empty((0, 0, 0, 0), np.int16)
    taps = none if which is None else np.ascontiguousarray(which, np.int16)
    size = window.out_size(*x.shape[1:3])
    of_out = _geometry(window, forth, size, seen[0] is not None, which is not None)
    args = (block, x, g, y, taps, mirrored, of_out, _geometry(window, back), of_x, of_weight)
    blocks = len(of_weight)
    size = shared(blocks, threads)
    over_blocks(blocks, threads, lambda lo, hi: backward_blocks(lo, hi, *args), size)
    total = of_weight.sum(0)[:, :out]
    rows = total[: kh * kernel_row].reshape(kh, kernel_row, out)[:, : kw * channels]
    of_taps = rows.reshape(kh, kw, channels, out).transpose(3, 2, 0, 1)
    of_bias = np.ascontiguousarray(total[kh * kernel_row])
    return Gradients(of_x if wants_x else None, np.ascontiguousarray(of_taps), of_bias)


# --------------------------------------------------------------------------------- taps


def _padded(x: Array, window: Window) -> Array:
    height, width = window.padded(*x.shape[1:3])
    top, left = window.padding[:2]
    out = np.zeros((len(x), height, width, x.shape[3]), x.dtype)
    seen = x[:, : max(height - top, 0), : max(width - left, 0)]
    out[:, top : top + seen.shape[1], left : left + seen.shape[2]] = seen
    return out


def _grouped(array: Array, groups: int) -> Array:
    """(..., c) as (groups, pixels, c // groups)."""
    flat = array.reshape(-1, groups, array.shape[-1] // groups)
    return np.ascontiguousarray(flat.transpose(1, 0, 2))


def _by_group(weight: Array, groups: int, ky: int, kx: int) -> Array:
    """One tap of the weights as (groups, out // groups, channels // groups)."""
    return weight[:, :, ky, kx].reshape(groups, -1, weight.shape[1])


def _convolve_taps(x: Array, weight: Array, window: Window, groups: int) -> Array:
    rows, columns = window.out_size(*x.shape[1:3])
    padded = _padded(x, window)
    y = np.zeros((groups, len(x) * rows * columns, len(weight) // groups), x.dtype)
    for ky, kx, down, across in window.taps(rows, columns):
        seen = _grouped(padded[:, down, across], groups)
        y += seen @ _by_group(weight, groups, ky, kx).transpose(0, 2, 1)
    return y.transpose(1, 0, 2).reshape(len(x), rows, columns, len(weight))


def _gradients_taps(
    g: Array, x: Array, weight: Array, window: Window, groups: int, wants_x: bool
) -> Gradients:
    padded = _padded(x, window)
    of_padded = np.zeros_like(padded)
    of_weight = np.empty_like(weight)
    many = _grouped(g, groups)
    for ky, kx, down, across in window.taps(*g.shape[1:3]):
        seen = padded[:, down, across]
        of_tap = many.transpose(0, 2, 1) @ _grouped(seen, groups)
        of_weight[:, :, ky, kx] = of_tap.reshape(len(weight), -1)
        if wants_x:
            part = many @ _by_group(weight, groups, ky, kx)
            of_padded[:, down, across] += part.transpose(1, 0, 2).reshape(seen.shape)
    return Gradients(
        _cropped(of_padded, x, window) if wants_x else None, of_weight, g.sum((0, 1, 2))
    )


def _cropped(of_padded: Array, x: Array, window: Window) -> Array:
    top, left = window.padding[:2]
    out = np.zeros_like(x)
    seen = of_padded[:, top : top + x.shape[1], left : left + x.shape[2]]
    out[:, : seen.shape[1], : seen.shape[2]] = seen
    return out
