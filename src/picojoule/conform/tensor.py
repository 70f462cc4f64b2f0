"""Tensor vectors of our own: each layer of int8 networks, with the layers below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from picojoule.conform.trial import OUTPUT, Array, NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph import derive
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Input, IntAdd, IntDense
from picojoule.graph.types import Node, Pinned

UNIT = "unit"
RANGE = {"none": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0)}
LEFT_SHIFT = 20  # of TFLite's int8 ADD, rule T7
FORMATS = {"weight": Format(8), "bias": Format(32), "multiplier": Format(32),
           "exponent": Format(8), "scaling": Format(32)}  # fmt: skip
Layer = dict[str, Any]


def tensor_trials(vector: Vector) -> Iterator[Trial]:
    """One network for each layer, ending with it."""
    samples = _samples(vector)
    for layer in vector.listed("layers"):
        if layer.get("kind") not in ("dense", "add"):
            raise NotYet(f"a layer is a {str(layer.get('kind'))[:40]!r}")
        want = vector.array(layer["name"], len(samples), None)
        quantity = Quantity(layer["name"], want, ((OUTPUT, np.arange(want.shape[1])),))
        yield Trial(_graph(vector, layer["name"], samples.shape[1]), "", samples, (quantity,))


def needed(vector: Vector, output: str) -> set[str]:
    """The layers that `output` depends on, itself included."""
    feeds = {layer["name"]: set(layer["inputs"]) for layer in vector.listed("layers")}
    found, fresh = {output}, {output}
    while fresh:
        fresh = {name for f in fresh for name in feeds.get(f, ()) if name in feeds} - found
        found |= fresh
    return found


def limits(layer: Layer) -> tuple[int, int]:
    """(low, high) of a layer's int8 results, rule T5: its activation in integers."""
    low, high = (
        layer["zero"] + np.rint(bound / layer["step"]) if np.isfinite(bound) else bound
        for bound in RANGE[layer["activation"]]
    )
    return int(max(-128, low)), int(min(127, high))


def edge(vector: Vector, name: str) -> Layer:
    """Step and zero of an input or a layer's result."""
    for found in (*vector.listed("inputs"), *vector.listed("layers")):
        if found.get("name") == name:
            return found
    raise vector.fail(f"no input or layer is called {name!r}")


def requantizers(vector: Vector, layer: Layer) -> tuple[Array, Array]:
    """Multipliers and exponents int64 (out,) of a dense layer, rules T4 and T8."""
    step_in = edge(vector, layer["inputs"][0])["step"]
    steps = (np.float64(step_in), _step_w(vector, layer), np.float64(layer["step"]))
    return derive.multiplier(*steps), derive.exponent(*steps)


def add_scaling(vector: Vector, layer: Layer) -> Array:
    """Multipliers and exponents int64 (6,) of an add, rules T7 and T8."""
    a, b = (edge(vector, name) for name in layer["inputs"])
    return derive.add_scaling(a["step"], b["step"], layer["step"], left_shift=LEFT_SHIFT)


def _step_w(vector: Vector, layer: Layer) -> Array:
    key = f"{layer['name']}.step_w"
    found = vector.arrays.get(key)
    if found is None or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise vector.fail(f"array {key!r} is missing or not a number everywhere")
    return found.astype(np.float64)


def _samples(vector: Vector) -> Array:
    """What a run takes: all inputs side by side as reals."""
    blocks = [vector.array(i["name"], None, None) for i in vector.listed("inputs")]
    return np.concatenate(blocks, axis=1).astype(np.float64)


def _graph(vector: Vector, output: str, width: int) -> Graph:
    pinned: dict[str, Pinned] = {}
    params: dict[str, Array] = {UNIT: np.ones(())}
    nodes = [Node("input", Input(shape=(width,)))]
    if len(vector.listed("inputs")) > 1:
        nodes += _selectors(vector, width, pinned, params)
    for each in (*vector.listed("inputs"), *vector.listed("layers")):
        params[f"{each['name']}.step"] = np.array(each["step"])
    wanted = needed(vector, output)
    for layer in vector.listed("layers"):
        if layer["name"] in wanted:
            make = _dense if layer["kind"] == "dense" else _add
            inputs = tuple(_node(vector, name) for name in layer["inputs"])
            nodes.append(Node(layer["name"], make(vector, layer, pinned, params), inputs))
    return Graph(
        name=vector.name, nodes=tuple(nodes), output=output, pinned=pinned, params=params,
        encoder=Encoder(kind="affine", shape=(width,)), readout=Readout(kind="none"),
    )  # fmt: skip


def _node(vector: Vector, name: str) -> str:
    alone = len(vector.listed("inputs")) == 1
    return "input" if alone and name == vector.get("inputs", 0, "name") else name


def _selectors(
    vector: Vector, width: int, pinned: dict[str, Pinned], params: dict[str, Array]
) -> Iterator[Node]:
    """A dense layer for each input of the vector that copies its columns: times 1, exactly."""
    first = 0
    for each in vector.listed("inputs"):
        name, size = each["name"], vector.array(each["name"], None, None).shape[1]
        constants = {
            "weight": np.eye(size, width, first, dtype=np.int64), "bias": np.zeros(size, int),
            "multiplier": np.full(size, 1 << 30), "exponent": np.ones(size, int),
        }  # fmt: skip
        params[f"{name}.step_w"] = np.ones(size)
        op = IntDense(step_in=UNIT, step_w=f"{name}.step_w", step_out=f"{name}.step",
                      features=size, **_pin(name, constants, pinned))  # fmt: skip
        yield Node(name, op, ("input",))
        first += size


def _pin(
    name: str, constants: Mapping[str, Array], pinned: dict[str, Pinned]
) -> dict[str, Any]:  # fmt: skip
    for key, values in constants.items():
        pinned[f"{name}.{key}"] = Pinned(values, FORMATS[key])
    return {key: f"{name}.{key}" for key in constants}


def _dense(
    vector: Vector, layer: Layer, pinned: dict[str, Pinned], params: dict[str, Array]
) -> IntDense:
    name, source = layer["name"], edge(vector, layer["inputs"][0])
    multiplier, exponent = requantizers(vector, layer)
    low, high = limits(layer)
    constants = {key: vector.array(f"{name}.{key}") for key in ("weight", "bias")}
    constants |= {"multiplier": multiplier, "exponent": exponent}
    params[f"{name}.step_w"] = _step_w(vector, layer)
    return IntDense(
        step_in=f"{source['name']}.step", step_w=f"{name}.step_w", step_out=f"{name}.step",
        zero_in=source["zero"], zero=layer["zero"], low=low, high=high,
        features=len(multiplier), **_pin(name, constants, pinned),
    )  # fmt: skip


def _add(
    vector: Vector, layer: Layer, pinned: dict[str, Pinned], params: dict[str, Array]
) -> IntAdd:
    a, b = (edge(vector, name) for name in layer["inputs"])
    low, high = limits(layer)
    names = _pin(layer["name"], {"scaling": add_scaling(vector, layer)}, pinned)
    return IntAdd(
        step_a=f"{a['name']}.step", step_b=f"{b['name']}.step", step_out=f"{layer['name']}.step",
        zero_a=a["zero"], zero_b=b["zero"], zero=layer["zero"], low=low, high=high, **names,
    )  # fmt: skip
