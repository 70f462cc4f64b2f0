"""Optimizers over one flat buffer, schedules of learning rates, clipping, running averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from picojoule.kernels import optimize as kernels

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Where named arrays lie in a flat buffer."""

    shapes: Mapping[str, tuple[int, ...]]
    starts: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def view(self, flat: Array, name: str) -> Array:
        """The part of a flat buffer that holds `name`, in its shape, sharing memory."""
        shape, start = self.shapes[name], self.starts[name]
        return flat[start : start + int(np.prod(shape))].reshape(shape)

    def unpack(self, flat: Array) -> dict[str, Array]:
        """All named views of a flat buffer."""
        return {name: self.view(flat, name) for name in self.shapes}

    def pack(
        self, arrays: Mapping[str, Array | None], dtype: type = np.float32,
        out: Array | None = None,
    ) -> Array:  # fmt: skip
        """A flat buffer of `arrays`, a new one or `out`; zeros where one is absent."""
        flat = np.empty(self.size, dtype) if out is None else out
        for name in self.shapes:
            found = arrays.get(name)
            self.view(flat, name)[...] = 0 if found is None else found
        return flat


def layout_of(arrays: Mapping[str, Array]) -> Layout:
    """Lay arrays one after the other, in the order of the mapping."""
    starts, at = {}, 0
    for name, array in arrays.items():
        starts[name] = at
        at += array.size
    return Layout({name: array.shape for name, array in arrays.items()}, starts)


class Optimizer(Protocol):
    """What moves a flat buffer of parameters against its gradient.

    buffers  its memory, by name, each as long as the parameters; `count` steps were made.
             Both together are all of its state: saved and put back, training goes on bit for bit
    """

    buffers: dict[str, Array]
    count: int

    def step(self, flat: Array, g: Array, lr: float, threads: int | None = None) -> None:
        """Move `flat` in place against the gradient g."""


def spans(size: int, factor: Array | float, decay: Array | float) -> list[kernels.Span]:
    """Where factor of the rate and decay, given for each or for all elements, are the same.

    (start, stop, factor, decay) of each run.
    """
    both = np.stack([np.broadcast_to(np.asarray(a, np.float64), (size,)) for a in (factor, decay)])
    cuts = np.flatnonzero((both[:, 1:] != both[:, :-1]).any(0)) + 1
    starts = [0, *cuts.tolist()] if size else []
    return [
        (start, stop, float(both[0, start]), float(both[1, start]))
        for start, stop in zip(starts, [*starts[1:], size])
    ]


class Adam:
    """Adam (Kingma and Ba 2015) with bias correction.

    All buffers are flat and of one dtype; `decay`, and the `factor` of the rate, are for all
    elements or for each.
    coupled  decay is added to the gradient (Adam with L2), or it shrinks parameters apart from
             it (AdamW, Loshchilov and Hutter 2019)
    """

    def __init__(
        self, size: int, *, decay: Array | float = 0.0, factor: Array | float = 1.0,
        beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, coupled: bool = False,
        dtype: type = np.float32,
    ) -> None:  # fmt: skip
        self.buffers = {name: np.zeros(size, dtype) for name in ("first", "second")}
        self.spans, self.count = spans(size, factor, decay), 0
        self.beta1, self.beta2, self.eps, self.coupled = beta1, beta2, eps, coupled

    def step(self, flat: Array, g: Array, lr: float, threads: int | None = None) -> None:
        """Move `flat` in place against the gradient g."""
        self.count += 1
        grown = (1 - self.beta1**self.count, 1 - self.beta2**self.count)
        numbers = (1 - self.beta1, 1 - self.beta2, *grown, self.eps)
        buffers = (flat, g, self.buffers["first"], self.buffers["second"])
        kernels.adam(buffers, self.spans, lr, numbers, self.coupled, threads)


class Momentum:
    """Stochastic gradient descent with momentum, as torch defines it: v = m v + g.

    decay     is added to the gradient
    nesterov  looks ahead: moves by g + m v
    """

    def __init__(
        self, size: int, *, decay: Array | float = 0.0, factor: Array | float = 1.0,
        keep: float = 0.9, nesterov: bool = False, dtype: type = np.float32,
    ) -> None:  # fmt: skip
        self.buffers = {"velocity": np.zeros(size, dtype)}
        self.spans, self.count = spans(size, factor, decay), 0
        self.keep, self.nesterov = keep, nesterov

    def step(self, flat: Array, g: Array, lr: float, threads: int | None = None) -> None:
        """Move `flat` in place against the gradient g."""
        self.count += 1
        buffers = (flat, g, self.buffers["velocity"])
        kernels.momentum(buffers, self.spans, lr, self.keep, self.nesterov, threads)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": Adam,
    "adam": partial(Adam, coupled=True),
    "sgd": Momentum,
    "nesterov": partial(Momentum, nesterov=True),
}


def follow(average: Array, flat: Array, keep: float, threads: int | None = None) -> None:
    """Move a running average of parameters, in place: average = keep average + (1 - keep) flat."""
    kernels.average(average, flat, 1 - keep, threads)


# ---------------------------------------------------------------------------- schedules


def _warm(step: int, steps: int, warmup: float) -> tuple[float, float]:
    """(factor of the way up, part 0..1 of the way behind it)."""
    rising = max(1, round(warmup * steps)) if warmup > 0 else 0
    if step < rising:
        return (step + 1) / rising, 0.0
    return 1.0, (step - rising) / max(1, steps - rising)


def cosine(step: int, steps: int, warmup: float = 0.05, floor: float = 0.0) -> float:
    """Factor of the learning rate: up over `warmup` of all steps, then down a half cosine."""
    rise, done = _warm(step, steps, warmup)
    return rise if rise < 1 else floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * done))


def linear(step: int, steps: int, warmup: float = 0.05, floor: float = 0.0) -> float:
    """Factor of the learning rate: up, then down a straight line to `floor`."""
    rise, done = _warm(step, steps, warmup)
    return rise if rise < 1 else floor + (1 - floor) * (1 - done)


def constant(step: int, steps: int, warmup: float = 0.0, floor: float = 0.0) -> float:
    """Factor of the learning rate: up, then 1."""
    return _warm(step, steps, warmup)[0]


def staircase(
    step: int, steps: int, warmup: float = 0.0, floor: float = 0.0,
    drops: tuple[float, ...] = (0.5, 0.75), factor: float = 0.1,
) -> float:  # fmt: skip
    """Factor of the learning rate: up, then times `factor` at each of `drops` (parts of all)."""
    rise, _ = _warm(step, steps, warmup)
    passed = sum(step >= drop * steps for drop in drops)
    return rise if rise < 1 else max(floor, factor**passed)


SCHEDULES: dict[str, Callable[..., float]] = {
    "cosine": cosine, "linear": linear, "step": staircase, "constant": constant,
}  # fmt: skip


def clip_norm(g: Array, limit: float) -> float:
    """Shrink g in place to a Euclidean norm of at most `limit`; returns the norm it had."""
    norm = float(np.sqrt(np.sum(np.square(g, dtype=np.float64))))
    if norm > limit:
        g *= g.dtype.type(limit / norm)
    return norm
