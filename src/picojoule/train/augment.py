"""Changes to training images that keep what they show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

Array = np.ndarray
MARGIN = 3  # pixels of zeros around an image, more than any shift moves its middle


def jitter(
    shape: tuple[int, int], *, shift: float, turn: float = 0.0, zoom: float = 0.0,
    noise: float = 0.0, high: float = 1.0,
) -> Callable[[Array, np.random.Generator], Array]:  # fmt: skip
    """A function that moves, turns and stretches each image (n, height * width) at random.

    shift  pixels   turn  radians   zoom  part of the size   (each uniform in +-)
    noise  standard deviation added to each pixel, which then stays in 0..high
    Pixels between pixels are interpolated; what comes from outside is 0.
    """
    return partial(_jittered, shape, shift, turn, zoom, noise, high)


def _jittered(
    shape: tuple[int, int], shift: float, turn: float, zoom: float, noise: float, high: float,
    x: Array, rng: np.random.Generator,
) -> Array:  # fmt: skip
    n = len(x)
    angle = rng.uniform(-turn, turn, (n, 1, 1))
    scale = 1 + rng.uniform(-zoom, zoom, (2, n, 1, 1))
    move = rng.uniform(-shift, shift, (2, n, 1, 1))
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in shape)
    rows, columns = rows[:, None], columns[None, :]
    from_rows = (np.cos(angle) * rows - np.sin(angle) * columns) * scale[0] + move[0]
    from_columns = (np.sin(angle) * rows + np.cos(angle) * columns) * scale[1] + move[1]
    out = _sampled(x.reshape(n, *shape), from_rows, from_columns).reshape(x.shape)
    if noise > 0:
        out = np.clip(out + rng.normal(0.0, noise, out.shape), 0, high)
    return out.astype(x.dtype)


def _sampled(images: Array, rows: Array, columns: Array) -> Array:
    """Bilinear samples of images (n, h, w) at places measured from their middle."""
    edge = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
    wide = np.pad(images, edge)
    n, height, width = wide.shape
    rows = np.clip(rows + (height - 1) / 2, 0, height - 1.001)
    columns = np.clip(columns + (width - 1) / 2, 0, width - 1.001)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = rows - top, columns - left
    image = np.arange(n)[:, None, None]
    upper = wide[image, top, left] * (1 - right) + wide[image, top, left + 1] * right
    lower = wide[image, top + 1, left] * (1 - right) + wide[image, top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def move(pixels: int, *, mirror: bool = False) -> Callable[[Array, np.random.Generator], Array]:
    """A function that moves each image (n, height, width, ...) by whole pixels at random.

    pixels  at most so many along each axis; zeros come from outside
    mirror  also swaps left and right of half of the images
    """
    return partial(_moved, pixels, mirror)


def _moved(pixels: int, mirror: bool, x: Array, rng: np.random.Generator) -> Array:
    n, height, width = x.shape[:3]
    edge = ((0, 0), (pixels, pixels), (pixels, pixels), *((0, 0),) * (x.ndim - 3))
    wide = np.pad(x, edge)
    down, right = rng.integers(0, 2 * pixels + 1, (2, n))
    places = np.lib.stride_tricks.sliding_window_view(wide, (height, width), (1, 2))
    moved = np.moveaxis(places[np.arange(n), down, right], (-2, -1), (1, 2))
    if mirror:
        turned = rng.random(n) < 0.5
        moved[turned] = moved[turned][:, :, ::-1]
    return np.ascontiguousarray(moved)
