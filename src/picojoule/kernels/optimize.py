"""Fused updates of flat buffers of parameters: one pass over memory, any number of threads.

Every element is updated from itself alone, so results have the same bits however they are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from picojoule.fixed.jit import jit
from picojoule.kernels.pool import over_blocks

Array = np.ndarray[Any, Any]
Span = tuple[int, int, float, float]  # start, stop, factor of the rate, decay
BLOCK = 1 << 16  # elements; less is not worth a second thread


@jit
def adam_part(flat, g, first, second, rate, decay, numbers, coupled):
    """Adam on a part of the buffers, in place.

    flat, g, first, second  one float type, (n,);  rate, decay: scalars of that type
    numbers  of the same type: 1 - beta1, 1 - beta2, their bias corrections, eps
    coupled  whether decay is part of the gradient (Adam), or apart from it (AdamW)
    """
    keep1, keep2, grown1, grown2, eps = numbers
    shrink, move = rate * decay, rate / grown1
    for i in range(flat.size):
        slope = g[i]
        if coupled:
            slope += decay * flat[i]
        first[i] += keep1 * (slope - first[i])
        second[i] += keep2 * (slope * slope - second[i])
        root = np.sqrt(second[i] / grown2) + eps
        value = flat[i]
        if not coupled:
            value -= shrink * value
        flat[i] = value - move * first[i] / root


@jit
def momentum_part(flat, g, velocity, rate, decay, keep, nesterov):
    """SGD with momentum on a part of the buffers, in place; decay is part of the gradient.

    flat, g, velocity  one float type, (n,);  rate, decay, keep: scalars of that type
    """
    for i in range(flat.size):
        slope = g[i] + decay * flat[i]
        velocity[i] = keep * velocity[i] + slope
        move = slope + keep * velocity[i] if nesterov else velocity[i]
        flat[i] -= rate * move


@jit
def average_part(average, flat, share):
    """average += share (flat - average), in place; one float type, (n,)."""
    for i in range(flat.size):
        average[i] += share * (flat[i] - average[i])


def _each_piece(
    spans: Sequence[Span], lr: float, kind: Any, threads: int | None, work: Callable[..., Any]
) -> None:
    """work(slice, rate, decay) over spans, none longer than a block."""
    pieces = [
        (slice(at, min(at + BLOCK, stop)), kind(lr) * kind(factor), kind(decay))
        for start, stop, factor, decay in spans for at in range(start, stop, BLOCK)
    ]  # fmt: skip
    if not pieces or pieces[-1][0].stop <= BLOCK:
        for piece in pieces:
            work(*piece)
        return
    over_blocks(len(pieces), threads, lambda k, _: work(*pieces[k]), 1)


def adam(
    buffers: tuple[Array, Array, Array, Array], spans: Sequence[Span], lr: float,
    numbers: tuple[float, ...], coupled: bool, threads: int | None = None,
) -> None:  # fmt: skip
    """`adam_part` on whole buffers (flat, g, first, second), contiguous and of one length."""
    kind = buffers[0].dtype.type
    typed = tuple(kind(x) for x in numbers)

    def work(part: slice, rate: Any, decay: Any) -> None:
        adam_part(*(b[part] for b in buffers), rate, decay, typed, coupled)

    _each_piece(spans, lr, kind, threads, work)


def momentum(
    buffers: tuple[Array, Array, Array], spans: Sequence[Span], lr: float, keep: float,
    nesterov: bool, threads: int | None = None,
) -> None:  # fmt: skip
    """`momentum_part` on whole buffers (flat, g, velocity), contiguous and of one length."""
    kind = buffers[0].dtype.type

    def work(part: slice, rate: Any, decay: Any) -> None:
        momentum_part(*(b[part] for b in buffers), rate, decay, kind(keep), nesterov)

    _each_piece(spans, lr, kind, threads, work)


def average(average: Array, flat: Array, share: float, threads: int | None = None) -> None:
    """`average_part` on whole buffers."""
    kind = flat.dtype.type

    def work(part: slice, rate: Any, _: Any) -> None:
        average_part(average[part], flat[part], rate)

    _each_piece([(0, flat.size, 1.0, 0.0)], share, kind, threads, work)
