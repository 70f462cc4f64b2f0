"""Readers of data sets: what is right is read, what is wrong is refused in one sentence."""

import gzip
import struct
import wave

import numpy as np
import pytest

from picojoule.errors import UsageError
from picojoule.train.data import (
    image_set,
    read_events,
    read_idx,
    read_npz,
    read_wav,
    recordings,
    spoken_digits,
)


def idx_bytes(array, code=0x08):
    big = array.astype(array.dtype.newbyteorder(">"))
    return (
        bytes([0, 0, code, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + (big.tobytes())
    )


def refused(work, *parts):
    with pytest.raises(UsageError) as caught:
        work()
    text = str(caught.value)
    assert all(part in text for part in parts), text
    return text


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 11), ("f8", 14)])
def test_idx_is_read_plain_and_packed(tmp_path, dtype, code, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = idx_bytes(array, code)
    path = tmp_path / "a-idx"
    path.write_bytes(gzip.compress(data) if packed else data)
    found = read_idx(path)
    assert found.dtype == array.dtype and np.array_equal(found, array)


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "bytes none"),
        (b"\0\0\x08", "00 00 08"),
        (b"PK\3\4" + b"\0" * 20, "does not begin like an IDX"),
        (b"\0\0\x07\1\0\0\0\1\0", "does not begin like an IDX"),
        (b"\0\0\x08\0", "does not begin like an IDX"),
        (b"\0\0\x08\x03\0\0\0\1", "ends within the sizes"),
        (GOOD[:-1], "takes 6 bytes, but 5 are there"),
        (GOOD + b"x", "takes 6 bytes, but more follow"),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "more than 1073741824"),
        (gzip.compress(GOOD)[:-9], "cannot be read as IDX"),
        (gzip.compress(GOOD)[:20] + b"garbage" * 3, "cannot be read as IDX"),
    ],
)
def test_damaged_idx_is_refused(tmp_path, data, says):
    path = tmp_path / "bad"
    path.write_bytes(data)
    refused(lambda: read_idx(path), "PJ801", says, str(path))


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(50 * 2**20)))
    refused(lambda: read_idx(path), "more follow")


def test_missing_files_and_folders_say_so(tmp_path):
    refused(lambda: read_idx(tmp_path / "no"), "PJ801")
    refused(lambda: read_idx(tmp_path), "directory")
    refused(lambda: image_set(tmp_path, "train"), "PJ801", "no train images", "npz")
    refused(lambda: image_set(tmp_path, "valid"), "PJ806", "'valid'")
    refused(lambda: spoken_digits(tmp_path), "PJ801", "{digit}")
    refused(lambda: recordings(tmp_path), "PJ801", "'0' to '9'")


def images(n, rng, size=5):
    return rng.integers(0, 256, (n, size, size), np.uint8), rng.integers(0, 10, n).astype(np.uint8)


@pytest.fixture
def rng():
    return np.random.Generator(np.random.Philox(key=[6, 0]))


def test_images_come_from_idx_and_from_several_npz(tmp_path, rng):
    x, y = images(6, rng)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(x)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(y))
    np.savez(tmp_path / "set_train_b.npz", x=x[4:], y=y[4:])
    np.savez(tmp_path / "set_train_a.npz", x=x[:4], y=y[:4])
    for part in ("train", "test"):
        found = image_set(tmp_path, part)
        assert found.x.shape == (6, 5, 5, 1) and found.y.dtype == np.int64
        assert np.array_equal(found.x[..., 0], x) and np.array_equal(found.y, y)
    assert found.scaled().max() <= 1 and len(found.first(2).y) == 2


def test_arrays_that_are_no_images_are_refused(tmp_path, rng):
    x, y = images(4, rng)
    path = tmp_path / "train.npz"
    for bad, labels, says in (
        (x[:, 0], y, "uint8 (n, height, width)"),
        (x.astype(float), y, "got float64"),
        (x, y[:3], "one whole number an image"),
        (x, y.astype(float), "one whole number an image"),
        (x[:0], y[:0], "no images"),
    ):
        np.savez(path, x=bad, y=labels)
        refused(lambda: image_set(tmp_path, "train"), says, str(path))
    np.savez(path, x=x, y=y)
    small, few = images(4, rng, 4)
    np.savez(tmp_path / "train2.npz", x=small, y=few)
    refused(lambda: image_set(tmp_path, "train"), "PJ802", "several sizes")


def test_npz_never_unpickles_and_names_what_is_missing(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([{}], object))
    refused(lambda: read_npz(path, ("x",)), "PJ801", "never loaded")
    np.savez(path, z=np.zeros(3))
    refused(lambda: read_npz(path, ("x", "y")), "no array 'x', 'y'; found z")
    path.write_bytes(path.read_bytes()[:-30])
    refused(lambda: read_npz(path, ("z",)), "PJ801")


