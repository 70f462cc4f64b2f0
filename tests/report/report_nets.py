"""Two small networks, compiled for real."""

from __future__ import annotations

import numpy as np

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.ops import CubaLif, Dense, Input, Relu


def spiking() -> Graph:
    rng = np.random.default_rng(3)
    params = {
        "decay_u": np.array(0.5),
        "decay_v": np.array(0.25),
        "v_th": np.array(1.0),
        "fa.w": rng.normal(0.2, 0.4, (6, 8)),
        "fb.w": rng.normal(0.2, 0.5, (3, 6)),
    }
    lif = CubaLif(decay_u="decay_u", decay_v="decay_v", v_th="v_th")
    nodes = (
        Node("x", Input(shape=(8,), kind="spike"), ()),
        Node("fa", Dense(weight="fa.w", features=6), ("x",)),
        Node("a", lif, ("fa",)),
        Node("fb", Dense(weight="fb.w", features=3), ("a",)),
        Node("b", lif, ("fb",)),
    )
    return Graph(
        "spiking",
        nodes,
        "b",
        Encoder(kind="rate", shape=(8,), steps=10),
        Readout(kind="count"),
        params,
        steps=10,
    )


def relu() -> Graph:
    rng = np.random.default_rng(4)
    params = {
        "f1.w": rng.normal(0, 0.4, (6, 8)),
        "f1.b": rng.normal(0, 0.1, 6),
        "f2.w": rng.normal(0, 0.4, (3, 6)),
        "f2.b": rng.normal(0, 0.1, 3),
    }
    nodes = (
        Node("x", Input(shape=(8,)), ()),
        Node("f1", Dense(weight="f1.w", bias="f1.b", features=6), ("x",)),
        Node("r1", Relu(), ("f1",)),
        Node("f2", Dense(weight="f2.w", bias="f2.b", features=3), ("r1",)),
    )
    return Graph(
        "relu", nodes, "f2", Encoder(kind="affine", shape=(8,), step=1 / 127), Readout(), params
    )


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(5).random((count, 8))
