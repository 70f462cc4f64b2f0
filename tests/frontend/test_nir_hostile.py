"""Damaged and malicious NIR files end in one FrontendError that says what is wrong."""

import warnings

import h5py
import nir
import numpy as np
import pytest

from picojoule.errors import FrontendError
from picojoule.frontend import nir_file, nir_unpack
from picojoule.frontend.nir import read

DT = 1e-3


@pytest.fixture
def good(tmp_path):
    full = np.ones(3)
    nodes = {
        "in": nir.Input({"input": np.array([2])}),
        "w": nir.Affine(weight=np.ones((3, 2)), bias=np.zeros(3)),
        "l": nir.LIF(0.02 * full, full, 0 * full, full, 0 * full),
        "out": nir.Output({"output": np.array([3])}),
    }
    path = tmp_path / "good.nir"
    nir.write(path, nir.NIRGraph(nodes, [("in", "w"), ("w", "l"), ("l", "out")], {}, False))
    return path


def refused(path, *, code="PJ501", match=None):
    with pytest.raises(FrontendError, match=match) as error:
        read(path, dt=DT)
    assert error.value.faults[0].code == code
    assert all(path.name in f.where for f in error.value.faults)
    return error.value


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file["node"])


def put(node, name, value):
    """Replace dataset `name` of a node's group."""

    def change(root):
        group = root["nodes"][node]
        if name in group:
            del group[name]
        group.create_dataset(name, data=value)

    return change


def test_the_file_is_good(good):
    assert read(good, dt=DT).output == "l"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x89HDF\r\n\x1a\n" + bytes(600),
                                     b"PK\x03\x04" + bytes(100)])  # fmt: skip
def test_not_hdf5(tmp_path, content):
    path = tmp_path / "x.nir"
    path.write_bytes(content)
    refused(path, match="not a readable HDF5 file")


def test_missing_file_folder_and_odd_names(tmp_path):
    refused(tmp_path / "x.nir", match="no such file")
    refused(tmp_path, match="no such file")
    with pytest.raises(FrontendError):
        read("a\0b.nir")


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_truncated(good, part):
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * part)])
    refused(good)


def test_flipped_bytes_never_give_a_traceback(good):
    data, rng = good.read_bytes(), np.random.default_rng(1)
    outcomes = set()
    for _ in range(12):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 40):
            broken[at] = rng.integers(0, 256)
        good.write_bytes(broken)
        try:
            read(good, dt=DT)
            outcomes.add("read")
        except FrontendError as error:
            outcomes.add(error.faults[0].code)
    assert "PJ501" in outcomes and outcomes <= {"read", "PJ501", "PJ502", "PJ503", "PJ405"}


def test_a_file_on_which_the_library_loops(good, monkeypatch):
    """A text in a heap whose first object has a size of -16: HDF5 2.0 never comes back."""
    monkeypatch.setattr(nir_file, "READ_SECONDS", 2.0)
    data = bytearray(good.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 24 : heap + 32] = (2**64 - 16).to_bytes(8, "little")
    good.write_bytes(data)
    refused(good, match="not a readable HDF5 file")


def test_a_reader_that_crashes(good, monkeypatch):
    monkeypatch.setattr(nir_file, "CHILD", "import os; os.abort()")
    refused(good, match="the HDF5 library crashed on it, by signal 6")
    monkeypatch.setattr(nir_file, "CHILD", "import nothing_of_this_name")
    refused(good, match="failed: ModuleNotFoundError")
    monkeypatch.setattr(nir_file.sys, "executable", "/no/such/python")
    refused(good, match="no process to read it could be started")


