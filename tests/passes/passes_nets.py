"""Small networks, and machines with limits of our choice."""

import re
from pathlib import Path

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.ops import Add, BatchNorm, CubaLif, Delay, Dense, Input, Relu
from picojoule.target import parse

ROOT = Path(__file__).parents[2]


def machine(name, **limits):
    """A shipped machine with some `name: {value: ...}` or `name: {size: ...}` changed."""
    text = (ROOT / "hardware_models" / f"{name}.yaml").read_text(encoding="utf-8")
    for field, value in limits.items():
        kind = "size" if isinstance(value, str) else "value"
        text, found = re.subn(rf"(\b{field}: {{{kind}: )[^,]+", rf"\g<1>{value}", text)
        assert found == 1, f"{field} is in {name} {found} times"
    return parse(text.encode(), f"{name}.yaml")


class Net:
    """A graph under construction, one line a node."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.params = [], {}

    def node(self, name, op, *inputs):
        self.nodes.append(Node(name, op, inputs))
        return name

    def const(self, name, values):
        self.params[name] = np.asarray(values, np.float64)
        return name

    def dense(self, name, source, size, features, bias=True, std=None, weight=None):
        std = 1 / np.sqrt(size) if std is None else std
        if weight is None:
            weight = self.rng.normal(0, std, (features, size))
        op = Dense(
            weight=self.const(f"{name}.weight", weight),
            features=features,
            bias=self.const(f"{name}.bias", self.rng.normal(0, 0.2, features)) if bias else None,
        )
        return self.node(name, op, source)

    def norm(self, name, source, size):
        draw = self.rng.uniform
        op = BatchNorm(
            gain=self.const(f"{name}.gain", draw(0.5, 2, size)),
            shift=self.const(f"{name}.shift", draw(-1, 1, size)),
            mean=self.const(f"{name}.mean", draw(-1, 1, size)),
            variance=self.const(f"{name}.variance", draw(0.5, 2, size)),
        )
        return self.node(name, op, source)

    def lif(self, name, *sources, decay_u=0.5, decay_v=0.25, v_th=1.0, bias=None, refractory=1):
        op = CubaLif(
            decay_u=self.const(f"{name}.decay_u", decay_u),
            decay_v=self.const(f"{name}.decay_v", decay_v),
            v_th=self.const(f"{name}.v_th", v_th),
            refractory=refractory,
            bias=None if bias is None else self.const(f"{name}.bias", bias),
        )
        return self.node(name, op, *sources)

    def graph(self, output, encoder, **fields):
        readout = Readout(kind="argmax" if encoder.kind == "affine" else "count")
        return Graph(
            "net", tuple(self.nodes), output, encoder, readout, params=self.params, **fields
        )


def tensor_net(seed=0, inputs=12, hidden=16, classes=5):
    """Dense, BN, ReLU, then a residual block of the same, then a Dense."""
    net = Net(seed)
    x = net.node("input", Input(shape=(inputs,)))
    a = net.node("relu1", Relu(), net.norm("bn1", net.dense("fc1", x, inputs, hidden), hidden))
    b = net.norm("bn2", net.dense("fc2", a, hidden, hidden), hidden)
    c = net.node("relu2", Relu(), net.node("add1", Add(), b, a))
    net.dense("fc3", c, hidden, classes)
    return net.graph("fc3", Encoder(kind="affine", shape=(inputs,)))


def spiking_net(
    seed=0, inputs=20, hidden=30, classes=6, steps=15, recurrent=True, bias=None, **lif
):
    """Two populations of CUBA-LIF neurons, the first recurrent."""
    net = Net(seed)
    x = net.node("input", Input(shape=(inputs,), kind="spike"))
    sources = [net.dense("fc1", x, inputs, hidden, bias=False, std=0.5)]
    if recurrent:
        late = net.node("late", Delay(steps=1), "lif1")
        sources.append(net.dense("rec1", late, hidden, hidden, bias=False, std=0.1))
    net.lif("lif1", *sources, bias=bias, **lif)
    net.lif("lif2", net.dense("fc2", "lif1", hidden, classes, bias=False, std=0.4))
    encoder = Encoder(kind="rate", shape=(inputs,), steps=steps)
    return net.graph("lif2", encoder, steps=steps)


def samples(graph, count=24, seed=5):
    return np.random.default_rng(seed).random((count, *graph.encoder.shape))
