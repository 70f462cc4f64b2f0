"""The training loop, for float graphs and for quantized graphs with live derivations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.fixed.contract import Events
from picojoule.grad import ops
from picojoule.grad.optimize import Adam, Layout, clip_norm, cosine, layout_of
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Graph
from picojoule.graph.ops import INTEGER_OPS, IntCuba
from picojoule.kernels.blas import one_blas_thread
from picojoule.kernels.train_blocks import Surrogate
from picojoule.passes import PicojouleWarning
from picojoule.train.evaluate import accuracy, finite_faults
from picojoule.train.model import (
    Model,
    is_step,
    prepare,
    run_scores,
    samples_of,
    trainable,
)

Array = np.ndarray
Augment = Callable[[Array, np.random.Generator], Array]
Progress = Callable[["Epoch"], None]
SHUFFLE, AUGMENT = 1, 2  # streams of random numbers
SMALLEST = np.float32(1e-3)  # threshold


@dataclass(frozen=True)
class Epoch:
    """What a callback is told after each epoch; accuracy is NaN without validation data."""

    number: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Options:
    """Everything about training that has a good default.

    weight_decay  shrinks weights (arrays of two axes) by lr times this, each step
    smoothing     part of each label that is spread over all classes
    gain          factor from scores to logits
    augment       changes each batch of samples: (x, generator) -> x
    average       decay of the running average of parameters that is returned; 0: the last ones
    clip          largest Euclidean norm of a gradient
    neuron_lr     factor of the rate for decays, thresholds and biases of neurons
    step_lr       factor of the rate for steps, which move in the log domain
    momentum      of the running statistics of batch norm
    teacher       a float graph whose answers are mixed into the labels, with weight `trust`
    keep_interrupted
                  an interrupt ends training with a warning and the best so far; or it is raised
    """

    weight_decay: float = 0.0
    smoothing: float = 0.0
    gain: float = 1.0
    augment: Augment | None = None
    average: float = 0.0
    clip: float = 10.0
    neuron_lr: float = 1.0
    step_lr: float = 1.0
    momentum: float = 0.1
    teacher: Graph | None = None
    trust: float = 0.5
    teacher_gain: float = 1.0
    surrogate: Surrogate = Surrogate()
    threads: int | None = None
    keep_interrupted: bool = True


@dataclass(eq=False)
class _State:
    """What changes during training: parameters, flat, and their optimizer.

    limits  parameter -> (constant, low, high): it must lie in low..high times the constant
    """

    model: Model
    layout: Layout
    flat: Array
    average: Array
    rates: Array
    adam: Adam
    limits: dict[str, tuple[str, float, float]]
    teacher: Model | None
    measured: dict[str, Array] = field(default_factory=dict)

    def graph(self, flat: Array) -> Graph:
        """The graph with parameters from a flat buffer."""
        real = {n: _real(n, v).copy() for n, v in self.layout.unpack(flat).items()}
        return self.model.graph.with_params({**real, **self.measured})


def fit(
    graph: Graph, x: Array | Events, y: Array, *, epochs: int, batch: int = 64, lr: float = 2e-3,
    seed: int = 0, validation: tuple[Array, Array] | None = None,
    callback: Progress | None = None, options: Options | None = None,
) -> Graph:  # fmt: skip
    """Train all real parameters of a graph by Adam on a cosine schedule.

    x (n, *shape) samples, or events; y (n,) labels.  With validation data the best epoch is
    returned, else the last.  Same bits for any thread count.
    Raises TrainError PJ701 when the loss is not finite, PJ702 for labels out of range,
    PJ704 for graphs that cannot be trained; UsageError PJ803 for no data, PJ806.
    """
    options = options or Options()
    y = np.asarray(y)
    check_data(graph, x, y)
    x = samples_of(graph, x)
    _check_numbers(epochs, batch, lr, seed)
    state = _start(graph, options)
    best, best_accuracy = None, -1.0
    steps = epochs * -(-len(y) // batch)
    try:
        with one_blas_thread():
            for number in range(epochs):
                loss = _epoch(state, x, y, number, batch, lr, steps, seed, options)
                found = state.graph(_chosen(state, options))
                score = accuracy(found, *validation) if validation else float("nan")
                if validation is None or score > best_accuracy:
                    best, best_accuracy = found, score
                if callback is not None:
                    callback(Epoch(number, loss, score))
    except KeyboardInterrupt:
        if not options.keep_interrupted:
            raise
        what = f"training was interrupted in epoch {number + 1} of {epochs}; the best is kept"
        warnings.warn(what, PicojouleWarning, stacklevel=2)
    return best if best is not None else state.graph(state.flat)


def check_data(graph: Graph, x: Array | Events, y: Array) -> None:
    """Raises TrainError PJ702, UsageError PJ802 or PJ803 for data that cannot be learned."""
    if len(y) == 0:
        raise UsageError(Fault("PJ803", "there are no samples to train on"))
    count = x.samples if isinstance(x, Events) else len(x)
    if count != len(y):
        raise UsageError(Fault("PJ802", f"{count} samples, but {len(y)} labels"))
    classes = graph.types[graph.output].size
    if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= classes:
        raise TrainError(Fault(
            "PJ702", f"labels must be integers 0..{classes - 1}, found {y.min()}..{y.max()}",
            where=f"output {graph.output!r} has {classes} values",
        ))  # fmt: skip


def _check_numbers(epochs: int, batch: int, lr: float, seed: int) -> None:
    faults = [
        Fault("PJ806", f"{name}={value} is impossible", fix=f"{name} of at least {least}")
        for name, value, least in (
            ("epochs", epochs, 0), ("batch", batch, 1), ("lr", lr, 0), ("seed", seed, 0))
        if not value >= least
    ]  # fmt: skip
    if faults:
        raise UsageError(faults)


def _start(graph: Graph, options: Options) -> _State:
    if graph.frozen and graph.names(*INTEGER_OPS):
        raise TrainError(Fault(
            "PJ704", f"{graph.name!r} is frozen: its integers have no real parameters left",
            fix="fine-tune the float network that it came from",
        ))  # fmt: skip
    model = prepare(graph, options.surrogate, options.threads)
    names = trainable(graph)
    arrays = {n: np.asarray(graph.params[n], np.float32) for n in names}
    layout = layout_of(arrays)
    stored = {n: np.log(a) if is_step(n) else a for n, a in arrays.items()}
    flat = layout.pack(stored)
    decay = layout.pack({n: _full(a, options.weight_decay if a.ndim == 2 else 0.0)
                         for n, a in arrays.items()})  # fmt: skip
    rates = layout.pack({n: _full(a, _rate(n, a, options)) for n, a in arrays.items()})
    teacher = None if options.teacher is None else prepare(options.teacher)
    return _State(model, layout, flat, flat.copy(), rates, Adam(flat.size, decay=decay),
                  field_limits(graph), teacher)  # fmt: skip


def field_limits(graph: Graph) -> dict[str, tuple[str, float, float]]:
    """What the registers of neurons can hold, for parameters that are quantized into them."""
    found = {}
    for node in graph.nodes:
        fields = graph.constants(node) if isinstance(node.op, IntCuba) else {}
        for where in ("v_th", "bias"):
            made = graph.derived.get(fields.get(where, ""))
            if made is not None and made.function == "quantize":
                options = dict(made.options)
                low = 1.0 if where == "v_th" else float(options["low"])
                found[made.inputs[0]] = (made.inputs[1], low, float(options["high"]))
    return found


def _full(array: Array, value: float) -> Array:
    return np.full(array.shape, value, np.float32)


def _rate(name: str, array: Array, options: Options) -> float:
    if is_step(name):
        return options.step_lr
    return options.neuron_lr if name.endswith((".decay_u", ".decay_v", ".v_th")) else 1.0


def _real(name: str, stored: Array) -> Array:
    return np.exp(stored) if is_step(name) else stored


def _chosen(state: _State, options: Options) -> Array:
    return state.average if options.average else state.flat


def _epoch(
    state: _State, x: Array, y: Array, number: int, batch: int, lr: float, steps: int,
    seed: int, options: Options,
) -> float:  # fmt: skip
    """One pass over the data in an order of its own; returns the mean loss."""
    order = _random(seed, SHUFFLE, number).permutation(len(y))
    random = _random(seed, AUGMENT, number)
    losses = []
    for at in range(0, len(y), batch):
        chosen = order[at : at + batch]
        samples = x[chosen]
        if options.augment is not None:
            samples = options.augment(samples, random)
        rate = lr * cosine(state.adam.count, steps)
        losses.append(_step(state, samples, y[chosen], rate, options))
    return float(np.mean(losses))


def _random(seed: int, stream: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, (stream << 32) + epoch]))


def _step(state: _State, x: Array, y: Array, rate: float, options: Options) -> float:
    """One batch: forward, back, one step of the optimizer; returns the loss."""
    stored = state.layout.unpack(state.flat)
    leaves = {n: Tensor(_real(n, v), wants=True) for n, v in stored.items()}
    others = {n: Tensor(a) for n, a in {**state.model.graph.params, **state.measured}.items()
              if n not in leaves}  # fmt: skip
    z, measured = run_scores(state.model, {**others, **leaves}, x, training=True)
    logits = ops.scale(z, options.gain)
    target = _targets(state.teacher, x, y, z.shape[1], options)
    loss = ops.softmax_cross_entropy(logits, target)
    value = float(loss.data)
    if not np.isfinite(value):
        raise TrainError(finite_faults(state.graph(state.flat), x, state.adam.count))
    backward(loss)
    g = state.layout.pack({n: stored_gradient(n, leaf) for n, leaf in leaves.items()})
    if not np.isfinite(clip_norm(g, options.clip)):
        raise TrainError(finite_faults(state.graph(state.flat), x, state.adam.count))
    state.adam.step(state.flat, g, rate * state.rates)
    _project(state)
    _remember(state, measured, options)
    return value


def _targets(teacher: Model | None, x: Array, y: Array, classes: int, options: Options) -> Array:
    target = ops.smoothed(y, classes, options.smoothing, np.float32)
    if teacher is None:
        return target
    params = {n: Tensor(a) for n, a in teacher.graph.params.items()}
    z = run_scores(teacher, params, x)[0].data * np.float32(options.teacher_gain)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return np.float32(1 - options.trust) * target + np.float32(options.trust) * p


def stored_gradient(name: str, leaf: Tensor) -> Array | None:
    """Gradient of what the flat buffer holds: a parameter, or the logarithm of a step."""
    if leaf.grad is None or not is_step(name):
        return leaf.grad
    return leaf.grad * leaf.data


def _project(state: _State) -> None:
    """Decays stay in 0..1, thresholds positive, and registers within what they hold."""
    views = state.layout.unpack(state.flat)
    for name, part in views.items():
        if name.endswith((".decay_u", ".decay_v")):
            np.clip(part, 0.0, 1.0, out=part)
        if name.endswith(".v_th"):
            np.maximum(part, SMALLEST, out=part)
    if not state.limits:
        return
    now = state.model.graph.with_params({n: _real(n, v) for n, v in views.items()})
    for name, (constant, low, high) in state.limits.items():
        if name in views:
            unit = float(now.value(constant))
            np.clip(views[name], low * unit, high * unit, out=views[name])


def _remember(state: _State, measured: dict[str, Array], options: Options) -> None:
    keep = min(options.average, (1 + state.adam.count) / (10 + state.adam.count))
    state.average += np.float32(1 - keep) * (state.flat - state.average)
    for name, found in measured.items():
        old = state.measured.get(name, state.model.graph.params[name])
        state.measured[name] = (old + np.float32(options.momentum) * (found - old)).astype(
            np.float32)  # fmt: skip
