"""Files that are missing, damaged, hostile or of the wrong kind: one error, nothing left."""

import errno
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from picojoule import container
from picojoule.frontend import nir
from picojoule.graph import files
from picojoule.graph.text import text
from picojoule.nn import dense_network, spiking_network

SPIKING, TENSOR = "loihi1", "systolic_int8"
READERS = {
    "net.nir": ("PJ501", "check", "-t", SPIKING, "--dt", "1e-3"),
    "spikes.pjg": ("PJ501", "check", "-t", SPIKING),
    "spikes.pjp": ("PJ601", "show"),
    "spikes.pjr": ("PJ801", "cost"),
    "page.json": ("PJ802", "report"),
}


def reading(name):
    code, command, *more = READERS[name]
    return code, (command, name, *more)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"", b"garbage, and more of it", b"\0" * 4096, b"\xff" * 99])
def test_garbage(fails, room, name, content):
    code, words = reading(name)
    (room / name).write_bytes(content)
    fails(code, *words)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_truncated(fails, room, name, part):
    code, words = reading(name)
    whole = (room / name).read_bytes()
    (room / name).write_bytes(whole[: int(len(whole) * part)])
    fails(code, *words)


@pytest.mark.parametrize("name", READERS)
def test_no_path_at_all(fails, name):
    _, command, *more = READERS[name]
    data = ["data.npz"] * (command == "report")
    for path in (".", "..", "/", ""):
        fails("PJ801", command, path, *data, *more)


@pytest.mark.parametrize("name", READERS)
def test_missing_and_folders(fails, room, name):
    _, words = reading(name)
    (room / name).unlink()
    assert "try: " in fails("PJ801", *words, match="No such file")
    (room / name).mkdir()
    fails("PJ801", *words, match="it is a directory")


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_not_waited_for(fails, room, name):
    _, words = reading(name)
    (room / name).unlink()
    os.mkfifo(room / name)
    fails("PJ801", *words, match="not a regular file")


@pytest.mark.parametrize("have, needs", [
    ("spikes.pjg", "spikes.pjp"), ("spikes.pjp", "spikes.pjr"), ("spikes.pjr", "spikes.pjg"),
    ("data.npz", "spikes.pjp"), ("spikes.pjg", "net.nir"),
])  # fmt: skip
def test_a_file_of_another_kind(fails, room, have, needs):
    code, words = reading(needs)
    (room / needs).write_bytes((room / have).read_bytes())
    fails(code, *words)


def test_a_near_name_is_proposed(fails):
    assert "try: 'spikes.pjp'" in fails("PJ801", "show", "spike.pjp")
    assert "try: 'loihi1'" in fails("PJ105", "check", "spikes.pjg", "-t", "lohi1")
    assert "PJ806" in fails("PJ806", "check", "net.nir", "-t", SPIKING, "--dialect", "eulr")


# ----------------------------------------------------------------------------------- networks


def test_weights_that_are_not_finite(fails, room):
    net = files.load("spikes.pjg")
    name = next(n for n, a in net.params.items() if a.ndim == 2)
    bad = np.array(net.params[name])
    bad[1, 1] = np.nan

    about, arrays = container.read("spikes.pjg", files.KIND)
    about["graph"] = text(net.with_params({name: bad}))
    content = {key: value for key, value in about.items() if key not in ("kind", "version")}
    container.write("bad.pjg", files.KIND, content, {**arrays, f"params/{name}": bad})
    fails("PJ404", "check", "bad.pjg", "-t", SPIKING, match="not a finite number")


def test_a_network_too_large_for_the_machine(fails, room):
    files.save(spiking_network([8, 140_000, 3], steps=4, seed=1), "large.pjg")
    assert "PJ201" in fails("PJ204", "compile", "large.pjg", "-t", SPIKING, match="140000")
    files.save(dense_network([6, 8, 3], seed=1), "dense2.pjg")
    fails("PJ209", "compile", "dense2.pjg", "-t", TENSOR, "--bits", "40",
          "--calibrate", "data.npz")  # fmt: skip


def test_a_tensor_network_needs_samples(fails):
    fails("PJ803", "compile", "dense.pjg", "-t", TENSOR, match="calibrate")


