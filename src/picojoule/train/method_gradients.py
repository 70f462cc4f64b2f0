"""Gradients of `graph.derive_methods`; what each is straight through is said at each.

As in `train.derivations`, a gradient that arrives at integers belongs to the reals that they
stand for: step times integer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from picojoule.grad.tape import unbroadcast
from picojoule.graph.derive import by_row
from picojoule.graph.derive_methods import exact_levels

Array = np.ndarray
Inputs = tuple[Array, ...]
Options = dict[str, Any]
Grads = tuple[Array | None, ...]


def _power_of_two(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Straight through the ceiling of the logarithm: d out / d log2(step) = out ln 2."""
    return (g * out / inputs[0],)


def _clip_step(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    return (g / options["high"],)


def _of_step(g: Array, level: Array, step: Array) -> Array:
    wide = by_row(np.asarray(step, np.float64), np.ndim(level))
    return unbroadcast(g * level, wide.shape).reshape(np.shape(step))


def _tanh_levels(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Straight through the rounding; the largest |tanh| counts as constant, as in DoReFa."""
    x, step = inputs
    squeezed = np.tanh(np.asarray(x, np.float64))
    most = np.abs(squeezed).max(initial=0.0) or 1.0
    slope = options["high"] * (1 - squeezed**2) / most
    wide = by_row(np.asarray(step, np.float64), np.ndim(x))
    size = np.size(x) // max(np.size(step), 1)
    scale = 1 / np.sqrt(max(size * options["high"], 1))  # as for LSQ's steps
    return g * wide * slope, _of_step(g, out, step) * scale


def _levels(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Ternary and binary: straight through as if levels times step were x; steps exactly."""
    return g, _of_step(g, out, inputs[1])


def _flat(x: Array, rows: int) -> Array:
    return np.asarray(x, np.float64).reshape(len(x) if rows else 1, -1)


def _mean_kept(g: Array, flat: Array, kept: Array, shape: tuple[int, ...]) -> Grads:
    share = np.reshape(g, (-1, 1)) / np.maximum(kept.sum(1, keepdims=True), 1)
    return ((share * np.sign(flat) * kept).reshape(shape),)


def _ternary_step(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Exact but for which weights are kept."""
    flat = _flat(inputs[0], options["rows"])
    kept = np.abs(flat) > options["share"] * np.abs(flat).mean(1, keepdims=True)
    return _mean_kept(g, flat, kept, np.shape(inputs[0]))


def _binary_step(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    flat = _flat(inputs[0], options["rows"])
    return _mean_kept(g, flat, np.ones(flat.shape, bool), np.shape(inputs[0]))


def _float_levels(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Straight through the rounding where nothing saturates; of the step as LSQ, with shared
    exponents held: level - exact inside, level where it saturates."""
    x, step = inputs
    shared = {name: options[name] for name in ("high", "block", "lift")}
    exact, scale = exact_levels(x, step, **shared)
    inside = np.abs(exact) <= options["high"]
    each = np.where(inside, out - exact * scale, out)
    return g * inside, _of_step(g, each, step) / np.sqrt(max(np.size(x) // np.size(step), 1))


def _merge_lora(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Of the adapters alone: the weight that they adapt is frozen."""
    _, down, up = inputs
    flat = options["scale"] * np.reshape(g, (len(up), -1))
    return None, up.T @ flat, flat @ down.T


VJPS: dict[str, Callable[[Inputs, Options, Array, Array], Grads]] = {
    "power_of_two": _power_of_two, "clip_step": _clip_step, "tanh_levels": _tanh_levels,
    "ternary": _levels, "binary": _levels, "ternary_step": _ternary_step,
    "binary_step": _binary_step,
    "merge_lora": _merge_lora, "float_levels": _float_levels,
}  # fmt: skip
