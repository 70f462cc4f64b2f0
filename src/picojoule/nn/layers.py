"""Layers: data that say which nodes to build.  `sequential` turns a list of them into a Graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph import ops as graph_ops
from picojoule.graph.types import Op, TensorType
from picojoule.nn.image import (
    AveragePool,
    Conv,
    Elu,
    Flatten,
    GlobalAveragePool,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Tanh,
    made,
)
from picojoule.nn.init import STD, generator, spiking_std


@dataclass(frozen=True)
class Dense:
    """y = W x + b; weights start at a normal deviation of `init` ('he' or 'xavier')."""

    features: int
    bias: bool = True
    init: str = "he"


@dataclass(frozen=True)
class BatchNorm:
    """Normalize each feature over the batch."""

    eps: float = 1e-5


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class Residual:
    """inner(x) + x; the inner layers must keep the number of features."""

    inner: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class CubaLif:
    """A Dense synapse group and the CUBA-LIF neurons that it drives.

    recurrent  also joins the neurons to themselves, one step later
    own        each neuron learns decays and a threshold of its own, not one for the layer; a
               Loihi core holds few different ones, so such a layer spreads over many cores
    rate       spikes a step expected of the sources: sets the size of the first weights
    reach      spread of the voltage after half the steps, in thresholds
    """

    features: int
    decay_u: float = 0.5
    decay_v: float = 0.25
    v_th: float = 1.0
    bias: bool = False
    refractory: int = 1
    recurrent: bool = False
    own: bool = False
    rate: float = 0.3
    reach: float = 1.5


Layer = (
    Dense | BatchNorm | Relu | Residual | CubaLif | Conv | MaxPool | AveragePool
    | GlobalAveragePool | Flatten | LeakyRelu | Elu | Sigmoid | Tanh
)  # fmt: skip
IMAGE_LAYERS = (Conv, MaxPool, AveragePool, GlobalAveragePool, Flatten)
Shape = tuple[int, ...]


@dataclass
class _Site:
    """A graph under construction."""

    seed: int
    steps: int
    nodes: list[Node] = field(default_factory=list)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def name(self, prefix: str) -> str:
        self.used[prefix] = self.used.get(prefix, 0) + 1
        return f"{prefix}{self.used[prefix]}"

    def node(self, name: str, op: Op, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs))
        return name

    def constant(self, name: str, value: float, *shape: int) -> str:
        self.params[name] = np.full(shape, value, np.float32)
        return name

    def random(self, name: str, std: float, *shape: int) -> str:
        draw = generator(self.seed, len(self.params)).normal(0.0, std, shape)
        self.params[name] = draw.astype(np.float32)
        return name


def sequential(
    layers: Sequence[Layer], *, encoder: Encoder, readout: Readout, seed: int,
    name: str = "network", steps: int = 1,
) -> Graph:  # fmt: skip
    """Build a float Graph: an input, then the layers one after the other.

    Samples of several axes become vectors first, unless some layer is one of images; then those
    are (height, width, channels), and the first Dense flattens what reaches it.
    Parameters are float32, drawn from Philox streams keyed by `seed`.
    Raises UsageError PJ806 where layers do not fit together.
    """
    site = _Site(seed, steps)
    kind = "real" if encoder.kind == "affine" else "spike"
    last = site.node("input", graph_ops.Input(shape=encoder.shape, kind=kind))
    shape: Shape = encoder.shape
    if not _has_images(layers):
        last, shape = _flat(site, last, shape)
    last, _ = _stack(site, layers, last, shape)
    return Graph(name, tuple(site.nodes), last, encoder, readout, site.params, steps=steps)


def _has_images(layers: Sequence[Layer]) -> bool:
    inner = [each for layer in layers if isinstance(layer, Residual) for each in layer.inner]
    return any(isinstance(layer, IMAGE_LAYERS) for layer in (*layers, *inner))


def _stack(site: _Site, layers: Sequence[Layer], last: str, shape: Shape) -> tuple[str, Shape]:
    for layer in layers:
        if type(layer) in BUILD:
            last, shape = BUILD[type(layer)](site, layer, last, shape)
        else:
            last, shape = _unary(site, layer, last, shape)
    return last, shape


def _flat(site: _Site, last: str, shape: Shape) -> tuple[str, Shape]:
    """Flatten what is not a vector yet."""
    if len(shape) == 1:
        return last, shape
    name = site.name("flat") if any(n.name == "flat" for n in site.nodes) else "flat"
    return site.node(name, graph_ops.Flatten(), last), (int(np.prod(shape)),)


def _unary(site: _Site, layer: Layer, last: str, shape: Shape) -> tuple[str, Shape]:
    """Layers without parameters.  Raises UsageError PJ806 where the shape is not theirs."""
    prefix, op = made(layer, shape)
    try:
        out = op.out_type(TensorType(shape)).shape
    except ValueError as error:
        raise UsageError(Fault("PJ806", str(error))) from None
    return site.node(site.name(prefix), op, last), out


def _std(layer: Dense | Conv, fan_in: int, fan_out: int) -> float:
    if layer.init not in STD:
        raise UsageError(Fault("PJ806", f"init={layer.init!r} is none of {sorted(STD)}"))
    return STD[layer.init](fan_in, fan_out)


def _dense(site: _Site, layer: Dense, last: str, shape: Shape) -> tuple[str, Shape]:
    last, (size,) = _flat(site, last, shape)
    std = _std(layer, size, layer.features)
    name = site.name("fc")
    weight = site.random(f"{name}.weight", std, layer.features, size)
    bias = site.constant(f"{name}.bias", 0.0, layer.features) if layer.bias else None
    op = graph_ops.Dense(weight=weight, bias=bias, features=layer.features)
    return site.node(name, op, last), (layer.features,)


def _conv(site: _Site, layer: Conv, last: str, shape: Shape) -> tuple[str, Shape]:
    op = layer.op(shape)
    taps = op.kernel[0] * op.kernel[1]
    inputs = shape[2] // layer.groups
    std = _std(layer, inputs * taps, layer.features // layer.groups * taps)
    name = site.name("conv")
    weight = site.random(f"{name}.weight", std, layer.features, inputs, *op.kernel)
    bias = site.constant(f"{name}.bias", 0.0, layer.features) if layer.bias else None
    op = replace(op, weight=weight, bias=bias)
    return site.node(name, op, last), op.out_type(TensorType(shape)).shape


def _batch_norm(site: _Site, layer: BatchNorm, last: str, shape: Shape) -> tuple[str, Shape]:
    name = site.name("bn")
    start = {"gain": 1.0, "shift": 0.0, "mean": 0.0, "variance": 1.0}
    names = {what: site.constant(f"{name}.{what}", v, shape[-1]) for what, v in start.items()}
    return site.node(name, graph_ops.BatchNorm(eps=layer.eps, **names), last), shape


def _relu(site: _Site, layer: Relu, last: str, shape: Shape) -> tuple[str, Shape]:
    return site.node(site.name("relu"), graph_ops.Relu(), last), shape


def _residual(site: _Site, layer: Residual, last: str, shape: Shape) -> tuple[str, Shape]:
    inner, found = _stack(site, layer.inner, last, shape)
    if found != shape:
        raise UsageError(Fault("PJ806", *_residual_words(shape, found)))
    return site.node(site.name("add"), graph_ops.Add(), inner, last), shape


def _residual_words(shape: Shape, found: Shape) -> tuple[str, str, str]:
    """(what, where, fix) for inner layers that change the shape."""
    if len(shape) == len(found) == 1:
        what = f"a Residual turns {shape[0]} features into {found[0]}"
        return what, "", f"end it with Dense({shape[0]})"
    return f"a Residual turns {list(shape)} into {list(found)}", "", "layers that keep the shape"


def _cuba(site: _Site, layer: CubaLif, last: str, shape: Shape) -> tuple[str, Shape]:
    last, (size,) = _flat(site, last, shape)
    name, synapse, n = site.name("lif"), site.name("fc"), layer.features
    inputs = (_synapse(site, layer, synapse, last, size, layer.rate),)
    if layer.recurrent:
        back = site.node(f"{name}_late", graph_ops.Delay(steps=1), name)
        inputs += (_synapse(site, layer, site.name("rec"), back, n, 1.0),)
    each = (n,) if layer.own else ()
    op = graph_ops.CubaLif(
        decay_u=site.constant(f"{name}.decay_u", layer.decay_u, *each),
        decay_v=site.constant(f"{name}.decay_v", layer.decay_v, *each),
        v_th=site.constant(f"{name}.v_th", layer.v_th, *each),
        bias=site.constant(f"{name}.bias", 0.0, n) if layer.bias else None,
        refractory=layer.refractory,
    )
    return site.node(name, op, *inputs), (n,)


def _synapse(site: _Site, layer: CubaLif, name: str, source: str, size: int, rate: float) -> str:
    std = spiking_std(
        size, rate=rate, decay_u=layer.decay_u, decay_v=layer.decay_v, v_th=layer.v_th,
        steps=max(1, site.steps // 2), reach=layer.reach,
    )  # fmt: skip
    weight = site.random(f"{name}.weight", std, layer.features, size)
    return site.node(name, graph_ops.Dense(weight=weight, features=layer.features), source)


BUILD = {
    Dense: _dense, BatchNorm: _batch_norm, Relu: _relu, Residual: _residual, CubaLif: _cuba,
    Conv: _conv,
}  # fmt: skip
