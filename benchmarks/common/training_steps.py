"""Our side of the training benchmark: one step of each case, on the arrays of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from common.training_cases import HIDDEN, KEEP, SHARPNESS, TAPE_LENGTH, Arrays
from picojoule import nn, passes, target
from picojoule.fixed.contract import Encoder, Readout, events_from_raster
from picojoule.grad import ops
from picojoule.grad.convolution import conv, global_average_pool
from picojoule.grad.optimize import Adam, layout_of
from picojoule.grad.quantize import fake_quantize
from picojoule.grad.tape import Tensor, backward
from picojoule.kernels.train_blocks import Neurons, Surrogate, run_backward, run_real
from picojoule.kernels.train_spiking import Wiring
from picojoule.train.model import forward_pass, prepare, trainable

Step = Callable[[], tuple[float, dict[str, Any]]]


def _labels(arrays: Arrays, classes: int) -> np.ndarray:
    return ops.smoothed(arrays["labels"], classes, 0.0, np.float32)


def _step(leaves: dict[str, Tensor], loss: Callable[[], Tensor]) -> Step:
    def step() -> tuple[float, dict[str, Any]]:
        for leaf in leaves.values():
            leaf.grad = None
        out = loss()
        backward(out)
        return float(out.data.sum()), {name: leaf.grad for name, leaf in leaves.items()}

    return step


def _leaves(arrays: Arrays, *names: str) -> dict[str, Tensor]:
    return {name: Tensor(arrays[name].copy(), wants=True) for name in names}


def mlp(arrays: Arrays) -> Step:
    """With Adam: the loss and the gradients before its step."""
    names = [f"{kind}{k}" for k in range(3) for kind in "wb"]
    layout = layout_of({name: arrays[name] for name in names})
    flat, target = layout.pack(arrays), _labels(arrays, 10)
    p = {name: Tensor(layout.view(flat, name), wants=True) for name in names}
    adam, g = Adam(layout.size), np.empty(layout.size, np.float32)

    def loss() -> Tensor:
        h = ops.linear(Tensor(arrays["x"]), p["w0"], p["b0"], relu=True)
        h = ops.linear(h, p["w1"], p["b1"], relu=True)
        return ops.softmax_cross_entropy(ops.linear(h, p["w2"], p["b2"]), target)

    forth = _step(p, loss)

    def step() -> tuple[float, dict[str, Any]]:
        value, gradients = forth()
        adam.step(flat, layout.pack(gradients, out=g), 1e-3)
        return value, gradients

    return step


def cnn(arrays: Arrays) -> Step:
    """Forward and backward."""
    p = _leaves(arrays, *(f"{kind}{k}" for k in range(4) for kind in "wb"))
    target = _labels(arrays, 10)

    def loss() -> Tensor:
        h = Tensor(arrays["x"])
        for k in range(3):
            args = (p[f"w{k}"], p[f"b{k}"])
            h = conv(h, *args, padding=(1, 1, 1, 1), relu=True, pool=k < 2)
        z = ops.linear(global_average_pool(h), p["w3"], p["b3"])
        return ops.softmax_cross_entropy(z, target)

    return _step(p, loss)


def qat(arrays: Arrays) -> Step:
    """Forward in the machine's integers and backward, from a quantized graph."""
    layers = [
        nn.Conv(16), nn.Relu(), nn.MaxPool(2), nn.Conv(32), nn.Relu(), nn.MaxPool(2),
        nn.Conv(64), nn.Relu(), nn.GlobalAveragePool(), nn.Dense(10),
    ]  # fmt: skip
    encoder = Encoder(kind="affine", shape=(28, 28, 1), step=4 / 127)
    graph = nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", passes.PicojouleWarning)  # weights at random saturate
        live = passes.quantize(graph, target("systolic_int8"), arrays["x"], bits=4)
    model, names = prepare(live), set(trainable(live))
    values = {n: a.astype(np.float32) for n, a in live.params.items()}
    p = {n: Tensor(a, wants=n in names) for n, a in values.items()}
    labels = _labels(arrays, 10)

    def loss() -> Tensor:
        scores = forward_pass(model, p, arrays["x"], training=True).scores
        return ops.softmax_cross_entropy(scores, labels)

    return _step(p, loss)


def lsq(arrays: Arrays) -> Step:
    """Forward and backward of fake quantization to 4 bits."""
    p = _leaves(arrays, "x", "step")

    def step() -> tuple[float, dict[str, Any]]:
        p["x"].grad = p["step"].grad = None
        backward(fake_quantize(p["x"], p["step"], -8, 7), arrays["g"])
        return 0.0, {name: leaf.grad for name, leaf in p.items()}

    return step


def tape(arrays: Arrays) -> Step:
    """A chain of small operations."""
    p = _leaves(arrays, "x", "a")

    def loss() -> Tensor:
        r = p["x"]
        for _ in range(TAPE_LENGTH // 2):
            r = ops.add(ops.multiply(r, p["a"]), p["x"])
        return r

    return _step(p, loss)


def snn(arrays: Arrays) -> Step:
    """Recurrent spiking network with a leaky readout; its input arrives as events."""
    events = events_from_raster(arrays["x"].transpose(1, 0, 2) > 0)
    names = ("w_in", "v_rec", "w_out")
    inputs, classes = len(arrays["w_in"]), arrays["w_out"].shape[1]
    sizes = [arrays[name].size for name in names]
    starts = np.cumsum([0, *sizes])
    n = HIDDEN + classes
    wiring = Wiring(
        np.array([[0, HIDDEN], [HIDDEN, n]]),
        np.array([
            [-1, 0, 0, starts[0], inputs, HIDDEN], [0, 0, 1, starts[1], HIDDEN, HIDDEN],
            [0, 1, 0, starts[2], HIDDEN, classes],
        ]), np.ones(n, np.int64), 1,
    )  # fmt: skip
    flat = np.concatenate([arrays[name].ravel() for name in names])
    zeros, keep = np.zeros(n, np.float32), np.full(n, KEEP, np.float32)
    v_th = np.where(np.arange(n) < HIDDEN, 1, np.inf).astype(np.float32)
    neurons, surrogate = Neurons(zeros, keep, v_th, zeros), Surrogate(0, SHARPNESS)
    target = _labels(arrays, classes)

    def step() -> tuple[float, dict[str, Any]]:
        record = run_real(wiring, events, flat, neurons, zeros)
        mean = np.einsum("btn->bn", record.reached[:, :, HIDDEN:]) / np.float32(events.steps)
        scores = Tensor(mean, wants=True)
        loss = ops.softmax_cross_entropy(scores, target)
        backward(loss)
        shape = (events.samples, events.steps, classes)
        g = np.ascontiguousarray(np.broadcast_to(scores.grad[:, None] / events.steps, shape))
        none = np.zeros(shape, np.float32)
        of_flat, _ = run_backward(wiring, events, flat, neurons, record, surrogate, none, g,
                                  of_neurons=False)  # fmt: skip
        parts = (of_flat[a:b] for a, b in pairwise(starts))
        return float(loss.data), dict(zip(names, parts))

    return step


STEPS: dict[str, Callable[[Arrays], Step]] = {
    "mlp": mlp, "cnn": cnn, "qat": qat, "lsq": lsq, "tape": tape, "snn64": snn, "snn8": snn,
}  # fmt: skip