def test_time_of_a_nir_network(fails):
    fails("PJ503", "check", "net.nir", "-t", SPIKING)
    for dt in ("0", "-1", "nan", "inf"):
        fails("PJ503", "check", "net.nir", "-t", SPIKING, "--dt", dt)
    fails("PJ806", "check", "net.nir", "-t", SPIKING, "--dt", "1e-3", "--steps", "0")


def test_a_diff_of_strangers(fails):
    nir.write(files.load("spikes.pjg"), "again.nir", dt=1e-3)
    fails("PJ806", "diff", "dense.pjg", "spikes.pjp", "data.npz")
    fails("PJ806", "diff", "spikes.pjg", "dense.pjp", "data.npz")


# ----------------------------------------------------------------------------- hardware models


@pytest.mark.parametrize("content, code", [
    ("", "PJ102"), ("[1, 2", "PJ101"), ("- a\n- b\n", "PJ102"), ("a: &a [*a]\n", "PJ104"),
    ("a: !!python/object:os.system {}\n", "PJ104"), ("[" * 5000, "PJ104"), ("a: 1\n" * 2, "PJ101"),
])  # fmt: skip
def test_hardware_models(fails, content, code):
    Path("mine.yaml").write_text(content)
    fails(code, "targets", "mine.yaml")
    fails(code, "check", "spikes.pjg", "-t", "mine.yaml")


def test_a_model_that_does_not_price_what_is_counted(fails):
    right = Path("mine.yaml").read_text(encoding="utf-8")
    Path("mine.yaml").write_text(right.replace("neuron.idle:", "neuron.nap:"), encoding="utf-8")
    fails("PJ107", "targets", "mine.yaml", match="neuron.idle")


def test_prices_of_another_machine(fails):
    fails("PJ302", "cost", "spikes.pjr", "-t", TENSOR)


# ------------------------------------------------------------------------------------ samples

OBJECTS = np.array([{}, {}], object)
GOOD = np.ones((2, 6))


@pytest.mark.parametrize("arrays, code", [
    ({"x": OBJECTS}, "PJ801"), ({"x": GOOD, "y": OBJECTS}, "PJ801"), ({"z": GOOD}, "PJ801"),
    ({}, "PJ801"), ({"x": np.array([["a"] * 6])}, "PJ802"), ({"x": GOOD + 1j}, "PJ802"),
    ({"x": np.ones(6)}, "PJ802"), ({"x": np.float64(1)}, "PJ802"), ({"x": GOOD[:, :5]}, "PJ802"),
    ({"x": GOOD[:0]}, "PJ803"), ({"x": GOOD * np.nan}, "PJ807"), ({"x": GOOD * np.inf}, "PJ807"),
    ({"x": GOOD, "y": np.arange(3)}, "PJ802"), ({"x": GOOD, "y": np.array(["a", "b"])}, "PJ802"),
    ({"x": GOOD, "y": np.array([0.5, 1])}, "PJ802"),
    ({"x": GOOD, "y": np.eye(2, dtype=int)}, "PJ802"),
])  # fmt: skip
def test_wrong_arrays(fails, arrays, code):
    np.savez("bad.npz", **arrays)
    fails(code, "run", "dense.pjp", "bad.npz")
    fails(code, "report", "spikes.pjp", "bad.npz")


@pytest.mark.parametrize("arrays, code", [
    ({"x": GOOD}, "PJ802"), ({"x": GOOD, "y": np.array([0, 3])}, "PJ702"),
    ({"x": GOOD, "y": np.array([0, -1])}, "PJ702"),
    ({"x": GOOD[:, :5], "y": np.arange(2)}, "PJ802"),
    ({"x": GOOD * np.nan, "y": np.arange(2)}, "PJ807"),
])  # fmt: skip
@pytest.mark.parametrize("net, target", [("dense.pjg", TENSOR), ("spikes.pjg", SPIKING)])
def test_data_that_cannot_be_learned(fails, arrays, code, net, target):
    np.savez("bad.npz", **arrays)
    fails(code, "finetune", net, "-t", target, "--data", "bad.npz", "--epochs", "1")


