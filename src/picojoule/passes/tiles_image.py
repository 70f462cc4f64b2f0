"""How layers of images are cut into tiles: rows of the result times output channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.fixed.format import Format
from picojoule.passes.tiles import ACCUMULATOR, Tile, room, tiles
from picojoule.target import Target


@dataclass(frozen=True)
class ImageTile:
    """Rows first_row .. first_row + rows - 1 of the result, for the channels of a Tile.

    half  which half of the accumulators it uses: one is emptied while the other is filled
    """

    first_row: int
    rows: int
    start: int
    stop: int
    half: int


def accumulators(target: Target) -> int:
    """Accumulators that the output memory holds."""
    return room(target, "output") * 8 // ACCUMULATOR.bits


def channel_tiles(
    target: Target, taps: int, shape: tuple[int, ...], groups: int, form: Format
) -> tuple[Tile, ...]:
    """Output channels of a convolution whose weights are on the chip together.

    taps: weights of an output channel; shape: (height, width, channels) of the result.
    A tile lies within one group, or holds whole groups.
    """
    most = max(t.stop - t.start for t in tiles(target, taps, shape[2], form))
    held = accumulators(target)
    if shape[0] * shape[1] * most > held:  # then two tiles share the accumulators
        most = min(most, max(1, held // 2 // shape[1]))
    group = shape[2] // groups
    if group <= most:
        step = most // group * group
        return tuple(Tile(k, min(k + step, shape[2])) for k in range(0, shape[2], step))
    return tuple(
        Tile(first + k, first + min(k + most, group))
        for first in range(0, shape[2], group)
        for k in range(0, group, most)
    )


def row_tiles(
    target: Target, shape: tuple[int, ...], channels: Tile, most: int = 0
) -> Iterator[ImageTile]:
    """Rows whose accumulators fit: all at once, or else in two halves that take turns.

    most: channels of the layer's widest tile, if wider: halves are for all tiles, or for none.
    """
    each = shape[1] * (channels.stop - channels.start)
    held, widest = accumulators(target), shape[1] * max(channels.stop - channels.start, most)
    whole = shape[0] * widest <= held
    rows = shape[0] if whole else min(shape[0], max(1, held // 2 // each))
    for number, first in enumerate(range(0, shape[0], rows)):
        count = min(rows, shape[0] - first)
        yield ImageTile(first, count, channels.start, channels.stop, number % 2)
