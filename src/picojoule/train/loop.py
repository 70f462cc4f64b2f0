"""The training loop, for float graphs and for quantized graphs with live derivations."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.fixed.contract import Events
from picojoule.grad import ops
from picojoule.grad.optimize import SCHEDULES, clip_norm
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Graph
from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.memory import kept_memory
from picojoule.kernels.pool import usual_threads
from picojoule.passes import PicojouleWarning
from picojoule.train.batches import Batch, Batches, Stream, batches
from picojoule.train.checkpoint import Best, Progressed, resume, save, settings_of
from picojoule.train.evaluate import accuracy, finite_faults
from picojoule.train.model import Model, forward_pass
from picojoule.train.options import COUNT, FACTOR, FROM_0, Epoch, Options, Progress
from picojoule.train.state import State, advance, start, stored_gradient

Array = np.ndarray
PROBE = 128  # samples of an epoch that a callback may measure with


@dataclass(frozen=True)
class _Plan:
    """What stays the same during one training."""

    data: Batches
    epochs: int
    lr: float
    options: Options
    validation: tuple[Array, Array] | None
    settings: dict[str, Any]

    @property
    def steps(self) -> int:
        """Steps of the optimizer in all."""
        return self.epochs * len(self.data)


def fit(
    graph: Graph, x: Array | Events | Stream, y: Array | None, *, epochs: int, batch: int = 64,
    lr: float = 2e-3, seed: int = 0, validation: tuple[Array, Array] | None = None,
    callback: Progress | None = None, options: Options | None = None,
) -> Graph:  # fmt: skip
    """Train all real parameters of a graph, by Adam on a cosine schedule unless told otherwise.

    x (n, *shape) samples, or events, or a stream of chunks; y (n,) labels, None with a stream.
    With validation data the best epoch is returned, else the last.  Same bits for any thread
    count, and for a training that was cut between epochs and resumed from its checkpoint.
    Raises TrainError PJ701 when the loss is not finite, PJ702 for labels out of range, PJ704
    for graphs that cannot be trained, PJ705 to PJ707 for checkpoints; UsageError PJ803, PJ806.
    """
    options = options or Options()
    _check_numbers(epochs, batch, lr, seed)
    data = batches(graph, x, y, size=batch, seed=seed, augment=options.augment)
    state = start(graph, options)
    settings = settings_of(state, data, options, lr, epochs)
    plan = _Plan(data, epochs, lr, options, validation, settings)
    done = Progressed()
    if options.resume and options.checkpoint is not None:
        done = resume(state, settings, Path(options.checkpoint))
    try:
        with one_blas_thread(), kept_memory(), usual_threads(options.threads):
            for told in _epochs(state, done, plan):
                if callback is not None:
                    callback(told)
    except KeyboardInterrupt:
        if not options.keep_interrupted:
            raise
        at = min(done.epochs + 1, epochs)
        what = f"training was interrupted in epoch {at} of {epochs}; the best is kept"
        warnings.warn(what, PicojouleWarning, stacklevel=2)
    return done.best.graph if done.best is not None else state.graph(state.flat)


def _check_numbers(epochs: int, batch: int, lr: float, seed: int) -> None:
    faults = [
        Fault("PJ806", f"{name}={value!r} is impossible", fix=f"{name}: {room}")
        for name, value, room in (
            ("epochs", epochs, FROM_0), ("batch", batch, COUNT), ("lr", lr, FACTOR),
            ("seed", seed, FROM_0))
        if not room.holds(value)
    ]  # fmt: skip
    if faults:
        raise UsageError(faults)


def _epochs(state: State, done: Progressed, plan: _Plan) -> Iterator[Epoch]:
    """Train epoch after epoch; each is counted as done after its callback has returned."""
    while done.epochs < plan.epochs and not done.exhausted(plan.options.patience):
        began = time.perf_counter()
        loss, probe = _epoch(state, plan, done.epochs)
        seconds = time.perf_counter() - began
        found = state.graph(state.chosen(plan.options))
        score = accuracy(found, *plan.validation) if plan.validation else float("nan")
        if done.best is None or plan.validation is None or score > done.best.accuracy:
            done.best = Best(found, score, done.epochs)
        told = Epoch(done.epochs, loss, score, plan.epochs, found, probe, seconds)
        if plan.options.checkpoint is not None:
            save(state, done, plan.settings, plan.options.checkpoint)
        yield told
        done.epochs += 1


def _epoch(state: State, plan: _Plan, number: int) -> tuple[float, Batch]:
    """One pass over the data in an order of its own; mean loss, and the first samples."""
    options, probe, losses = plan.options, None, []
    live = (number < options.freeze_statistics * plan.epochs,
            number < options.live_statistics * plan.epochs)  # fmt: skip
    for x, y in plan.data.epoch(number):
        probe = probe or (x[:PROBE], y[:PROBE])
        part = SCHEDULES[options.schedule](
            state.optimizer.count, plan.steps, warmup=options.warmup, floor=options.floor
        )
        losses.append(_step(state, x, y, plan.lr * part, options, live))
    assert probe is not None
    return float(np.mean(losses)), probe


def _step(state: State, x: Array, y: Array, rate: float, options: Options,
          live: tuple[bool, bool]) -> float:  # fmt: skip
    """One batch: forward, back, one step of the optimizer; returns the loss.

    live  whether batch norm uses, and remembers, the statistics of this batch: that of float
          graphs, and that which is folded into integer layers
    """
    leaves, others = state.leaves()
    made = forward_pass(state.model, {**others, **leaves}, x, *live)
    logits = ops.scale(made.scores, options.gain)
    target = _targets(state.teacher, x, y, logits.shape[1], options)
    loss = options.loss(logits, target)
    for penalty in options.penalties:
        loss = ops.add(loss, penalty(made))
    value = float(loss.data)
    if not np.isfinite(value):
        raise TrainError(finite_faults(state.graph(state.flat), x, state.optimizer.count))
    backward(loss)
    arrived = {n: stored_gradient(n, leaf) for n, leaf in leaves.items()}
    g = state.layout.pack(arrived, out=state.gradient)
    if not np.isfinite(clip_norm(g, options.clip)):
        raise TrainError(finite_faults(state.graph(state.flat), x, state.optimizer.count))
    advance(state, g, rate, made.statistics, options)
    return value


def _targets(teacher: Model | None, x: Array, y: Array, classes: int, options: Options) -> Array:
    target = ops.smoothed(y, classes, options.smoothing, np.float32)
    if teacher is None:
        return target
    params = {n: Tensor(a) for n, a in teacher.graph.params.items()}
    z = forward_pass(teacher, params, x).scores.data * np.float32(options.teacher_gain)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return np.float32(1 - options.trust) * target + np.float32(options.trust) * p