def bomb(size, told):
    """An archive whose array claims `told` elements, of which `size` zeros are there."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (told, 6)}
    )
    with zipfile.ZipFile("bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(size))


@pytest.mark.parametrize("told", [10**3, 2**40, 2**62, 2**70])
def test_archives_that_claim_too_much(fails, told):
    bomb(48, told)
    fails("PJ801", "run", "dense.pjp", "bad.npz")


def test_archives_that_unpack_to_too_much(fails, monkeypatch):
    monkeypatch.setattr("picojoule.container.LARGEST", 2**20)
    bomb(2**21, 2**21 // 48)
    fails("PJ801", "run", "dense.pjp", "bad.npz", match="more than 1048576")


@pytest.mark.parametrize("name, content", [
    ("a.npz", b""), ("a.npz", b"PK\x03\x04garbage"), ("a.npy", b""), ("a.npy", b"\x93NUMPY\x01"),
    ("a.npy", b"\x93NUMPY\x01\x00\x40\x00" + b"{'shape': (1, 2), ((".ljust(64)),
    ("a.npy", b"PK\x03\x04garbage"), ("a.npy", b"\x93NUMPY\x09\x00" + bytes(99)),
    ("a.csv", b"1,2,x\n"), ("a.csv", b"1,2\n1,2,3\n"), ("a.csv", b"\xff\xfe\x00"),
    ("a.txt", b"1,2\n"),
])  # fmt: skip
def test_samples_that_are_none(fails, name, content):
    Path(name).write_bytes(content)
    fails("PJ801", "run", "dense.pjp", name)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n"])
def test_an_empty_table(fails, content):
    Path("a.csv").write_bytes(content)
    fails("PJ803", "run", "dense.pjp", "a.csv")


# ------------------------------------------------------------------------------------- output

WRITERS = {
    "a.pjp": ("compile", "spikes.pjg", "-t", SPIKING, "-o"),
    "a.pjr": ("run", "spikes.pjp", "data.npz", "-o"),
    "a.html": ("report", "spikes.pjp", "data.npz", "-o"),
    "a.pjg": ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "--epochs", "1", "-o"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_output_that_cannot_be(fails, room, name):
    fails("PJ801", *WRITERS[name], f"none/{name}", match="make the folder 'none' first")
    fails("PJ801", *WRITERS[name], f"data.npz/{name}", match="Not a directory")
    fails("PJ801", *WRITERS[name], ".")
    (room / name).mkdir()
    fails("PJ801", *WRITERS[name], name, match="it is a directory")


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_folder_is_found_before_the_work(fails, room, name, monkeypatch):
    (room / "locked").mkdir()
    if os.geteuid() == 0:  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path))
    (room / "locked").chmod(0o555)
    fails("PJ801", *WRITERS[name], f"locked/{name}", match="Permission denied")


def refuse_space(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(fails, room, name, monkeypatch):
    (room / name).write_bytes(b"what was there before")
    monkeypatch.setattr("picojoule.container.os.fsync", refuse_space)
    monkeypatch.setattr("picojoule.report.store.Path.replace", refuse_space)
    assert "free some space" in fails("PJ801", *WRITERS[name], name, match="No space left")


def test_dump_into_a_file(fails):
    fails("PJ801", "compile", "spikes.pjg", "-t", SPIKING, "--dump", "data.npz")


@pytest.mark.parametrize("words", [
    ("compile", "spikes.pjg", "-t", SPIKING, "-o", "spikes.pjg"),
    ("compile", "dense.pjg", "-t", TENSOR, "--calibrate", "data.npz", "-o", "data.npz"),
    ("run", "spikes.pjp", "data.npz", "-o", "spikes.pjp"),
    ("run", "spikes.pjp", "data.npz", "-o", "./data.npz"),
    ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "-o", "dense.pjg"),
    ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "--checkpoint", "data.npz"),
    ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "--checkpoint", "a", "-o", "a"),
    ("report", "spikes.pjp", "data.npz", "-o", "spikes.pjp"),
    ("report", "spikes.pjp", "data.npz", "-o", "page.json"),
    ("report", "page.json", "-o", "page.json"),
])  # fmt: skip
def test_inputs_are_not_overwritten(fails, words):
    fails("PJ806", *words)


@pytest.mark.parametrize("more", [
    ("--engine", "cuda"), ("--threads", "0"), ("--threads", "-3"), ("--steps", "0"),
    ("--steps", "-1"),
])  # fmt: skip
def test_impossible_options(fails, more):
    fails("PJ806", "run", "spikes.pjp", "data.npz", *more)


def test_impossible_training(fails):
    words = ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz")
    fails("PJ806", *words, "--epochs", "-1")
    fails("PJ209", *words, "--bits", "0")
    fails("PJ209", *words, "--bits", "99")