def write_wav(path, samples, channels=1, width=2, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def test_wav_of_one_and_two_channels_and_of_8_bits(tmp_path):
    samples = np.array([0, 1000, -32768, 32767], "<i2")
    write_wav(tmp_path / "a.wav", samples)
    found, rate = read_wav(tmp_path / "a.wav")
    assert found.tolist() == samples.tolist() and rate == 8000
    write_wav(tmp_path / "b.wav", np.repeat(samples, 2), channels=2)
    assert read_wav(tmp_path / "b.wav")[0].tolist() == samples.tolist()
    write_wav(tmp_path / "c.wav", np.array([0, 128, 255], np.uint8), width=1)
    assert read_wav(tmp_path / "c.wav")[0].tolist() == [-32768, 0, 127 << 8]


def test_damaged_wav_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, np.arange(100, dtype="<i2"))
    data = path.read_bytes()
    for bad, says in (
        (b"", "cannot be read as WAV"),
        (b"RIFF", "cannot be read as WAV"),
        (data[:-20], "ends before its 100 samples"),
        (data[:20] + b"\x55\0" + data[22:], "cannot be read as WAV"),
    ):
        path.write_bytes(bad)
        refused(lambda: read_wav(path), "PJ801", says)
    write_wav(path, np.zeros(12, np.uint8), width=3)
    refused(lambda: read_wav(path), "8 or 16 bits")


def test_spoken_digits_from_wav_files_and_from_npz_agree(tmp_path):
    clips = {(3, "ann", 0): [1, 2], (3, "ann", 7): [3], (0, "bob", 4): [4, 5, 6]}
    for (digit, speaker, index), audio in clips.items():
        write_wav(tmp_path / f"{digit}_{speaker}_{index}.wav", np.array(audio, "<i2"))
    found = spoken_digits(tmp_path)
    assert [found.clip(k).tolist() for k in range(len(found))] == [[4, 5, 6], [1, 2], [3]]
    assert found.label.tolist() == [0, 3, 3] and found.speaker.tolist() == ["bob", "ann", "ann"]
    assert found.official("test").tolist() == [0, 1] and found.official("train").tolist() == [2]
    np.savez(tmp_path / "f.npz", audio=found.audio, offsets=found.offsets, digit=found.label,
             speaker=found.speaker, index=found.index, rate=np.int32(found.rate))  # fmt: skip
    again = spoken_digits(tmp_path / "f.npz")
    assert np.array_equal(again.audio, found.audio) and again.rate == 8000
    for changed, says in (
        ({"offsets": np.array([0, 3, 2, 6])}, "ascend from 0 to 6"),
        ({"offsets": np.array([0, 6])}, "must be 4 whole numbers"),
        ({"rate": np.int32(0)}, "rate must be"),
        ({"index": np.array([1.5, 2, 3])}, "whole numbers"),
        ({"audio": found.audio.astype(float)}, "int16"),
    ):
        whole = dict(audio=found.audio, offsets=found.offsets, digit=found.label,
                     speaker=found.speaker, index=found.index, rate=np.int32(8000))  # fmt: skip
        np.savez(tmp_path / "bad.npz", **{**whole, **changed})
        refused(lambda: spoken_digits(tmp_path / "bad.npz"), "PJ801", says)


def test_events_of_one_file_and_of_a_folder(tmp_path):
    (tmp_path / "7").mkdir()
    path = tmp_path / "7" / "00001.bin"
    path.write_bytes(bytes([3, 5, 0x80, 0x01, 0x02, 33, 0, 0x7F, 0xFF, 0xFF]))
    x, y, p, t = read_events(path)
    assert x.tolist() == [3, 33] and y.tolist() == [5, 0] and p.tolist() == [1, 0]
    assert t.tolist() == [0x0102, 0x7FFFFF]
    found = recordings(tmp_path)
    assert found.label.tolist() == [7] and len(found) == 1
    events = found.binned([0], steps=2, step_us=200)
    assert events.index.tolist() == [34 * 34 + 5 * 34 + 3] and events.indptr.tolist() == [0, 0, 1]
    refused(lambda: found.binned([0], steps=0, step_us=1), "PJ806")
    refused(lambda: found.binned([0], steps=1, step_us=1, side=20), "PJ802", "20 x 20")
    path.write_bytes(b"1234567")
    refused(lambda: read_events(path), "7 bytes")


def test_sets_of_recordings_are_checked(tmp_path):
    good = {"x": np.array([1, 2]), "y": np.array([1, 2]), "p": np.array([0, 1]),
            "t": np.array([5, 9]), "offsets": np.array([0, 1, 2]),
            "label": np.array([3, 4])}  # fmt: skip
    path = tmp_path / "r.npz"
    for changed, says in (
        ({"p": np.array([0, 2])}, "polarity"),
        ({"x": np.array([1, 300])}, "below 256"),
        ({"t": np.array([5])}, "one of each an event"),
        ({"t": np.array([-5, 1])}, "negative"),
        ({"offsets": np.array([0, 2, 1])}, "ascend"),
        ({"label": np.array([0.5, 1])}, "label"),
    ):
        np.savez(path, **{**good, **changed})
        refused(lambda: recordings(path), "PJ801", says)
    np.savez(path, **good)
    assert recordings(path).label.tolist() == [3, 4]


def test_the_shared_sets_have_their_published_sizes(shared):
    assert image_set(shared("data/mnist"), "test").x.shape == (10_000, 28, 28, 1)
    speech = spoken_digits(shared("data/fsdd"))
    assert len(speech) == 3000 and len(speech.official("test")) == 300 and speech.rate == 8000
    small = recordings(shared("data/nmnist_small/nmnist_small_test.npz"))
    assert len(small) == 100
    assert small.binned([0, 1], steps=60, step_us=5000).channels == 2 * 34 * 34
