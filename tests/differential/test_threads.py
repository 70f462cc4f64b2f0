"""Several callers at once, read-only places, and kernels that are compiled but once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import picojoule as pj
from picojoule import nn
from picojoule.train import fit

ROOT = Path(__file__).parents[2]
BITS = (8, 4, 2, 4)  # of each caller's program
CALLERS = len(BITS)


def networks():
    return {
        "systolic_int8": nn.dense_network([12, 10, 10, 4], seed=1, residual=True),
        "loihi1": nn.spiking_network([12, 14, 4], steps=8, seed=1, recurrent=True),
    }


def work(seed):
    """Everything that one caller gets, as one text and arrays."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((40, 12)), np.arange(40) % 4
    found = {}
    for name, network in networks().items():
        target = pj.target(name)
        program = pj.compile(network, target, calibrate=x, bits=BITS[seed])
        done = pj.run(program, x, threads=2)
        report = pj.evaluate(network, target, (x, y), calibrate=x, bits=4)
        tuned = pj.finetune(network, target, (x, y), bits=4, epochs=2, seed=seed)
        found[name] = (
            program.digest, done.digests, str(pj.cost(done, target)), repr(report.rows),
            tuned.digest,
        )  # fmt: skip
    return found


def test_four_callers_at_once_get_what_one_gets():
    alone = [work(seed) for seed in range(CALLERS)]
    start = Barrier(CALLERS)

    def together(seed):
        start.wait()
        return work(seed)

    with ThreadPoolExecutor(CALLERS) as callers:
        for seed, found in enumerate(callers.map(together, range(CALLERS))):
            assert found == alone[seed]


def test_one_program_run_by_four_callers():
    network = networks()["loihi1"]
    program = pj.compile(network, pj.target("loihi1"), bits=8)
    x = np.random.default_rng(0).random((50, 12))
    want = pj.run(program, x, threads=1).digests
    start = Barrier(CALLERS)

    def one(threads):
        start.wait()
        return pj.run(program, x, threads=threads).digests

    with ThreadPoolExecutor(CALLERS) as callers:
        assert all(found == want for found in callers.map(one, (1, 2, 3, 4)))


def test_training_beside_training_keeps_blas_to_one_thread():
    """A enters, B enters, A leaves: B still trains on one thread, and then all is as before."""
    network = networks()["systolic_int8"]
    data = np.random.default_rng(0).random((8, 12)), np.arange(8) % 4
    entered, both, left = Event(), Event(), Event()
    seen = []

    def first(epoch):
        entered.set()
        assert both.wait(60)

    def second(epoch):
        both.set()
        assert left.wait(60)
        seen.append(blas_threads())

    with threadpool_limits(2, "blas"), ThreadPoolExecutor(2) as callers:
        a = callers.submit(fit, network, *data, epochs=1, callback=first)
        assert entered.wait(60)
        b = callers.submit(fit, network, *data, epochs=1, callback=second)
        a.result()
        left.set()
        b.result()
        assert (seen, blas_threads()) == ([{1}], {2})


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


# ----------------------------------------------------------------------------- processes

TINY = """
import sys
import numpy as np
import picojoule as pj
from picojoule import nn

name = sys.argv[1]
network = (nn.dense_network([4, 3, 2], seed=1) if name == "systolic_int8"
           else nn.spiking_network([4, 3, 2], steps=5, seed=1))
x = np.random.default_rng(0).random((3, 4))
program = pj.compile(network, pj.target(name), calibrate=x, bits=8)
print(pj.__file__)
print(pj.run(program, x, threads=2).digests["result"])
"""

TUNED = """
import json
from numba.core import event

class Listener(event.Listener):
    def __init__(self):
        self.compiled = []
    def on_start(self, event):
        self.compiled.append(str(event.data.get("dispatcher")))
    def on_end(self, event):
        pass

listener = Listener()
event.register("numba:compile", listener)

import numpy as np
import picojoule as pj
from picojoule import nn

x = np.random.default_rng(0).random((32, 6))
y = np.arange(32) % 3
networks = {"systolic_int8": nn.dense_network([6, 5, 5, 3], seed=1, residual=True),
            "loihi1": nn.spiking_network([6, 5, 3], steps=6, seed=1, recurrent=True)}
for name, network in networks.items():
    target = pj.target(name)
    pj.run(pj.compile(network, target, calibrate=x, bits=8), x)
    pj.finetune(network, target, (x, y), bits=4, epochs=1)
print(json.dumps(listener.compiled))
"""


def python(script, *args, source=ROOT / "src", **environment):
    """Standard output lines of a script in a process of its own, which must succeed."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PICOJOULE_", "XDG_"))}
    run = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", script, *args], text=True, check=False,
        capture_output=True, env={**keep, "PYTHONPATH": str(source), **environment},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def files(folder):
    """Name -> (size, time of change) of everything below a folder."""
    return {p.relative_to(folder): (p.stat().st_size, p.stat().st_mtime_ns)
            for p in sorted(folder.rglob("*"))}  # fmt: skip


@pytest.mark.parametrize("name", ["systolic_int8", pytest.param("loihi1", marks=pytest.mark.slow)])
def test_nothing_can_be_written(name, tmp_path):
    """Source, home and cache: kernels are compiled for this process alone."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("src", "hardware_models"):
        shutil.copytree(ROOT / part, checkout / part, ignore=ignored)
    for path in [checkout, *checkout.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "below")  # no one can write here, root included
    before = files(checkout)
    where, result = python(
        TINY, name, source=checkout / "src", HOME=nowhere, PICOJOULE_CACHE=nowhere,
        XDG_CACHE_HOME=nowhere,
    )  # fmt: skip
    assert Path(where).is_relative_to(checkout)
    assert python(TINY, name)[-1] == result
    assert files(checkout) == before


def test_a_second_process_compiles_no_kernel(tmp_path):
    shared = {k: v for k, v in os.environ.items() if k.startswith(("PICOJOULE_", "XDG_"))}
    python(TUNED, **shared)  # fills the cache, where the suite has not yet
    assert json.loads(python(TUNED, **shared)[-1]) == []
