"""Run files (`*.pjr`): outputs, final state, probes and counts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule import container
from picojoule.activity import Activity
from picojoule.errors import UsageError
from picojoule.sim.run import Run

Array = np.ndarray[Any, Any]
KIND = container.Kind("run", 1, UsageError, "PJ801", "PJ801", fix="run the program again")
PARTS = ("outputs", "state", "probes")


@dataclass(frozen=True)
class SavedRun:
    """A run read from a file: as `Run`, with digests in place of the program."""

    outputs: Mapping[str, Array]
    state: Mapping[str, Array]
    probes: Mapping[str, Array]
    activity: Activity
    program: str
    target: str
    engine: str
    seed: int = 0
    noise: Array | None = None


def save_run(run: Run, path: str | Path) -> None:
    """Write a run, whole or not at all.  Raises UsageError PJ801."""
    arrays = {f"{p}/{n}": a for p in PARTS for n, a in getattr(run, p).items()}
    activity = run.activity
    about = {
        "program": run.program.digest, "target": run.program.target, "engine": run.engine,
        "seed": run.seed,
        "components": activity.components, "actions": activity.actions,
        "samples": activity.samples, "steps": activity.steps, "windows": activity.windows,
        "machine": activity.machine, "nodes": activity.nodes,
    }  # fmt: skip
    arrays["activity/counts"] = activity.counts
    if run.noise is not None:
        arrays["noise"] = np.asarray(run.noise, np.int8)
    container.write(path, KIND, about, arrays)


def load_run(path: str | Path) -> SavedRun:
    """Read what `save_run` wrote.  Raises UsageError PJ801 for a damaged file."""
    about, arrays = container.read(path, KIND)
    return container.checked(Path(path), KIND, lambda: _saved(about, arrays))


def _saved(about: dict[str, Any], arrays: Mapping[str, Array]) -> SavedRun:
    parts: dict[str, dict[str, Array]] = {part: {} for part in PARTS}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part in parts:
            parts[part][rest] = array
    if "activity/counts" not in arrays:
        raise ValueError(" has no counts")
    activity = _activity(about, arrays["activity/counts"])
    words = {name: _text(about, name) for name in ("program", "target", "engine")}
    seed = _count(about, "seed", 0) if "seed" in about else 0
    return SavedRun(**parts, activity=activity, **words, seed=seed, noise=arrays.get("noise"))


def _activity(about: dict[str, Any], counts: Array) -> Activity:
    components, actions, windows = (
        _texts(about, name) for name in ("components", "actions", "windows")
    )
    samples, steps = _count(about, "samples"), _count(about, "steps")
    rows, columns = counts.shape[:2] if counts.ndim == 4 else (0, 0)
    good = (
        counts.dtype == np.int64
        and counts.shape[2:] == (len(components), len(actions))
        and rows in (1, samples)
        and columns in (1, steps)
        and not (counts.size and counts.min() < 0)
    )
    if not good:
        raise ValueError(f": counts of shape {list(counts.shape)} do not fit their names")
    nodes = about.get("nodes")
    if not isinstance(nodes, dict):
        raise ValueError(": nodes must be an object")
    held = {name: _texts(nodes, name) for name in nodes}
    machine = _text(about, "machine")
    return Activity(counts, components, actions, samples, steps, windows, machine, held)


def _text(about: dict[str, Any], name: str) -> str:
    value = about.get(name)
    if not isinstance(value, str):
        raise ValueError(f": {name} must be text")
    return value


def _texts(about: dict[str, Any], name: str) -> tuple[str, ...]:
    value = about.get(name)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f": {name} must be a list of texts")
    return tuple(value)


def _count(about: dict[str, Any], name: str, least: int = 1) -> int:
    value = about.get(name)
    if type(value) is not int or not least <= value < 2**40:
        raise ValueError(f": {name} must be a whole number from {least}")
    return value
