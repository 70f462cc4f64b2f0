"""Recordings of Brian2Loihi, replayed as Programs built by hand, on both engines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sim_build import Net

from picojoule.sim.run import run

NAMES = ["b01_recurrent_exc_inh", "b02_mixed_odd_negexp", "b04_weight_bits", "b05_delays_0_62",
         "b07_decay_corners", "b08_threshold_zero"]  # fmt: skip


def stored(weight, part):
    """Mantissas as stored: low bits that the weight format lacks are dropped, towards zero."""
    mixed = int(part["kw"].get("sign_mode", 2) == 1)
    unit = 1 << (8 - part["kw"].get("num_weight_bits", 8) + mixed)
    return np.sign(weight) * (np.abs(weight) // unit * unit)


def build(meta, arrays, sparse):
    net = Net(meta["n_inputs"], "brian2loihi")
    for k, group in enumerate(meta["groups"]):
        net.layer(f"g{k}", group["N"], k, group["decay_I"], group["decay_v"], group["vth_mant"],
                  refractory=group["refractory"])  # fmt: skip
    for k, part in enumerate(meta["syns"]):
        outside = part["src"] < 0
        before, after = "in" if outside else f"g{part['src']}", f"g{part['dst']}"
        delay = part["kw"].get("delay", 0) + (not outside)
        for weight in matrices(arrays, k, part, (net.sizes[after], net.sizes[before])):
            net.connect(before, after, weight, part["kw"].get("w_exp", 0), delay, sparse)
    outputs = [f"g{k}" for k in range(len(meta["groups"]))]
    return net.program(*outputs, steps=meta["T"])


def matrices(arrays, k, part, shape):
    """Synapses may join a pair twice: as many matrices (out, in) as it takes."""
    pre, post = arrays[f"syn{k}_i"], arrays[f"syn{k}_j"]
    weight = stored(arrays[f"syn{k}_w0"].astype(int), part)
    while len(pre):
        _, first = np.unique(pre * shape[0] + post, return_index=True)
        out = np.zeros(shape, int)
        out[post[first], pre[first]] = weight[first]
        pre, post, weight = (np.delete(a, first) for a in (pre, post, weight))
        yield out


@pytest.mark.golden
@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("name", NAMES)
def test_brian2loihi(name, engine, shared):
    meta = json.loads(shared(f"golden/brian2loihi/{name}.json").read_text())
    arrays = dict(np.load(shared(f"golden/brian2loihi/{name}.npz")))
    x = np.zeros((1, meta["T"], meta["n_inputs"]), bool)
    x[0, arrays["in_t"], arrays["in_idx"]] = True
    probes = [f"g{k}.{w}" for k in range(len(meta["groups"])) for w in ("u", "v", "spike")]
    got = run(build(meta, arrays, engine == "numba"), x, engine=engine, probes=probes).probes
    for k, group in enumerate(meta["groups"]):
        np.testing.assert_array_equal(got[f"g{k}.u"][0], arrays[f"I{k}"])
        np.testing.assert_array_equal(got[f"g{k}.v"][0], arrays[f"v{k}"])
        spikes = np.unpackbits(arrays[f"spikes{k}"], axis=1, count=group["N"])
        np.testing.assert_array_equal(got[f"g{k}.spike"][0], spikes.astype(bool))
