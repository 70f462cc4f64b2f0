"""Training in low precision: numbers rounded as the hardware would, masters kept in float32.

Values live on the grid of the small format inside float32 arrays, products are summed in
float32: what matrix units do.  Sources: Micikevicius et al., "Mixed precision training", ICLR
2018; "FP8 formats for deep learning", 2022 (E4M3 forward, E5M2 backward, delayed scaling).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply
from picojoule.kernels.minifloat import FORMATS, round_minifloat

Array = np.ndarray
Grads = tuple[Array | None, ...]


def _cast(kind: str, x: Array) -> tuple[Array, Any]:
    return round_minifloat(x, kind), kind


def _cast_vjp(kind: Any, g: Array) -> Grads:
    return (round_minifloat(g, kind),)


def cast(x: Tensor, kind: str) -> Tensor:
    """x (float32) rounded to "float16", "bfloat16", "e4m3" or "e5m2"; so is its gradient."""
    return apply(partial(_cast, kind), _cast_vjp, x)


def lowered(operation: Callable[..., Tensor], kind: str) -> Callable[..., Tensor]:
    """The operation with its inputs and its result rounded to `kind`; gradients too."""

    def run(*inputs: Tensor) -> Tensor:
        return cast(operation(*(cast(x, kind) for x in inputs)), kind)

    return run


# --------------------------------------------------------------------------- loss scaling


@dataclass(frozen=True)
class LossScale:
    """A factor, a power of two, that keeps small gradients above the format's smallest number.

    good      steps without overflow since the factor last changed
    patience  steps after which it doubles
    """

    scale: float = 2.0**15
    good: int = 0
    patience: int = 2000

    def after(self, finite: bool) -> LossScale:
        """What follows a step: half after an overflow, double after `patience` good ones."""
        if not finite:
            return replace(self, scale=max(self.scale / 2, 1.0), good=0)
        if self.good + 1 < self.patience:
            return replace(self, good=self.good + 1)
        return replace(self, scale=self.scale * 2, good=0)


def scaled_step(state: LossScale, g: Array, step: Callable[[Array], None]) -> LossScale:
    """Undo the factor in g, in place, and call step(g); or call nothing, if g has overflowed."""
    finite = bool(np.isfinite(g).all())
    if finite:
        g *= g.dtype.type(1 / state.scale)
        step(g)
    return state.after(finite)


# ------------------------------------------------------------------------------------ FP8


@dataclass(frozen=True)
class Delayed:
    """Delayed scaling of one tensor: a factor from the largest magnitudes of past steps.

    The factor is the power of two that puts the largest of `history` just below the format's
    largest number, `margin` octaves lower; 1 before anything was seen.
    """

    kind: str = "e4m3"
    margin: int = 0
    length: int = 1024
    history: tuple[float, ...] = ()

    @property
    def factor(self) -> float:
        most = max(self.history, default=0.0)
        if most == 0.0:
            return 1.0
        octaves = math.floor(math.log2(FORMATS[self.kind].largest / most)) - self.margin
        return 2.0 ** max(-120, min(120, octaves))

    def after(self, x: Array) -> Delayed:
        """With x among what was seen; what is not finite is left out."""
        most = float(np.abs(x).max(initial=0.0))
        if not math.isfinite(most):
            return self
        return replace(self, history=(*self.history, most)[-self.length :])


def rounded_by(x: Array, scaling: Delayed) -> Array:
    """x on the grid of the scaled format: round(x * factor) / factor, saturating."""
    factor = np.float32(scaling.factor)
    out = round_minifloat(x * factor, scaling.kind)
    out /= factor
    return out


def _gradient_scaling() -> Delayed:
    return Delayed("e5m2")


@dataclass
class Fp8Scaling:
    """The scalings of one layer's input, weight and gradient; each use adds to what they saw."""

    x: Delayed = field(default_factory=Delayed)
    weight: Delayed = field(default_factory=Delayed)
    g: Delayed = field(default_factory=_gradient_scaling)


def _linear_fp8(state: Fp8Scaling, x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
    small_x, small_w = rounded_by(x, state.x), rounded_by(weight, state.weight)
    state.x, state.weight = state.x.after(x), state.weight.after(weight)
    return small_x @ small_w.T + bias, (state, small_x, small_w)


def _linear_fp8_vjp(saved: Any, g: Array) -> Grads:
    state, x, weight = saved
    small = rounded_by(g, state.g)
    state.g = state.g.after(g)
    return small @ weight, small.T @ x, g.sum(0)


def linear_fp8(x: Tensor, weight: Tensor, bias: Tensor, state: Fp8Scaling) -> Tensor:
    """`ops.linear` with operands in E4M3 and its gradient in E5M2, scaled by `state`."""
    return apply(partial(_linear_fp8, state), _linear_fp8_vjp, x, weight, bias)
