"""Integer layers of images for tensor machines: rules T9..T11, by rows of the result.

Simulator and trainer call the same functions.  Images are (n, height, width, channels).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.convolution import convolve
from picojoule.kernels.pool import over_blocks, shared
from picojoule.kernels.tensor import carrier_of, leave, requantize_rows, significant_rows
from picojoule.kernels.window import Window

Array = np.ndarray[Any, Any]
ROWS = 4096  # places of a block, whatever the number of threads


def conv_int(
    x: Array, weight: Array, bias: Array, window: Window, groups: int = 1,
    threads: int | None = None, shift: int = 0,
) -> Array:  # fmt: skip
    """Rule T9: int32 (n, rows, columns, out) sums of a convolution, exactly.

    x      (n, height, width, in) integers less their zero point, in the carrier's type
    weight int (out, in / groups, kh, kw); bias int (out,).  Beyond 32 bits sums wrap.
    shift  sums are rounded by so many bits before the bias (rule T14)
    """
    if shift:
        acc = convolve(x, weight.astype(x.dtype), None, window, groups=groups, threads=threads)
        return leave(acc, shift, bias)
    acc = convolve(x, weight.astype(x.dtype), bias.astype(x.dtype), window, groups=groups,
                   threads=threads)  # fmt: skip
    return acc.astype(np.int32) if x.dtype.itemsize == 4 else acc.astype(np.int64).astype(np.int32)


def shifted(x: Array, zero: int, carrier: np.dtype[Any]) -> Array:
    """x - zero in a carrier that holds it exactly."""
    if zero == 0:
        return x.astype(carrier)
    return np.subtract(x, zero, dtype=carrier, casting="unsafe")


def conv_rows(
    x: Array, weight: Array, bias: Array, *, x_limit: int, zero_in: int, stride_y: int,
    stride_x: int, top: int, left: int, dilation_y: int, dilation_x: int, groups: int,
    channels: int, first: int, first_row: int, columns: int, rows: int, shift: int = 0,
) -> Array:  # fmt: skip
    """Rows first_row .. + rows of rule T9 for output channels first .. + len(weight).

    x int (n, height, width, in); weight int (count, in / groups, kh, kw); bias int (count,)
    """
    size = channels // groups
    window = {"stride": (stride_y, stride_x), "dilation": (dilation_y, dilation_x)}
    kernel = (weight.shape[2], weight.shape[3])
    reach = (dilation_y * (kernel[0] - 1) + 1, dilation_x * (kernel[1] - 1) + 1)
    seen, above, below = _band(x, first_row * stride_y - top, (rows - 1) * stride_y + reach[0])
    right = (columns - 1) * stride_x + reach[1] - left - x.shape[2]
    seen, right = seen[:, :, : x.shape[2] + min(right, 0)], max(right, 0)
    padding = (above, left, below, right)
    wide = shifted(seen, zero_in, carrier_of(x_limit, weight, bias))
    made = Window(kernel=kernel, padding=padding, **window)
    part = range(first // size, -(-(first + len(weight)) // size))
    if first % size == 0 and len(weight) % size == 0:
        wide = wide[..., part.start * weight.shape[1] : part.stop * weight.shape[1]]
        return conv_int(wide, weight, bias, made, groups=len(part), threads=1,
                        shift=shift)  # fmt: skip
    cuts = [(max(g * size - first, 0), (g + 1) * size - first) for g in part]
    found = [
        conv_int(wide[..., g * weight.shape[1] : (g + 1) * weight.shape[1]],
                 weight[low:high], bias[low:high], made, threads=1, shift=shift)
        for g, (low, high) in zip(part, cuts)
    ]  # fmt: skip
    return np.concatenate(found, axis=-1)


def _band(x: Array, start: int, count: int) -> tuple[Array, int, int]:
    """Rows start .. start + count of images, and how many of them lie above and below."""
    stop, height = start + count, x.shape[1]
    above, below = min(max(-start, 0), count), min(max(stop - height, 0), count)
    return x[:, max(start, 0) : max(stop, 0)], above, below


def _pool_parts(
    x: Array, kernel: tuple[int, int], stride: tuple[int, int], corner: tuple[int, int],
    size: tuple[int, int],
) -> Any:  # fmt: skip
    """For each place of the kernel: the results (rows, columns) whose windows have something
    of the image there, and that part of the image."""
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            inside = [
                _inside(corner[k] + (a, b)[k], stride[k], size[k], x.shape[1 + k]) for k in (0, 1)
            ]
            (rows, down), (columns, across) = inside
            yield rows, columns, x[:, down, across]


def _inside(start: int, stride: int, count: int, side: int) -> tuple[slice, slice]:
    """Of places start, start + stride, ..: which lie in 0..side - 1, and where."""
    low = -(start // stride) if start < 0 else 0
    high = max(min(count, -(-(side - start) // stride)), low)
    return slice(low, high), slice(start + low * stride, start + high * stride, stride)


def max_rows(
    x: Array, *, kernel_y: int, kernel_x: int, stride_y: int, stride_x: int, top: int, left: int,
    first_row: int, columns: int, rows: int,
) -> Array:  # fmt: skip
    """Rule T10: the largest integer of each window, for rows first_row .. + rows of the result."""
    least = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    out = np.full((len(x), rows, columns, x.shape[3]), least, x.dtype)
    corner = (first_row * stride_y - top, -left)
    parts = _pool_parts(x, (kernel_y, kernel_x), (stride_y, stride_x), corner, (rows, columns))
    for down, across, part in parts:
        np.maximum(out[:, down, across], part, out=out[:, down, across])
    return out


def sum_rows(
    x: Array, *, zero_in: int, kernel_y: int, kernel_x: int, stride_y: int, stride_x: int,
    top: int, left: int, first_row: int, columns: int, rows: int,
) -> Array:  # fmt: skip
    """Rule T11: int32 sums of x - zero_in over each window; beyond 32 bits they wrap."""
    out = np.zeros((len(x), rows, columns, x.shape[3]), np.int32)
    corner = (first_row * stride_y - top, -left)
    parts = _pool_parts(x, (kernel_y, kernel_x), (stride_y, stride_x), corner, (rows, columns))
    for down, across, part in parts:
        out[:, down, across] += np.subtract(part, zero_in, dtype=np.int32)
    return out


def requantize_places(
    acc: Array, multiplier: Array, exponent: Array, zero: int, low: int, high: int, dtype: Any,
    *, fraction: int = 0,
) -> Array:  # fmt: skip
    """Rule T6 on every place of (..., channels), each channel with its own multiplier.

    fraction: of results of few significant bits (rule T15), else 0
    """
    channels = acc.shape[-1]
    many = (np.broadcast_to(multiplier, (channels,)), np.broadcast_to(exponent, (channels,)))
    rows = acc.reshape(-1, channels)
    out = np.empty(rows.shape, dtype)
    scaling = [np.array(numbers, np.int64) for numbers in many]

    def work(start: int, stop: int) -> None:
        part = np.ascontiguousarray(rows[start:stop])
        requantize_rows(part, *scaling, zero, low, high, out[start:stop])
        if fraction:
            significant_rows(out[start:stop], fraction)

    over_blocks(len(rows), None, work, shared(len(rows), None, ROWS))
    return out.reshape(acc.shape)


@jit
def through_rows(acc, level, g, factor, zero, low, high, out, totals):
    """Write g where low <= acc * factor + zero <= high, else 0; add to `totals`, by channel,
    g (level - zero - acc factor) inside and g (level - zero) outside: LSQ's gradient of the step.

    acc, level any (n, channels); g, out float32 (n, channels); factor, totals float64 (channels,);
    zero, low, high float64
    """
    for n in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            exact = acc[n, c] * factor[c]
            inside = (exact >= low - zero) & (exact <= high - zero)
            near = np.float64(level[n, c]) - zero
            totals[c] += g[n, c] * (near - exact if inside else near)
            out[n, c] = g[n, c] if inside else np.float32(0.0)


def through_places(
    acc: Array, level: Array, g: Array, factor: Array, zero: int, low: int, high: int
) -> tuple[Array, float]:
    """`through_rows` on (..., channels), over fixed blocks: (gradient float32, of the step)."""
    channels = acc.shape[-1]
    rows = [np.ascontiguousarray(a).reshape(-1, channels) for a in (acc, level, g)]
    rows[2] = rows[2].astype(np.float32, copy=False)
    out, factor = np.empty(rows[2].shape, np.float32), np.array(factor, np.float64)
    limits = float(zero), float(low), float(high)

    def work(start: int, stop: int) -> Array:
        totals = np.zeros(channels)
        part = [a[start:stop] for a in rows]
        through_rows(*part, factor, *limits, out[start:stop], totals)
        return totals

    blocks = over_blocks(len(out), None, work, ROWS)
    return out.reshape(acc.shape), float(np.sum(blocks))
