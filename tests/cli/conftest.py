"""A folder of small files of every kind, made once by the command line itself."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cli_room import listing

from picojoule.cli import status
from picojoule.frontend import nir
from picojoule.graph import files
from picojoule.nn import dense_network, spiking_network

SPIKING, TENSOR = "loihi1", "systolic_int8"
MODEL = Path(__file__).parents[2] / "hardware_models" / "loihi1.yaml"


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def stock(tmp_path_factory):
    """Networks, programs, runs and samples, whole and right."""
    here = tmp_path_factory.mktemp("stock")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        spikes = spiking_network([6, 8, 3], steps=8, seed=1, name="spikes")
        files.save(spikes, "spikes.pjg")
        files.save(dense_network([6, 8, 8, 3], seed=1, residual=True, name="dense"), "dense.pjg")
        nir.write(spikes, "net.nir", dt=1e-3)
        random = np.random.default_rng(0)
        x, y = random.random((12, 6)), random.integers(0, 3, 12)
        np.savez("data.npz", x=x, y=y)
        np.save("data.npy", x)
        np.savetxt("data.csv", x, delimiter=",")
        shutil.copy(MODEL, "mine.yaml")
        for words in (
            ("compile", "spikes.pjg", "-t", SPIKING),
            ("compile", "dense.pjg", "-t", TENSOR, "--calibrate", "data.npz"),
            ("run", "spikes.pjp", "data.npz"),
            ("run", "dense.pjp", "data.npz"),
            ("report", "dense.pjp", "data.npz", "-o", "page.html"),
        ):
            assert status(list(words)) == 0, words
    return here


@pytest.fixture
def room(stock, tmp_path, monkeypatch):
    """The working directory of one test, with its own copy of the stock."""
    shutil.copytree(stock, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def say(room, capsys):
    """say(*words): run a command within this process."""

    def call(*words):
        capsys.readouterr()
        code = status([str(word) for word in words])
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return call


@pytest.fixture
def fails(say, room):
    """fails(code, *words): the command ends with one clear error, and leaves all as it was."""

    def call(code, *words, match=""):
        before = listing(room)
        said = say(*words)
        assert said.status == 1, said
        assert said.err.startswith(f"{code}  ") and match in said.err, said.err
        assert "Traceback" not in said.err and said.out == "", said
        assert listing(room) == before
        return said.err

    return call


@pytest.fixture(scope="session")
def process():
    """process(*words, ...): start the command line as people do; returns the Popen.

    Ctrl-C reaches it even where the tests run in a background in which it is ignored.
    """
    started = []

    def start(*words, **more):
        command = [sys.executable, "-m", "picojoule", *map(str, words)]
        environment = {**os.environ, "COLUMNS": "100", **more.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        one = subprocess.Popen(command, env=environment, preexec_fn=heard, **{**pipes, **more})
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()
