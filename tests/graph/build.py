"""Random networks, by seed: reused wherever two engines must agree on any network.

chain(seed)      dense layers, with batch norm and ReLU at random
residual(seed)   the same around residual sums
spiking(seed)    populations of CubaLif neurons, feed-forward, with delays at random
recurrent(seed)  the same with recurrent synapses, some through several delays
batch(graph, seed, n)  samples for any of them
"""

from __future__ import annotations

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.ops import Add, BatchNorm, CubaLif, Delay, Dense, Flatten, Input, Relu


class Draft:
    """Nodes and parameters, as they grow."""

    def __init__(self, seed: int, dtype=np.float64) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.params: dict[str, np.ndarray] = {}
        self.dtype = dtype

    def chance(self, p: float = 0.5) -> bool:
        return bool(self.rng.random() < p)

    def node(self, name: str, op, *inputs: str) -> str:
        self.nodes.append(Node(name, op, inputs))
        return name

    def param(self, name: str, values) -> str:
        self.params[name] = np.asarray(values, self.dtype)
        return name

    def dense(self, name: str, x: str, n_in: int, n_out: int, *, gain=1.0, bias=None) -> str:
        scale = gain / np.sqrt(n_in)
        weight = self.param(f"{name}.weight", self.rng.normal(0, scale, (n_out, n_in)))
        with_bias = self.chance() if bias is None else bias
        named = None
        if with_bias:
            named = self.param(f"{name}.bias", self.rng.normal(0, 0.1, n_out))
        return self.node(name, Dense(weight=weight, bias=named, features=n_out), x)

    def norm(self, name: str, x: str, n: int) -> str:
        rng = self.rng
        op = BatchNorm(
            gain=self.param(f"{name}.gain", rng.uniform(0.5, 1.5, n)),
            shift=self.param(f"{name}.shift", rng.normal(0, 0.2, n)),
            mean=self.param(f"{name}.mean", rng.normal(0, 0.2, n)),
            variance=self.param(f"{name}.variance", rng.uniform(0.5, 1.5, n)),
        )
        return self.node(name, op, x)

    def lif(self, name: str, n: int, *inputs: str, each: bool | None = None) -> str:
        """Neurons that fire now and then for inputs of spikes through `dense(gain=2)`."""
        each = self.chance() if each is None else each
        shape = (n,) if each else ()
        rng = self.rng
        op = CubaLif(
            decay_u=self.param(f"{name}.decay_u", rng.uniform(0.2, 1.0, shape)),
            decay_v=self.param(f"{name}.decay_v", rng.uniform(0.05, 0.6, shape)),
            v_th=self.param(f"{name}.v_th", rng.uniform(0.4, 1.2, shape)),
            bias=self.param(f"{name}.bias", rng.normal(0.05, 0.1, n)) if self.chance() else None,
            refractory=int(rng.integers(1, 4)),
        )
        return self.node(name, op, *inputs)

    def graph(self, name: str, output: str, encoder: Encoder, **more) -> Graph:
        order = self.rng.permutation(len(self.nodes))  # the order of nodes means nothing
        nodes = tuple(self.nodes[i] for i in order)
        return Graph(
            name=name, nodes=nodes, output=output, encoder=encoder, params=self.params, **more
        )


def chain(seed: int, sizes=(6, 8, 5, 3), *, norm=None, relu=None, dtype=np.float64) -> Graph:
    """Dense layers; norm, relu: in each hidden layer, in none, or at random (None)."""
    draft = Draft(seed, dtype)
    x = draft.node("input", Input(shape=(sizes[0],)))
    for k, (n_in, n_out) in enumerate(zip(sizes, sizes[1:]), 1):  # noqa: RUF007
        x = draft.dense(f"fc{k}", x, n_in, n_out, gain=1.5)
        if n_out != sizes[-1] or k < len(sizes) - 1:
            x = _activated(draft, k, x, n_out, norm, relu)
    return draft.graph(f"chain{seed}", x, affine(sizes[0]))


def _activated(draft: Draft, k: int, x: str, n: int, norm, relu) -> str:
    if draft.chance() if norm is None else norm:
        x = draft.norm(f"bn{k}", x, n)
    if draft.chance(0.8) if relu is None else relu:
        x = draft.node(f"relu{k}", Relu(), x)
    return x


