"""Fine-tune a network on the machine's own arithmetic: 2-bit weights and activations.

Run with --quick for a few epochs only.
"""

import sys

import picojoule as pj
from picojoule import nn
from picojoule.demo.digits import digits
from picojoule.report.text import show
from picojoule.train import recipes

epochs = 3 if "--quick" in sys.argv else None
training, test = digits()
chip = pj.target("systolic_int8")
network = recipes.fit_digits(nn.digits_relu(seed=0), training.x, training.y, seed=0, epochs=epochs)
tuned = pj.finetune(network, chip, (training.x, training.y), bits=2, epochs=epochs or 30, lr=5e-3)
show(pj.evaluate(tuned, chip, (test.x, test.y), reference=network, calibrate=training.x))
