"""Accuracy of spiking networks on MNIST, Fashion-MNIST and spoken digits, float and on loihi1.

For each seed: float training, then fine-tuning with 8-bit weights in the machine's integers,
compiled for `loihi1` and run on the whole test set.  One JSON line a result; what a file holds
already is not computed again, and a training that was cut goes on from its last epoch.

    python benchmarks/accuracy/spiking.py --data ../shared/data --out out/spiking --seeds 3

The answer is the output neuron of the highest voltage after the last step: its threshold is out
of reach, so it sums what hidden spikes bring.  MNIST comes as a rate, spoken digits as events,
Fashion-MNIST as moments: each pixel fires once, the brighter the earlier.

--validate leaves out a part of the training data and tests on it: how the recipes were chosen.
--quick takes few samples and epochs.  Both write to folders of their own.
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
from benchmarks.accuracy.table import finish, promised, spread

from picojoule import cost, nn, run, target, train
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph
from picojoule.kernels.train_blocks import Surrogate
from picojoule.program import Program
from picojoule.train.augment import jitter
from picojoule.train.data import image_set, spoken_digits
from picojoule.train.data.spectrum import Ear, as_spikes, loudness, moved_in_time, varied
from picojoule.train.options import Augment

Array = np.ndarray
Data = tuple[Array, Array]
TARGET, BITS = "loihi1", 8
OUT_OF_REACH = 64.0  # threshold of the outputs, in units of their weights
COPIES = 5  # of each training clip, all but the first one varied
# percent that the deployed program reaches, and points that it may lose; means over seeds
PROMISED = {"mnist": (98.3, 0.5), "fashion_mnist": (88.5, 0.5), "fsdd": (92.0, 1.0)}


@dataclass(frozen=True)
class Task:
    """A data set, the network for it, and how to train it.

    sharpness  of the surrogate slope, a fast sigmoid
    bias       whether hidden neurons have one
    latency    whether images come as moments (`as_moments`), not as a rate
    """

    name: str
    shape: tuple[int, ...]
    steps: int
    hidden: tuple[int, ...]
    augment: Augment | None
    epochs: int
    lr: float
    tune_epochs: int
    tune_lr: float = 2e-4
    batch: int = 128
    average: float = 0.998
    smoothing: float = 0.1
    weight_decay: float = 0.0
    sharpness: float = 5.0
    recurrent: bool = False
    bias: bool = False
    latency: bool = False


def as_moments(x: Array, steps: int) -> Array:
    """Bool (n, steps, ...) of images (n, ...) in 0..1: each pixel fires once, or never.

    Of `steps` even parts of the range, rounded, a pixel of k parts fires in step steps - k; one
    that rounds to none stays silent.
    """
    parts = np.rint(x * steps).astype(np.uint8)
    fires_in = np.arange(steps, 0, -1, np.uint8).reshape(-1, *(1,) * (x.ndim - 1))
    return parts[:, None] == fires_in


def mirrored(x: Array, rng: np.random.Generator) -> Array:
    """Half of the rasters (n, steps, height, width, 1), left and right swapped."""
    turned = rng.random((len(x), 1, 1, 1, 1)) < 0.5
    return np.where(turned, x[:, :, :, ::-1], x)


EAR = Ear()
TASKS = {
    task.name: task
    for task in (
        Task("mnist", (28, 28, 1), 8, (512,), jitter((28, 28), shift=1.5, turn=0.15, zoom=0.1),
             epochs=12, lr=3e-3, tune_epochs=2),
        Task("fashion_mnist", (28, 28, 1), 8, (1024,), mirrored, epochs=15, lr=2e-3,
             tune_epochs=3, weight_decay=0.05, bias=True, sharpness=3.0, latency=True),
        Task("fsdd", (EAR.channels,), EAR.steps, (192,), moved_in_time, epochs=10, lr=3e-3,
             tune_epochs=2, batch=64, average=0.99, recurrent=True),
    )
}  # fmt: skip


def network(task: Task, seed: int) -> Graph:
    """Hidden CUBA-LIF populations, and outputs that integrate."""
    layers: list[Any] = [
        nn.CubaLif(
            features=n, decay_u=0.5 if task.recurrent else 0.7, decay_v=0.1,
            recurrent=task.recurrent, rate=0.4 if k == 0 else 0.15, bias=task.bias,
        )
        for k, n in enumerate(task.hidden)
    ]  # fmt: skip
    layers.append(nn.CubaLif(features=10, decay_u=1.0, decay_v=0.0, v_th=OUT_OF_REACH, rate=0.15,
                             reach=1 / OUT_OF_REACH))  # fmt: skip
    kind = "events" if task.recurrent or task.latency else "rate"
    encoder = Encoder(kind=kind, shape=task.shape, steps=task.steps)
    graph = nn.sequential(layers, encoder=encoder, readout=Readout(kind="count"), seed=seed,
                          name=task.name, steps=task.steps)  # fmt: skip
    # a recurrence as strong as the input would fire on and on
    weaker = {n: a * np.float32(0.2) for n, a in graph.params.items() if n.startswith("rec")}
    return graph.with_params(weaker)


def options(task: Task, checkpoint: Path, **more: Any) -> train.Options:
    """Options of one training, which goes on from its checkpoint."""
    return train.Options(
        augment=task.augment, smoothing=task.smoothing, gain=OUT_OF_REACH, average=task.average,
        weight_decay=task.weight_decay, surrogate=Surrogate(sharpness=task.sharpness),
        checkpoint=checkpoint, resume=True, keep_interrupted=False, **more,
    )  # fmt: skip


def trained_float(task: Task, seed: int, data: Data, out: Path) -> Graph:
    """The float network of a seed, from its file where there is one."""
    path = out / f"{task.name}.{seed}.pjg"
    return script.trained_once(path, lambda checkpoint: train.fit(
        network(task, seed), *data, epochs=task.epochs, batch=task.batch, lr=task.lr, seed=seed,
        callback=script.said(f"{path.stem} float"),
        options=options(task, checkpoint, neuron_lr=0.5),
    ))  # fmt: skip


def tuned(task: Task, seed: int, data: Data, graph: Graph, out: Path) -> tuple[Graph, Program]:
    """The network of a seed, fine-tuned in the machine's integers, frozen; and its Program."""
    path = out / f"{task.name}.{seed}.w{BITS}.pjc"
    return script.tuned(path, lambda checkpoint: train.finetune(
        graph, target(TARGET), *data, bits=BITS, epochs=task.tune_epochs, batch=task.batch,
        lr=task.tune_lr, seed=seed, callback=script.said(f"{task.name}.{seed} {TARGET}"),
        options=options(task, checkpoint, neuron_lr=0.0, step_lr=0.0),
    ))  # fmt: skip


