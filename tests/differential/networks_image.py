"""Random networks of images for hypothesis, as `networks.py` has them for vectors.

images()    a Case of real layers
corners()   a Case whose integers are pinned, at the ends of their words
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from tests.differential.networks import (
    STYLES,
    Case,
    Draft,
    _scalings,
    _shuffled,
    corners,
    draft,
    scaled,
)

from picojoule.fixed.contract import Encoder
from picojoule.fixed.format import Format
from picojoule.graph import Graph, Pinned
from picojoule.graph.ops import (
    Add,
    AveragePool,
    BatchNorm,
    Concat,
    Conv,
    Elu,
    Flatten,
    GlobalAveragePool,
    Input,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntLookup,
    IntMaxPool,
    LeakyRelu,
    MaxPool,
    Relu,
    Sigmoid,
    Tanh,
)
from picojoule.graph.types import TensorType

KERNELS = ((3, 3), (1, 1), (2, 3), (5, 1), (3, 3))


@st.composite
def images(draw) -> Case:
    """Convolutions of every geometry, pools, sums, joints, and functions of elements."""
    net = draft(draw)
    shape = net.pick((5, 4, 2), (7, 7, 1), (1, 6, 3), (4, 5, 4))
    known = [(net.node(Input(shape=shape), name="input"), shape)]
    for kind in draw(st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=6)):
        known.append(LAYERS[kind](net, known, *known[-1]))
    known.append(_end(net, *known[-1]))
    bits = draw(st.sampled_from([8, 4, 2])), draw(st.sampled_from([8, 4, 2, None]))
    samples = scaled(net.rng, net.pick(*STYLES), (draw(st.integers(1, 5)), *shape))
    graph = Graph(
        "images", _shuffled(net), known[-1][0], Encoder(kind="affine", shape=shape, step=1 / 32),
        params=net.params,
    )  # fmt: skip
    return Case(graph, samples, *bits)


def _made(net: Draft, op, shape, *inputs):
    """A node, and the shape of its result."""
    return net.node(op, *inputs), op.out_type(TensorType(shape)).shape


def _window(net: Draft, shape, pool=False):
    kernel = net.pick(*KERNELS) if not pool else net.pick((2, 2), (1, 2), (3, 3), (2, 1))
    stride, dilation = net.pick((1, 1), (2, 1), (2, 2), (1, 3)), net.pick((1, 1), (1, 1), (2, 1))
    dilation = (1, 1) if pool else dilation
    padding = tuple(int(net.rng.integers(0, k)) for k in (*kernel, *kernel))
    padding = net.pick((0, 0, 0, 0), padding)
    sizes = [shape[k] + padding[k] + padding[k + 2] - dilation[k] * (kernel[k] - 1)
             for k in (0, 1)]  # fmt: skip
    if min(sizes) < 1:
        kernel, padding, dilation = (1, 1), (0, 0, 0, 0), (1, 1)
    return {"kernel": kernel, "stride": stride, "padding": padding}, dilation


def _conv(net: Draft, known, x, shape):
    window, dilation = _window(net, shape)
    groups = net.pick(*(g for g in (1, 1, shape[2], 2) if shape[2] % g == 0))
    features = groups * net.pick(2, 1, 3)
    name = f"conv{len(net.nodes)}"
    size = (features, shape[2] // groups, *window["kernel"])
    weight = net.param(f"{name}.weight", net.numbers(size, 1.5 / np.sqrt(np.prod(size[1:]))))
    bias = net.param(f"{name}.bias", net.numbers(features, 0.3)) if net.pick(0, 1) else None
    op = Conv(weight=weight, bias=bias, features=features, groups=groups, dilation=dilation,
              **window)  # fmt: skip
    return net.node(op, x, name=name), op.out_type(TensorType(shape)).shape


def _normed(net: Draft, known, x, shape):
    x, shape = _conv(net, known, x, shape)
    n = shape[2]
    constants = {
        "gain": net.numbers(n), "shift": net.numbers(n, 0.3), "mean": net.numbers(n, 0.3),
        "variance": np.abs(net.numbers(n)),
    }  # fmt: skip
    named = {field: net.param(f"{x}.{field}", values) for field, values in constants.items()}
    return net.node(BatchNorm(**named), x), shape


def _max(net: Draft, known, x, shape):
    return _made(net, MaxPool(**_window(net, shape, pool=True)[0]), shape, x)


def _mean(net: Draft, known, x, shape):
    window = _window(net, shape, pool=True)[0]
    counted = any(window["padding"]) or net.pick(False, True)
    return _made(net, AveragePool(count_padding=counted, **window), shape, x)


def _element(net: Draft, known, x, shape):
    op = net.pick(LeakyRelu(slope=0.1), Elu(), Sigmoid(), Tanh(), LeakyRelu(slope=-2.0))
    return net.node(op, x), shape


def _sum(net: Draft, known, x, shape):
    other = net.pick(*(name for name, size in known if size == shape))
    return net.node(Add(), *((x, other) if net.pick(True, False) else (other, x))), shape


def _joint(net: Draft, known, x, shape):
    alike = [(name, size) for name, size in known if size[:2] == shape[:2]]
    parts = [(x, shape), *(net.pick(*alike) for _ in range(net.pick(1, 2)))]
    joined = net.node(Concat(), *(name for name, _ in parts))
    return joined, (*shape[:2], sum(size[2] for _, size in parts))


LAYERS = {
    "conv": _conv, "norm": _normed, "max": _max, "mean": _mean, "element": _element,
    "relu": lambda net, known, x, shape: (net.node(Relu(), x), shape),
    "sum": _sum, "joint": _joint,
}  # fmt: skip


def _end(net: Draft, x, shape):
    """Vectors of classes, or the image itself."""
    how = net.pick("dense", "global", "image", "flat")
    if how == "image":
        return net.node(Relu(), x), shape
    if how == "global":
        x, size = net.node(GlobalAveragePool(), x), shape[2]
    else:
        x, size = net.node(Flatten(), x), int(np.prod(shape))
    return (x, (size,)) if how == "flat" else (net.dense(x, size, 3), (3,))


# ------------------------------------------------------------------------------ integers


@st.composite
def pinned_images(draw) -> Case:
    """Integer layers with any multiplier, exponent, zero points and limits."""
    net = draft(draw)
    shape = net.pick((4, 5, 2), (3, 3, 1), (1, 5, 4))
    form, pinned = net.pick(Format(8), Format(8, signed=False), Format(2)), {}
    zero = int(corners(net, form.low, form.high, ()))
    encoder = Encoder(kind="affine", shape=shape, zero=zero, format=form)
    known = (net.node(Input(shape=shape), name="input"), shape, zero, (form.low, form.high))
    for kind in draw(st.lists(st.sampled_from("cccmalj"), min_size=1, max_size=5)):
        known = INTEGERS[kind](net, pinned, *known)
    graph = Graph("pinned", _shuffled(net), known[0], encoder, params={"one": np.ones(())},
                  pinned=pinned)  # fmt: skip
    return Case(graph, net.rng.normal(0, 100, (net.pick(4, 1, 20), *shape)))


def _pin(pinned, name, values, form) -> str:
    pinned[name] = Pinned(np.asarray(values, np.int64), form)
    return name


def _range(net: Draft):
    low, high = net.pick((-128, 127), (0, 255), (0, 3), (-2, 1))
    return {"low": low, "high": high, "zero": int(net.rng.integers(low, high + 1))}


def _scaled(net: Draft, pinned, name, n, shape):
    multiplier, exponent = _scalings(net, n, -14, 1)
    return {
        "multiplier": _pin(pinned, f"{name}.m", multiplier.reshape(shape), Format(32)),
        "exponent": _pin(pinned, f"{name}.e", exponent.reshape(shape), Format(8)),
    }


def _int_conv(net: Draft, pinned, x, shape, zero, form):
    window, dilation = _window(net, shape)
    groups = net.pick(*(g for g in (1, shape[2]) if shape[2] % g == 0))
    features, name = groups * net.pick(2, 3), f"c{len(net.nodes)}"
    size = (features, shape[2] // groups, *window["kernel"])
    limits = _range(net)
    op = IntConv2d(
        weight=_pin(pinned, f"{name}.w", corners(net, -127, 127, size), Format(8)),
        bias=_pin(pinned, f"{name}.b", corners(net, -(2**20), 2**20, features), Format(32)),
        **_scaled(net, pinned, name, features, (features,)), **window, **limits,
        step_in="one", step_w="one", step_out="one", features=features, groups=groups,
        dilation=dilation, zero_in=zero,
    )  # fmt: skip
    out = op.out_type(TensorType(shape)).shape
    return net.node(op, x), out, limits["zero"], (limits["low"], limits["high"])


def _int_max(net: Draft, pinned, x, shape, zero, form):
    op = IntMaxPool(**_window(net, shape, pool=True)[0])
    return net.node(op, x), op.out_type(TensorType(shape)).shape, zero, form


def _int_mean(net: Draft, pinned, x, shape, zero, form):
    limits = _range(net)
    op = IntAveragePool(
        **_scaled(net, pinned, f"a{len(net.nodes)}", 1, ()), step_in="one", step_out="one",
        **_window(net, shape, pool=True)[0], zero_in=zero, **limits,
    )  # fmt: skip
    out = op.out_type(TensorType(shape)).shape
    return net.node(op, x), out, limits["zero"], (limits["low"], limits["high"])


def _int_lookup(net: Draft, pinned, x, shape, zero, form):
    limits, (low, high) = _range(net), form
    table = corners(net, limits["low"], limits["high"], high - low + 1)
    name = _pin(pinned, f"t{len(net.nodes)}", table, Format(9))
    op = IntLookup(table=name, step_in="one", step_out="one", function="Tanh", first=low,
                   entries=high - low + 1, zero_in=zero, **limits)  # fmt: skip
    return net.node(op, x), shape, limits["zero"], (limits["low"], limits["high"])


def _int_joint(net: Draft, pinned, x, shape, zero, form):
    return net.node(IntConcat(), x, x), (*shape[:2], 2 * shape[2]), zero, form


INTEGERS = {
    "c": _int_conv, "m": _int_max, "a": _int_mean, "l": _int_lookup, "j": _int_joint,
}  # fmt: skip
