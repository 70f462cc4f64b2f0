"""Ctrl-C, a full standard output, closed pipes, too little memory."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_room import listing

from picojoule import api

TENSOR = "systolic_int8"
STOPPED = (1, -signal.SIGINT)  # the interpreter ends so where Ctrl-C struck within an exec()
TUNE = ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz")


@pytest.mark.parametrize("verb, words", [
    ("load", ("check", "dense.pjg", "-t", TENSOR)),
    ("compile", ("compile", "dense.pjg", "-t", TENSOR, "-o", "a.pjp")),
    ("run", ("run", "dense.pjp", "data.npz", "-o", "a.pjr")),
    ("finetune", TUNE),
    ("diff", ("diff", "dense.pjg", "dense.pjp", "data.npz")),
])  # fmt: skip
@pytest.mark.parametrize("error, code", [(KeyboardInterrupt, "PJ805"), (MemoryError, "PJ804")])
def test_a_verb_that_is_stopped(fails, monkeypatch, verb, words, error, code):
    def stop(*arguments, **options):
        raise error

    monkeypatch.setattr(api, verb, stop)
    fails(code, *words)


def test_fine_tuning_that_is_stopped_keeps_the_epochs_done(say, room, monkeypatch):
    from picojoule.cli.progress import Lines

    def stop(lines, epoch):
        lines.losses.append(epoch.loss)
        if len(lines.losses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "__call__", stop)
    said = say(*TUNE, "--epochs", 9)
    assert said.status == 1 and said.err.startswith("PJ805  interrupted after 2 of 9 epochs")
    assert say("compile", "dense.tuned.pjg", "-t", TENSOR).status == 0


def test_fine_tuning_that_is_stopped_at_once_writes_nothing(fails, monkeypatch):
    from picojoule.train import loop

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_epoch", stop)
    fails("PJ805", *TUNE, match="before the first epoch")


def interrupted(started, after):
    """Send Ctrl-C as soon as the process has gone so far; returns (out, err)."""
    deadline = time.monotonic() + 60
    while not after() and started.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    return started.communicate(timeout=60)


def test_ctrl_c_while_fine_tuning(process, room):
    random = np.random.default_rng(1)
    x, y = random.random((4000, 6)), random.integers(0, 3, 4000)
    np.savez("data.npz", x=x, y=y)
    before = listing(room)
    started = process(*TUNE, "--epochs", "100000")
    start = time.monotonic()
    _, err = interrupted(started, lambda: time.monotonic() > start + 8)
    assert started.returncode in STOPPED and "Traceback" not in err, err
    assert "PJ805  interrupted" in err and "try: " in err
    assert set(listing(room)) - set(before) <= {"dense.tuned.pjg"}


def test_ctrl_c_in_the_demo(process, room):
    started = process("demo", "--quick", "--out", "shown")
    _, err = interrupted(started, lambda: Path("shown").exists())
    assert started.returncode in STOPPED and "Traceback" not in err, err
    assert "PJ805  interrupted" in err
    assert not list(room.rglob("*.part"))


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_the_demos_training(process, room):
    started = process("demo", "--out", "shown")
    start = time.monotonic()
    _, err = interrupted(started, lambda: time.monotonic() > start + 6)
    assert started.returncode in STOPPED and "Traceback" not in err, err
    assert "PJ805  interrupted" in err and time.monotonic() < start + 30
    assert not list(Path("shown").glob("report.*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_that_is_full(process, room):
    with Path("/dev/full").open("w") as full:
        for words in (("targets",), ("show", "spikes.pjp"), ("cost", "spikes.pjr", "--json")):
            started = process(*words, stdout=full)
            _, err = started.communicate(timeout=60)
            assert started.returncode == 1 and err.startswith("PJ801  standard output"), err
            assert "Traceback" not in err and "Exception ignored" not in err


def test_a_reader_that_has_enough(room):
    command = f"{sys.executable} -m picojoule targets loihi1 --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == "[" or done.stdout == "{"
    assert done.stderr == ""


def test_output_in_ascii(process, room):
    started = process("cost", "spikes.pjr", env={"PYTHONIOENCODING": "ascii"})
    out, err = started.communicate(timeout=60)
    assert started.returncode == 0 and err == "" and out
