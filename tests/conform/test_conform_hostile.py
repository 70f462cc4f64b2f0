"""Damaged and strange vectors: one clear line each, and all others are still compared."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from picojoule.conform.run import conform, line, summary
from picojoule.errors import UsageError

VECTORS = Path(__file__).parents[1] / "golden" / "vectors"


@pytest.fixture
def folder(tmp_path):
    """Three sound vectors; the one called b2l_delays is for breaking."""
    for name in ("b2l_delays", "nl_decay", "tfl_add_near"):
        for suffix in (".json", ".npz"):
            shutil.copy(VECTORS / f"{name}{suffix}", tmp_path / f"{name}{suffix}")
    return tmp_path


def arrays(folder, name="b2l_delays"):
    with np.load(folder / f"{name}.npz") as file:
        return dict(file)


def rewritten(folder, **changes):
    """The arrays of b2l_delays with some replaced; None takes one away."""
    kept = {**arrays(folder), **{key.replace("__", "."): value for key, value in changes.items()}}
    np.savez(folder / "b2l_delays.npz", **{k: v for k, v in kept.items() if v is not None})


def outcome(folder):
    """What became of b2l_delays; the two others matched all the same."""
    found = {o.name: o for o in conform(folder)}
    assert found["nl_decay"].status == found["tfl_add_near"].status == "match"
    return found["b2l_delays"]


def test_sound_vectors_match(folder):
    found = conform(folder)
    assert [o.status for o in found] == ["match"] * 3
    assert summary(found) == "3 of 3 vectors match"
    assert "9900/9900" in line(found[0])


def test_the_first_difference_is_the_earliest(folder):
    v, u = arrays(folder)["a.v"].copy(), arrays(folder)["b.u"].copy()
    v[7, 3] += 5
    u[4, 1] -= 2
    rewritten(folder, a__v=v, b__u=u)
    found = outcome(folder)
    assert found.status == "differ" and (found.equal, found.total) == (9898, 9900)
    first = found.first
    assert (first.quantity, first.step, first.neuron) == ("b.u", 4, 1)
    assert first.expected == first.got - 2
    assert f"b.u step 4 neuron 1: expected {first.expected}, got {first.got}" in line(found)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"weight0": None}, ["PJ802", "'weight0' is missing"]),
        ({"a__v": None}, ["PJ802", "'a.v' is missing"]),
        ({"weight0": np.zeros((2, 3), np.int8)}, ["'weight0' has shape [2, 3], not ["]),
        ({"a__u": np.zeros((3, 3), np.int64)}, ["'a.u' has shape [3, 3], not ["]),
        ({"a__v": np.full((150, 11), np.nan)}, ["PJ807", "'a.v'", "not finite, first at [0, 0]"]),
        ({"a__v": np.full((150, 11), 0.5)}, ["'a.v' holds reals that are not whole"]),
        ({"a__v": np.array([{}, 1], object)}, ["'a.v'", "pickled"]),
        ({"a__v": np.array(["x", "y"])}, ["'a.v' holds <U1"]),
        ({"input": np.zeros((4, 1), np.uint8)}, ["'input' has shape [4, 1], not ["]),
    ],
)
def test_an_array_that_is_wrong_is_named(folder, change, words):
    rewritten(folder, **change)
    found = outcome(folder)
    assert found.status == "error" and "vector 'b2l_delays'" in found.reason
    for word in words:
        assert word in found.reason


def test_a_cut_archive(folder):
    halve(folder / "b2l_delays.npz")
    found = outcome(folder)
    assert found.status == "error" and "PJ801" in found.reason
    assert "vector 'b2l_delays'" in found.reason and "b2l_delays.npz" in found.reason


def test_a_damaged_entry_is_named(folder):
    path = folder / "b2l_delays.npz"
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("a.v.npy").header_offset + 200
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    found = outcome(folder)
    assert found.status == "error" and "array 'a.v' cannot be read" in found.reason


def test_the_archive_of_a_sidecar_is_missing(folder):
    (folder / "b2l_delays.npz").unlink()
    found = outcome(folder)
    assert found.status == "error" and "'b2l_delays.npz' are missing" in found.reason


@pytest.mark.parametrize(
    "text, word",
    [("{", "JSON"), ("[1]", "not a JSON object"), ("[" * 100_000, "nested too deeply"),
     ("\xff\xfe", "JSON")],
)  # fmt: skip
def test_a_sidecar_that_is_no_json_object(folder, text, word):
    (folder / "b2l_delays.json").write_text(text, encoding="latin-1")
    found = outcome(folder)
    assert found.status == "error" and word in found.reason


@pytest.mark.parametrize(
    "where, value",
    [
        (("steps",), -1), (("steps",), "many"), (("steps",), 10**18), (("channels",), 0),
        (("channels",), None), (("projections", 0, "delay"), -3),
        (("projections", 0, "source"), "nobody"), (("projections", 0, "exponent"), 10**9),
        (("projections",), 7), (("populations", 0, "neurons"), 1e30), (("populations",), []),
        (("populations", 0, "refractory"), True), (("populations", 0, "name"), 5),
        (("steps",), float("inf")), (("channels",), float("nan")), (("channels",), 10**400),
    ],
)  # fmt: skip
def test_a_parameter_that_is_wrong(folder, where, value):
    path = folder / "b2l_delays.json"
    head = json.loads(path.read_text(encoding="utf-8"))
    inner = head
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    path.write_text(json.dumps(head), encoding="utf-8")
    found = outcome(folder)
    assert found.status == "error" and "PJ" in found.reason


@pytest.mark.parametrize(
    "head, word",
    [
        ({"kind": "quantum"}, "unknown kind 'quantum'"),
        ({"kind": "lif", "cls": "Martian", "T": 3}, "unknown class 'Martian'"),
        ({"kind": "learn", "T": 3}, "it learns"),
        ({"anything": 1}, "not a known format"),
        (None, "no sidecar"),
    ],
)
def test_what_is_not_known_is_skipped_never_matched(tmp_path, head, word):
    np.savez(tmp_path / "strange.npz", x=np.zeros(3))
    if head is not None:
        (tmp_path / "strange.json").write_text(json.dumps(head), encoding="utf-8")
    (found,) = conform(tmp_path)
    assert found.status == "skipped" and word in found.reason
    assert summary([found]) == "0 of 0 vectors match (1 skipped)"


def test_sums_that_no_peer_defines_are_skipped():
    (found,) = conform(VECTORS / "tfl_register_wraps.npz")
    assert found.status == "skipped" and "the compiler refuses it" in found.reason


def test_folders_without_vectors(tmp_path):
    with pytest.raises(UsageError, match="PJ803"):
        conform(tmp_path)
    with pytest.raises(UsageError, match="PJ801"):
        conform(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="PJ806"):
        conform(VECTORS, engine="abacus")


def test_folders_are_walked_and_names_are_paths(folder):
    deep = folder / "more" / "deeper"
    deep.mkdir(parents=True)
    for suffix in (".json", ".npz"):
        shutil.copy(VECTORS / f"nl_decay{suffix}", deep / f"nl_decay{suffix}")
    assert [o.name for o in conform(folder)] == [
        "b2l_delays", "more/deeper/nl_decay", "nl_decay", "tfl_add_near",
    ]  # fmt: skip
