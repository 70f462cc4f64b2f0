"""Accuracy of convolutional networks on MNIST and Fashion-MNIST, float and deployed.

For each seed: float training, then fine-tuning at 8, 4 and 2 bits of weights and activations in
every layer (the input keeps 8), compiled for `systolic_int8` and run bit for bit on the whole
test set.  One JSON line a result; what a file holds already is not computed again, and a
training that was cut goes on from its last epoch.

    python benchmarks/accuracy/images.py --data ../shared/data --out out/images --seeds 3

--validate trains on the first 55,000 images and tests on the other 5,000: how the recipes were
chosen.  --quick takes 3,000 images and one epoch of each.  Both write to folders of their own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy import script
from benchmarks.accuracy.lines import Lines
from benchmarks.accuracy.table import finish, table

from picojoule import cost, nn, run, target, train
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph
from picojoule.program import Program
from picojoule.train.augment import move
from picojoule.train.data import Labelled, image_set
from picojoule.train.options import Augment

TARGET = "systolic_int8"
BITS = (8, 4, 2)
MIRROR = move(0, mirror=True)
Array = np.ndarray


@dataclass(frozen=True)
class Recipe:
    """How long and how fast; the running average of parameters is what is kept.

    trust    part of each label that is the float network's answer, in fine-tuning
    augment  instead of the task's: few bits learn little from images that are moved
    """

    epochs: int
    lr: float
    smoothing: float
    weight_decay: float = 0.01
    average: float = 0.998
    batch: int = 128
    trust: float = 0.0
    augment: Augment | None = None


@dataclass(frozen=True)
class Task:
    """A data set, the network for it, and a recipe for float and for each number of bits."""

    name: str
    folder: str
    channels: tuple[int, ...]
    augment: Augment
    float_recipe: Recipe
    tune: dict[int, Recipe]


TASKS = {
    task.name: task
    for task in (
        Task(
            "mnist", "mnist", (16, 32, 64), move(2),
            Recipe(10, 4e-3, 0.05),
            {8: Recipe(2, 2e-4, 0.05), 4: Recipe(4, 1e-3, 0.05), 2: Recipe(8, 2e-3, 0.05)},
        ),
        Task(
            "fashion_mnist", "fashion_mnist", (32, 64, 128), move(1, mirror=True),
            Recipe(10, 4e-3, 0.05),
            {
                8: Recipe(1, 3e-4, 0.05, augment=MIRROR),
                4: Recipe(4, 2e-3, 0.05, augment=MIRROR),
                2: Recipe(16, 5e-3, 0.0, weight_decay=0.0, augment=MIRROR),
            },
        ),
    )
}  # fmt: skip


def network(channels: Sequence[int], seed: int) -> Graph:
    """3x3 convolutions, each with batch norm and a pool that halves the image, then Dense(10)."""
    layers: list[Any] = []
    for features in channels:
        layers += [nn.Conv(features, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2)]
    encoder = Encoder(kind="affine", shape=(28, 28, 1), step=1 / 127)
    return nn.sequential([*layers, nn.Dense(10, init="xavier")], encoder=encoder,
                         readout=Readout(), seed=seed, name="images")  # fmt: skip


def options(
    task: Task, recipe: Recipe, checkpoint: Path, teacher: Graph | None = None
) -> train.Options:
    """Options of one training, which goes on from its checkpoint."""
    return train.Options(
        augment=recipe.augment or task.augment, smoothing=recipe.smoothing,
        weight_decay=recipe.weight_decay, average=recipe.average, checkpoint=checkpoint,
        resume=True, keep_interrupted=False, teacher=teacher if recipe.trust else None,
        trust=recipe.trust,
    )  # fmt: skip


def trained_float(task: Task, seed: int, data: Labelled, out: Path) -> Graph:
    """The float network of a seed, from its file where there is one."""
    recipe, path = task.float_recipe, out / f"{task.name}.{seed}.pjg"
    return script.trained_once(path, lambda checkpoint: train.fit(
        network(task.channels, seed), data.scaled(), data.y, epochs=recipe.epochs,
        batch=recipe.batch, lr=recipe.lr, seed=seed, callback=script.said(f"{path.stem} float"),
        options=options(task, recipe, checkpoint),
    ))  # fmt: skip


def tuned(
    task: Task, seed: int, bits: int, data: Labelled, graph: Graph, out: Path
) -> tuple[Graph, Program]:
    """The network of a seed, fine-tuned at `bits`, frozen; and its Program."""
    recipe = task.tune[bits]
    path = out / f"{task.name}.{seed}.w{bits}.pjc"
    return script.tuned(path, lambda checkpoint: train.finetune(
        graph, target(TARGET), data.scaled(), data.y, bits=bits, epochs=recipe.epochs,
        batch=recipe.batch, lr=recipe.lr, seed=seed,
        callback=script.said(f"{task.name}.{seed} W{bits}A{bits}"),
        options=options(task, recipe, checkpoint, graph),
    ))  # fmt: skip


def deployed(frozen: Graph, program: Program, test: Labelled, path: Path) -> dict[str, Any]:
    """Accuracy of the Program on all test images; every output integer is that of training.

    The saved Program, alone in fresh processes and on both engines, must give what training
    gave.  Raises TrainError PJ703, AssertionError where an integer differs.
    """
    x = test.scaled()
    found = script.replayed(frozen, program, x, path)
    result = run(program, x, detail="sum")
    return {
        "accuracy": float(np.mean(result.answers() == test.y)),
        "energy_j": cost(result, target(TARGET)).total_j, **found,
    }  # fmt: skip


def results(task: Task, seed: int, train_set: Labelled, test: Labelled, lines: Lines) -> None:
    """All rows of one seed that are not there yet."""
    out = lines.path.parent
    graph = trained_float(task, seed, train_set, out)
    head = {"set": task.name, "seed": seed, "tested": len(test.y)}
    if not lines.holds({**head, "bits": "float"}):
        score = train.accuracy(graph, test.scaled(), test.y)
        lines.add({**head, "bits": "float", "accuracy": score, "epochs": task.float_recipe.epochs})
    for bits, recipe in task.tune.items():
        row = {**head, "bits": f"W{bits}A{bits}"}
        if lines.holds(row):
            continue
        began = time.perf_counter()
        frozen, program = tuned(task, seed, bits, train_set, graph, out)
        found = deployed(frozen, program, test, out / f"{task.name}.{seed}.w{bits}")
        took = round(time.perf_counter() - began)
        lines.add({**row, **found, "epochs": recipe.epochs, "seconds": took})


def parts(task: Task, data: Path, validate: bool, quick: bool) -> tuple[Labelled, Labelled]:
    """(training, test) images of a run."""
    whole, test = (image_set(data / task.folder, part) for part in ("train", "test"))
    if quick:
        return whole.first(3000), test.first(500)
    if validate:
        cut = len(whole.y) - script.VALIDATION
        return whole.first(cut), Labelled(whole.x[cut:], whole.y[cut:])
    return whole, test


def short(task: Task) -> Task:
    """The same task with one epoch of everything."""
    tune = {bits: replace(recipe, epochs=1, average=0.9) for bits, recipe in task.tune.items()}
    return replace(task, float_recipe=replace(task.float_recipe, epochs=1, average=0.9), tune=tune)


def main(words: Sequence[str] | None = None) -> int:
    """Compute what is missing, print the table; 1 where a promise is broken."""
    parser = script.options(__doc__, "out/images", TASKS)
    parser.add_argument("--bits", type=int, nargs="+", choices=BITS, default=BITS)
    asked = parser.parse_args(words)
    lines = Lines(script.results_folder(asked) / "results.jsonl")
    for name in sorted(asked.sets, reverse=True):
        task = short(TASKS[name]) if asked.quick else TASKS[name]
        task = replace(task, tune={bits: task.tune[bits] for bits in asked.bits})
        data, test = parts(task, asked.data, asked.validate, asked.quick)
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            results(task, seed, data, test, lines)
    return finish(*table(lines.rows()), asked.write, "images")


if __name__ == "__main__":
    sys.exit(main())
