"""The kinds of node of convolutional networks, in reals.  Images are (height, width, channels).

`padding` is (top, left, bottom, right) throughout, `stride`, `kernel` and `dilation` (y, x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from picojoule.graph.ops_spiking import Shapes
from picojoule.graph.types import TensorType

__all__ = [
    "ACTIVATIONS", "AveragePool", "Concat", "Conv", "Elu", "GlobalAveragePool", "LeakyRelu",
    "MaxPool", "Sigmoid", "Softmax", "Tanh", "image", "window_complaints", "windows",
]  # fmt: skip

ONE, NONE = (1, 1), (0, 0, 0, 0)


def image(what: str, x: TensorType) -> tuple[int, int, int]:
    """(height, width, channels).  Raises ValueError for any other shape."""
    if len(x.shape) != 3:
        raise ValueError(f"{what} needs an image (height, width, channels), got {list(x.shape)}")
    return x.shape[0], x.shape[1], x.shape[2]


def windows(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...] = ONE,
    padding: tuple[int, ...] = NONE, dilation: tuple[int, ...] = ONE,
) -> tuple[int, int]:  # fmt: skip
    """How many places a window has along height and width.  Raises ValueError for none."""
    for complaint in window_complaints(kernel, stride, padding, dilation):
        raise ValueError(complaint)
    y, x = (
        (size[k] + padding[k] + padding[k + 2] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    )
    if min(y, x) < 1:
        raise ValueError(f"a window of {list(kernel)} does not fit into {list(size[:2])}")
    return y, x


def window_complaints(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...],
    dilation: tuple[int, ...] = ONE,
) -> list[str]:  # fmt: skip
    """What is wrong with the geometry of a window, whatever the image."""
    return [
        f"{name} needs {count} numbers of at least {least}, got {list(values)}"
        for name, values, count, least in (
            ("kernel", kernel, 2, 1), ("stride", stride, 2, 1),
            ("padding", padding, 4, 0), ("dilation", dilation, 2, 1),
        )
        if len(values) != count or min(values) < least
    ]  # fmt: skip


def pool_complaints(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> list[str]:
    """As `window_complaints`; and every window of a pool must hold some of the image."""
    found = window_complaints(kernel, stride, padding)
    if not found and any(padding[k] >= kernel[k % 2] for k in range(4)):
        found.append(f"padding {list(padding)} must be less than the kernel {list(kernel)}")
    return found


def pooled(op: Any, x: TensorType) -> tuple[int, int, int]:
    """Shape of a pool's result.  Raises ValueError where it has none."""
    *size, channels = image(type(op).__name__, x)
    return (*windows(tuple(size), op.kernel, op.stride, op.padding), channels)


def convolved(op: Any, x: TensorType) -> tuple[int, int, int]:
    """Shape of a convolution's result.  Raises ValueError where it has none."""
    *size, channels = image(type(op).__name__, x)
    if op.groups < 1 or channels % op.groups or op.features % op.groups:
        what = f"{channels} channels into {op.features}"
        raise ValueError(f"{op.groups} groups do not divide {what}")
    return (*windows(tuple(size), op.kernel, op.stride, op.padding, op.dilation), op.features)


def conv_complaints(op: Any) -> list[str]:
    """What is wrong with the fields of a convolution, whatever the image."""
    found = window_complaints(op.kernel, op.stride, op.padding, op.dilation)
    if op.features < 1 or op.groups < 1:
        found.append(f"features {op.features} and groups {op.groups} must be positive")
    return found


def joined(what: str, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
    """Shape of all inputs along the last axis.  Raises ValueError where other axes differ."""
    lead = {x.shape[:-1] for x in inputs}
    if len(lead) != 1:
        listed = " and ".join(str(list(x.shape)) for x in inputs)
        raise ValueError(f"{what} needs inputs that differ in the last axis only, got {listed}")
    return (*lead.pop(), sum(x.shape[-1] for x in inputs))


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution as networks mean it (a correlation): no kernel is flipped.

    y[p, q, o] = bias[o] + sum weight[o, i, a, b] x[p sy + a dy - top, q sx + b dx - left, i]
    over the channels i of o's group; zero outside the image.
    weight (out channels, in channels / groups, kernel height, kernel width); bias (out,)
    """

    weight: str
    kernel: tuple[int, ...]
    bias: str | None = None
    features: int = 0
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE
    dilation: tuple[int, ...] = ONE
    groups: int = 1

    CONSTANTS = ("weight", "bias")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(convolved(self, x))

    def shapes(self, x: TensorType) -> Shapes:
        inputs = x.shape[-1] // self.groups
        return {"weight": (self.features, inputs, *self.kernel), "bias": (self.features,)}

    def complaints(self) -> list[str]:
        return conv_complaints(self)


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """The largest value of each window, channel by channel; padding is never the largest."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(pooled(self, x), x.kind)

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return pool_complaints(self.kernel, self.stride, self.padding)


@dataclass(frozen=True, kw_only=True)
class AveragePool:
    """The mean of each window, channel by channel.

    count_padding  padding counts as zeros; else the mean is over what lies in the image
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE
    count_padding: bool = False

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(pooled(self, x))

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return pool_complaints(self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class GlobalAveragePool:
    """The mean of each channel over the image: a vector (channels,)."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(image("GlobalAveragePool", x)[2:])

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Concat:
    """All inputs one after the other along the last axis: the channels of images."""

    CONSTANTS = ()
    ARITY = (2, None)

    def out_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(joined("Concat", inputs), inputs[0].kind)

    def shapes(self, *inputs: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


# ------------------------------------------------------------------------ element by element


@dataclass(frozen=True)
class LeakyRelu:
    """y = x where x > 0, else slope x."""

    slope: float = 0.01

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return _finite("slope", self.slope)


@dataclass(frozen=True)
class Elu:
    """y = x where x > 0, else alpha (exp(x) - 1)."""

    alpha: float = 1.0

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return _finite("alpha", self.alpha)


@dataclass(frozen=True)
class Sigmoid:
    """y = 1 / (1 + exp(-x))."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Tanh:
    """y = tanh(x)."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Softmax:
    """Probabilities along the last axis.  Answers do not depend on it: machines leave it out."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


def _finite(name: str, value: float) -> list[str]:
    return [] if math.isfinite(value) else [f"{name} must be finite, got {value}"]


ACTIVATIONS = (LeakyRelu, Elu, Sigmoid, Tanh)
