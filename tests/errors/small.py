"""Tiny networks, programs and machines for the gallery, each right until a trigger breaks it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import picojoule as pj
from picojoule import container
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.ops import CubaLif, Dense, Input
from picojoule.nn import dense_network, spiking_network

MODELS = Path(__file__).parents[2] / "hardware_models"
SPIKING, TENSOR = "loihi1", "systolic_int8"


def spikes(sizes=(6, 8, 3), **more):
    return spiking_network(list(sizes), steps=8, seed=1, name="spikes", **more)


def dense(sizes=(6, 8, 3), **more):
    return dense_network(list(sizes), seed=1, name="dense", batch_norm=False, **more)


def events(**more):
    """Two neurons behind synapses of two channels of events."""
    nodes = [
        Node("in", Input(shape=(2,), kind="spike")),
        Node("fc", Dense(weight="w", features=2), ("in",)),
        Node("lif", CubaLif(decay_u="du", decay_v="dv", v_th="v_th", **more), ("fc",)),
    ]
    params = {"w": np.ones((2, 2)), "du": 0.5, "dv": 0.25, "v_th": 1.0}
    return graph(nodes, "lif", params)


def graph(nodes, output, params, **more):
    encoder = Encoder(kind="events", shape=nodes[0].op.shape, steps=4)
    params = {name: np.asarray(array, np.float64) for name, array in params.items()}
    return Graph("events", tuple(nodes), output, encoder, Readout(kind="count"),
                 params=params, steps=4, **more)  # fmt: skip


def samples(count=8, size=6):
    return np.random.default_rng(5).random((count, size))


def labelled(count=8):
    return samples(count), np.arange(count) % 3


def spiking_program():
    return pj.compile(spikes(), pj.target(SPIKING))


def tensor_program():
    return pj.compile(dense(), pj.target(TENSOR), calibrate=samples())


def model(change, name=SPIKING, count=1):
    """A shipped hardware model as `mine.yaml`, its text changed by (pattern, replacement)."""
    text = (MODELS / f"{name}.yaml").read_text(encoding="utf-8")
    changed, found = re.subn(*change, text, count=count, flags=re.M)
    assert found, f"nothing in {name} matches {change[0]}"
    Path("mine.yaml").write_text(changed, encoding="utf-8")
    return pj.target("mine.yaml")


def limit(field, value, name=SPIKING):
    """The model with one limit of our choice."""
    return model((rf"(\b{field}: {{(?:value|size): )[^,]+", rf"\g<1>{value}"), name)


def rewrite(path, kind, change):
    """A file of ours written again with other content; `change(about, arrays)` edits both."""
    about, arrays = container.read(path, kind)
    arrays = {name: np.array(array) for name, array in arrays.items()}
    change(about, arrays)
    container.write(path, container.Kind(about.pop("kind"), about.pop("version")), about, arrays)


def cli(*words):
    """What a command, run as people run it, says on standard error; it must fail with 1."""
    done = subprocess.run(
        [sys.executable, "-m", "picojoule", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done
    return done.stderr
