"""Ten lines: a trained spiking network, compiled for Loihi, run bit for bit, and its bill."""

import picojoule as pj
from picojoule.demo.digits import digits

training, test = digits()
chip = pj.target("loihi1")
network = pj.load("examples/digits_spiking.pjg")
print(pj.check(network, chip))
program = pj.compile(network, chip, calibrate=training.x, bits=4)
run = pj.run(program, test.x)
print(f"{(run.answers() == test.y).mean():.1%} of {run.samples} digits right with 4-bit weights")
print(pj.cost(run, chip))
