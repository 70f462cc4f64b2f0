"""Runs of inputs that come piece by piece: each piece goes on from the state of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.activity import Activity
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.program import Program
from picojoule.sim.recording import Recording

Array = np.ndarray[Any, Any]
SILENCE = 1024  # steps without events that are run together


def is_stream(x: Any) -> bool:
    """Whether samples come piece by piece: a file, a `Recording`, or an iterator of Events."""
    return isinstance(x, str | Path | Recording | Iterator)


def pieces(program: Program, x: Any, steps: int | None, payload_bits: int) -> Iterator[Events]:
    """Events of `steps` steps in all, cut or followed by silence.

    steps  None: all that there are, and the program's latency
    Raises UsageError PJ802 or PJ803, and what `Recording` raises.
    """
    encoder = program.encoder
    if program.kind != "spiking" or encoder.kind != "events":
        what = f"the program takes samples of kind {encoder.kind!r}, not a stream of events"
        raise UsageError(Fault("PJ802", what, fix="give the samples as one array"))
    source: Iterable[Any] = x
    if isinstance(x, str | Path):
        source = Recording(x)
    if isinstance(source, Recording):
        source = source.pieces(encoder.channels, payload_bits)
    return _of_length(_alike(iter(source)), steps, program.latency)


def _alike(source: Iterator[Any]) -> Iterator[Events]:
    first = None
    for number, piece in enumerate(source):
        if not isinstance(piece, Events):
            what = f"piece {number} of the samples is {type(piece).__name__}, not Events"
            raise UsageError(Fault("PJ802", what, fix="an iterator of picojoule.Events"))
        first = first or piece
        if (piece.samples, piece.channels) != (first.samples, first.channels):
            what = f"piece {number} has {piece.samples} samples of {piece.channels} channels, the"
            what += f" first {first.samples} of {first.channels}"
            raise UsageError(Fault("PJ802", what, fix="pieces are steps of the same samples"))
        yield piece
    if first is None:
        raise UsageError(Fault("PJ803", "there is nothing to run: no events came"))


def _of_length(source: Iterator[Events], steps: int | None, latency: int) -> Iterator[Events]:
    done, first = 0, next(source)
    for piece in chain([first], source):
        if steps is not None and done + piece.steps >= steps:
            yield piece if done + piece.steps == steps else piece.padded(steps - done)
            return
        yield piece
        done += piece.steps
    left = latency if steps is None else steps - done
    for low in range(0, left, SILENCE):
        yield _silence(first.samples, first.channels, min(SILENCE, left - low))


def _silence(samples: int, channels: int, steps: int) -> Events:
    starts = np.zeros(samples * steps + 1, np.int64)
    return Events(starts, np.zeros(0, np.int32), samples, steps, channels)


@dataclass
class Joined:
    """What pieces gave, put together along time as they come."""

    detail: str
    spikes: list[Array] = field(default_factory=list)
    probes: dict[str, list[Array]] = field(default_factory=dict)
    counts: list[Array] = field(default_factory=list)
    steps: int = 0

    def add(self, spikes: Array, probes: dict[str, Array], activity: Activity) -> None:
        self.spikes.append(spikes)
        self.steps += activity.steps
        for name, values in probes.items():
            self.probes.setdefault(name, []).append(values)
        if self.detail == "sum" and self.counts:
            self.counts = [self.counts[0] + activity.counts]
        else:
            self.counts.append(activity.counts)

    def whole(self, last: Activity) -> tuple[Array, dict[str, Array], Activity]:
        """(spikes, probes, activity) as one run gives them; `last`: any of the activities."""
        probes = {name: np.concatenate(parts, axis=1) for name, parts in self.probes.items()}
        activity = Activity(
            np.concatenate(self.counts, axis=1), last.components, last.actions, last.samples,
            self.steps, machine=last.machine, nodes=last.nodes,
        )  # fmt: skip
        return np.concatenate(self.spikes, axis=1), probes, activity
