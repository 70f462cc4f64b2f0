"""Fake quantization with a learned step on the tape: reals on an integer grid."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply
from picojoule.kernels import fake_quantize as kernels

Array = np.ndarray
Grads = tuple[Array | None, ...]


def _fake_quantize(low: int, high: int, x: Array, step: Array) -> tuple[Array, Any]:
    return kernels.fake_quantize(x, step, low, high), (x, step, low, high)


def _fake_quantize_vjp(saved: Any, g: Array) -> Grads:
    x, step, low, high = saved
    of_x, of_step = kernels.fake_quantize_gradients(g, x, step, low, high)
    share = x.size // max(step.size, 1) * max(high, 1)
    return of_x, of_step * of_step.dtype.type(1 / np.sqrt(max(share, 1)))


def fake_quantize(x: Tensor, step: Tensor, low: int, high: int) -> Tensor:
    """step * clip(round(x / step), low, high); step: one number, or one for each x[i].

    Straight through the rounding, zero where clipped; the step learns by LSQ (Esser et al.,
    ICLR 2020), with its scaling of 1 / sqrt(elements * high).
    """
    return apply(partial(_fake_quantize, low, high), _fake_quantize_vjp, x, step)
