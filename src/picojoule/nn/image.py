"""Layers of images (height, width, channels), and element functions, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from picojoule.errors import Fault, UsageError
from picojoule.graph import ops as graph_ops
from picojoule.graph.types import Op

Pair = int | tuple[int, int]
Padding = int | str | tuple[int, int] | tuple[int, int, int, int]


def pair(value: Pair) -> tuple[int, int]:
    """(y, x) of one number or two.  Raises UsageError PJ806 for anything else."""
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise _refused(f"one number or (y, x) is needed, got {value}")
    return value[0], value[1]


@dataclass(frozen=True)
class Conv:
    """A convolution; `kernel`, `stride` and `dilation` are one number or (y, x).

    padding  'same' (as many results as places, each `stride`), or a number around, or (y, x), or
             (top, left, bottom, right)
    """

    features: int
    kernel: Pair = 3
    stride: Pair = 1
    padding: Padding = "same"
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True
    init: str = "he"

    def op(self, shape: tuple[int, ...]) -> graph_ops.Conv:
        """The op for images of a shape, its constants still unnamed.  Raises UsageError PJ806."""
        kernel, stride, dilation = pair(self.kernel), pair(self.stride), pair(self.dilation)
        if len(shape) != 3:
            raise _refused(f"Conv needs images (height, width, channels), got {list(shape)}")
        made = graph_ops.Conv(
            weight="", kernel=kernel, features=self.features, stride=stride, dilation=dilation,
            padding=_sides(self.padding, shape, kernel, stride, dilation), groups=self.groups,
        )  # fmt: skip
        for complaint in made.complaints():
            raise _refused(f"Conv: {complaint}")
        if shape[2] % self.groups or self.features % self.groups:
            what = f"{shape[2]} channels into {self.features}"
            raise _refused(f"Conv: {self.groups} groups do not divide {what}")
        return made


@dataclass(frozen=True)
class MaxPool:
    """The largest of each window; stride: as the kernel where left out."""

    kernel: Pair = 2
    stride: Pair | None = None
    padding: Padding = 0


@dataclass(frozen=True)
class AveragePool:
    """The mean of each window, padding counted as zeros; stride: as the kernel where left out."""

    kernel: Pair = 2
    stride: Pair | None = None
    padding: Padding = 0


@dataclass(frozen=True)
class GlobalAveragePool:
    """The mean of each channel: a vector."""


@dataclass(frozen=True)
class Flatten:
    """Images as vectors, channels fastest."""


@dataclass(frozen=True)
class LeakyRelu:
    """x where x > 0, else slope x."""

    slope: float = 0.01


@dataclass(frozen=True)
class Elu:
    """x where x > 0, else alpha (exp(x) - 1)."""

    alpha: float = 1.0


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x))."""


@dataclass(frozen=True)
class Tanh:
    """tanh(x)."""


def _refused(what: str) -> UsageError:
    return UsageError(Fault("PJ806", what))


def _sides(
    padding: Padding, shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:  # fmt: skip
    """(top, left, bottom, right)."""
    if isinstance(padding, int):
        return (padding,) * 4
    if padding == "same":
        if len(shape) != 3 or min(stride) < 1:
            return 0, 0, 0, 0  # the op says what is wrong with these
        wanted = [-(-shape[k] // stride[k]) for k in (0, 1)]
        missing = [
            max((wanted[k] - 1) * stride[k] + dilation[k] * (kernel[k] - 1) + 1 - shape[k], 0)
            for k in (0, 1)
        ]
        top, left = (m // 2 for m in missing)
        return top, left, missing[0] - top, missing[1] - left
    if isinstance(padding, str) or len(padding) not in (2, 4):
        raise _refused(f"padding={padding!r} is not 'same', one number, two, or four")
    return (*padding, *padding)[:4]  # type: ignore[return-value]


def made(layer: Any, shape: tuple[int, ...]) -> tuple[str, Op]:
    """The prefix of a node's name and the op of a layer without parameters, for inputs of a shape.

    Raises UsageError PJ806 for what is no layer.
    """
    if isinstance(layer, MaxPool | AveragePool):
        kernel = pair(layer.kernel)
        stride = kernel if layer.stride is None else pair(layer.stride)
        sides = _sides(layer.padding, shape, kernel, stride, (1, 1))
        window = {"kernel": kernel, "stride": stride, "padding": sides}
        if isinstance(layer, MaxPool):
            return "pool", graph_ops.MaxPool(**window)
        return "mean", graph_ops.AveragePool(count_padding=True, **window)
    known: dict[type, tuple[str, Op]] = {
        GlobalAveragePool: ("mean", graph_ops.GlobalAveragePool()),
        Flatten: ("flat", graph_ops.Flatten()),
        Sigmoid: ("sigmoid", graph_ops.Sigmoid()),
        Tanh: ("tanh", graph_ops.Tanh()),
    }
    if isinstance(layer, LeakyRelu):
        return "leaky", graph_ops.LeakyRelu(slope=layer.slope)
    if isinstance(layer, Elu):
        return "elu", graph_ops.Elu(alpha=layer.alpha)
    if type(layer) not in known:
        raise _refused(f"{str(layer)[:80]} is no layer")
    return known[type(layer)]
