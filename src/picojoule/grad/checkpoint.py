"""Checkpointing: keep the inputs of a segment, and run it again when its gradient is due.

Source: Chen et al., "Training deep nets with sublinear memory cost", 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from picojoule.grad.tape import Tensor, apply, backward

Array = np.ndarray
Layer = tuple[Callable[..., Tensor], tuple[Tensor, ...]]  # (function of x and these, these)


def _forward(function: Callable[..., Tensor], wants: Any, *arrays: Array) -> tuple[Array, Any]:
    return function(*(Tensor(a) for a in arrays)).data, (function, wants, arrays)


def _vjp(saved: Any, g: Array) -> tuple[Array | None, ...]:
    function, wants, arrays = saved
    leaves = [Tensor(a, wants=w) for a, w in zip(arrays, wants)]
    backward(function(*leaves), g)
    return tuple(leaf.grad for leaf in leaves)


def checkpoint(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """function(*inputs), of which only the inputs are kept until the gradient is due.

    function  is run twice and must give the same both times: random draws by key, as in
              `activation.dropout`.  Whatever wants a gradient must be among `inputs`.
    """
    wants = tuple(x.wants for x in inputs)
    return apply(partial(_forward, function, wants), _vjp, *inputs)


def in_segments(layers: Sequence[Layer], x: Tensor, size: int | None = None) -> Tensor:
    """Layers one after the other, `size` of them a checkpoint; None: their number's square root.

    A layer is (function, parameters) and gives function(x, *parameters).
    """
    size = max(1, math.isqrt(len(layers))) if size is None else size
    for start in range(0, len(layers), size):
        part = layers[start : start + size]
        flat = [p for _, parameters in part for p in parameters]
        x = checkpoint(partial(_run, part), x, *flat)
    return x


def _run(layers: Sequence[Layer], x: Tensor, *flat: Tensor) -> Tensor:
    rest = iter(flat)
    for function, parameters in layers:
        x = function(x, *(next(rest) for _ in parameters))
    return x
