"""lava-dl's `.net` files: read, run against plain numpy, and refused where they are damaged."""

import h5py
import numpy as np
import pytest

from picojoule.conform.machine import lowered
from picojoule.errors import FrontendError, UsageError
from picojoule.frontend import lava_net
from picojoule.frontend.load import load
from picojoule.graph.faults import verify
from picojoule.graph.ops import IntConv, IntNeuron
from picojoule.sim.run import run

LIF = {"type": "LOIHI", "iDecay": 4096, "vDecay": 1024, "vThMant": 25, "refDelay": 1}
SDNN = {"type": "SDNN", "vThMant": 3}


def layers(neuron, seed=0):
    """A convolution and a dense layer on 5 x 6 x 2, channels first as lava-dl writes them."""
    rng = np.random.default_rng(seed)
    return [
        {"type": "input", "shape": [2, 5, 6], "weight": [40.0], "bias": [36.0], "neuron": neuron},
        {"type": "conv", "shape": [3, 2, 4], "kernelSize": [3, 3], "stride": [2, 1],
         "padding": [0, 0], "dilation": [1, 1], "groups": 1, "neuron": neuron,
         "weight": rng.integers(-9, 10, (3, 2, 3, 3)).astype(np.float32),
         "bias": rng.integers(-9, 10, 3).astype(np.float32)},
        {"type": "flatten", "shape": [1, 1, 24]},
        {"type": "dense", "shape": [4, 1, 1], "neuron": neuron,
         "weight": rng.integers(-9, 10, (4, 24)).astype(np.float32),
         "bias": rng.integers(-9, 10, 4).astype(np.float32)},
    ]  # fmt: skip


def write(path, made, sample=None):
    with h5py.File(path, "w") as file:
        for k, layer in enumerate(made):
            put(file.create_group(f"layer/{k}"), layer)
        if sample is not None:
            file["simulation/tSample"] = sample
    return path


def put(group, fields):
    for key, value in fields.items():
        if key == "neuron":
            put(group.create_group("neuron"), value)
        elif key == "type" and len(fields) > 5:
            group[key] = np.array([value.encode()])  # lava-dl writes lists of one text too
        else:
            group[key] = value


def convolved(x, layer):
    """Plain loops; x (height, width, channel) of one step."""
    (sy, sx), w = layer["stride"], layer["weight"].astype(np.int64)
    channels, height, width = layer["shape"]
    out = np.zeros((height, width, channels), np.int64)
    for i, j, o in np.ndindex(out.shape):
        seen = x[i * sy : i * sy + 3, j * sx : j * sx + 3]
        out[i, j, o] = (seen * w[o].transpose(1, 2, 0)).sum()
    return out


def decayed(x, keep):
    return np.sign(x) * (np.abs(x) * keep >> 12)


def lif(made, image, steps, period):
    """Spikes of every layer; layer k is reset in steps t = k modulo the period (0: never)."""
    conv, dense = made[1], made[3]
    shapes = [(5, 6, 2), (2, 4, 3), (4,)]
    v = [np.zeros(shape, np.int64) for shape in shapes]
    sent = [np.zeros((steps, *shape), bool) for shape in shapes]
    order = dense["weight"].astype(np.int64).reshape(4, 3, 2, 4).transpose(0, 2, 3, 1)
    for t in range(steps):
        before = [s[t - 1] if t else s[0] & False for s in sent]
        q = [image.astype(np.int64), convolved(before[0], conv), order.reshape(4, 24) @
             before[1].reshape(24)]  # fmt: skip
        bias = [0, conv["bias"].astype(np.int64), dense["bias"].astype(np.int64)]
        for k in range(3):
            v[k] = v[k] * (period == 0 or t % period != k % period)
            v[k] = decayed(v[k], 3072) + 64 * (q[k] + bias[k])
            sent[k][t] = v[k] > 1600
            v[k] = np.where(sent[k][t], 0, v[k])
    return sent


@pytest.mark.parametrize("engine", ["numba", "reference"])
@pytest.mark.parametrize("sample", [7, None])
def test_lif_layers_equal_plain_numpy(tmp_path, engine, sample):
    made = layers(LIF)
    file = lava_net.read_net(write(tmp_path / "net.net", made, sample))
    graph = lava_net.network(file, steps=20)
    verify(graph)
    image = np.random.default_rng(1).integers(0, 60, (5, 6, 2))
    x = np.broadcast_to(image.reshape(1, 1, -1), (1, 20, 60)).astype(np.int32)
    names = [f"layer{k}.spike" for k in (0, 1, 3)]
    done = run(lowered(graph, "loihi2"), x, steps=20, engine=engine, probes=names)
    wanted = lif(made, image, 20, 8 if sample else 0)
    for name, want in zip(names, wanted):
        assert np.array_equal(done.probes[name][0], want.reshape(20, -1)), name
        assert want.any()