def residual(seed: int, width=6, blocks=2, classes=3, *, norm=None, dtype=np.float64) -> Graph:
    """Dense, then blocks x + Dense(Relu(Dense(x))), then Dense; the input is an image."""
    draft = Draft(seed, dtype)
    image = draft.node("input", Input(shape=(2, width // 2)))
    x = draft.node("flat", Flatten(), image)
    x = _activated(draft, 0, draft.dense("stem", x, width, width), width, norm, True)
    for k in range(1, blocks + 1):
        y = draft.dense(f"a{k}", x, width, width)
        y = _activated(draft, 2 * k, y, width, norm, True)
        y = draft.dense(f"b{k}", y, width, width)
        x = draft.node(f"add{k}", Add(), *((x, y) if draft.chance() else (y, x)))
        x = _activated(draft, 2 * k + 1, x, width, False, None)
    out = draft.dense("head", x, width, classes)
    return draft.graph(f"residual{seed}", out, affine(2, width // 2))


def affine(*shape: int) -> Encoder:
    """Reals of about -4..4 as int8."""
    return Encoder(kind="affine", shape=shape, step=1 / 32)


def spiking(
    seed: int, sizes=(6, 8, 4), *, steps=12, delays=None, kind="rate", dtype=np.float64
) -> Graph:
    """Populations one after the other; delays: on each synapse, on none, or at random."""
    draft = Draft(seed, dtype)
    x = draft.node("input", Input(shape=(sizes[0],), kind="spike"))
    for k, (n_in, n_out) in enumerate(zip(sizes, sizes[1:]), 1):  # noqa: RUF007
        if draft.chance(0.4) if delays is None else delays:
            x = draft.node(f"delay{k}", Delay(steps=int(draft.rng.integers(1, 5))), x)
        x = draft.lif(f"lif{k}", n_out, draft.dense(f"fc{k}", x, n_in, n_out, gain=2.0))
    return draft.graph(
        f"spiking{seed}", x, Encoder(kind=kind, shape=(sizes[0],), steps=steps),
        readout=Readout(kind="count", start=int(draft.rng.integers(0, 3))), steps=steps,
    )  # fmt: skip


def recurrent(seed: int, sizes=(5, 7, 4), *, steps=12, kind="rate", dtype=np.float64) -> Graph:
    """Every population feeds itself; the last one also feeds the first."""
    draft = Draft(seed, dtype)
    x = draft.node("input", Input(shape=(sizes[0],), kind="spike"))
    last = f"lif{len(sizes) - 1}"
    for k, (n_in, n) in enumerate(zip(sizes, sizes[1:]), 1):  # noqa: RUF007
        sources = [draft.dense(f"fc{k}", x, n_in, n, gain=2.0)]
        back = draft.node(f"back{k}", Delay(steps=int(draft.rng.integers(1, 4))), f"lif{k}")
        sources.append(draft.dense(f"rec{k}", back, n, n, bias=False))
        if k == 1 and last != "lif1":
            far = draft.node("far", Delay(steps=int(draft.rng.integers(1, 4))), last)
            sources.append(draft.dense("top", far, sizes[-1], n, bias=False))
        x = draft.lif(f"lif{k}", n, *sources)
    return draft.graph(
        f"recurrent{seed}", x, Encoder(kind=kind, shape=(sizes[0],), steps=steps),
        readout=Readout(kind="count"), steps=steps,
    )  # fmt: skip


BUILDERS = (chain, residual, spiking, recurrent)


def batch(graph: Graph, seed: int, n: int) -> np.ndarray:
    """Samples for a graph: reals of about -3..3, 0..1 for a rate, or spikes."""
    rng = np.random.default_rng(seed)
    shape, kind = graph.encoder.shape, graph.encoder.kind
    if kind == "events":
        return rng.random((n, graph.encoder.steps, *shape)) < 0.3
    if kind == "rate":
        return rng.random((n, *shape)) * graph.encoder.high
    return rng.normal(0, 1, (n, *shape))
