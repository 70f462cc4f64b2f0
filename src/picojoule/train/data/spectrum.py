"""Sound as spikes: the loudness of mel bands against levels, step by step.

Channel (level, band) spikes in each step in which its band is louder than its level, relative
to the loudest parts of the clip.  A clip shorter than all steps lies in the middle of them; a
longer one is stepped through faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

Array = np.ndarray
SPAN = 4.0  # decades of energy from 0 to 1, 40 dB
LOUD = 0.98  # quantile of the energies of a clip that is 1


@dataclass(frozen=True)
class Ear:
    """How clips become spikes.

    steps    of a sample; window, hop: samples of a frame, and from one to the next
    bands    mel bands between 100 Hz and 3,900 Hz
    levels   0..1, each of which a band has a channel for
    """

    steps: int = 60
    bands: int = 32
    levels: tuple[float, ...] = (0.35, 0.5, 0.65, 0.8)
    window: int = 256
    hop: int = 100
    rate: int = 8000

    @property
    def channels(self) -> int:
        return self.bands * len(self.levels)


def loudness(ear: Ear, clip: Array, *, pace: float = 1.0, pitch: float = 1.0) -> Array:
    """Float (steps, bands), 0..1, of int16 samples (n,).

    pace, pitch  above 1: spoken faster; spectrum stretched towards low frequencies
    """
    sound = np.asarray(clip, np.float64)
    hop = max(ear.hop * pace, (len(sound) - ear.window) / max(ear.steps - 1, 1))
    frames = min(ear.steps, max(1, int((len(sound) - ear.window) / hop) + 1))
    sound = np.pad(sound, (0, max(0, ear.window - len(sound)) + ear.window))
    at = (np.arange(frames) * hop).astype(np.int64)
    cut = sound[at[:, None] + np.arange(ear.window)] * np.hanning(ear.window)
    energy = np.abs(np.fft.rfft(cut, axis=1)) ** 2
    bins = np.arange(energy.shape[1])
    if pitch != 1.0:
        energy = np.stack([np.interp(bins * pitch, bins, row) for row in energy])
    decades = np.log10(energy @ _filters(ear).T + 1.0)
    out = np.zeros((ear.steps, ear.bands))
    start = (ear.steps - frames) // 2
    heard = np.clip(1 + (decades - np.quantile(decades, LOUD)) / SPAN, 0, 1)
    out[start : start + frames] = heard
    return out


def as_spikes(ear: Ear, heard: Array, offset: float = 0.0) -> Array:
    """Bool (steps, channels) of a loudness; offset is added to every level."""
    return np.concatenate([heard > level + offset for level in ear.levels], axis=-1)


@cache
def _filters(ear: Ear) -> Array:
    """(bands, window // 2 + 1): triangles, evenly spaced in mel."""
    ends = 2595 * np.log10(1 + np.array([100.0, 3900.0]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, ear.bands + 2) / 2595) - 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    at = np.fft.rfftfreq(ear.window, 1 / ear.rate)
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))


def varied(ear: Ear, clip: Array, rng: np.random.Generator) -> Array:
    """Spikes of a clip spoken a little faster or slower, higher or lower, louder or softer."""
    pace, pitch = rng.uniform(0.85, 1.2), rng.uniform(0.92, 1.08)
    heard = loudness(ear, clip, pace=pace, pitch=pitch)
    return as_spikes(ear, heard, rng.uniform(-0.04, 0.04))


def moved_in_time(
    x: Array, rng: np.random.Generator, *, most: int = 6, lost: float = 0.05
) -> Array:
    """An `augment`: each raster (n, steps, channels) up to `most` steps earlier or later.

    lost  part of all spikes that is left out
    """
    out, steps = np.zeros_like(x), x.shape[1]
    for row, into, by in zip(x, out, rng.integers(-most, most + 1, len(x))):
        into[max(0, by) : steps + min(0, by)] = row[max(0, -by) : steps - max(0, by)]
    out &= rng.random(out.shape, dtype=np.float32) >= lost
    return out
