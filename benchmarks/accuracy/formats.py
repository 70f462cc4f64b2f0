"""Accuracy of 8x8 digits with weights and activations in floating-point and block formats.

A CNN of 8 and 16 channels learns 1,400 digits in reals, then on `fp8_mx`: rounded (no training)
and fine-tuned, compiled, and run bit for bit on the other 397.  One JSON line a result, means
over seeds; nothing was chosen by the test digits.

    python benchmarks/accuracy/formats.py --seeds 3
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from picojoule import nn, run, target, train
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import FLOATS
from picojoule.graph import Graph

TRAINED = 1400  # digits; the rest is for the test
EPOCHS, TUNING = 30, 15
Array = np.ndarray
Data = tuple[Array, Array]


def digits() -> tuple[Data, Data]:
    """(x, y) to train with, and to test with; x (n, 8, 8, 1) in 0..1."""
    found = load_digits()
    x, y = (found.images / 16).astype(np.float32)[..., None], found.target
    return (x[:TRAINED], y[:TRAINED]), (x[TRAINED:], y[TRAINED:])


def network(seed: int) -> Graph:
    """Two 3x3 convolutions with batch norm and pools, then Dense(10), before training."""
    layers: list[Any] = []
    for features in (8, 16):
        layers += [nn.Conv(features, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2)]
    encoder = Encoder(kind="affine", shape=(8, 8, 1), step=1 / 127)
    return nn.sequential([*layers, nn.Dense(10, init="xavier")], encoder=encoder,
                         readout=Readout(), seed=seed, name="digits")  # fmt: skip


def deployed(graph: Graph, kinds: tuple[str, str], seed: int, epochs: int) -> float:
    """Test accuracy of the program, whose every output integer is the trainer's."""
    data, (x, y) = digits()
    frozen, program = train.finetune(
        graph, target("fp8_mx"), *data, bits=None, weights=kinds[0], activations=kinds[1],
        epochs=epochs, lr=2e-3, seed=seed,
    )  # fmt: skip
    outputs = run(program, x).outputs["output"]
    assert np.array_equal(outputs, train.evaluate_outputs(frozen, x)["output"])
    return float(np.mean(outputs.argmax(1) == y))


def results(seeds: int) -> Iterator[dict[str, Any]]:
    """A row for reals, and one for each pair of formats ('lsq': 8-bit integers)."""
    data, test = digits()
    graphs = [train.fit(network(s), *data, epochs=EPOCHS, lr=5e-3, seed=s) for s in range(seeds)]
    yield {"weights": "float", "accuracy": [train.accuracy(g, *test) for g in graphs]}
    for kinds in ((w, a) for a in ("lsq", "e4m3") for w in ("lsq", *FLOATS)):
        row: dict[str, Any] = {"weights": kinds[0], "activations": kinds[1]}
        for name, epochs in (("rounded", 0), ("tuned", TUNING)):
            row[name] = [deployed(g, kinds, s, epochs) for s, g in enumerate(graphs)]
            row[f"{name}_mean"] = round(float(np.mean(row[name])), 4)
        yield row


def main() -> None:
    """Print the rows as they are found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    for row in results(parser.parse_args().seeds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
