"""Other ways from real parameters to integers: powers of two, ternary, binary, floats, adapters.

Merged into `derive.FUNCTIONS`; gradients are in `train.method_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picojoule.fixed.format import by_block

Array = np.ndarray
TINY = 2.0**-100  # a step for rows without any weight


def _rows(x: Array, rows: int) -> tuple[Array, tuple[int, ...]]:
    """x as (rows, n), a row for each output where `rows`, and the shape that multiplies x."""
    x = np.asarray(x, np.float64)
    if not rows:
        return x.reshape(1, -1), ()
    return x.reshape(len(x), -1), (len(x), *(1,) * (x.ndim - 1))


def power_of_two(step: Array) -> Array:
    """2 ** ceil(log2(step)) (TQT: Jain et al., MLSys 2020, section 3.2)."""
    return 2.0 ** np.ceil(np.log2(np.asarray(step, np.float64)))


def clip_step(largest: Array, *, high: int) -> Array:
    """The step of integers up to `high` that stand for numbers up to `largest` (PACT)."""
    return np.asarray(largest, np.float64) * (1 / high)


def tanh_levels(x: Array, step: Array, *, high: int) -> Array:
    """round_half_even(high tanh(x) / max|tanh(x)|), whatever the step.

    DoReFa's weights (Zhou et al. 2016, equation 9) on the symmetric grid that machines have.
    """
    squeezed = np.tanh(np.asarray(x, np.float64))
    most = np.abs(squeezed).max(initial=0.0) or 1.0
    return np.rint(high * squeezed / most).astype(np.int64)


def ternary(x: Array, step: Array, *, share: float, rows: int) -> Array:
    """sign(x) where |x| exceeds `share` of the mean |x| (of its row where `rows`), else 0.

    Source: Li, Zhang, Liu, Ternary weight networks, 2016, equation 6; share 0.7.
    """
    flat, _ = _rows(x, rows)
    kept = np.abs(flat) > share * np.abs(flat).mean(1, keepdims=True)
    return (np.sign(flat) * kept).astype(np.int64).reshape(np.shape(x))


def ternary_step(x: Array, *, share: float, rows: int) -> Array:
    """Mean |x| of what `ternary` keeps: a step for each row, or one."""
    flat, _ = _rows(x, rows)
    size = np.abs(flat)
    kept = size > share * size.mean(1, keepdims=True)
    found = np.maximum((size * kept).sum(1) / np.maximum(kept.sum(1), 1), TINY)
    return found if rows else found[0]


def binary(x: Array, step: Array) -> Array:
    """1 where x >= 0, else -1 (Rastegari et al., XNOR-Net, 2016)."""
    return np.where(np.asarray(x) >= 0, 1, -1).astype(np.int64)


def binary_step(x: Array, *, rows: int) -> Array:
    """Mean |x|: a step for each row, or one."""
    found = np.maximum(np.abs(_rows(x, rows)[0]).mean(1), TINY)
    return found if rows else found[0]


def merge_lora(weight: Array, down: Array, up: Array, *, scale: float) -> Array:
    """weight + scale up @ down: weight (out, ...), down (rank, rest of weight), up (out, rank).

    Of the weight's own dtype: adapters of 0 change no bit.
    Source: Hu et al., LoRA, ICLR 2022, section 4.1.
    """
    weight = np.asarray(weight)
    added = np.asarray(up, np.float64) @ np.asarray(down, np.float64)
    return (weight + scale * added.reshape(weight.shape)).astype(weight.dtype)


def exact_levels(x: Array, step: Array, *, high: int, block: int, lift: int) -> tuple[Array, Array]:
    """(x / step / 2**s, 2**s): quotients that a format's numbers stand for, before rounding.

    s is the shared exponent of a block (rule T13), 0 where there are no blocks.
    """
    step = np.asarray(step, np.float64)
    wide = step if step.ndim == 0 else step.reshape(-1, *(1,) * (np.ndim(x) - 1))
    exact = np.asarray(x, np.float64) / wide
    if not block:
        return exact, np.ones(())
    largest = np.frexp(by_block(np.abs(exact), block))[1]
    scale = 2.0 ** np.clip(largest - high.bit_length(), 0, lift)
    return exact / scale, scale


def float_levels(
    x: Array, step: Array, *, fraction: int, high: int, block: int, lift: int
) -> Array:
    """x / step as numbers of a `FloatKind` (rule T13), in units of the smallest: int64."""
    exact, scale = exact_levels(x, step, high=high, block=block, lift=lift)
    place = 2.0 ** np.maximum(np.frexp(exact)[1] - 1 - fraction, 0)
    level = np.clip(np.rint(exact / place) * place, -high, high)
    return (level * scale).astype(np.int64)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (
        power_of_two, clip_step, tanh_levels, ternary, ternary_step, binary, binary_step,
        merge_lora, float_levels,
    )
}  # fmt: skip
