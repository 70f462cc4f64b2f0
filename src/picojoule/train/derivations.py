"""Gradients of the functions that make constants from parameters.

The forward pass is `graph.derive.FUNCTIONS` itself.  A gradient that arrives at integers
belongs to the real numbers that they stand for; rounding is straight through, clipping is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply, unbroadcast
from picojoule.graph import Derivation, Graph
from picojoule.graph.derive import FUNCTIONS, by_row
from picojoule.train import method_gradients

Array = np.ndarray
Inputs = tuple[Array, ...]
Options = dict[str, Any]
Grads = tuple[Array | None, ...]


def _fold_bn_weight(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    weight, gain, variance = inputs
    inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + options["eps"])
    factor = by_row(np.asarray(gain * inverse), np.ndim(weight))
    return g * factor, (g * weight).reshape(len(weight), -1).sum(1) * inverse, None


def _fold_bn_bias(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    bias, gain, _, mean, variance = inputs
    inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + options["eps"])
    of_bias = unbroadcast(g * gain * inverse, np.shape(bias))
    return of_bias, g * (bias - mean) * inverse, g, None, None


def _times(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    return (g * options["factor"],)


def _product(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    a, b = inputs
    return unbroadcast(g * b, np.shape(a)), unbroadcast(g * a, np.shape(b))


def _total(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    a, b = inputs
    return unbroadcast(g, np.shape(a)), unbroadcast(g, np.shape(b))


def step_gradient(g: Array, level: Array, exact: Array, inside: Array) -> Array:
    """LSQ (Esser et al. 2020): what each element says about the step it was divided by.

    level: the integer, exact: the quotient before rounding, inside: where it was not clipped
    """
    return g * np.where(inside, level - exact, level)


def lsq_scale(count: int, high: int) -> float:
    """LSQ: keeps the gradient of a step in proportion to that of `count` values."""
    return 1 / np.sqrt(max(count, 1) * max(high, 1))


def _quantize(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    x, step = inputs
    wide = by_row(np.asarray(step, np.float64), np.ndim(x))
    exact = x / wide
    inside = (exact >= options["low"]) & (exact <= options["high"])
    each = step_gradient(g, out, exact, inside)
    of_step = unbroadcast(each, wide.shape).reshape(np.shape(step))
    scale = lsq_scale(np.size(x) // max(np.size(step), 1), options["high"])
    return g * inside, of_step * scale


def _mantissa(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    return _quantize(inputs, options, out >> options["dropped"], g)


def _decay_register(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    whole = 2 ** options["bits"]
    exact = whole - options["offset"] - (1 - np.asarray(inputs[0], np.float64)) * whole
    return (g * ((exact >= 0) & (exact <= options["high"])),)


def _none(inputs: Inputs, options: Options, out: Array, g: Array) -> Grads:
    """Requantization constants: integer operations know the gradients of steps themselves."""
    return (None,) * len(inputs)


VJPS: dict[str, Callable[[Inputs, Options, Array, Array], Grads]] = {
    "fold_bn_weight": _fold_bn_weight, "fold_bn_bias": _fold_bn_bias, "times": _times,
    "product": _product, "total": _total, "quantize": _quantize, "mantissa": _mantissa,
    "decay_register": _decay_register, "multiplier": _none, "exponent": _none,
    "add_scaling": _none, "mean_multiplier": _none, "mean_exponent": _none,
    "lookup_table": _none,
} | method_gradients.VJPS  # fmt: skip


def _forward(made: Derivation, *inputs: Array) -> tuple[Array, Any]:
    out = FUNCTIONS[made.function](*inputs, **dict(made.options))
    return out, (inputs, out)


def _vjp(made: Derivation, saved: Any, g: Array) -> Grads:
    inputs, out = saved
    return VJPS[made.function](inputs, dict(made.options), out, g)


def derive(made: Derivation, *inputs: Tensor) -> Tensor:
    """Evaluate one derivation on the tape."""
    return apply(partial(_forward, made), partial(_vjp, made), *inputs)


def constants(graph: Graph, params: Mapping[str, Tensor], held: bool = False) -> dict[str, Tensor]:
    """All constants of a graph as tensors: parameters, pinned integers, live derivations.

    held  a gain that is folded into weights counts as constant there: `live_norm` has its gradient
    """
    known = dict(params)
    known.update((name, Tensor(pin.values)) for name, pin in graph.pinned.items())
    waiting = dict(graph.derived)
    while waiting:
        ready = [n for n, made in waiting.items() if all(i in known for i in made.inputs)]
        assert ready, f"derivations wait for each other: {sorted(waiting)}"
        for name in ready:
            made = waiting.pop(name)
            inputs = [known[i] for i in made.inputs]
            if held and made.function == "fold_bn_weight":
                inputs[1] = Tensor(inputs[1].data)
            known.setdefault(name, derive(made, *inputs))
    return known
