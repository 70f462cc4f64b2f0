"""A NIR file from another framework: what the time step decides, and what the chip makes of it.

NIR describes neurons in continuous time.  The step `dt` is not in the file, so it must be said.
Here the file is written first, by us; yours comes from snnTorch, Norse, Sinabs or Lava-DL.
"""

import tempfile
from pathlib import Path

import numpy as np

import picojoule as pj
from picojoule import nn
from picojoule.frontend import nir

network = nn.spiking_network([8, 16, 3], steps=50, seed=1, decay_v=0.05)
path = Path(tempfile.mkdtemp()) / "network.nir"
nir.write(network, path, dt=1e-3)

loaded = pj.load(path, dt=1e-3, steps=50)
chip = pj.target("loihi1")
spikes = np.random.default_rng(0).random((4, 50, 8)) < 0.3
program = pj.compile(loaded, chip, calibrate=spikes)
run = pj.run(program, spikes)
print("output spikes of each sample:", run.outputs["spikes"].sum(axis=(1, 2)).tolist())
print(pj.diff(loaded, program, spikes))
