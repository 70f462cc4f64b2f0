"""A golden vector as a Graph of pinned integers, for the same passes and simulator users get."""

from __future__ import annotations

from typing import Any

import numpy as np
import replay
from replay import Arrays, Vector

from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Delay, Input, IntAdd, IntCuba, IntDense, IntSynapse
from picojoule.graph.types import Node, Pinned

UNIT = "unit"  # the name of the real step 1.0


def outputs(vector: Vector) -> list[str]:
    """The nodes that make one graph each, every population and layer inside at least one."""
    if vector.head["kind"] == "tensor":
        return [layer["name"] for layer in vector.head["layers"]]
    left = [p["name"] for p in vector.head["populations"]]
    chosen: list[str] = []
    while left:
        chosen.append(left[-1])
        left = [name for name in left if name not in _needed(vector, left[-1])]
    return chosen


def _needed(vector: Vector, output: str) -> set[str]:
    """The populations or layers that `output` depends on, itself included."""
    if vector.head["kind"] == "tensor":
        feeds = {layer["name"]: set(layer["inputs"]) for layer in vector.head["layers"]}
    else:
        parts = vector.head["projections"]
        feeds = {p["target"]: {s["source"] for s in parts if s["target"] == p["target"]}
                 for p in parts}  # fmt: skip
    found, fresh = {output}, {output}
    while fresh:
        fresh = {name for f in fresh for name in feeds.get(f, ()) if name in feeds} - found
        found |= fresh
    return found


def graph(vector: Vector, output: str, machine: str) -> Graph:
    """The part of a vector that `output` depends on, scheduled for a machine's own delays."""
    build = _spiking if vector.head["kind"] == "spiking" else _tensor
    return build(vector, output, machine)


# ----------------------------------------------------------------------------- spiking


def _spiking(vector: Vector, output: str, machine: str) -> Graph:
    head, wanted = vector.head, _needed(vector, output)
    nodes = [Node("input", Input(shape=(head["channels"],), kind="spike"))]
    pinned: dict[str, Pinned] = {}
    feeds: dict[str, list[str]] = {name: [] for name in wanted}
    for k, part in enumerate(head["projections"]):
        if part["target"] in wanted:
            nodes += _projection(vector, k, part, pinned)
            feeds[part["target"]].append(f"synapse{k}")
    for p in head["populations"]:
        if p["name"] in wanted:
            nodes.append(_population(vector, p, feeds[p["name"]], pinned))
    return Graph(
        name=vector.name, nodes=tuple(nodes), output=output, pinned=pinned,
        encoder=Encoder(kind="events", shape=(head["channels"],), steps=head["steps"]),
        readout=Readout(kind="none"), params={UNIT: np.ones(())}, steps=head["steps"],
        machine=machine,
    )  # fmt: skip


def _projection(vector: Vector, k: int, part: dict[str, Any], pinned: dict) -> list[Node]:
    """The machine's delay with the synapse's own, and the synapses."""
    profile, source = vector.profile, part["source"]
    outside = profile.input_delay if source == "input" else profile.spike_delay
    nodes = []
    if outside + part["delay"] > 0:
        nodes.append(Node(f"delay{k}", Delay(steps=outside + part["delay"]), (source,)))
        source = f"delay{k}"
    weight = vector.arrays[f"weight{k}"]
    pinned[f"weight{k}"] = Pinned(weight, Format(9))
    op = IntSynapse(
        weight=f"weight{k}", step_w=UNIT, exponent=part["exponent"], bits=part["bits"],
        dropped=part["dropped"], delay=part["delay"], features=len(weight),
    )  # fmt: skip
    return [*nodes, Node(f"synapse{k}", op, (source,))]


def _population(vector: Vector, p: dict[str, Any], inputs: list[str], pinned: dict) -> Node:
    formats = {"decay_u": Format(13, signed=False), "decay_v": Format(13, signed=False),
               "v_th": Format(17, signed=False), "bias": Format(13)}  # fmt: skip
    fields = {}
    for what, format_ in formats.items():
        values = vector.arrays[f"{p['name']}.{what}"]
        if what != "bias" or vector.profile.has_bias:
            fields[what] = f"{p['name']}.{what}"
            pinned[fields[what]] = Pinned(values, format_)
    op = IntCuba(
        step=UNIT, bias_exponent=p["bias_exponent"], refractory=p["refractory"],
        profile=vector.profile.name, **fields,
    )  # fmt: skip
    return Node(p["name"], op, tuple(inputs))


