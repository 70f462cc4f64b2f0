"""A convolutional network: trained in float, fine-tuned in the machine's integers, deployed.

    python examples/06_cnn.py --data FOLDER     MNIST or Fashion-MNIST, as IDX or npz files
    python examples/06_cnn.py --quick           8x8 digits that come with the package, 20 s

Copy what you need: nothing here is special to these images.
"""

import sys
from pathlib import Path

import picojoule as pj
from picojoule import nn, train
from picojoule.demo.digits import digits
from picojoule.fixed.contract import Encoder, Readout
from picojoule.report.text import show
from picojoule.train.augment import move
from picojoule.train.data import image_set

quick = "--quick" in sys.argv
if "--data" in sys.argv:
    folder = Path(sys.argv[sys.argv.index("--data") + 1])
    training, test = image_set(folder, "train"), image_set(folder, "test")
    x, y, test_x, test_y = training.scaled(), training.y, test.scaled(), test.y
    channels, epochs, tune_epochs = (16, 32, 64), 10, 4
else:
    training, test = digits()
    x, test_x = (part.x.reshape(-1, 8, 8, 1) / 16 for part in (training, test))
    y, test_y = training.y, test.y
    channels, epochs, tune_epochs = (8, 16), (6 if quick else 30), (3 if quick else 10)

layers = []
for features in channels:
    layers += [nn.Conv(features, bias=False), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2)]
network = nn.sequential(
    [*layers, nn.Dense(10, init="xavier")], name="cnn", seed=0, readout=Readout(),
    encoder=Encoder(kind="affine", shape=x.shape[1:], step=1 / 127),
)  # fmt: skip

chip = pj.target("systolic_int8")
options = train.Options(augment=move(1), smoothing=0.05, weight_decay=0.01, average=0.99)
network = train.fit(network, x, y, epochs=epochs, lr=4e-3, batch=64, options=options)
tuned, program = train.finetune(
    network, chip, x, y, bits=4, epochs=tune_epochs, lr=1e-3, batch=64, options=options
)
print(train.confirm(tuned, program, test_x), "output integers of the test set agree")
show(pj.evaluate(tuned, chip, (test_x, test_y), reference=network, calibrate=x))
