"""Checkpoints of a training: one file after each epoch, from which it goes on bit for bit.

A file is safetensors with one entry of JSON (`container`), written beside the last one and then
put in its place, so that a full disk or an interrupt leaves the last good one as it was.
Random numbers need no state: order and augmentation are keyed by seed and epoch.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule import container
from picojoule.errors import Fault, TrainError, UsageError
from picojoule.graph import Graph
from picojoule.passes import PicojouleWarning
from picojoule.train.batches import Batches
from picojoule.train.delays import DELAYS, delays_of
from picojoule.train.options import Options
from picojoule.train.state import State

Array = np.ndarray
KIND = container.Kind(
    "checkpoint", 2, TrainError, "PJ705", "PJ706",
    "another checkpoint, or train from the start: resume=False",
)  # fmt: skip
# options that change how a training is kept or when it ends, not its bits
FREE = ("patience", "checkpoint", "resume", "threads", "keep_interrupted")


@dataclass(frozen=True)
class Best:
    """The network that is returned: the best on validation data, else the last."""

    graph: Graph
    accuracy: float
    epoch: int


@dataclass
class Progressed:
    """How far a training is: epochs done, and the best so far."""

    epochs: int = 0
    best: Best | None = None

    def exhausted(self, patience: int | None) -> bool:
        """Whether validation has not become better for `patience` epochs."""
        if patience is None or self.best is None or np.isnan(self.best.accuracy):
            return False
        return self.epochs - self.best.epoch > patience


def structure(graph: Graph) -> str:
    """Digest of everything in a graph but the values of its parameters."""
    empty = {name: np.zeros_like(array) for name, array in graph.params.items()}
    return graph.with_params(empty).digest[:20]


def settings_of(
    state: State, data: Batches, options: Options, lr: float, epochs: int
) -> dict[str, Any]:
    """Everything that a training of other bits would differ in, as JSON holds it.

    Functions (loss, penalties, augmentation) count by name, a teacher by its digest.  `epochs`
    is free where the schedule does not ask for it.
    """
    found = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in FREE}
    found |= {
        "network": structure(state.model.graph), "batch": data.size, "seed": data.seed,
        "samples": data.source.samples, "lr": lr, "epochs": epochs,
    }  # fmt: skip
    if _same_at_any_length(options):
        del found["epochs"]
    return {name: _told(value) for name, value in found.items()}


def _same_at_any_length(options: Options) -> bool:
    """Whether an epoch is the same however many follow."""
    statistics = options.freeze_statistics == 1.0 and options.live_statistics == 0.0
    return options.schedule == "constant" and options.warmup == 0.0 and statistics


def _told(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_told(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Graph):
        return value.digest[:20]
    if is_dataclass(value) and not callable(value):
        return [_told(getattr(value, f.name)) for f in fields(value)]
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    value = value.item() if isinstance(value, np.generic) else value
    endless = isinstance(value, float) and not np.isfinite(value)  # which JSON has no word for
    return repr(value) if endless else value


def save(state: State, done: Progressed, settings: dict[str, Any], path: str | Path) -> None:
    """Write a checkpoint after epoch `done.epochs`; where that fails, warn and train on."""
    assert done.best is not None
    score = done.best.accuracy
    about = {
        "settings": settings, "name": state.model.graph.name,
        "epochs": done.epochs + 1, "steps": state.optimizer.count,
        "best": {"epoch": done.best.epoch, "accuracy": None if np.isnan(score) else score},
    }  # fmt: skip
    arrays = {"flat": state.flat, "average": state.average}
    arrays |= {f"optimizer.{n}": b for n, b in state.optimizer.buffers.items()}
    arrays |= {f"measured.{n}": a for n, a in state.measured.items()}
    best = done.best.graph
    arrays |= {f"best.{n}": np.asarray(a) for n, a in best.params.items()}
    if state.delays is not None:
        assert state.model.flat is not None
        arrays[f"best.{DELAYS}"] = delays_of(best, state.model.flat)
    try:
        container.write(path, KIND, about, arrays)
    except UsageError as error:
        what = f"no checkpoint of epoch {done.epochs + 1}; training goes on\n{error}"
        warnings.warn(what, PicojouleWarning, stacklevel=2)


def resume(state: State, settings: dict[str, Any], path: Path) -> Progressed:
    """Put a state back where its checkpoint left it; where there is no file, start anew.

    Raises TrainError PJ705 for a damaged file, PJ706 for one of another version, PJ707 for one
    of another network or training; UsageError PJ801.
    """
    if not path.exists():
        return Progressed()
    about, arrays = container.read(path, KIND)
    _same_training(about, settings, path)
    return container.checked(path, KIND, lambda: _restore(state, about, arrays))


def _same_training(about: dict[str, Any], ours: dict[str, Any], path: Path) -> None:
    theirs = about.get("settings")
    if not isinstance(theirs, dict):
        container.refuse(path, KIND, "it names no settings of a training")
    if theirs.get("network") != ours["network"]:
        name = str(about.get("name"))[:60]
        what = f"it is of another network, {name!r}: layers, shapes or bits differ"
        raise TrainError(Fault("PJ707", what, where=str(path), fix=KIND.fix))
    faults = [
        Fault("PJ707", f"it was trained with {what}={theirs.get(what)!r:.60}, now"
              f" {ours[what]!r:.60}", where=str(path),
              fix=f"{what}={theirs.get(what)!r:.60}, or resume=False")
        for what in ours if theirs.get(what) != ours[what]
    ]  # fmt: skip
    if faults:
        raise TrainError(faults)


def _restore(state: State, about: dict[str, Any], arrays: dict[str, Array]) -> Progressed:
    """Raises ValueError, for `container.checked`, before anything is changed."""
    counts = [about.get("epochs"), about.get("steps")]
    best = about.get("best")
    if not all(type(n) is int and 0 < n < 2**40 for n in counts) or not isinstance(best, dict):
        raise ValueError(" does not say how far training was")
    flats = {"flat": state.flat, "average": state.average}
    flats |= {f"optimizer.{n}": b for n, b in state.optimizer.buffers.items()}
    delays = None
    if state.delays is not None:
        delays = _like(arrays, f"best.{DELAYS}", state.delays.start)
    kept = {n: _like(arrays, f"best.{n}", a) for n, a in state.model.graph.params.items()}
    measured = {n.removeprefix("measured."): _like(
        arrays, n, state.model.graph.params.get(n.removeprefix("measured.")))
        for n in arrays if n.startswith("measured.")}  # fmt: skip
    found = {name: _like(arrays, name, buffer) for name, buffer in flats.items()}
    for name, buffer in flats.items():
        buffer[...] = found[name]
    state.measured = measured
    epochs, state.optimizer.count = counts
    score = best.get("accuracy")
    graph = state.with_values(kept, delays)
    epoch = best.get("epoch") if type(best.get("epoch")) is int else 0
    return Progressed(epochs, Best(graph, float("nan" if score is None else score), epoch))


def _like(arrays: dict[str, Array], name: str, expected: Array | None) -> Array:
    """A finite array of the file, copied, with the shape that is expected."""
    found = arrays.get(name)
    if found is None or expected is None or found.shape != np.shape(expected):
        raise ValueError(f" lacks array {name[:60]!r} of the right shape")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f": array {name[:60]!r} holds a value that is not finite")
    return np.array(found)
