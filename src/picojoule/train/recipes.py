"""Settings for the digits demo: the networks are `nn.digits_relu` and `nn.digits_spiking`.

Chosen by five-fold cross-validation within the training part of `demo.digits`.  The candidates
came from an earlier search on folds of another split of the same data, which overlaps that
demo's test part; their test accuracy was not compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from picojoule.errors import Fault, UsageError
from picojoule.graph import Graph
from picojoule.program import Program
from picojoule.target import Target
from picojoule.train.augment import jitter
from picojoule.train.loop import fit
from picojoule.train.options import Options, Progress
from picojoule.train.tune import finetune
from picojoule.train.wiring import is_spiking

Array = np.ndarray
HIGH = 16.0  # the largest value of a pixel of load_digits


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train."""

    epochs: int
    lr: float
    options: Options
    batch: int = 64


RELU_OPTIONS = Options(
    augment=jitter((8, 8), shift=0.5, turn=0.15, zoom=0.1, noise=1.0, high=HIGH),
    smoothing=0.1, weight_decay=0.05, keep_interrupted=False,
)  # fmt: skip
RELU_TUNE_OPTIONS = Options(augment=RELU_OPTIONS.augment, smoothing=0.1, keep_interrupted=False)
SPIKING_OPTIONS = Options(
    augment=jitter((8, 8), shift=0.4, turn=0.1, zoom=0.08, high=HIGH),
    smoothing=0.1, gain=0.5, keep_interrupted=False,
)  # fmt: skip
SPIKING_TUNE_OPTIONS = Options(
    augment=SPIKING_OPTIONS.augment, smoothing=0.1, gain=0.5, step_lr=0.0, neuron_lr=0.0,
    keep_interrupted=False,
)  # fmt: skip

RELU = Recipe(60, 5e-3, RELU_OPTIONS)
SPIKING = Recipe(40, 5e-3, SPIKING_OPTIONS)
# fewest bits that each recipe is meant for, and the recipe; fewer bits need more training
RELU_TUNE = (
    (5, Recipe(10, 5e-4, RELU_TUNE_OPTIONS)),
    (1, Recipe(30, 5e-3, RELU_TUNE_OPTIONS)),
)
SPIKING_TUNE = (
    (5, Recipe(8, 1e-3, SPIKING_TUNE_OPTIONS)),
    (1, Recipe(8, 3e-3, SPIKING_TUNE_OPTIONS)),
)


def recipe(graph: Graph, bits: int | None = None) -> Recipe:
    """What suits a digits network: float training, or fine-tuning at the fewest bits it has."""
    if bits is None:
        return SPIKING if is_spiking(graph) else RELU
    table = SPIKING_TUNE if is_spiking(graph) else RELU_TUNE
    return next(found for least, found in table if bits >= least)


def fit_digits(
    graph: Graph, x: Array, y: Array, *, seed: int, epochs: int | None = None,
    callback: Progress | None = None,
) -> Graph:  # fmt: skip
    """Train `nn.digits_relu(seed)` or `nn.digits_spiking(seed)` in floating point.

    x (n, 64) with values 0..16; y int (n,); epochs: instead of the recipe's.
    Raises what `fit` raises, and UsageError PJ802.
    """
    _check_digits(x)
    chosen = recipe(graph)
    return fit(
        graph, x, y, epochs=chosen.epochs if epochs is None else epochs, batch=chosen.batch,
        lr=chosen.lr, seed=seed, callback=callback, options=chosen.options,
    )  # fmt: skip


def tune_digits(
    graph: Graph, target: Target, x: Array, y: Array, *, bits: int,
    activation_bits: int | None = None, seed: int, epochs: int | None = None,
    callback: Progress | None = None,
) -> tuple[Graph, Program]:  # fmt: skip
    """Fine-tune either trained network for a target; returns it frozen, and its Program.

    activation_bits  default: as many as weights; epochs: instead of the recipe's
    Raises what `finetune` raises, and UsageError PJ802.
    """
    _check_digits(x)
    chosen = recipe(graph, min(bits, activation_bits or bits))
    return finetune(
        graph, target, x, y, bits=bits, activation_bits=activation_bits,
        epochs=chosen.epochs if epochs is None else epochs, batch=chosen.batch, lr=chosen.lr,
        seed=seed, callback=callback, options=chosen.options,
    )  # fmt: skip


def _check_digits(x: Array) -> None:
    if np.ndim(x) != 2 or np.shape(x)[1] != 64:
        what = f"digits are samples of 64 pixels, got an array of shape {list(np.shape(x))}"
        raise UsageError(Fault("PJ802", what, fix="reshape images of 8x8 to (n, 64)"))
