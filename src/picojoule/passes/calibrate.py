"""Look at what a float network computes on samples, before integers are chosen for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import CubaLif
from picojoule.passes.as_real import as_real, real

SAMPLES_MAX = {"affine": 512, "rate": 64, "events": 64}


@dataclass(frozen=True)
class Peaks:
    """Largest magnitudes that a population met, in real units.

    q  summed synaptic input of one step        u  current
    """

    q: float
    u: float


def observe(graph: Graph, samples: np.ndarray | Events | None) -> dict[str, np.ndarray]:
    """Results of every node, (samples, [steps,] *shape), on evenly picked samples.

    Raises UsageError PJ802, PJ803 or PJ807 where the samples cannot be used.
    """
    if samples is None or len(_batch(samples)) == 0:
        raise UsageError(Fault(
            "PJ803", f"quantizing {graph.name!r} needs samples to calibrate with, got none",
            fix="give calibrate= a few dozen samples of the training data",
        ))  # fmt: skip
    most = SAMPLES_MAX[graph.encoder.kind]
    if isinstance(samples, Events):
        return interpret(as_real(graph), samples.take(0, min(samples.samples, most)))
    batch = _batch(samples)
    picked = batch[:: -(-len(batch) // most)]
    _check(graph, picked)
    return interpret(as_real(graph), picked)


def _batch(samples: np.ndarray | Events) -> np.ndarray:
    """Samples as an array of at least one axis; of Events, something of the same length."""
    found = np.zeros(samples.samples) if isinstance(samples, Events) else np.asarray(samples)
    return np.atleast_1d(found)


def _check(graph: Graph, samples: np.ndarray) -> None:
    shape = graph.encoder.shape
    steps = (-1,) if graph.encoder.kind == "events" else ()
    fits = samples.ndim == 1 + len(steps) + len(shape)
    if not fits or samples.shape[len(samples.shape) - len(shape) :] != shape:
        wanted = ["samples", *(["steps"] if steps else []), *shape]
        raise UsageError(Fault(
            "PJ802", f"calibration samples have shape {list(samples.shape)},"
            f" {graph.name!r} takes [{', '.join(map(str, wanted))}]",
        ))  # fmt: skip
    if samples.dtype.kind not in "biuf":
        what = f"calibration samples are {samples.dtype.name}, not numbers"
        raise UsageError(Fault("PJ802", what))
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        first = tuple(map(int, np.argwhere(~np.isfinite(samples))[0]))
        what = f"calibration samples have values that are not finite, the first at {first}"
        raise UsageError(Fault("PJ807", what, fix="leave those samples out"))


def peaks(graph: Graph, name: str, seen: dict[str, np.ndarray] | None) -> Peaks:
    """What the neurons `name` met; without samples, a bound for inputs that all fire."""
    node = graph[name]
    lif = node.op
    assert isinstance(lif, CubaLif)
    keep = 1 - np.asarray(graph.value(lif.decay_u), np.float64)
    if seen is None:
        q = sum(_row_sums(graph, source) for source in node.inputs)
        return Peaks(q, q / max(1 - float(keep.max(initial=0.0)), 2.0**-12))
    q_all = sum(seen[source] for source in node.inputs)
    u = np.zeros_like(q_all[:, 0])
    highest = 0.0
    for step in range(q_all.shape[1]):
        u = keep * u + q_all[:, step]
        highest = max(highest, float(np.abs(u).max()))
    return Peaks(float(np.abs(q_all).max()), highest)


def _row_sums(graph: Graph, source: str) -> float:
    weight = graph.constants(graph[source]).get("weight")
    if weight is None:
        return 1.0
    return float(np.abs(real(graph, weight)).sum(axis=1).max())
