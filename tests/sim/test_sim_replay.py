"""A saved program and a dump replay alone, without graph and trainer."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file
from sim_build import random_net, random_raster
from sim_kinds import random_kinds, random_payloads
from sim_tensor import random_tensor

from picojoule.errors import UsageError
from picojoule.program.files import save
from picojoule.sim.replay import FORBIDDEN, replay_file, walled
from picojoule.sim.run import run


@pytest.fixture
def spiking(tmp_path):
    program = random_net(2)
    x = random_raster(2, program)
    got = run(program, x, probes=["a.u"])
    save(program, tmp_path / "net.pjp")
    dump = {"x": x, "spikes": got.outputs["spikes"], "u.a": got.probes["a.u"],
            "v.b": got.node("b", "v")}  # fmt: skip
    return tmp_path / "net.pjp", dump


def test_equal_dump(spiking, tmp_path):
    path, dump = spiking
    np.savez(tmp_path / "dump.npz", **dump)
    save_file(dump, tmp_path / "dump.safetensors")
    for name in ("dump.npz", "dump.safetensors"):
        result = replay_file(path, tmp_path / name)
        elements = sum(array.size for key, array in dump.items() if key != "x")
        assert result == {"elements": 2 * elements, "mismatched": 0,
                          "engines": ["numba", "reference"]}  # fmt: skip


@pytest.mark.parametrize("key", ["spikes", "u.a", "v.b"])
def test_one_changed_element_is_found_by_each_engine(spiking, tmp_path, key):
    path, dump = spiking
    dump[key] = dump[key].copy()
    dump[key].flat[1] ^= 1
    np.savez(tmp_path / "dump.npz", **dump)
    assert replay_file(path, tmp_path / "dump.npz")["mismatched"] == 2


@pytest.mark.parametrize("given", ["seed", "noise"])
def test_noise_is_replayed(tmp_path, given):
    program = random_kinds(3, ["cuba_noise", "cuba_noise"], "nengo_loihi")
    x = random_payloads(3, program)
    columns = sum(i.writes[0].size for i in program.instructions if i.op == "cuba_noise")
    noise = np.random.default_rng(5).integers(-127, 128, (len(x), program.steps, columns))
    options = {"seed": np.array(9), "noise": noise.astype(np.int8)}[given]
    got = run(program, x, **{given: 9 if given == "seed" else noise}, probes=["p0.v"])
    save(program, tmp_path / "net.pjp")
    dump = {"x": x, "spikes": got.outputs["spikes"], "v.p0": got.probes["p0.v"]}
    for name, extra, differs in (("with", {given: options}, False), ("without", {}, True)):
        np.savez(tmp_path / f"{name}.npz", **dump, **extra)
        found = replay_file(tmp_path / "net.pjp", tmp_path / f"{name}.npz")
        assert (found["mismatched"] > 0) == differs
    np.savez(tmp_path / "bad.npz", **dump, seed=np.array([1, 2]))
    with pytest.raises(UsageError, match="one whole number"):
        replay_file(tmp_path / "net.pjp", tmp_path / "bad.npz")


def test_tensor_dump_in_its_own_process(tmp_path):
    program = random_tensor(1)
    x = np.random.default_rng(1).normal(size=(9, *program.encoder.shape))
    save(program, tmp_path / "net.pjp")
    np.savez(tmp_path / "dump.npz", x=x, output=run(program, x).outputs["output"])
    command = [sys.executable, "-m", "picojoule.sim.replay", str(tmp_path / "net.pjp"),
               str(tmp_path / "dump.npz")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mismatched"] == 0


def test_the_wall_stands_only_while_it_is_needed():
    tries = (f"    try: import {n}\n    except ImportError: print('refused')" for n in FORBIDDEN)
    head = ("from picojoule.sim.replay import walled", "with walled():")
    code = "\n".join((*head, *tries, "import picojoule.graph"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "refused\n" * len(FORBIDDEN), done.stderr
    assert done.returncode == 0
    with walled():
        assert sys.meta_path[0].__class__.__name__ == "Wall"
    assert sys.meta_path[0].__class__.__name__ != "Wall"


def test_wrong_dumps_are_refused(spiking, tmp_path):
    path, dump = spiking
    np.savez(tmp_path / "dump.npz", x=dump["x"], other=dump["x"])
    with pytest.raises(UsageError, match="no 'spikes'") as caught:
        replay_file(path, tmp_path / "dump.npz")
    assert len(caught.value.faults) == 2
    with pytest.raises(UsageError, match="PJ801"):
        replay_file(path, tmp_path / "nothing.npz")
