"""How a user meets PJ1xx, PJ2xx and PJ3xx: each function meets the code of its name."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from small import (
    SPIKING,
    TENSOR,
    dense,
    events,
    graph,
    limit,
    model,
    samples,
    spikes,
    spiking_program,
    tensor_program,
)

import picojoule as pj
from picojoule.fixed.format import Format
from picojoule.graph import Node, Pinned
from picojoule.graph.ops import CubaLif, Delay, Dense, Input, IntCuba, IntSynapse


def pj101():
    Path("mine.yaml").write_text("name: [mine\nkind: spiking\n", encoding="utf-8")
    pj.target("mine.yaml")


def pj102_wrong():
    model((r"count: \{value: 128", "count: {value: many"))


def pj102_unknown():
    model((r"^  chip:$", "  chips_: 3\n  chip:"))


def pj103():
    model((r"energy: 81 pJ", "energy: 81 pW"))


def pj104_alias():
    Path("mine.yaml").write_text("a: &a [1]\nb: *a\n", encoding="utf-8")
    pj.target("mine.yaml")


def pj104_deep():
    Path("mine.yaml").write_text("[" * 100 + "]" * 100, encoding="utf-8")
    pj.target("mine.yaml")


def pj105_near():
    pj.target("loihi")


def pj105_path():
    pj.target("nowhere/mine.yaml")


def pj106_unknown():
    model((r"source: frady2020", "source: frady2021"))


def pj106_none():
    model((r"count: \{value: 128, source: davies2018, ", "count: {value: 128, "))


def pj107():
    model((r"^        neuron\.idle:\n(?: {10}.*\n)+", ""))


def pj201():
    pj.compile(spikes((6, 200, 3)), limit("neurons", 1))


def pj202():
    pj.compile(spikes(), limit("neurons", 0))


def pj203():
    pj.compile(spikes((40, 8, 3)), limit("synapse_words", 4))


def pj204():
    pj.compile(spikes((40, 8, 3)), limit("in_axons", 8))


def pj205():
    pj.compile(spikes(), limit("out_axons", 0))


def pj206_relu():
    pj.compile(dense(), pj.target(SPIKING))


def pj206_spikes():
    pj.compile(spikes(), pj.target(TENSOR), calibrate=samples())


def pj207_field():
    pj.compile(events(refractory=100), pj.target(SPIKING))


def pj207_mantissa():
    """Pinned weights that 8 bits of mixed sign do not hold."""
    nodes = list(events().nodes)
    nodes[1] = Node("fc", IntSynapse(weight="w", step_w="s", features=2), ("in",))
    nodes[2] = Node("lif", IntCuba(decay_u="du", decay_v="dv", v_th="v", step="s"), ("fc",))
    values = {"w": [[300, 2], [3, 4]], "s": 1, "du": 9, "dv": 9, "v": 9}
    pins = {name: Pinned(np.array(v), Format(16)) for name, v in values.items()}
    pj.compile(graph(nodes, "lif", {}, pinned=pins), pj.target(SPIKING))


def pj208():
    pj.compile(dense(), limit("filter", "8 B", TENSOR), calibrate=samples())


def pj209():
    pj.compile(spikes(), pj.target(SPIKING), bits=12)


def pj210():
    model((r"(\b(filter|input): {size: )[^,]+", r"\g<1>1 MiB"), TENSOR, count=2)
    pj.compile(dense((70_000, 2, 2)), pj.target("mine.yaml"), calibrate=np.ones((1, 70_000)))


def pj211():
    """Weights that vanish beside the threshold."""
    net = events()
    pj.compile(net.with_params({"w": np.full((2, 2), 1e-9)}), pj.target(SPIKING))


def pj211_silent():
    """Weights beside which one outlier leaves nothing at 2 bits."""
    net = events()
    w = np.array([[1.0, -300.0], [1.0, -300.0]])
    x = np.zeros((4, 4, 2), bool)
    x[:, :, 0] = True
    pj.compile(net.with_params({"w": w}), pj.target(SPIKING), calibrate=x, bits=2)


def pj212():
    nodes = list(events().nodes)
    nodes[1] = Node("fc", Dense(weight="w", features=2, bias="b"), ("in",))
    params = {**events().params, "b": np.ones(2)}
    pj.compile(graph(nodes, "lif", params), pj.target(SPIKING))


def pj213():
    pj.compile(looped(), pj.target(SPIKING))


def looped():
    """Two populations in a loop of one step, which the machine walks in two."""
    nodes = [
        Node("in", Input(shape=(2,), kind="spike")),
        Node("fc", Dense(weight="w", features=2), ("in",)),
        Node("a", CubaLif(decay_u="du", decay_v="dv", v_th="v_th"), ("fc", "back")),
        Node("on", Dense(weight="w", features=2), ("a",)),
        Node("b", CubaLif(decay_u="du", decay_v="dv", v_th="v_th"), ("on",)),
        Node("late", Delay(steps=1), ("b",)),
        Node("back", Dense(weight="w", features=2), ("late",)),
    ]
    return graph(nodes, "b", events().params)


def pj214():
    """Two groups of synapses, one far weaker: two formats, where a core has one."""
    nodes = list(events().nodes)
    lif = next(n for n in nodes if isinstance(n.op, CubaLif))
    nodes.remove(lif)
    nodes += [
        Node("weak", Dense(weight="w_weak", features=2), (nodes[0].name,)),
        replace(lif, inputs=(*lif.inputs, "weak")),
    ]
    params = {**events().params, "w_weak": events().params["w"] / 64}
    net = graph(nodes, lif.name, params)
    pj.compile(net, limit("synapse_formats", "1"))


def pj215():
    pj.compile(dense(), pj.target(TENSOR), calibrate=samples(), weights="mxfp4")


def pj301():
    run = pj.run(spiking_program(), samples())
    actions = tuple(re.sub("^neuron.idle$", "neuron.nap", a) for a in run.activity.actions)
    pj.cost(replace(run, activity=replace(run.activity, actions=actions)), pj.target(SPIKING))


def pj302():
    pj.cost(pj.run(tensor_program(), samples()), pj.target(SPIKING))
