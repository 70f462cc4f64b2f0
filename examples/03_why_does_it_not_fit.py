"""Every reason at once: a layer too wide for a small chip, and what to do about it."""

from dataclasses import replace

import picojoule as pj
from picojoule import nn

chip = pj.target("loihi1")
small = replace(chip, core=replace(chip.core, count=2))  # a chip with two cores
network = nn.spiking_network([64, 4000, 10], steps=16, seed=0)
print(pj.check(network, small, bits=8))
print()
print(pj.check(network, chip, bits=8))
