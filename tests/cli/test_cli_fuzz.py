"""Bytes flipped at random in every kind of file: a result, or one error with a code."""

import re

import numpy as np
import pytest
from cli_room import listing

SPIKING, TENSOR = "loihi1", "systolic_int8"
TRIALS = 60
KINDS = {
    "spikes.pjg": ("compile", "spikes.pjg", "-t", SPIKING, "-o", "out.pjp"),
    "dense.pjg": ("check", "dense.pjg", "-t", TENSOR),
    "spikes.pjp": ("run", "spikes.pjp", "data.npz", "-o", "out.pjr", "--threads", "1"),
    "dense.pjp": ("run", "dense.pjp", "data.npz", "-o", "out.pjr", "--threads", "1"),
    "dense.pjr": ("cost", "dense.pjr"),
    "spikes.pjr": ("cost", "spikes.pjr"),
    "mine.yaml": ("targets", "mine.yaml"),
    "data.npz": ("run", "dense.pjp", "data.npz", "-o", "out.pjr"),
    "data.npy": ("run", "dense.pjp", "data.npy", "-o", "out.pjr"),
    "data.csv": ("run", "dense.pjp", "data.csv", "-o", "out.pjr"),
    "page.json": ("report", "page.json", "-o", "out.html"),
}


def flipped(content, random):
    """A few bytes exchanged, most of them near the start, where structure is."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        reach = len(changed) if random.random() < 0.5 else min(len(changed), 2000)
        changed[random.integers(reach)] = random.integers(256)
    return bytes(changed)


def survive(said):
    assert said.status in (0, 1), said
    assert "Traceback" not in said.err
    if said.status:
        assert re.match(r"PJ\d{3}  ", said.err), said.err
        assert said.out == ""


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", KINDS)
def test_flipped_bytes(say, room, name):
    random = np.random.default_rng(list(name.encode()))
    whole = (room / name).read_bytes()
    for trial in range(TRIALS):
        (room / name).write_bytes(flipped(whole, random))
        survive(say(*KINDS[name]))
        assert not [p for p in listing(room) if ".part" in p], trial


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_flipped_bytes_of_nir(say, room):
    random = np.random.default_rng(7)
    whole = (room / "net.nir").read_bytes()
    for _ in range(12):
        (room / "net.nir").write_bytes(flipped(whole, random))
        survive(say("check", "net.nir", "-t", SPIKING, "--dt", "1e-3"))