@pytest.mark.parametrize(
    "change, match",
    [
        (put("w", "weight", np.array([[1.0, np.nan]] * 3)), "'weight' has 3 values that are not"),
        (put("l", "tau", np.array([0.02, np.inf, 1])), "'tau' has 1 values that are not finite"),
        (put("w", "weight", np.ones(6)), r"weight has shape \[6\], not \(out, in\)"),
        (put("w", "weight", np.ones((0, 2))), "weight has shape"),
        (put("w", "weight", np.ones((3, 5))), r"has shape \[3, 5\], needs \[3, 2\]"),
        (put("w", "bias", np.ones(2)), r"bias has shape \[2\]"),
        (put("w", "weight", "text"), "'weight' holds object, not numbers"),
        (put("w", "weight", np.ones((3, 2), complex)), "not numbers"),
        (put("l", "tau", np.ones(2) * 0.02), r"its arrays differ in shape: .*tau \[2\]"),
        (put("l", "r", np.ones(0)), "its arrays differ in shape"),
        (put("l", "v_threshold", np.full(3, 1e308)), "out of the range"),
        (put("in", "shape", np.array([0])), "not positive whole numbers"),
        (put("in", "shape", np.array([2.5])), "not positive whole numbers"),
        (put("in", "shape", np.array([-3, 2])), "not positive whole numbers"),
        (put("in", "shape", np.array([1 << 20, 1 << 20])), "more than"),
        (put("in", "shape", np.ones((2, 2), int)), "not positive whole numbers"),
        (put("l", "type", np.ones(3)), "a text has shape"),
        (put("l", "type", 7), "not a short text"),
        (put("l", "type", b"\xff\xfe"), "HDF5|decode"),
        (lambda root: root["nodes/l"].__delitem__("tau"), "a LIF needs 'tau', which is missing"),
        (lambda root: root["nodes/l"].__delitem__("type"), "node 'l': 'type' is missing"),
        (lambda root: root.__delitem__("nodes"), "'nodes' is missing"),
        (lambda root: root.__delitem__("edges"), "'edges' is missing"),
        (lambda root: root["nodes"].create_dataset("x", data=1), "node 'x': 'x' is not a group"),
        (lambda root: root["nodes/w/weight"].parent.create_group("w2"), ""),
    ],
)
def test_damaged_content(good, change, match):
    edit(good, change)
    if not match:
        read(good, dt=DT)  # what is not asked for is not read
        return
    refused(good, match=match)


def test_all_damage_at_once(good):
    edit(good, put("w", "weight", np.full((3, 2), np.nan)))
    edit(good, put("l", "tau", np.full(3, np.nan)))
    assert len(refused(good).faults) == 2


def test_edges_of_the_wrong_shape(good):
    def change(root):
        del root["edges"]
        root.create_dataset("edges", data=np.ones((2, 3)))

    edit(good, change)
    refused(good, match=r"edges of '' have shape \[2, 3\]")


def test_links_out_of_the_file_are_not_followed(good, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["w"] = np.ones((3, 2))

    def external(root):
        del root["nodes/w/weight"]
        root["nodes/w/weight"] = h5py.ExternalLink(str(secret), "/w")

    edit(good, external)
    refused(good, match="'weight' is a link, which is not followed")


def test_raw_data_of_other_files_is_not_read(good, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(48))

    def external(root):
        del root["nodes/w/weight"]
        root["nodes/w"].create_dataset("weight", (3, 2), "f8", external=[(str(secret), 0, 48)])

    edit(good, external)
    refused(good, match="stored in another file")


def test_graphs_that_contain_themselves(good):
    def change(root):
        root["nodes/self"] = root
        root["nodes/soft"] = h5py.SoftLink("/node")

    edit(good, change)
    refused(good, match="nested more than 8 deep")


def test_an_array_larger_than_the_limit_is_not_unpacked(good):
    """A gzip bomb: 8 GB of zeros that were never written."""

    def change(root):
        del root["nodes/w/weight"]
        root["nodes/w"].create_dataset(
            "weight", (1 << 15, 1 << 15), "f8", chunks=True, compression="gzip"
        )

    edit(good, change)
    assert good.stat().st_size < 1 << 20
    refused(good, match="need more than 536870912 bytes")


def test_too_many_nodes_and_bytes(good, monkeypatch):
    monkeypatch.setattr(nir_unpack, "NODES", 2)
    found, _ = nir_unpack.unpack(good)
    assert ["PJ501", "the file has more than 2 nodes"] in found["faults"]
    monkeypatch.setattr(nir_file, "FILE_BYTES", 100)
    refused(good, match="at most 100 are read")


def test_reading_warns_of_nothing(good):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(good, dt=DT)
