"""Readers of data sets: IDX and npz images, WAV and npz speech, events of N-MNIST.

Files may come from anyone: sizes are checked before memory is taken, nothing is unpickled, and
every fault is a UsageError that names the file.
"""

from picojoule.train.data.events import Recordings, read_events, recordings
from picojoule.train.data.idx import read_idx
from picojoule.train.data.images import Labelled, image_set
from picojoule.train.data.npz import read_npz
from picojoule.train.data.speech import Clips, read_wav, spoken_digits

__all__ = [
    "Clips", "Labelled", "Recordings", "image_set", "read_events", "read_idx", "read_npz",
    "read_wav", "recordings", "spoken_digits",
]  # fmt: skip
