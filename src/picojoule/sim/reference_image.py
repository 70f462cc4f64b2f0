"""The reference engine's instructions on images: one place of a kernel after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Args = dict[str, int]


def _taps(
    args: Args, kernel: tuple[int, int], x: Array, rows: int, outside: int
) -> Iterator[tuple[int, int, Array]]:
    """(a, b, values (n, rows, columns, channels)) that each result has at a place of the kernel."""
    n, height, width = len(x), args["height"], args["width"]
    image = x.reshape(n, height, width, -1)
    for a in range(kernel[0]):
        y = (args["first_row"] + np.arange(rows)) * args["stride_y"] - args["top"]
        y = y + a * args.get("dilation_y", 1)
        for b in range(kernel[1]):
            z = np.arange(args["columns"]) * args["stride_x"] - args["left"]
            z = z + b * args.get("dilation_x", 1)
            inside = ((y >= 0) & (y < height))[:, None] & ((z >= 0) & (z < width))
            here = image[:, np.clip(y, 0, height - 1)][:, :, np.clip(z, 0, width - 1)]
            yield a, b, np.where(inside[None, :, :, None], here, outside)


def conv(args: Args, size: int, x: Array, weight: Array) -> Array:
    """Whole sums (n, places, count), without a bias.  weight (1, count, in / groups, kh, kw)."""
    weight, count = weight[0], weight.shape[1]
    reach = np.abs(x - args["zero_in"]).max(initial=0) * np.abs(weight).sum(axis=(1, 2, 3)).max()
    kind = np.float64 if reach < 2**53 else np.int64  # exact, and far faster
    weight = weight.astype(kind)
    group = (args["first"] + np.arange(count)) // (args["channels"] // args["groups"])
    inputs = weight.shape[1]
    out = np.zeros((len(x), size // (args["columns"] * count), args["columns"], count), kind)
    for a, b, here in _taps(args, weight.shape[2:], x, out.shape[1], args["zero_in"]):
        real = (here - args["zero_in"]).astype(kind)
        for g in np.unique(group):
            part = real[..., g * inputs : (g + 1) * inputs]
            mine = slice(*np.searchsorted(group, (g, g + 1)))
            out[..., mine] += part @ weight[mine, :, a, b].T
    return out.astype(np.int64).reshape(len(x), -1, count)


def requantize_channels(args: Args, scaled: Callable[..., Array], *operands: Array) -> Array:
    """(n, places, count): what goes among the channels of the result."""
    acc, multiplier, exponent = operands
    parts = acc.reshape(len(acc), -1, multiplier.shape[1])
    return limited(args, scaled(parts, multiplier[0], exponent[0]))


def limited(args: Args, x: Array) -> Array:
    """Scaled sums as results: within limits, then of so many significant bits if asked for."""
    made = np.clip(x + args["zero"], args["low"], args["high"])
    if not args.get("fraction", 0):
        return made
    place = 2.0 ** np.maximum(np.frexp(made)[1] - 1 - args["fraction"], 0)
    return (np.rint(made / place) * place).astype(np.int64)


def pool(args: Args, size: int, x: Array, *, largest: bool) -> Array:
    channels = x.shape[1] // (args["height"] * args["width"])
    rows, kernel = size // (args["columns"] * channels), (args["kernel_y"], args["kernel_x"])
    outside = -(2**62) if largest else args["zero_in"]
    parts = np.stack([here for _, _, here in _taps(args, kernel, x, rows, outside)])
    found = parts.max(axis=0) if largest else (parts - args["zero_in"]).sum(axis=0)
    return found.reshape(len(x), -1)


def among(args: Args, before: Array, part: Array) -> Array:
    """What a span holds once (n, places, count) was written among its channels."""
    places = before.reshape(len(before), -1, args["channels"]).copy()
    places[:, :, args["first"] : args["first"] + part.shape[2]] = part
    return places.reshape(before.shape)
