"""What changes during training: flat parameters, their optimizer, measured statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from picojoule.errors import Fault, TrainError, UsageError
from picojoule.grad.optimize import OPTIMIZERS, Layout, Optimizer, follow, layout_of
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.graph.ops import INTEGER_OPS, IntCuba
from picojoule.train.delays import DELAYS, Learned, learned, with_learned
from picojoule.train.eprop import check_eprop
from picojoule.train.learned_edges import settled
from picojoule.train.model import Model, is_step, prepare, trainable
from picojoule.train.options import Options
from picojoule.train.wiring import NEURONS

Array = np.ndarray
SMALLEST = np.float32(1e-3)  # threshold


@dataclass(eq=False)
class State:
    """Parameters of a training, flat, and their optimizer.

    gradient  a buffer for the gradient of one step
    limits    parameter -> (constant, low, high): it must lie in low..high times the constant
    measured  running statistics, by parameter name
    delays    those of synapse groups, where they are learned: among the parameters as DELAYS
    """

    model: Model
    layout: Layout
    flat: Array
    average: Array
    gradient: Array
    optimizer: Optimizer
    limits: dict[str, tuple[str, float, float]]
    teacher: Model | None
    measured: dict[str, Array] = field(default_factory=dict)
    delays: Learned | None = None

    def graph(self, flat: Array) -> Graph:
        """The graph with parameters from a flat buffer."""
        real = {n: real_of(n, v).copy() for n, v in self.layout.unpack(flat).items()}
        return self.with_values(real, real.pop(DELAYS, None))

    def with_values(self, real: dict[str, Array], delays: Array | None) -> Graph:
        """The graph with such parameters, and delays (G,) where they are learned."""
        graph = settled(self.model.graph.with_params({**self.measured, **real}))
        if delays is None:
            return graph
        assert self.model.flat is not None
        return with_learned(graph, self.model.flat, delays)

    def chosen(self, options: Options) -> Array:
        """The parameters that are worth keeping: the running average where there is one."""
        return self.average if options.average else self.flat

    def leaves(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(trained parameters, all others) as tensors."""
        stored = self.layout.unpack(self.flat)
        trained = {n: Tensor(real_of(n, v), wants=True) for n, v in stored.items()}
        params = {**self.model.graph.params, **self.measured}
        return trained, {n: Tensor(a) for n, a in params.items() if n not in trained}


def start(graph: Graph, options: Options) -> State:
    """Lay out a graph for training.  Raises TrainError PJ704 where it cannot be trained."""
    if graph.frozen and graph.names(*INTEGER_OPS):
        raise TrainError(Fault(
            "PJ704", f"{graph.name!r} is frozen: its integers have no real parameters left",
            fix="fine-tune the float network that it came from",
        ))  # fmt: skip
    unknown = [name for name in options.fixed if name not in graph.params]
    if unknown:
        raise UsageError(Fault(
            "PJ806", f"fixed={unknown} are no parameters of {graph.name!r}",
            fix=f"some of {', '.join(sorted(graph.params))}",
        ))  # fmt: skip
    model = prepare(graph, options.surrogate, options.threads, options.gradient)
    biases = neuron_biases(graph)
    if options.gradient == "eprop":
        check_eprop(graph, model.flat, options, biases)
    names = [
        name for name in trainable(graph)
        if name not in options.fixed and _rate(name, options, biases) > 0
    ]  # fmt: skip
    arrays = {n: np.asarray(graph.params[n], np.float32) for n in names}
    late = learned(graph, model.flat, options.delay_max) if options.delay_lr else None
    if late is not None:
        arrays[DELAYS] = late.start
    layout = layout_of(arrays)
    stored = {n: np.log(a) if is_step(n) else a for n, a in arrays.items()}
    flat = layout.pack(stored)
    decay = layout.pack({n: _full(a, options.weight_decay if a.ndim >= 2 else 0.0)
                         for n, a in arrays.items()})  # fmt: skip
    rates = layout.pack({n: _full(a, _rate(n, options, biases)) for n, a in arrays.items()})
    teacher = None if options.teacher is None else prepare(options.teacher)
    optimizer = OPTIMIZERS[options.optimizer](flat.size, decay=decay, factor=rates)
    return State(model, layout, flat, flat.copy(), np.empty_like(flat), optimizer,
                 field_limits(graph), teacher, delays=late)  # fmt: skip


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


def neuron_biases(graph: Graph) -> set[str]:
    """Names of the parameters that biases of neurons are made of."""
    found = {graph.constants(node).get("bias", "") for node in
             (graph[name] for name in graph.names(*NEURONS))}  # fmt: skip
    return found | {made.inputs[0] for name, made in graph.derived.items() if name in found}


def _rate(name: str, options: Options, biases: set[str]) -> float:
    if is_step(name):
        return options.step_lr
    if name in biases:
        return options.bias_lr
    if name == DELAYS:
        return options.delay_lr
    return options.neuron_lr if name.endswith((".decay_u", ".decay_v", ".v_th")) else 1.0


def real_of(name: str, stored: Array) -> Array:
    """A parameter from what the flat buffer holds: itself, or the logarithm of a step."""
    return np.exp(stored) if is_step(name) else stored


def stored_gradient(name: str, leaf: Tensor) -> Array | None:
    """Gradient of what the flat buffer holds: a parameter, or the logarithm of a step."""
    if leaf.grad is None or not is_step(name):
        return leaf.grad
    return leaf.grad * leaf.data


def advance(
    state: State, g: Array, rate: float, measured: dict[str, Array], options: Options
) -> None:
    """One step of the optimizer, then of all that follows parameters."""
    state.optimizer.step(state.flat, g, rate, options.threads)
    _project(state)
    count = state.optimizer.count
    keep = min(options.average, (1 + count) / (10 + count))
    follow(state.average, state.flat, keep, options.threads)
    for name, found in measured.items():
        old = state.measured.get(name, state.model.graph.params[name])
        state.measured[name] = (old + np.float32(options.momentum) * (found - old)).astype(
            np.float32)  # fmt: skip


def _project(state: State) -> None:
    """Decays stay in 0..1, thresholds positive, delays and registers within what they hold."""
    views = state.layout.unpack(state.flat)
    if state.delays is not None:
        state.delays.clip(views[DELAYS])
    for name, part in views.items():
        if name.endswith((".decay_u", ".decay_v")):
            np.clip(part, 0.0, 1.0, out=part)
        if name.endswith(".v_th"):
            np.maximum(part, SMALLEST, out=part)
    if not state.limits:
        return
    now = state.model.graph.with_params({n: real_of(n, v) for n, v in views.items() if n != DELAYS})
    for name, (constant, low, high) in state.limits.items():
        if name in views:
            unit = float(now.value(constant))
            np.clip(views[name], low * unit, high * unit, out=views[name])
