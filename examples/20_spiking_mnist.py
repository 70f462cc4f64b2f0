"""Train a spiking network on MNIST, fine-tune it in Loihi's integers, and read its bill.

The folder of the images is the first argument, or data/mnist of PICOJOULE_SHARED.
Run with --quick for a few images only.
"""

import os
import sys
from pathlib import Path

import picojoule as pj
from picojoule import nn, train
from picojoule.fixed.contract import Encoder, Readout
from picojoule.report.text import show
from picojoule.train.augment import jitter
from picojoule.train.data import image_set

quick = "--quick" in sys.argv
given = [word for word in sys.argv[1:] if word != "--quick"]
shared = Path(os.environ.get("PICOJOULE_SHARED", "."), "data", "mnist")
folder = Path(given[0]) if given else shared
if not folder.is_dir():
    sys.exit(f"no MNIST in {folder}: give its folder, of IDX or npz files")

training, test = image_set(folder, "train"), image_set(folder, "test")
if quick:
    training, test = training.first(1000), test.first(100)
x, x_test = training.scaled()[..., 0], test.scaled()[..., 0]

# pixels spike in up to 8 steps; the outputs never reach their threshold: voltages are the answer
reach = 64.0
network = nn.sequential(
    [
        nn.CubaLif(features=512, decay_u=0.7, decay_v=0.1, rate=0.4),
        nn.CubaLif(features=10, decay_u=1.0, decay_v=0.0, v_th=reach, rate=0.15, reach=1 / reach),
    ],
    encoder=Encoder(kind="rate", shape=(28, 28), steps=8), readout=Readout(kind="count"),
    seed=0, name="mnist", steps=8,
)  # fmt: skip
options = train.Options(augment=jitter((28, 28), shift=1.5, turn=0.15, zoom=0.1), smoothing=0.1,
                        gain=reach, average=0.998, neuron_lr=0.5)  # fmt: skip
network = train.fit(network, x, training.y, epochs=3 if quick else 12, batch=128, lr=3e-3,
                    options=options)  # fmt: skip

chip = pj.target("loihi1")
tuned, program = train.finetune(network, chip, x, training.y, bits=8, epochs=1 if quick else 2,
                                batch=128, lr=2e-4, options=options)  # fmt: skip
show(pj.evaluate(tuned, chip, (x_test, test.y), reference=network, calibrate=x[:64]))
