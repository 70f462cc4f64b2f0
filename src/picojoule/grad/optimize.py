"""Adam over one flat buffer, a schedule of learning rates, gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

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

    def pack(self, arrays: Mapping[str, Array | None], dtype: type = np.float32) -> Array:
        """A flat buffer of `arrays`; zeros where one is absent."""
        flat = np.zeros(self.size, dtype)
        for name in self.shapes:
            if arrays.get(name) is not None:
                self.view(flat, name)[...] = arrays[name]
        return flat


def layout_of(arrays: Mapping[str, Array]) -> Layout:
    """Lay arrays one after the other, in the order of the mapping."""
    starts, at = {}, 0
    for name, array in arrays.items():
        starts[name] = at
        at += array.size
    return Layout({name: array.shape for name, array in arrays.items()}, starts)


class Adam:
    """Adam (Kingma and Ba 2015) with bias correction and decoupled weight decay.

    All buffers are flat and of one dtype; `decay` is per element, so that it can be masked.
    """

    def __init__(
        self, size: int, *, decay: Array | float = 0.0, beta1: float = 0.9,
        beta2: float = 0.999, eps: float = 1e-8, dtype: type = np.float32,
    ) -> None:  # fmt: skip
        self.first = np.zeros(size, dtype)
        self.second = np.zeros(size, dtype)
        self.decay = np.asarray(decay, dtype)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.count = 0

    def step(self, flat: Array, g: Array, lr: Array | float) -> None:
        """Move `flat` in place against the gradient g."""
        self.count += 1
        kind = flat.dtype.type
        self.first += kind(1 - self.beta1) * (g - self.first)
        self.second += kind(1 - self.beta2) * (g * g - self.second)
        corrected = np.sqrt(self.second / kind(1 - self.beta2**self.count)) + kind(self.eps)
        lr = np.asarray(lr, flat.dtype)
        flat -= lr * self.decay * flat
        flat -= lr / kind(1 - self.beta1**self.count) * self.first / corrected


def cosine(step: int, steps: int, warmup: float = 0.05, floor: float = 0.0) -> float:
    """Factor of the learning rate: up over `warmup` of all steps, then down a half cosine."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * done))


def clip_norm(g: Array, limit: float) -> float:
    """Shrink g in place to a Euclidean norm of at most `limit`; returns the norm it had."""
    norm = float(np.sqrt(np.sum(np.square(g, dtype=np.float64))))
    if norm > limit:
        g *= g.dtype.type(limit / norm)
    return norm
