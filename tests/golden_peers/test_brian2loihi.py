"""Vectors recorded from Brian2Loihi 0.5.2: every current, voltage and spike, bit for bit.

Each sidecar JSON says the network; here it becomes a pinned Graph, is lowered on the loihi1
machine with Brian2Loihi's arithmetic, and run on both engines.  Networks that learn are left out.

Facts (Loihi numerics, 1): sign_mode 1 mixed, 2 excitatory, 3 inhibitory; a projection stores
`num_weight_bits` bits and drops 8 - bits (+ 1 if mixed) of each mantissa towards zero; an input
event of step t acts at t + delay, a neuron's spike at t + 1 + delay.  `I` is the current after
input and before its decay: our u of that step.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from picojoule.fixed.arithmetic import effective_weight
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.faults import verify
from picojoule.graph.ops import Delay, Input, IntCuba, IntSynapse
from picojoule.passes.lower import lower
from picojoule.sim.run import run
from picojoule.target import load as load_target

FOLDER = "golden/brian2loihi/"
MIXED = 1


def vectors():
    """Names of the recorded networks that do not learn."""
    root = Path(os.environ.get("PICOJOULE_SHARED", Path(__file__).parents[3] / "shared"))
    found = sorted((root / FOLDER).glob("*.json"))
    return [path.stem for path in found if not learns(json.loads(path.read_text()))] or ["none"]


def learns(meta):
    return any("dw" in projection["kw"] for projection in meta["syns"])


@pytest.fixture(params=vectors())
def vector(request, shared):
    """(sidecar, arrays) of each recorded network that does not learn."""
    meta = json.loads(shared(f"{FOLDER}{request.param}.json").read_text())
    with np.load(shared(f"{FOLDER}{request.param}.npz")) as arrays:
        return meta, dict(arrays)


def mantissas(weight, kw):
    """What a projection stores: the dropped bits are 0, rounded towards zero."""
    dropped = 8 - kw.get("num_weight_bits", 8) + (kw.get("sign_mode", 2) == MIXED)
    return np.sign(weight) * (np.abs(weight.astype(np.int64)) >> dropped << dropped), dropped


def matrices(post, pre, weight, shape):
    """Dense matrices that together hold all synapses; a pair that occurs twice needs two."""
    pair = post.astype(np.int64) * shape[1] + pre
    order = np.argsort(pair, kind="stable")
    first = np.searchsorted(pair[order], pair[order], side="left")
    turn = np.empty(len(pair), np.int64)
    turn[order] = np.arange(len(pair)) - first
    made = np.zeros((1 + turn.max(initial=0), *shape), np.int64)
    made[turn, post, pre] = weight
    return made


def network(meta, arrays):
    """The pinned Graph of a sidecar; its output is the first group."""
    nodes = [Node("in", Input(shape=(meta["n_inputs"],), kind="spike"))]
    pins, feeds = {}, {k: [] for k in range(len(meta["groups"]))}
    for k, projection in enumerate(meta["syns"]):
        made = list(_projection(meta, arrays, k, projection, pins))
        nodes += [node for pair in made for node in pair]
        feeds[projection["dst"]] += [pair[-1].name for pair in made]
    for k, group in enumerate(meta["groups"]):
        for field, key in (("decay_u", "decay_I"), ("decay_v", "decay_v"), ("v_th", "vth_mant")):
            pins[f"g{k}.{field}"] = Pinned(np.full(group["N"], group[key]), Format(18))
        op = IntCuba(decay_u=f"g{k}.decay_u", decay_v=f"g{k}.decay_v", v_th=f"g{k}.v_th",
                     step="unit", refractory=group["refractory"],
                     profile="brian2loihi")  # fmt: skip
        nodes.append(Node(f"g{k}", op, tuple(feeds[k])))
    return Graph(
        name=meta["name"], nodes=tuple(nodes), output="g0", steps=meta["T"], machine="loihi1",
        encoder=Encoder(kind="events", shape=(meta["n_inputs"],), steps=meta["T"]),
        readout=Readout(kind="count"), params={"unit": np.array(1.0)}, pinned=pins,
    )  # fmt: skip


def _projection(meta, arrays, k, projection, pins):
    """Nodes of one projection: its delay, where there is one, and its synapses."""
    kw, source = projection["kw"], projection["src"]
    external = source < 0
    size = meta["n_inputs"] if external else meta["groups"][source]["N"]
    weight, dropped = mantissas(arrays[f"syn{k}_w0"], kw)
    shape = (meta["groups"][projection["dst"]]["N"], size)
    steps = kw.get("delay", 0) + (0 if external else 1)
    feed = "in" if external else f"g{source}"
    for n, matrix in enumerate(matrices(arrays[f"syn{k}_j"], arrays[f"syn{k}_i"], weight, shape)):
        name = f"s{k}.{n}"
        pins[f"{name}.weight"] = Pinned(matrix, Format(9))
        late = (Node(f"{name}.late", Delay(steps=steps), (feed,)),) if steps else ()
        op = IntSynapse(
            weight=f"{name}.weight", step_w="unit", exponent=kw.get("w_exp", 0),
            bits=kw.get("num_weight_bits", 8), dropped=dropped, delay=kw.get("delay", 0),
            features=shape[0],
        )  # fmt: skip
        yield (*late, Node(name, op, (late[0].name if late else feed,)))


def machine():
    chip = load_target("loihi1")
    return replace(chip, core=replace(chip.core, profile="brian2loihi"))


def raster(meta, arrays):
    shown = np.zeros((1, meta["T"], meta["n_inputs"]), bool)
    shown[0, arrays["in_t"], arrays["in_idx"]] = True
    return shown


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_currents_voltages_and_spikes(vector, engine):
    meta, arrays = vector
    graph = network(meta, arrays)
    verify(graph)
    groups = range(len(meta["groups"]))
    probes = [f"g{k}.{what}" for k in groups for what in ("u", "v", "spike")]
    result = run(lower(graph, machine()), raster(meta, arrays), steps=meta["T"], engine=engine,
                 probes=probes)  # fmt: skip
    spikes = 0
    for k in groups:
        seen = {what: result.probes[f"g{k}.{what}"][0] for what in ("u", "v", "spike")}
        assert np.array_equal(seen["u"], arrays[f"I{k}"]), f"current of group {k}"
        assert np.array_equal(seen["v"], arrays[f"v{k}"]), f"voltage of group {k}"
        packed = np.packbits(seen["spike"].astype(bool), axis=1)
        assert np.array_equal(packed, arrays[f"spikes{k}"]), f"spikes of group {k}"
        spikes += int(seen["spike"].sum())
    assert spikes > 0
    assert np.array_equal(result.outputs["spikes"][0], result.probes["g0.spike"][0])


@pytest.mark.golden
def test_effective_weights(vector):
    meta, arrays = vector
    profile = SPIKING["brian2loihi"]
    for k, projection in enumerate(meta["syns"]):
        stored, _ = mantissas(arrays[f"syn{k}_w0"], projection["kw"])
        ours = [effective_weight(int(m), projection["kw"].get("w_exp", 0), profile.weight_shift,
                                 profile.weight_limit) for m in stored]  # fmt: skip
        assert np.array_equal(ours, arrays[f"syn{k}_wact0"])


def test_pairs_that_occur_twice_get_a_matrix_each():
    made = matrices(np.array([0, 1, 0]), np.array([2, 0, 2]), np.array([5, 6, 7]), (2, 3))
    assert made.shape == (2, 2, 3)
    assert made[0].tolist() == [[0, 0, 5], [6, 0, 0]] and made[1].tolist() == [[0, 0, 7], [0] * 3]
