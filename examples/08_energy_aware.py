"""Energy in the loss: trade accuracy for joules, layer by layer, on the machine's own prices.

Bits of weights are learned as real numbers, then each layer gets the nearest number of bits that
the machine offers and is fine-tuned once more.  A row for each weight of the energy: what the
loss thought an inference costs, what the simulated machine says, and the accuracy deployed.
Run with --quick for a few epochs only.
"""

import sys

import picojoule as pj
from picojoule import nn, passes, train
from picojoule.demo.digits import digits
from picojoule.report.text import show
from picojoule.train import energy, methods, mixed, recipes

quick = "--quick" in sys.argv
training, test = digits()
chip = pj.target("systolic_int8")
network = recipes.fit_digits(nn.digits_relu(seed=0), training.x, training.y, seed=0,
                             epochs=5 if quick else None)  # fmt: skip
live = train.start_quantized(network, chip, training.x, bits=8)
prices = energy.bit_prices(live, chip, training.x)

print("strength   in the loss   simulated     gap   bits of layers   deployed")
for strength in (0.0, 1.0) if quick else (0.0, 0.3, 1.0, 3.0, 10.0):
    options = train.Options(penalties=(energy.energy(prices, strength),), smoothing=0.1)
    learned = train.fit(live, training.x, training.y, epochs=3 if quick else 20, lr=5e-3,
                        options=options)  # fmt: skip
    committed = energy.commit(learned)
    tuned = train.fit(committed, training.x, training.y, epochs=3 if quick else 20, lr=2e-3,
                      options=train.Options(smoothing=0.1))  # fmt: skip
    frozen = passes.freeze(tuned)
    train.confirm(frozen, passes.lower(frozen, chip), test.x)
    thought = prices.energy(energy.real_bits(learned))
    simulated = mixed.energy_of(tuned, chip, test.x)
    bits = [frozen[layer.name].op.weight_bits for layer in methods.layers(tuned)]
    share = train.accuracy(frozen, test.x, test.y)
    print(f"{strength:>8}{thought * 1e9:>11.0f} nJ{simulated * 1e9:>9.0f} nJ"
          f"{thought / simulated - 1:>+8.0%}   {bits!s:<17}{share:.1%}")  # fmt: skip

show(pj.evaluate(frozen, chip, (test.x, test.y), reference=network, calibrate=training.x))
