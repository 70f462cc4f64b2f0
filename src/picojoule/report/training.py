"""The health of a network that was, or could be, trained: from the trainer to rows of a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from picojoule.errors import TrainError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.kernels.blas import one_blas_thread
from picojoule.report.data import GradientHealth, LayerHealth, Row
from picojoule.train.health import Health, health

Array = np.ndarray
SAMPLES = 128  # measured on so many


def with_health(row: Row, found: Health | None) -> Row:
    """A row that shows the health of a training, such as `train.health.watch` gives it."""
    if found is None:
        return row
    layers = tuple(
        LayerHealth(
            node=name, mean=a.mean, deviation=a.deviation, zero=a.zero, dead=a.dead,
            saturated=a.saturated,
        )
        for name, a in found.activations.items()
    )  # fmt: skip
    gradients = tuple(
        GradientHealth(parameter=name, norm=g.norm, ratio=g.ratio, zero=g.zero)
        for name, g in found.gradients.items()
    )
    return replace(row, health=layers, gradients=gradients)


def measured(graph: Graph, x: Array | Events, y: Array) -> Health | None:
    """Health of a quantized graph on the first samples; of a frozen one, without gradients.

    None where it cannot be differentiated, or a label is no class.
    """
    part = x.take(0, min(SAMPLES, x.samples)) if isinstance(x, Events) else x[:SAMPLES]
    labels = np.asarray(y)[:SAMPLES]
    classes = graph.types[graph.output].size
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        return None
    try:
        with one_blas_thread():  # the same bits for any number of threads
            found = health(graph, part, labels)
    except TrainError:
        return None
    return Health(found.activations, {}) if graph.frozen else found
