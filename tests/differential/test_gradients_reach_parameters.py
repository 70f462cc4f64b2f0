"""Training on integers moves every parameter that decides them, and learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from tests.graph.build import Draft, residual
from tests.graph.build import recurrent as recurrent_net
from tests.graph.build import spiking as spiking_net

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph
from picojoule.graph.ops import Input
from picojoule.train import Options, accuracy, fit, start_quantized

pytestmark = pytest.mark.filterwarnings("ignore::picojoule.passes.PicojouleWarning")
SAMPLES, CLASSES = 16, 4
OPTIONS = Options()


def dense() -> Graph:
    """Batch norm, ReLU, two residual sums, biases."""
    return residual(1, width=16, blocks=2, classes=CLASSES, norm=True)


def feed_forward() -> Graph:
    return spiking_net(1, (12, 14, CLASSES), delays=True)


def recurrent() -> Graph:
    return recurrent_net(2, (12, 10, CLASSES))


def events() -> Graph:
    """Neurons of events, with all constants a neuron can have, each of its own."""
    draft = Draft(5)
    x = draft.node("input", Input(shape=(12,), kind="spike"))
    for k, (n_in, n) in enumerate([(12, 10), (10, CLASSES)], 1):
        x = draft.lif(f"lif{k}", n, draft.dense(f"fc{k}", x, n_in, n, gain=2.0, bias=False),
                      each=True)  # fmt: skip
    return draft.graph("events", x, Encoder(kind="events", shape=(12,), steps=12),
                       readout=Readout(kind="count"), steps=12)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A network, the machine, bits, and names that training leaves alone (by their end)."""

    build: Callable[[], Graph]
    machine: str
    bits: int
    fixed: tuple[str, ...] = ("nothing",)
    lr: float = 1e-2


PROBLEMS = {
    "dense8": Problem(dense, "tensor", 8, ("input.step", ".mean", ".variance")),
    "dense4": Problem(dense, "tensor", 4, ("input.step", ".mean", ".variance")),
    "dense2": Problem(dense, "tensor", 2, ("input.step", ".mean", ".variance")),
    "feed_forward": Problem(feed_forward, "loihi1", 8),
    "recurrent": Problem(recurrent, "loihi1", 8),
    "events": Problem(events, "loihi1", 4),
}


def data(graph: Graph):
    """Patterns of one class each, with a little noise: easily learned by heart."""
    rng = np.random.default_rng(7)
    y = np.arange(SAMPLES) % CLASSES
    encoder = graph.encoder
    if encoder.kind == "affine":
        centres = rng.normal(size=(CLASSES, *encoder.shape))
        return centres[y] + rng.normal(0, 0.1, (SAMPLES, *encoder.shape)), y
    rate = np.clip(rng.random((CLASSES, *encoder.shape))[y], 0, 1)
    if encoder.kind == "rate":
        return rate, y
    return rng.random((SAMPLES, encoder.steps, *encoder.shape)) < rate[:, None], y


@pytest.fixture(params=PROBLEMS)
def problem(request, machines):
    """(Problem, live graph, samples, labels)"""
    found = PROBLEMS[request.param]
    graph = found.build()
    x, y = data(graph)
    live = start_quantized(graph, machines[found.machine], x, bits=found.bits)
    return found, live, x, y


def test_one_step_moves_every_parameter(problem):
    made, live, x, y = problem
    after = fit(live, x, y, epochs=1, batch=SAMPLES, lr=made.lr, options=OPTIONS)
    still = {name for name, array in live.params.items()
             if np.array_equal(np.float32(array), np.float32(after.params[name]))}  # fmt: skip
    assert still == {name for name in live.params if name.endswith(made.fixed)}


def test_integers_are_learned_by_heart(problem):
    made, live, x, y = problem
    losses: list[float] = []
    after = fit(live, x, y, epochs=100, batch=SAMPLES, lr=made.lr, options=OPTIONS,
                callback=lambda epoch: losses.append(epoch.loss))  # fmt: skip
    before, learned = accuracy(live, x, y), accuracy(after, x, y)
    assert losses[-1] < 0.5 * losses[0], losses[::20]
    assert before < 0.9 < learned
