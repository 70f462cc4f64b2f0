"""What can be chosen about training, and what a callback is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from numbers import Integral, Real
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.grad import ops
from picojoule.grad.optimize import OPTIMIZERS, SCHEDULES
from picojoule.grad.tape import Tensor
from picojoule.graph import Graph
from picojoule.kernels.train_blocks import Surrogate

if TYPE_CHECKING:
    from picojoule.train.model import Pass

Array = np.ndarray
Augment = Callable[[Array, np.random.Generator], Array]
Loss = Callable[[Tensor, Array], Tensor]
Penalty = Callable[["Pass"], Tensor]
Progress = Callable[["Epoch"], None]


GRADIENTS = ("bptt", "eprop")
MOST = 1e30  # no useful factor is larger


@dataclass(frozen=True)
class Range:
    """What a number may be: low..high, whole or real, or None where it may be absent."""

    low: float
    high: float = MOST
    whole: bool = False
    absent: bool = False

    def holds(self, given: object) -> bool:
        """Whether a value lies in it; NaN and what is no number do not."""
        if given is None:
            return self.absent
        number = isinstance(given, Integral if self.whole else Real)
        return number and self.low <= given <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        ends = f"of at least {self.low:g}" if self.high >= MOST else f"{self.low:g}..{self.high:g}"
        return f"{kind} {ends}{', or None' if self.absent else ''}"


PART, FACTOR, COUNT = Range(0.0, 1.0), Range(0.0), Range(1, whole=True)
POSITIVE, FROM_0 = Range(1 / MOST), Range(0, whole=True)
RANGES = {
    "warmup": PART, "floor": PART, "weight_decay": FACTOR, "smoothing": PART, "gain": POSITIVE,
    "average": Range(0.0, 0.999999), "clip": Range(1 / MOST, np.inf), "neuron_lr": FACTOR,
    "bias_lr": FACTOR, "step_lr": FACTOR, "delay_lr": FACTOR, "delay_max": COUNT,
    "momentum": PART, "freeze_statistics": PART, "live_statistics": PART, "trust": PART,
    "teacher_gain": POSITIVE, "surrogate.kind": Range(0, 4, whole=True),
    "surrogate.sharpness": POSITIVE, "patience": Range(1, whole=True, absent=True),
    "threads": Range(1, whole=True, absent=True),
}  # fmt: skip


@dataclass(frozen=True)
class Epoch:
    """What a callback is told after each epoch; accuracy is NaN without validation data.

    number    counted from 0, of `epochs`
    graph     the network as it is now: what would be returned if this epoch were the last
    probe     some samples and labels of the epoch, as the network saw them, for measurements
    seconds   of training in this epoch
    """

    number: int
    loss: float
    accuracy: float
    epochs: int = 0
    graph: Graph | None = field(default=None, compare=False, repr=False)
    probe: tuple[Array, Array] | None = field(default=None, compare=False, repr=False)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Options:
    """Everything about training that has a good default.

    optimizer     'adamw', 'adam' (decay in the gradient), 'sgd' (with momentum) or 'nesterov'
    schedule      of the learning rate: 'cosine', 'linear', 'step' or 'constant'
    warmup        part of all steps in which the rate rises
    floor         part of the rate that is left at the end
    weight_decay  shrinks weights (arrays of two axes or more) by lr times this, each step
    smoothing     part of each label that is spread over all classes
    gain          factor from scores to logits
    loss          of logits and targets, both (n, classes)
    penalties     each adds to the loss what it makes of a forward pass: `train.penalties`
    augment       changes each batch of samples: (x, generator) -> x
    average       decay of the running average of parameters that is returned; 0: the last ones
    clip          largest Euclidean norm of a gradient
    neuron_lr     factor of the rate for decays and thresholds of neurons
    bias_lr       factor of the rate for biases of neurons; with both 0 neurons stay as they are
    step_lr       factor of the rate for steps, which move in the log domain
    delay_lr      factor of the rate for delays of synapse groups, in steps; 0: as given.  Adam
                  moves a delay by at most about lr * delay_lr steps at once: try 50
    delay_max     the longest delay that is learned, in steps; a machine's own limit holds too
    momentum      of the running statistics of batch norm
    freeze_statistics
                  part of the epochs after which they stay, and normalize training too
    live_statistics
                  part of the epochs in which batch norm that is folded into a quantized graph
                  uses, and remembers, those of each batch; then they are frozen
    fixed         names of parameters that stay as they are
    patience      epochs without a better validation accuracy, then training stops
    checkpoint    a file that holds all of training after each epoch; `resume` goes on from it
    teacher       a float graph whose answers are mixed into the labels, with weight `trust`;
                  `teacher_gain`: factor from its scores to logits
    surrogate     slope that stands for that of a spike
    gradient      of spiking networks: 'bptt', through all steps backwards, or 'eprop', forwards
                  in time, of weights alone: `train.eprop`
    threads       of the pool; None: as many as there are cores
    keep_interrupted
                  an interrupt ends training with a warning and the best so far; or it is raised
    """

    optimizer: str = "adamw"
    schedule: str = "cosine"
    warmup: float = 0.05
    floor: float = 0.0
    weight_decay: float = 0.0
    smoothing: float = 0.0
    gain: float = 1.0
    loss: Loss = ops.softmax_cross_entropy
    penalties: tuple[Penalty, ...] = ()
    augment: Augment | None = None
    average: float = 0.0
    clip: float = 10.0
    neuron_lr: float = 1.0
    bias_lr: float = 1.0
    step_lr: float = 1.0
    delay_lr: float = 0.0
    delay_max: int = 62  # what the delay field of loihi1 holds (hardware_models/loihi1.yaml)
    momentum: float = 0.1
    freeze_statistics: float = 1.0
    live_statistics: float = 0.0
    fixed: tuple[str, ...] = ()
    patience: int | None = None
    checkpoint: str | Path | None = None
    resume: bool = False
    teacher: Graph | None = None
    trust: float = 0.5
    teacher_gain: float = 1.0
    surrogate: Surrogate = Surrogate()
    gradient: str = "bptt"
    threads: int | None = None
    keep_interrupted: bool = True

    def __post_init__(self) -> None:
        faults = [
            Fault("PJ806", f"{what}={given!r} is none of {sorted(known)}")
            for what, given, known in (
                ("optimizer", self.optimizer, OPTIMIZERS), ("schedule", self.schedule, SCHEDULES),
                ("gradient", self.gradient, GRADIENTS))
            if given not in tuple(known)
        ]  # fmt: skip
        faults += [*self._misshapen()]
        faults += [
            Fault("PJ806", f"{name}={given!r} is impossible", fix=f"{name}: {room}")
            for name, room in RANGES.items()
            if not name.startswith("surrogate.") or isinstance(self.surrogate, Surrogate)
            if not room.holds(given := attrgetter(name)(self))
        ]  # fmt: skip
        if self.resume and self.checkpoint is None:
            faults.append(Fault("PJ806", "resume=True without a checkpoint to go on from",
                                fix="checkpoint='training.pjc'"))  # fmt: skip
        if faults:
            raise UsageError(faults)

    def _misshapen(self) -> Iterator[Fault]:
        if not isinstance(self.surrogate, Surrogate):
            yield Fault("PJ806", f"surrogate={self.surrogate!r} is no Surrogate",
                        fix="surrogate=Surrogate(kind, sharpness)")  # fmt: skip
        if isinstance(self.fixed, str):
            yield Fault("PJ806", f"fixed={self.fixed!r} is one text, not names of parameters",
                        fix=f"fixed=({self.fixed!r},)")  # fmt: skip