def test_sigma_delta_layers_settle_on_the_plain_network(tmp_path):
    """With threshold 0 nothing is lost: sums settle on what a network of ReLUs gives."""
    made = layers({**SDNN, "vThMant": 0})
    made[3]["neuron"] = {**SDNN, "sigma_output": True}
    graph = load(write(tmp_path / "net.net", made), steps=6)
    verify(graph)
    image = np.random.default_rng(1).integers(-60, 60, (5, 6, 2))
    x = np.broadcast_to(image.reshape(1, 1, -1), (1, 6, 60)).astype(np.int32)
    done = run(lowered(graph, "loihi2"), x, steps=6, probes=("layer1.sigma", "layer3.sigma"))
    total = convolved(image * 64, made[1])
    assert np.array_equal(done.probes["layer1.sigma"][0, -1], total.reshape(-1))
    act = np.maximum(total + (made[1]["bias"].astype(np.int64) << 12), 0) >> 6
    order = made[3]["weight"].astype(np.int64).reshape(4, 3, 2, 4).transpose(0, 2, 3, 1)
    assert np.array_equal(done.probes["layer3.sigma"][0, -1],
                          order.reshape(4, 24) @ act.reshape(24))  # fmt: skip


def test_what_the_file_says_is_what_the_graph_holds(tmp_path):
    graph = load(write(tmp_path / "net.net", layers(LIF), 16))
    assert graph.frozen and graph.output == "layer3"
    assert (graph.steps, graph.latency) == (16, 2)
    conv, cells = graph["layer1.in"].op, graph["layer1"].op
    assert isinstance(conv, IntConv) and isinstance(cells, IntNeuron)
    assert (conv.stride, conv.kernel, conv.in_shape) == ((2, 1), (3, 3), (5, 6, 2))
    assert dict(cells.options) == {
        "bias_exponent": 6, "refractory": 1, "reset_interval": 17, "reset_offset": 2,
    }  # fmt: skip
    assert graph.value("layer1.decay_u") == 4095 and graph.value("layer1.v_th") == 25
    file = lava_net.read_net(tmp_path / "net.net")
    assert lava_net.transformed(file, np.array([0.0, 0.5, 1.0])).tolist() == [-4, 36, 76]


@pytest.mark.parametrize(
    "k, field, value, words",
    [
        (1, "type", "pool", "PJ502 .*layer 1 is a 'pool'"),
        (1, "neuron", {"type": "ALIF"}, "PJ502 .*layer 1 has neurons 'ALIF'"),
        (3, "neuron", {**LIF, "refDelay": 2}, "PJ502 .*refractory"),
        (3, "neuron", {**LIF, "refDelay": [1, 2]}, "PJ502 .*refractory"),
        (3, "delay", np.ones(24), "PJ502 .*synaptic delays"),
        (3, "weight", np.full((4, 24), 0.5), "PJ501 .*'weight' holds numbers that are not whole"),
        (3, "weight", np.full((4, 24), 300.0), "PJ501 .*weights must lie in -256..255"),
        (3, "weight", np.full((4, 24), np.nan), "PJ501 .*not finite"),
        (3, "weight", np.zeros((4, 23)), r"PJ501 .*do not read 24 neurons"),
        (1, "shape", [3, 9, 9], "PJ501 .*its windows give"),
        (1, "stride", [0, 1], "PJ501 .*stride needs"),
        (1, "bias", np.zeros(7), "PJ501 .*7 biases for 3 channels"),
        (0, "type", "dense", "PJ501 .*first layer is not an input"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, k, field, value, words):
    made = layers(LIF)
    made[k][field] = value
    with pytest.raises(FrontendError, match=words):
        load(write(tmp_path / "net.net", made))


@pytest.mark.parametrize("sample", [np.zeros(0), [16, 16], 2.5, -1])
def test_a_sample_has_one_number_of_steps(tmp_path, sample):
    with pytest.raises(FrontendError, match=r"PJ501 .*tSample must be one number of steps"):
        load(write(tmp_path / "net.net", layers(LIF), sample))


def test_damaged_and_missing_files(tmp_path):
    path = write(tmp_path / "net.net", layers(LIF))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(FrontendError, match="PJ501"):
        load(path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(FrontendError, match="does not begin like one"):
        load(path)
    with pytest.raises(UsageError, match="PJ801"):
        load(tmp_path / "none.net")
    with h5py.File(path, "w") as file:
        file["layer/0"] = h5py.SoftLink("/etc")
    with pytest.raises(FrontendError, match="is a link"):
        load(path)


@pytest.mark.golden
def test_pilotnet_is_read(shared):
    graph = load(shared("models/lava_dl/pilotnet_lif/network.net"))
    verify(graph)
    assert graph.types["layer1"].shape == (32, 99, 24) and graph.types["layer9"].size == 10
    assert graph.steps == 16 and graph.latency == 9
