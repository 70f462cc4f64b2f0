"""Accuracy over several seeds, held to what the project promises: `make accuracy`.

Each seed draws its own initial weights and order of samples; the split stays the same.
Hyperparameters were chosen on validation parts of the training data (`train/recipes.py`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from picojoule import passes, sim, train
from picojoule.demo.digits import digits
from picojoule.demo.flow import CASES, Case, post_training
from picojoule.report.assess import share_right
from picojoule.target import load
from picojoule.train import recipes

SEEDS = 5
FLOAT_LEAST = 0.97
# points that the deployed program may lose against float, mean over the seeds
LOSS_MOST = {
    ("digits_relu", 8): 0.5, ("digits_relu", 4): 1.0, ("digits_relu", 2): 2.5,
    ("digits_spiking", 8): 1.0, ("digits_spiking", 4): 2.0,
}  # fmt: skip


def one_seed(case: Case, seed: int) -> dict[str, float]:
    """'float', and 'ptq.<bits>', 'deployed.<bits>' of one network trained with one seed."""
    training, test = digits()
    target = load(case.target)
    network = recipes.fit_digits(case.build(seed), training.x, training.y, seed=seed)
    found = {"float": train.accuracy(network, test.x, test.y)}
    for bits in case.bits:
        before = passes.lower(post_training(network, target, training, bits), target)
        _, program = recipes.tune_digits(
            network, target, training.x, training.y, bits=bits, seed=seed
        )
        for name, each in (("ptq", before), ("deployed", program)):
            right = share_right(sim.run(each, test.x, detail="sum").answers(), test.y)
            found[f"{name}.{bits}"] = right
    return found


def verdicts(network: str, mean: Mapping[str, float]) -> list[tuple[str, float, float, bool]]:
    """(what, measured, limit, kept) for each promise about one network, in percent or points."""
    rows = [("float, %", 100 * mean["float"], 100 * FLOAT_LEAST, mean["float"] >= FLOAT_LEAST)]
    for (name, bits), most in LOSS_MOST.items():
        if name == network:
            lost = 100 * (mean["float"] - mean[f"deployed.{bits}"])
            rows.append((f"lost at {bits} bits, points", lost, most, lost <= most))
    return rows


def main(out: Path = Path("out/accuracy.json"), seeds: int = SEEDS) -> int:
    """Print means and spreads, write them as JSON; 1 when a promise is broken."""
    broken, saved = 0, {}
    for case in CASES:
        runs = []
        for seed in range(seeds):
            runs.append(one_seed(case, seed))
            words = "  ".join(f"{name} {100 * share:.2f}" for name, share in runs[-1].items())
            print(f"{case.network}  seed {seed}  {words}", flush=True)
        mean = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        spread = {name: float(np.std([run[name] for run in runs])) for name in runs[0]}
        saved[case.network] = {"mean": mean, "spread": spread, "runs": runs}
        for what, measured, limit, kept in verdicts(case.network, mean):
            broken += not kept
            word = "kept" if kept else "BROKEN"
            print(f"{case.network:<16}{what:<26}{measured:7.2f}  promised {limit:5.1f}  {word}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    print(f"written: {out}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
