"""Functions that make constants from parameters.

`freeze` evaluates them; `train` evaluates the very same functions and knows a gradient for
each (straight through for `quantize` and its kin).  All compute in float64 and return
float64 or int64, so the dtype of a stored parameter never changes an integer by its route.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from picojoule.graph import derive_methods

Array = np.ndarray


def _real(x: Array) -> Array:
    return np.asarray(x, np.float64)


def by_row(factor: Array, axes: int) -> Array:
    """A factor for each row, shaped to multiply arrays of `axes` axes; one for all as it is."""
    if factor.ndim != 1 or axes < 2:
        return factor
    return factor.reshape(-1, *(1,) * (axes - 1))


def fold_bn_weight(weight: Array, gain: Array, variance: Array, *, eps: float) -> Array:
    """weight (out, in, ...) times gain / sqrt(variance + eps), row by row."""
    factor = _real(gain) / np.sqrt(_real(variance) + eps)
    return _real(weight) * by_row(factor, np.ndim(weight))


def fold_bn_bias(
    bias: Array, gain: Array, shift: Array, mean: Array, variance: Array, *, eps: float
) -> Array:
    """(bias - mean) gain / sqrt(variance + eps) + shift."""
    factor = _real(gain) / np.sqrt(_real(variance) + eps)
    return (_real(bias) - _real(mean)) * factor + _real(shift)


def times(x: Array, *, factor: float) -> Array:
    """x times a fixed number."""
    return _real(x) * factor


def product(a: Array, b: Array) -> Array:
    """Elementwise product, such as the step of a bias: step_in * step_w."""
    return _real(a) * _real(b)


def total(a: Array, b: Array) -> Array:
    """Elementwise sum, such as the bias of neurons and of the Dense before them."""
    return _real(a) + _real(b)


def quantize(x: Array, step: Array, *, low: int, high: int) -> Array:
    """round_half_even(x / step) in low..high; a step per row where `step` has one axis."""
    step = by_row(_real(step), np.ndim(x))
    return np.clip(np.rint(_real(x) / step), low, high).astype(np.int64)


def mantissa(weight: Array, step: Array, *, low: int, high: int, dropped: int) -> Array:
    """Stored levels of spiking weights as mantissas: quantize(...) * 2**dropped."""
    return quantize(weight, step, low=low, high=high) << dropped


def decay_register(decay: Array, *, bits: int, offset: int, high: int) -> Array:
    """The register for a decay of 0..1 a step: what remains is (2**bits - offset - register)."""
    keep = np.rint((1.0 - _real(decay)) * 2.0**bits)
    return np.clip(2**bits - offset - keep, 0, high).astype(np.int64)


def _multiplier(step_in: Array, step_w: Array, step_out: Array) -> tuple[Array, Array]:
    """Split step_in * step_w / step_out into int31 mantissas and exponents (rule T4)."""
    ratio = _real(step_in) * _real(step_w) / _real(step_out)
    fraction, exponent = np.frexp(ratio)
    whole = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    full = whole == 2**31
    whole = np.where(full, whole >> 1, whole)
    exponent = exponent.astype(np.int64) + full
    return np.where(exponent < -31, 0, whole), np.where(exponent < -31, 0, exponent)


def multiplier(step_in: Array, step_w: Array, step_out: Array) -> Array:
    """The int31 part of step_in * step_w / step_out."""
    return _multiplier(step_in, step_w, step_out)[0]


def exponent(step_in: Array, step_w: Array, step_out: Array) -> Array:
    """The power of two of step_in * step_w / step_out."""
    return _multiplier(step_in, step_w, step_out)[1]


def add_scaling(step_a: Array, step_b: Array, step_out: Array, *, left_shift: int) -> Array:
    """Multiplier and exponent of a, b and the sum (rule T7), int64 (6,)."""
    one = np.ones(())
    twice = 2.0 * np.maximum(_real(step_a), _real(step_b))
    pairs = [
        _multiplier(step_a, one, twice),
        _multiplier(step_b, one, twice),
        _multiplier(twice, one, _real(step_out) * 2.0**left_shift),
    ]
    return np.array([int(x) for pair in pairs for x in pair], np.int64)


def mean_multiplier(step_in: Array, step_out: Array, *, elements: int) -> Array:
    """The int31 part of step_in / (elements * step_out): a mean of `elements` integers."""
    return _multiplier(step_in, np.ones(()), _real(step_out) * elements)[0]


def mean_exponent(step_in: Array, step_out: Array, *, elements: int) -> Array:
    """The power of two of step_in / (elements * step_out)."""
    return _multiplier(step_in, np.ones(()), _real(step_out) * elements)[1]


ELEMENT_FUNCTIONS: dict[str, Callable[[Array, float], Array]] = {
    "Relu": lambda x, _: np.maximum(x, 0.0),
    "LeakyRelu": lambda x, slope: np.where(x > 0, x, slope * x),
    "Elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    "Sigmoid": lambda x, _: 1 / (1 + np.exp(-np.clip(x, -700.0, 700.0))),
    "Tanh": lambda x, _: np.tanh(x),
}


def lookup_table(
    step_in: Array, step_out: Array, *, function: int, argument: float, first: int, entries: int,
    zero_in: int, zero: int, low: int, high: int,
) -> Array:  # fmt: skip
    """A function of reals on integers first .. first + entries - 1 (rule T12), int64 (entries,).

    function: its place in `ELEMENT_FUNCTIONS`
    """
    x = _real(step_in) * (np.arange(first, first + entries) - zero_in)
    y = list(ELEMENT_FUNCTIONS.values())[function](x, argument)
    return np.clip(np.rint(y / _real(step_out)) + zero, low, high).astype(np.int64)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (
        fold_bn_weight, fold_bn_bias, times, product, total, quantize, mantissa,
        decay_register, multiplier, exponent, add_scaling, mean_multiplier, mean_exponent,
        lookup_table,
    )
} | derive_methods.FUNCTIONS  # fmt: skip
