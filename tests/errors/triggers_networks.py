"""How a user meets PJ4xx, PJ5xx and PJ6xx: each function meets the code of its name."""

import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from small import (
    SPIKING,
    TENSOR,
    cli,
    dense,
    events,
    graph,
    rewrite,
    samples,
    spikes,
    spiking_program,
    tensor_program,
)

import picojoule as pj
from picojoule import passes
from picojoule.frontend import nir
from picojoule.graph import Node, files
from picojoule.graph.ops import CubaLif, Dense, Input
from picojoule.program import files as programs
from picojoule.program.parsing import parse


def broken(position, node, **params):
    """The small network of events with one node exchanged, saved: a network is judged then."""
    net = events()
    nodes = [*net.nodes[:position], node, *net.nodes[position + 1 :]]
    pj.compile(graph(nodes, "lif", {**net.params, **params}), pj.target(SPIKING))


def pj401_missing():
    broken(1, Node("fc", Dense(weight="w", features=2), ("inn",)))


def pj401_output():
    pj.compile(replace(events(), output="liff"), pj.target(SPIKING))


def pj402_weight():
    broken(1, Node("fc", Dense(weight="w", features=2), ("in",)), w=np.ones((2, 3)))


def pj402_vector():
    broken(0, Node("in", Input(shape=(2, 1), kind="spike")))


def pj403():
    net = events()
    neurons = Node("lif", replace(net["lif"].op), ("fc", "back"))
    back = Node("back", Dense(weight="w", features=2), ("lif",))
    pj.compile(graph([*net.nodes[:2], neurons, back], "lif", net.params), pj.target(SPIKING))


def pj404_missing():
    broken(1, Node("fc", Dense(weight="weights", features=2), ("in",)))


def pj404_nan():
    broken(1, events()["fc"], w=[[1, np.nan], [0, np.inf]])


def pj405_decay():
    broken(1, events()["fc"], du=1.5)


def pj405_refractory():
    op = CubaLif(decay_u="du", decay_v="dv", v_th="v_th", refractory=0)
    broken(2, Node("lif", op, ("fc",)))


def pj406():
    target = pj.target(TENSOR)
    passes.lower(passes.quantize(dense(), target, samples()), target)


def pj407_twice():
    net = events()
    pj.compile(replace(net, nodes=(*net.nodes, net["fc"])), pj.target(SPIKING))


def pj407_blank():
    broken(0, Node("the input", Input(shape=(2,), kind="spike")))


def pj408():
    files.save(events(), "net.pjg")

    def change(about, arrays):
        about["graph"] = about["graph"].replace("CubaLif", "CubaLiff")

    rewrite("net.pjg", files.KIND, change)
    pj.load("net.pjg")


def pj501_hdf5():
    Path("net.nir").write_bytes(b"this is no HDF5")
    pj.load("net.nir", dt=1e-3)


def pj501_suffix():
    Path("net.pkl").write_bytes(b"")
    pj.load("net.pkl")


def pj501_planned():
    pj.load("net.tflite")


def pj501_without_onnx():
    Path("net.onnx").write_bytes(b"")
    with mock.patch.dict(sys.modules, {"onnx": None}):
        pj.load("net.onnx")


def pj501_damaged():
    files.save(events(), "net.pjg")
    Path("net.pjg").write_bytes(Path("net.pjg").read_bytes()[:-8])
    pj.load("net.pjg")


def pj502():
    import nir as nir_package

    nodes = {
        "in": nir_package.Input({"input": np.array([2])}),
        "act": nir_package.Threshold(np.ones(2)),
        "out": nir_package.Output({"output": np.array([2])}),
    }
    nir_package.write(
        "net.nir", nir_package.NIRGraph(nodes, [("in", "act"), ("act", "out")], {}, False)
    )
    pj.load("net.nir", dt=1e-3)


def pj502_write():
    nir.write(dense(), "dense.nir", dt=1e-3)


def pj503_none():
    nir.write(events(), "net.nir", dt=1e-3)
    pj.load("net.nir")


def pj503_long():
    nir.write(events(), "net.nir", dt=1e-3)
    pj.load("net.nir", dt=1.0, dialect="euler")


def pj503_negative():
    nir.write(events(), "net.nir", dt=1e-3)
    pj.load("net.nir", dt=-1e-3)


def saved():
    programs.save(spiking_program(), "net.pjp")
    return Path("net.pjp")


def pj601_cut():
    path = saved()
    path.write_bytes(path.read_bytes()[:-8])
    return cli("show", "net.pjp")


def pj601_other():
    files.save(spikes(), "net.pjp")
    return cli("show", "net.pjp")


def pj602():
    saved()

    def change(about, arrays):
        about["version"] += 1

    rewrite("net.pjp", programs.KIND, change)
    return cli("show", "net.pjp")


def pj603():
    program = tensor_program()
    last = replace(program.instructions[-1], after=(99,))
    pj.run(replace(program, instructions=(*program.instructions[:-1], last)), samples())


def pj604():
    program = spiking_program()
    parse(str(program).replace("barrier", "barier", 1), program.arrays)


def pj605():
    saved()

    def change(about, arrays):
        name = next(n for n in sorted(arrays) if n.startswith("arrays/"))
        arrays[name].reshape(-1)[0] ^= 2

    rewrite("net.pjp", programs.KIND, change)
    return cli("show", "net.pjp", "--verify")
