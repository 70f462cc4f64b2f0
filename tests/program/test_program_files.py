"""Program files: round trips, and no file, however damaged, that ends in anything but an error."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tests.program.programs import spiking, tensor

from picojoule.container import ALIGNMENT, HEADER_MAX
from picojoule.errors import PicojouleError, ProgramError, UsageError
from picojoule.program.files import load, save

DATA = Path(__file__).parent / "data"
DIGESTS = {
    "v1_dense": "c797893cfc16357cf7aa99f95e9eb8bd54a81bc948ea94fb5a6030d3c61b2437",
    "v1_sparse": "cc4eced31081bbfdd216413d495a0f0d4bfb9527647362e5acbbd389022afecd",
    "v1_tensor": "6aa4774091144fa8c5178080f12adc1ef5eddf543310b007fea57ca70990fa2f",
}


@pytest.fixture
def good(tmp_path):
    """A saved spiking program: (path, bytes)."""
    path = tmp_path / "good.pjp"
    save(spiking(1, sparse=True), path)
    return path, path.read_bytes()


def header_of(data: bytes) -> dict:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def body_of(data: bytes) -> bytes:
    return data[8 + int.from_bytes(data[:8], "little") :]


def packed(header, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 8)
    return len(text).to_bytes(8, "little") + text + body


def about_of(data: bytes) -> dict:
    return json.loads(header_of(data)["__metadata__"]["picojoule"])


def with_about(data: bytes, about) -> bytes:
    header = header_of(data)
    header["__metadata__"]["picojoule"] = about if isinstance(about, str) else json.dumps(about)
    return packed(header, body_of(data))


def refused(path: Path, data: bytes, code: str | None = None, **options) -> str:
    """The message of the error that loading `data` ends in."""
    path.write_bytes(data)
    with pytest.raises(PicojouleError) as caught:
        load(path, **options)
    if code:
        assert caught.value.faults[0].code == code
    assert caught.value.faults[0].where == str(path)
    return str(caught.value)


# ---------------------------------------------------------------------------------- round trips


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([spiking, tensor]))
def test_what_is_saved_comes_back(tmp_path_factory, seed, make):
    program = make(seed)
    path = tmp_path_factory.mktemp("files") / "p.pjp"
    save(program, path)
    again = load(path, verify=True)
    assert again == program
    assert again.regions == program.regions and again.instructions == program.instructions
    assert again.source == program.source and again.encoder == program.encoder
    for name, array in program.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
        assert again.arrays[name].dtype == array.dtype


def test_arrays_are_mapped_read_only_and_aligned(good):
    program = load(good[0])
    for array in program.arrays.values():
        assert not array.flags.writeable and array.flags.aligned
        base = array
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)
    assert (8 + int.from_bytes(good[1][:8], "little")) % ALIGNMENT == 0


def test_initial_state_is_kept(tmp_path):
    program = spiking(4).with_state({"c0.u": np.array([1, -2, 3, 4])})
    save(program, tmp_path / "p.pjp")
    again = load(tmp_path / "p.pjp", verify=True)
    assert again == program and again != spiking(4)
    np.testing.assert_array_equal(again.initial["c0.u"], [1, -2, 3, 4])


def test_other_readers_of_safetensors_agree(good):
    found = load_file(good[0])
    program = load(good[0])
    assert found.keys() == {f"arrays/{name}" for name in program.arrays}
    for name, array in program.arrays.items():
        np.testing.assert_array_equal(found[f"arrays/{name}"], array)


def test_numpy_numbers_in_a_program_do_not_change_its_digest(tmp_path):
    from dataclasses import replace

    program = spiking(5)
    first = program.instructions[0]
    odd = replace(program, steps=np.int64(program.steps), instructions=(
        replace(first, args=tuple(np.int32(a) for a in first.args)), *program.instructions[1:]
    ))  # fmt: skip
    assert odd.digest == program.digest
    save(odd, tmp_path / "p.pjp")
    assert load(tmp_path / "p.pjp", verify=True) == program


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_files_of_version_1_load_for_ever(name):
    program = load(DATA / f"{name}.pjp", verify=True)
    assert program.digest == DIGESTS[name]


# ------------------------------------------------------------------------------------- writing


def test_a_failed_save_leaves_the_old_file_and_no_rubbish(good, monkeypatch):
    from picojoule import container

    def fails(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(container.os, "fsync", fails)
    with pytest.raises(UsageError, match=r"PJ801.*No space left"):
        save(spiking(9), good[0])
    assert good[0].read_bytes() == good[1]
    assert [p.name for p in good[0].parent.iterdir()] == ["good.pjp"]


def test_a_loaded_program_survives_its_file_being_replaced(good):
    program = load(good[0])
    digest = program.digest
    save(spiking(9), good[0])
    del program.__dict__["digest"]
    assert program.digest == digest
    assert load(good[0]) == spiking(9)


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "p.pjp"
    programs = [spiking(1, sparse=False), spiking(2, sparse=False)]
    save(programs[0], path)
    writer = threading.Thread(target=lambda: [save(programs[i % 2], path) for i in range(30)])
    writer.start()
    while writer.is_alive():
        assert load(path, verify=True) in programs
    writer.join()


def test_an_invalid_program_is_not_saved(tmp_path):
    from dataclasses import replace

    with pytest.raises(ProgramError, match=r"PJ603.*steps"):
        save(replace(spiking(1), steps=0), tmp_path / "p.pjp")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", ".", "missing/p.pjp", "nul\0byte", "/dev/null"])
def test_paths_that_are_no_files(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for attempt in (lambda: load(path), lambda: save(spiking(1), path)):
        with pytest.raises(UsageError, match=r"PJ801"):
            attempt()


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"not a regular file"):
        load(tmp_path / "pipe")


# -------------------------------------------------------------------------------- damaged files


def test_every_truncation_is_refused(good, tmp_path):
    data, length = good[1], len(good[1])
    cuts = [*range(0, 40), *range(40, length, 41), *range(length - 40, length)]
    for cut in cuts:
        refused(tmp_path / "cut.pjp", data[:cut], "PJ601")
    refused(tmp_path / "cut.pjp", data + b"\0", "PJ601")


def test_flipped_bits_never_pass_for_the_program_saved(good, tmp_path):
    """The digest finds every change but one of padding or spelling, which changes nothing."""
    original, data = load(good[0]), good[1]
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.pjp"
    for at in rng.permutation(len(data))[:600]:
        flipped = bytearray(data)
        flipped[at] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            assert load(path, verify=True) == original
        except ProgramError as error:
            assert error.faults[0].code in ("PJ601", "PJ602", "PJ603", "PJ605")


def test_changed_weights_are_found_with_verify_only(good, tmp_path):
    data = bytearray(good[1])
    data[-1] ^= 1  # the narrowest arrays come last: a weight
    path = tmp_path / "changed.pjp"
    message = refused(path, bytes(data), "PJ605", verify=True)
    assert about_of(good[1])["digest"][:16] in message
    load(path)


@pytest.mark.parametrize("length", [0, 1, HEADER_MAX + 1, 2**40, 2**63, 2**64 - 1])
def test_absurd_header_lengths(good, tmp_path, length):
    data = length.to_bytes(8, "little") + good[1][8:]
    assert str(length) in refused(tmp_path / "p.pjp", data, "PJ601")


@pytest.mark.parametrize(
    "text",
    [
        b"{}", b"[]", b"3", b'"x"', b"null", b"{", b"\xff\xfe{}", b"", b'{"a":1,"a":2}',
        b'{"__metadata__":3}', b'{"__metadata__":{}}', b'{"__metadata__":{"picojoule":7}}',
        b'{"__metadata__":{"picojoule":"[]"}}', b'{"__metadata__":{"picojoule":"{"}}',
        b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5000, b'{"x":NaN}', b'{"x":-Infinity}',
        json.dumps({"__metadata__": {"picojoule": "[" * 100_000}}).encode(),
    ],
    ids=range(20),
)  # fmt: skip
def test_headers_that_are_no_program(tmp_path, text):
    refused(tmp_path / "p.pjp", packed(text, b""), "PJ601")


def test_other_kinds_of_file_are_refused(good, tmp_path):
    about = {**about_of(good[1]), "kind": "run"}
    message = refused(tmp_path / "p.pjp", with_about(good[1], about), "PJ601")
    assert "'run', not a 'program'" in message


def test_other_versions_are_named(good, tmp_path):
    about = about_of(good[1])
    for version in (0, 2, 10**30):
        data = with_about(good[1], {**about, "version": version})
        refused(tmp_path / "p.pjp", data, "PJ602")
    assert "version 2" in refused(
        tmp_path / "p.pjp",
        with_about(good[1], {"kind": "program", "version": 2, "later": "things"}),
        "PJ602",
    )
    for version in (None, "1", 1.0, True):
        data = with_about(good[1], {**about, "version": version})
        refused(tmp_path / "p.pjp", data, "PJ601")


ENTRY = {"dtype": "I8", "shape": [4], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "F32"}, {"dtype": "BOOL"}, {"dtype": ["I8"]}, {"dtype": None}, {"dtype": "I16"},
        {"shape": [5]}, {"shape": [-4]}, {"shape": [2**62, 2**62]}, {"shape": [2**63]},
        {"shape": "4"}, {"shape": [4.0]}, {"shape": [True]}, {"shape": None}, {"shape": {}},
        {"shape": [1] * 99 + [4]}, {"shape": [[4]]}, {"shape": []},
        {"data_offsets": [0]}, {"data_offsets": [0, 4, 4]}, {"data_offsets": [4, 0]},
        {"data_offsets": [4, 8]}, {"data_offsets": [-4, 0]}, {"data_offsets": [0, 2**63]},
        {"data_offsets": ["0", "4"]}, {"data_offsets": None}, {"extra": 1},
    ],
    ids=str,
)  # fmt: skip
def test_absurd_array_entries(good, tmp_path, change):
    header = {"__metadata__": header_of(good[1])["__metadata__"]}
    header["arrays/w"] = {**ENTRY, **change}
    refused(tmp_path / "p.pjp", packed(header, b"abcd"), "PJ601")


def test_arrays_may_not_overlap_or_leave_gaps(good, tmp_path):
    meta = {"__metadata__": header_of(good[1])["__metadata__"]}
    path = tmp_path / "p.pjp"

    def two(start, stop):
        other = {"dtype": "I8", "shape": [stop - start], "data_offsets": [start, stop]}
        return packed({**meta, "arrays/a": ENTRY, "arrays/b": other}, b"abcdefgh")

    assert "overlap" in refused(path, two(3, 8), "PJ601")
    assert "gap" in refused(path, two(5, 8), "PJ601")
    assert "8 for them" in refused(path, two(4, 7), "PJ601")


def test_arrays_that_belong_to_nothing(good, tmp_path):
    header = header_of(good[1])
    for name in ("w", "other/w", ""):
        changed = dict(header)
        changed[name] = changed.pop("arrays/c0.w")
        refused(tmp_path / "p.pjp", packed(changed, body_of(good[1])), "PJ601")
    header["arrays/zz"] = header.pop("arrays/c0.w")
    message = refused(tmp_path / "p.pjp", packed(header, body_of(good[1])), "PJ603")
    assert "'c0.w' has no array" in message and "'zz' belongs to no" in message


def paths_into(data, path=()):
    """Every place in nested JSON data."""
    yield path
    if not isinstance(data, dict | list):
        return
    for key, item in data.items() if isinstance(data, dict) else enumerate(data):
        yield from paths_into(item, (*path, key))


def replaced(data, path, value):
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = replaced(data[path[0]], path[1:], value)
    return copy


WRONG = [
    None, True, -1, 2**31, 2**63, -(2**70), 10**400, 0.5, 1e308, "", "x", "x" * 20_000, "\ud800",
    "a\nb", [], {}, [[]], {"a": 1}, [None], ["w0[0:1]"], "c0.u[5:1]", "int99", "c0.w[0:9999999999]",
]  # fmt: skip


def test_wrong_values_in_every_field(tmp_path):
    """Each place of each kind of program gets values of every wrong kind."""
    rng = np.random.default_rng(3)
    path = tmp_path / "p.pjp"
    for program in (spiking(1, sparse=True), tensor(1)):
        save(program, path)
        data = path.read_bytes()
        about = about_of(data)
        for place in paths_into(about["program"]):
            value = WRONG[rng.integers(len(WRONG))]
            changed = {**about, "program": replaced(about["program"], place, value)}
            path.write_bytes(with_about(data, changed))
            try:
                load(path, verify=True)
            except ProgramError as error:
                assert error.faults[0].where == str(path), (place, value)
                str(error).encode()


def test_missing_and_unknown_fields_are_named(good, tmp_path):
    about = about_of(good[1])
    less = {k: v for k, v in about["program"].items() if k != "encoder"}
    message = refused(tmp_path / "p.pjp", with_about(good[1], {**about, "program": less}), "PJ601")
    assert "no field 'encoder'" in message
    more = {**about["program"], "regoins": 1}
    message = refused(tmp_path / "p.pjp", with_about(good[1], {**about, "program": more}), "PJ601")
    assert "unknown field 'regoins'" in message
    wrong = replaced(about["program"], ("instructions", 1, "args", 0), "x")
    message = refused(tmp_path / "p.pjp", with_about(good[1], {**about, "program": wrong}), "PJ601")
    assert ".instructions[1].args[0] is 'x', expected an integer" in message


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=300))
def test_noise_is_refused(tmp_path_factory, data):
    refused(tmp_path_factory.mktemp("noise") / "p.pjp", data, "PJ601")


def test_sparse_indices_are_checked_without_verify(good, tmp_path):
    """An engine follows them, so no file may lead it outside."""
    header, body = header_of(good[1]), bytearray(body_of(good[1]))
    start, _ = header["arrays/c0.target"]["data_offsets"]
    body[start : start + 2] = (60_000).to_bytes(2, "little")
    assert "60000" in refused(tmp_path / "p.pjp", packed(header, bytes(body)), "PJ603")
