"""A recurrent spiking network that hears digits, on Loihi: sound becomes spikes by loudness.

The folder of the Free Spoken Digit Dataset is the first argument, or data/fsdd of
PICOJOULE_SHARED.  Run with --quick for a few clips only.
"""

import os
import sys
from pathlib import Path

import numpy as np

import picojoule as pj
from picojoule import nn, train
from picojoule.fixed.contract import Encoder, Readout
from picojoule.report.text import show
from picojoule.train.data import spoken_digits
from picojoule.train.data.spectrum import Ear, as_spikes, loudness, moved_in_time, varied

quick = "--quick" in sys.argv
given = [word for word in sys.argv[1:] if word != "--quick"]
shared = Path(os.environ.get("PICOJOULE_SHARED", "."), "data", "fsdd")
folder = Path(given[0]) if given else shared
if not folder.is_dir():
    sys.exit(f"no spoken digits in {folder}: give the folder of their recordings")

ear, clips = Ear(), spoken_digits(folder)
learned, tested = clips.official("train"), clips.official("test")
copies = 1 if quick else 5
if quick:
    learned, tested = learned[::6], tested[::6]
random = np.random.default_rng(0)
x = [as_spikes(ear, loudness(ear, clips.clip(k))) for k in learned]
x += [varied(ear, clips.clip(k), random) for _ in range(copies - 1) for k in learned]
x, y = np.array(x), np.tile(clips.label[learned], copies)
x_test = np.array([as_spikes(ear, loudness(ear, clips.clip(k))) for k in tested])

reach = 64.0  # of the outputs, which therefore never spike: voltages are the answer
network = nn.sequential(
    [
        nn.CubaLif(features=192, decay_u=0.5, decay_v=0.1, recurrent=True, rate=0.4),
        nn.CubaLif(features=10, decay_u=1.0, decay_v=0.0, v_th=reach, rate=0.15, reach=1 / reach),
    ],
    encoder=Encoder(kind="events", shape=(ear.channels,), steps=ear.steps),
    readout=Readout(kind="count"), seed=0, name="spoken_digits", steps=ear.steps,
)  # fmt: skip
# a recurrence as strong as the input would fire on and on
network = network.with_params({"rec1.weight": network.params["rec1.weight"] * np.float32(0.2)})
options = train.Options(augment=moved_in_time, smoothing=0.1, gain=reach, average=0.99,
                        neuron_lr=0.5)  # fmt: skip
network = train.fit(network, x, y, epochs=3 if quick else 10, lr=3e-3, options=options)

chip = pj.target("loihi1")
tuned, program = train.finetune(network, chip, x, y, bits=8, epochs=1 if quick else 2, lr=2e-4,
                                options=options)  # fmt: skip
show(pj.evaluate(tuned, chip, (x_test, clips.label[tested]), reference=network,
                 calibrate=x[:64]))  # fmt: skip
