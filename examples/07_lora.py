"""Teach a trained network a new habit with low-rank adapters, under 4-bit quantization.

A network knows upright digits; adapters of rank 2, and nothing else, learn slanted ones.  The
machine never knows of adapters: freezing adds them into its 4-bit weights.
Run with --quick for a few epochs only.
"""

import sys

import numpy as np

import picojoule as pj
from picojoule import nn, passes, train
from picojoule.demo.digits import digits
from picojoule.report.text import show
from picojoule.train import recipes
from picojoule.train.adapt import merged, only_adapters, with_adapters

quick = "--quick" in sys.argv


def slanted(x):
    """Each image with its upper rows moved to the right."""
    images = x.reshape(-1, 8, 8)
    rows = [np.roll(images[:, r], (7 - r) // 3, axis=1) for r in range(8)]
    return np.stack(rows, axis=1).reshape(x.shape)


training, test = digits()
chip = pj.target("systolic_int8")
network = recipes.fit_digits(nn.digits_relu(seed=0), training.x, training.y, seed=0,
                             epochs=6 if quick else None)  # fmt: skip
x, test_x = slanted(training.x), slanted(test.x)
print(f"before: {train.accuracy(network, test_x, test.y):.1%} of slanted digits right")

adapted = with_adapters(network, rank=2)
fixed = only_adapters(adapted)
options = train.Options(fixed=fixed, smoothing=0.1)
adapted = train.fit(adapted, x, training.y, epochs=4 if quick else 20, lr=5e-3, options=options)
live = train.start_quantized(adapted, chip, x, bits=4)
options = train.Options(fixed=only_adapters(live), smoothing=0.1)
live = train.fit(live, x, training.y, epochs=3 if quick else 15, lr=2e-3, options=options)

frozen = passes.freeze(live)
program = passes.lower(frozen, chip)
learned = sum(a.size for n, a in live.params.items() if n.endswith((".down", ".up")))
print(f"{learned} numbers learned; {train.confirm(frozen, program, test_x)} integers agree")
show(pj.evaluate(frozen, chip, (test_x, test.y), reference=merged(adapted),
                 calibrate=x))  # fmt: skip
