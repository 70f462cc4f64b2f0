"""How long a run takes: in each window the slowest engine decides, then the barrier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.target import ENGINE_SERIAL


@dataclass(frozen=True)
class Timing:
    """Seconds, summed over the samples of the activity.

    window_s   (windows,)            serial time included
    busy_s     (engines, components) how long each engine works
    bound_s    (engines, components) how long the run waits for it, as the slowest of its window
    serial_s   time that overlaps with nothing
    """

    window_s: np.ndarray
    busy_s: np.ndarray
    bound_s: np.ndarray
    serial_s: float


def time_windows(
    counts: np.ndarray, time_s: np.ndarray, engine: np.ndarray, engines: tuple[str, ...]
) -> Timing:
    """Time of every window: max over (component, engine) of count x time, plus serial time.

    counts   int (samples, windows, components, actions)
    time_s   float (components, actions)  seconds of one count
    engine   int (components, actions)    index into `engines`, -1 where nothing is priced
    """
    samples, windows, components, _ = counts.shape
    slowest = np.zeros((samples, windows))
    binding = np.full((samples, windows), -1)
    busy_s = np.zeros((len(engines), components))
    serial = np.zeros((samples, windows))
    for index, name in enumerate(engines):
        work = _work(counts, np.where(engine == index, time_s, 0.0))
        busy_s[index] = work.sum(axis=(0, 1))
        if name == ENGINE_SERIAL:
            serial += work.sum(axis=2)
            continue
        worst, place = work.max(axis=2), work.argmax(axis=2)
        slower = worst > slowest
        slowest[slower] = worst[slower]
        binding[slower] = index * components + place[slower]
    bound = np.bincount(binding[binding >= 0], weights=slowest[binding >= 0], minlength=busy_s.size)
    return Timing(
        window_s=(slowest + serial).sum(axis=0),
        busy_s=busy_s,
        bound_s=bound.reshape(busy_s.shape),
        serial_s=float(serial.sum()),
    )


def _work(counts: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Seconds of work (samples, windows, components), one action at a time to bound memory."""
    work = np.zeros(counts.shape[:3])
    for action in np.flatnonzero(time_s.any(axis=0)):
        work += counts[..., action] * time_s[:, action]
    return work