# ------------------------------------------------------------------------------ tensor


def samples(vector: Vector) -> np.ndarray:
    """What a run of `graph` takes: a raster, or all inputs side by side as reals."""
    if vector.head["kind"] == "spiking":
        return vector.arrays["input"][None]
    blocks = [vector.arrays[i["name"]] for i in vector.head["inputs"]]
    return np.concatenate(blocks, axis=1).astype(np.float64)


def _tensor(vector: Vector, output: str, machine: str) -> Graph:
    head, width = vector.head, samples(vector).shape[1]
    pinned: dict[str, Pinned] = {}
    params: Arrays = {UNIT: np.ones(())}
    nodes = [Node("input", Input(shape=(width,)))]
    if len(head["inputs"]) > 1:
        nodes += _selectors(vector, width, pinned, params)
    for edge in [*head["inputs"], *head["layers"]]:
        params[f"{edge['name']}.step"] = np.array(edge["step"])
    for layer in head["layers"]:
        if layer["name"] in _needed(vector, output):
            make = _dense if layer["kind"] == "dense" else _add
            inputs = tuple(_node(vector, name) for name in layer["inputs"])
            nodes.append(Node(layer["name"], make(vector, layer, pinned, params), inputs))
    return Graph(
        name=vector.name, nodes=tuple(nodes), output=output, pinned=pinned, params=params,
        encoder=Encoder(kind="affine", shape=(width,)), readout=Readout(kind="none"),
        machine=machine,
    )  # fmt: skip


def _node(vector: Vector, name: str) -> str:
    alone = len(vector.head["inputs"]) == 1
    return "input" if alone and name == vector.head["inputs"][0]["name"] else name


def _selectors(vector: Vector, width: int, pinned: dict, params: Arrays) -> list[Node]:
    """A dense layer for each input of the vector that copies its columns: times 1, exactly."""
    nodes, first = [], 0
    for edge in vector.head["inputs"]:
        name, size = edge["name"], vector.arrays[edge["name"]].shape[1]
        constants = {
            "weight": np.eye(size, width, first, dtype=np.int64), "bias": np.zeros(size, int),
            "multiplier": np.full(size, 1 << 30), "exponent": np.ones(size, int),
        }  # fmt: skip
        params[f"{name}.step_w"] = np.ones(size)
        op = IntDense(step_in=UNIT, step_w=f"{name}.step_w", step_out=f"{name}.step",
                      features=size, **_pin(name, constants, pinned))  # fmt: skip
        nodes.append(Node(name, op, ("input",)))
        first += size
    return nodes


FORMATS = {"weight": Format(8), "bias": Format(32), "multiplier": Format(32),
           "exponent": Format(8), "scaling": Format(32)}  # fmt: skip


def _pin(name: str, constants: Arrays, pinned: dict) -> dict[str, str]:
    for field, values in constants.items():
        pinned[f"{name}.{field}"] = Pinned(values, FORMATS[field])
    return {field: f"{name}.{field}" for field in constants}


def _dense(vector: Vector, layer: dict[str, Any], pinned: dict, params: Arrays) -> IntDense:
    name, source = layer["name"], replay.edge(vector, layer["inputs"][0])
    multiplier, exponent = replay.requantizers(vector, layer)
    low, high = replay.limits(layer)
    constants = {field: vector.arrays[f"{name}.{field}"] for field in ("weight", "bias")}
    constants |= {"multiplier": multiplier, "exponent": exponent}
    params[f"{name}.step_w"] = vector.arrays[f"{name}.step_w"].astype(np.float64)
    return IntDense(
        step_in=f"{source['name']}.step", step_w=f"{name}.step_w", step_out=f"{name}.step",
        zero_in=source["zero"], zero=layer["zero"], low=low, high=high,
        features=len(multiplier), **_pin(name, constants, pinned),
    )  # fmt: skip


def _add(vector: Vector, layer: dict[str, Any], pinned: dict, params: Arrays) -> IntAdd:
    a, b = (replay.edge(vector, name) for name in layer["inputs"])
    low, high = replay.limits(layer)
    names = _pin(layer["name"], {"scaling": replay.add_scaling(vector, layer)}, pinned)
    return IntAdd(
        step_a=f"{a['name']}.step", step_b=f"{b['name']}.step", step_out=f"{layer['name']}.step",
        zero_a=a["zero"], zero_b=b["zero"], zero=layer["zero"], low=low, high=high, **names,
    )  # fmt: skip