def deployed(frozen: Graph, program: Program, test: Data, path: Path) -> dict[str, Any]:
    """Accuracy of the Program on all test samples; every integer is that of training.

    The saved Program, alone in fresh processes and on both engines, must give all spikes of
    the outputs and the final current and voltage of every neuron that training gave.
    Raises TrainError PJ703, AssertionError where an integer differs.
    """
    x, y = test
    began = time.perf_counter()
    found = script.replayed(frozen, program, x, path)
    seconds = time.perf_counter() - began
    done = run(program, x, detail="sum")
    return {
        "accuracy": float(np.mean(done.answers() == y)), **found,
        "energy_j": cost(done, target(TARGET)).total_j, "replay_s": round(seconds, 1),
    }  # fmt: skip


def results(task: Task, seed: int, data: Data, test: Data, lines: Lines) -> None:
    """All rows of one seed that are not there yet."""
    out = lines.path.parent
    head = {"set": task.name, "seed": seed, "tested": len(test[1])}
    last = {**head, "bits": f"{TARGET} W{BITS}"}
    if lines.holds({**head, "bits": "float"}) and lines.holds(last):
        return
    graph = trained_float(task, seed, data, out)
    if not lines.holds({**head, "bits": "float"}):
        score = train.accuracy(graph, *test)
        lines.add({**head, "bits": "float", "accuracy": score, "epochs": task.epochs})
    if not lines.holds(last):
        frozen, program = tuned(task, seed, data, graph, out)
        rates = train.firing_rates(frozen, test[0][:200])
        path = out / f"{task.name}.{seed}.w{BITS}"
        lines.add({**last, **deployed(frozen, program, test, path), "epochs": task.tune_epochs,
                   "spikes_per_step": {k: round(v, 4) for k, v in rates.items()}})  # fmt: skip


