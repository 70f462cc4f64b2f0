"""The geometry of ONNX windows: strides, paddings and their automatic forms."""

from __future__ import annotations

from collections.abc import Sequence

from picojoule.frontend.onnx_file import Item
from picojoule.frontend.onnx_values import Unsupported

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
LARGEST = 1 << 12


def _numbers(item: Item, name: str, count: int, least: int, default: int) -> tuple[int, ...]:
    found = tuple(int(n) for n in item.attributes.get(name, (default,) * count))
    if len(found) != count or not all(least <= n <= LARGEST for n in found):
        raise Unsupported(f"{name} {list(found)} needs {count} numbers in {least}..{LARGEST}")
    return found


def geometry(item: Item, kernel: Sequence[int], size: Sequence[int]) -> tuple[Pair, Sides, Pair]:
    """(stride, padding, dilation) of windows over an image of `size`.

    ONNX's pads are (top, left, bottom, right) too.  Raises Unsupported.
    """
    stride = _numbers(item, "strides", 2, 1, 1)
    dilation = _numbers(item, "dilations", 2, 1, 1)
    mode = item.attributes.get("auto_pad", "NOTSET")
    pads = _numbers(item, "pads", 4, 0, 0)
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same(kernel, size, stride, dilation, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        pads = (0, 0, 0, 0)
    elif mode != "NOTSET":
        raise Unsupported(f"auto_pad {mode!r}", "explicit pads")
    return (stride[0], stride[1]), (pads[0], pads[1], pads[2], pads[3]), (dilation[0], dilation[1])


def _same(
    kernel: Sequence[int], size: Sequence[int], stride: Sequence[int], dilation: Sequence[int],
    upper: bool,
) -> Sides:  # fmt: skip
    before, after = [], []
    for k in (0, 1):
        places = -(-size[k] // stride[k])
        missing = (places - 1) * stride[k] + dilation[k] * (kernel[k] - 1) + 1 - size[k]
        small, large = max(missing, 0) // 2, -(-max(missing, 0) // 2)
        before.append(small if upper else large)
        after.append(large if upper else small)
    return before[0], before[1], after[0], after[1]


def pool_window(item: Item, size: Sequence[int]) -> tuple[Pair, Pair, Sides]:
    """(kernel, stride, padding) of a pool.  Raises Unsupported."""
    kernel = _numbers(item, "kernel_shape", 2, 1, 0)
    stride, padding, dilation = geometry(item, kernel, size)
    if dilation != (1, 1):
        raise Unsupported(f"dilations {list(dilation)} of a pool", "dilations of 1")
    rest = [(size[k] + padding[k] + padding[k + 2] - kernel[k]) % stride[k] for k in (0, 1)]
    if item.attributes.get("ceil_mode", 0) and any(rest):
        raise Unsupported("ceil_mode=1 makes windows that leave the image", "ceil_mode=0")
    return (kernel[0], kernel[1]), stride, padding
