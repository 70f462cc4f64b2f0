"""A define-by-run tape: every Tensor remembers what made it.

An operation is a pair of plain functions:

    forward(*arrays) -> (result, saved)
    vjp(saved, g)    -> one gradient an input; None where there is none

The graph hangs on the result, so nothing is global and an unused result frees itself.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

Array = np.ndarray
Forward = Callable[..., tuple[Array, Any]]
Vjp = Callable[[Any, Array], tuple[Array | None, ...]]
DEPTH = attrgetter("depth")


class Tensor:
    """An array, and where it came from.

    data    the array; integers keep their dtype, their gradient belongs to what they stand for
    grad    set by `backward` on tensors that `wants` a gradient and were made by no operation
    wants   whether a gradient should reach it
    depth   operations between it and the leaves, at most
    """

    __slots__ = ("data", "depth", "grad", "inputs", "saved", "vjp", "wants")

    def __init__(self, data: Array, wants: bool = False) -> None:
        self.data = data if hasattr(data, "__array_function__") else np.asarray(data)
        self.grad: Array | None = None
        self.wants = wants
        self.depth = 0
        self.inputs: tuple[Tensor, ...] = ()
        self.vjp: Vjp | None = None
        self.saved: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        return f"Tensor({self.data.dtype}{list(self.shape)}{', wants' if self.wants else ''})"


def apply(forward: Forward, vjp: Vjp, *inputs: Tensor) -> Tensor:
    """Run an operation; remember it if any input wants a gradient."""
    data, saved = forward(*[x.data for x in inputs])
    out, depth = Tensor(data), 0
    for x in inputs:
        if x.wants and x.depth >= depth:
            depth = x.depth + 1
    if depth:
        out.wants, out.depth = True, depth
        out.inputs, out.vjp, out.saved = inputs, vjp, saved
    return out


def backward(result: Tensor, g: Array | None = None) -> None:
    """Add to `grad` of every leaf behind `result` its gradient.

    g  gradient of the result itself; ones where absent
    """
    waiting = {result: np.ones_like(result.data) if g is None else g}
    for tensor in _latest_first(result):
        arrived = waiting.pop(tensor, None)
        if arrived is None:
            continue
        if tensor.vjp is None:
            tensor.grad = arrived if tensor.grad is None else tensor.grad + arrived
            continue
        for source, part in zip(tensor.inputs, tensor.vjp(tensor.saved, arrived), strict=True):
            if part is not None and source.wants:
                known = waiting.get(source)
                waiting[source] = part if known is None else known + part


def _latest_first(result: Tensor) -> list[Tensor]:
    """All tensors behind `result` that want a gradient, each before its inputs."""
    found, seen = [result], {result}
    for tensor in found:  # grows meanwhile
        for x in tensor.inputs:
            if x.wants and x not in seen:
                seen.add(x)
                found.append(x)
    return sorted(found, key=DEPTH, reverse=True)


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient back to the shape that numpy had broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(extra))) if extra else g
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=axes, keepdims=True) if axes else g


def check_grads(
    function: Callable[..., Tensor], *arrays: Array, seed: int = 0, size: float = 1e-5,
    rtol: float = 1e-5, atol: float = 1e-8,
) -> None:  # fmt: skip
    """Compare gradients with central differences along one random direction, in float64.

    function  takes as many Tensors as there are arrays, returns one Tensor
    Raises AssertionError with both slopes where they differ.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    points = [np.asarray(a, np.float64) for a in arrays]
    ways = [rng.normal(size=p.shape) for p in points]
    leaves = [Tensor(p, wants=True) for p in points]
    out = function(*leaves)
    g = rng.normal(size=out.shape)
    backward(out, g)
    found = sum(float(np.sum(x.grad * way)) for x, way in zip(leaves, ways) if x.grad is not None)
    far = [
        function(*(Tensor(p + sign * size * way) for p, way in zip(points, ways))).data
        for sign in (1, -1)
    ]
    expected = float(np.sum(g * (far[0] - far[1]))) / (2 * size)
    if not np.isclose(found, expected, rtol=rtol, atol=atol):
        raise AssertionError(f"gradient gives slope {found}, differences give {expected}")