def samples(task: Task, folder: Path, validate: bool, quick: bool) -> tuple[Data, Data]:
    """(training, test) samples as the network of a task takes them, and their labels."""
    if task.recurrent:
        return speech(folder, validate, quick)
    parts = images(folder, validate, quick)
    if not task.latency:
        return parts
    data, test = ((as_moments(x, task.steps), y) for x, y in parts)
    return data, test


def images(folder: Path, validate: bool, quick: bool) -> tuple[Data, Data]:
    """(training, test) images (n, 28, 28, 1) in 0..1 and their labels."""
    whole, test = (image_set(folder, part) for part in ("train", "test"))
    x, y = whole.scaled(), whole.y
    if quick:
        return (x[:1500], y[:1500]), (test.scaled()[:200], test.y[:200])
    if validate:
        cut = len(x) - script.VALIDATION
        return (x[:cut], y[:cut]), (x[cut:], y[cut:])
    return (x, y), (test.scaled(), test.y)


def speech(folder: Path, validate: bool, quick: bool) -> tuple[Data, Data]:
    """(training, test) rasters and labels; each training clip also in variations."""
    clips = spoken_digits(folder)
    learned, tested = clips.official("train"), clips.official("test")
    if validate:
        held = clips.index[learned] >= 45
        learned, tested = learned[~held], learned[held]
    copies = COPIES
    if quick:
        copies, learned, tested = 1, learned[::6], tested[::6]
    rng = np.random.Generator(np.random.Philox(key=[7, 0]))
    plain = [as_spikes(EAR, loudness(EAR, clips.clip(k))) for k in learned]
    more = [varied(EAR, clips.clip(k), rng) for _ in range(copies - 1) for k in learned]
    x = np.array([as_spikes(EAR, loudness(EAR, clips.clip(k))) for k in tested])
    return (
        (np.array(plain + more), np.tile(clips.label[learned], copies)),
        (x, clips.label[tested]),
    )


def table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], int]:
    """(lines of a Markdown table, broken promises)."""
    lines = [
        "| set | float, % | deployed, % | spread | lost, points | promised | energy, uJ |",
        "|---|---|---|---|---|---|---|",
    ]
    broken = 0
    for name in dict.fromkeys(row["set"] for row in rows):
        ours = [row for row in rows if row["set"] == name]
        found = {r["seed"]: r for r in ours if r["bits"] != "float"}
        whole = [r for r in ours if r["bits"] == "float" and r["seed"] in found]
        if found:
            line, kept = _line(name, whole, list(found.values()))
            lines.append(line)
            broken += not kept
    return lines, broken


def _line(name: str, whole: list[dict[str, Any]], found: list[dict[str, Any]]) -> tuple[str, bool]:
    floats, scores = (np.array([100 * r["accuracy"] for r in part]) for part in (whole, found))
    least, most = PROMISED[name]
    lost = float(floats.mean() - scores.mean())
    kept = bool(scores.mean() >= least and lost <= most)
    energy = np.mean([r["energy_j"] * 1e6 for r in found])
    word = promised(f"at least {least}, loses at most {most}", kept)
    return (
        f"| {name} | {floats.mean():.2f} | {scores.mean():.2f} ({len(scores)} seeds) |"
        f" {spread(scores):.2f} | {lost:.2f} | {word} | {energy:.2f} |"
    ), kept


def main(words: Sequence[str] | None = None) -> int:
    """Compute what is missing, print the table; 1 where a promise is broken."""
    asked = script.options(__doc__, "out/spiking", TASKS).parse_args(words)
    lines = Lines(script.results_folder(asked) / "results.jsonl")
    for name in asked.sets:
        task = TASKS[name]
        if asked.quick:
            task = replace(task, epochs=3, tune_epochs=1, average=0.9)
        data, test = samples(task, asked.data / name, asked.validate, asked.quick)
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            results(task, seed, data, test, lines)
    return finish(*table(lines.rows()), asked.write, "spiking")


if __name__ == "__main__":
    sys.exit(main())
