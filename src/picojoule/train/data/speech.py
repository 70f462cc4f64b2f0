"""Spoken digits: WAV files, and the Free Spoken Digit Dataset as a folder or an npz file."""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.train.data.npz import offsets_of, read_npz, reading

Array = np.ndarray
LONGEST = 2**28  # samples of a file
NAME = re.compile(r"(\d)_([A-Za-z0-9]+)_(\d{1,4})\.wav")
TEST_INDEX = 5  # recordings 0..4 of each speaker and digit are the official test part


@dataclass(frozen=True, eq=False)
class Clips:
    """Labelled recordings, end to end.

    audio    int16 (samples,); clip k is audio[offsets[k]:offsets[k + 1]]
    label    int64 (clips,) the digit;  speaker: str (clips,);  index int64 (clips,)
    rate     samples a second
    """

    audio: Array
    offsets: Array
    label: Array
    speaker: Array
    index: Array
    rate: int

    def __len__(self) -> int:
        return len(self.label)

    def clip(self, k: int) -> Array:
        """One recording, int16, a view."""
        return self.audio[self.offsets[k] : self.offsets[k + 1]]

    def official(self, part: str) -> Array:
        """Numbers of the clips of the official 'train' or 'test' part."""
        if part not in ("train", "test"):
            raise UsageError(Fault("PJ806", f"part={part!r} is neither 'train' nor 'test'"))
        return np.flatnonzero((self.index < TEST_INDEX) == (part == "test"))


def read_wav(path: str | Path) -> tuple[Array, int]:
    """Mono samples int16 (n,) and their rate; several channels are averaged.

    Raises UsageError PJ801 for what is not PCM of 8 or 16 bits, or is damaged.
    """
    return reading(path, "WAV", _wav)


def _wav(path: Path) -> tuple[Array, int]:
    try:
        with wave.open(str(path), "rb") as file:
            about = file.getparams()
            if about.sampwidth not in (1, 2) or about.comptype != "NONE":
                raise ValueError(f"only PCM of 8 or 16 bits is read, not {8 * about.sampwidth}")
            if about.nframes * about.nchannels > LONGEST:
                raise ValueError(f"{about.nframes} samples are more than {LONGEST}")
            data = file.readframes(about.nframes)
    except wave.Error as error:
        raise ValueError(str(error)) from None
    if len(data) != about.nframes * about.nchannels * about.sampwidth:
        raise ValueError(f"it ends before its {about.nframes} samples")
    if about.framerate < 1:
        raise ValueError(f"{about.framerate} samples a second are impossible")
    raw = np.frombuffer(data, "<i2" if about.sampwidth == 2 else np.uint8)
    wide = raw.astype(np.int32) if about.sampwidth == 2 else (raw.astype(np.int32) - 128) << 8
    mono = wide.reshape(-1, about.nchannels).sum(1) // about.nchannels
    return mono.astype(np.int16), about.framerate


def spoken_digits(path: str | Path) -> Clips:
    """The data set from a folder of `{digit}_{speaker}_{index}.wav`, or one of an npz file.

    The npz holds audio, offsets, digit, speaker, index and rate.
    Raises UsageError PJ801 or PJ802.
    """
    path = Path(path)
    if not path.is_dir():
        return _from_npz(path)
    archives = sorted(path.glob("*.npz"))
    return _from_npz(archives[0]) if archives else _from_folder(path)


def _from_npz(path: Path) -> Clips:
    names = ("audio", "offsets", "digit", "speaker", "index", "rate")
    found = read_npz(path, names)
    return reading(path, "a set of spoken digits", lambda _: _clips(**found))


def _clips(
    audio: Array, offsets: Array, digit: Array, speaker: Array, index: Array, rate: Array
) -> Clips:
    if audio.ndim != 1 or audio.dtype != np.int16:
        raise ValueError(f"audio must be int16 of one axis, got {audio.dtype} {list(audio.shape)}")
    if digit.ndim != 1 or not digit.shape == speaker.shape == index.shape:
        raise ValueError("digit, speaker and index must have one entry a clip")
    if digit.dtype.kind not in "iu" or index.dtype.kind not in "iu":
        raise ValueError("digit and index must be whole numbers")
    if rate.shape != () or rate.dtype.kind not in "iu" or not 0 < int(rate) < 2**20:
        raise ValueError("rate must be one whole number of samples a second")
    offsets = offsets_of(offsets, len(digit), len(audio))
    return Clips(audio, offsets, digit.astype(np.int64), speaker, index.astype(np.int64), int(rate))


def _from_folder(folder: Path) -> Clips:
    named = [(path, NAME.fullmatch(path.name)) for path in sorted(folder.glob("*.wav"))]
    known = [(path, match) for path, match in named if match]
    if not known:
        what = "there are no recordings named {digit}_{speaker}_{index}.wav"
        raise UsageError(Fault("PJ801", what, where=str(folder), fix="the folder 'recordings'"))
    clips = [read_wav(path) for path, _ in known]
    rates = sorted({rate for _, rate in clips})
    if len(rates) > 1:
        what = f"its files have several rates: {', '.join(map(str, rates[:5]))}"
        raise UsageError(Fault("PJ802", what, where=str(folder)))
    stops = np.cumsum([len(audio) for audio, _ in clips])
    parts = [match.groups() for _, match in known]
    return Clips(
        np.concatenate([audio for audio, _ in clips]), np.concatenate([[0], stops]),
        np.array([int(p[0]) for p in parts]), np.array([p[1] for p in parts]),
        np.array([int(p[2]) for p in parts]), rates[0],
    )  # fmt: skip
