"""How much accuracy does a joule buy?  A sweep of energy in the loss, and its Pareto front.

For each weight of the energy and each seed: bits of layers are learned with the machine's own
prices in the loss, rounded to what the machine offers, fine-tuned, compiled and priced.  A row
says what the loss thought that an inference costs, what the simulated machine says, the gap
between them, and the accuracy deployed; the front is drawn to out/pareto.png (needs matplotlib).
Run with --quick for few epochs and points.
"""

import sys
from pathlib import Path

import numpy as np

import picojoule as pj
from picojoule import nn, passes, train
from picojoule.demo.digits import digits
from picojoule.train import energy, methods, mixed, recipes

quick = "--quick" in sys.argv
STRENGTHS = (0.0, 0.3, 2.0) if quick else (0.0, 0.003, 0.01, 1.0, 2.0, 2.5, 6.0, 12.0, 20.0)
SEEDS = (0,) if quick else (0, 1, 2)
FLOAT_EPOCHS, EPOCHS = (20, 15) if quick else (60, 30)
TUNE_LR = 5e-3
PICTURE = Path("out", "pareto.png")
training, test = digits()
chip = pj.target("systolic_int8")
plain = train.Options(smoothing=0.1)


def deployed(live):
    """Simulated joules of an inference, accuracy, and bits of each layer, of the frozen network."""
    frozen = passes.freeze(live)
    train.confirm(frozen, passes.lower(frozen, chip), test.x)
    bits = [frozen[layer.name].op.weight_bits for layer in methods.layers(live)]
    return mixed.energy_of(live, chip, test.x), train.accuracy(frozen, test.x, test.y), bits


def fitted(live, seed, lr, options=plain):
    return train.fit(live, training.x, training.y, epochs=EPOCHS, lr=lr, seed=seed, options=options)


def with_energy(network, seed, strength):
    """(joules in the loss, simulated joules, accuracy, bits) of one point of the sweep."""
    live = train.start_quantized(network, chip, training.x, bits=8)
    prices = energy.bit_prices(live, chip, training.x)
    options = train.Options(smoothing=0.1, penalties=(energy.energy(prices, strength),))
    learned = fitted(live, seed, 5e-3, options)
    thought = prices.energy(energy.real_bits(learned))
    for layer in methods.layers(energy.commit(learned)):
        live = mixed.with_weight_bits(live, layer.name, layer.high.bit_length() + 1)
    return thought, *deployed(fitted(live, seed, TUNE_LR))


def with_bits(network, seed, bits):
    """The same without a choice: all layers have the same bits."""
    live = train.start_quantized(network, chip, training.x, bits=bits, activation_bits=8)
    return deployed(fitted(live, seed, TUNE_LR))


def front(joules, right):
    """Points that no other one beats in both, cheapest first."""
    order = np.lexsort((-right, joules))
    best = np.maximum.accumulate(np.r_[-1.0, right[order][:-1]])
    return order[right[order] > best]


def draw(sweep, uniform):
    """Left: accuracy over energy, with the front.  Right: what the loss thought of each energy.

    sweep (strengths, seeds, 3): joules in the loss, simulated joules, accuracy; uniform: bits ->
    (seeds, 2) of the last two.  Small dots are seeds, large ones their mean.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    thought, simulated, score = np.moveaxis(sweep * (1e9, 1e9, 100), 2, 0)
    means = sweep.mean(1) * (1e9, 1e9, 100)
    color = np.arange(1, len(sweep) + 1)
    look = {"cmap": "viridis_r", "vmin": 0, "vmax": len(sweep), "zorder": 3}
    best = front(means[:, 1], means[:, 2])
    left.step(means[best, 1], means[best, 2], where="post", color="#59626c", lw=1.4, zorder=2,
              label="front of the sweep")  # fmt: skip
    for axes, y, mean in ((left, score, means[:, 2]), (right, thought, means[:, 0])):
        axes.scatter(simulated, y, c=np.repeat(color, sweep.shape[1]), s=14, alpha=0.45, **look)
        large = axes.scatter(means[:, 1], mean, c=color, s=72, edgecolors="white", **look)
    for bits, (joules, share) in uniform.items():
        left.plot(joules * 1e9, share * 100, "D", color="#d55e00", ms=8, mfc="none", mew=1.6,
                  label="all layers alike" if bits == 8 else None)  # fmt: skip
        left.annotate(f"{bits} bits", (joules * 1e9, share * 100), (10, -12), color="#d55e00",
                      textcoords="offset points")  # fmt: skip
    span = np.array([min(thought.min(), simulated.min()), max(thought.max(), simulated.max())])
    right.plot(span, span, "--", color="#59626c", lw=1, zorder=1)
    right.annotate("no gap", np.full(2, span[0] + 0.75 * np.ptp(span)), (6, -12), color="#59626c",
                   textcoords="offset points")  # fmt: skip
    left.set(xlabel="simulated energy of an inference, nJ", ylabel="accuracy deployed, %",
             title=f"8x8 digits on {chip.name}: accuracy for energy")  # fmt: skip
    right.set(xlabel="simulated energy, nJ", ylabel="energy in the loss, nJ",
              title="What the loss thought")  # fmt: skip
    left.legend(loc="lower right", frameon=False)
    bar = figure.colorbar(large, ax=right, label="weight of the energy", boundaries=[*color - 0.5,
                          len(sweep) + 0.5])  # fmt: skip
    bar.set_ticks(color, labels=[f"{s:g}" for s in STRENGTHS])
    for axes in (left, right):
        axes.grid(color="#e4e7e9", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.12, 0.09)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=160)


networks = [
    train.fit(nn.dense_network([64, 8, 8, 10], seed=seed, high=16.0), training.x, training.y,
              epochs=FLOAT_EPOCHS, lr=5e-3, seed=seed, options=recipes.RELU_OPTIONS)
    for seed in SEEDS
]  # fmt: skip
print("weight   in the loss   simulated     gap   deployed   bits of layers, first seed")
sweep = []
for strength in STRENGTHS:
    found = [with_energy(network, seed, strength) for seed, network in zip(SEEDS, networks)]
    sweep.append([point[:3] for point in found])
    thought, simulated, right = np.mean(sweep[-1], 0)
    print(f"{strength:>6g}{thought * 1e9:>11.0f} nJ{simulated * 1e9:>9.0f} nJ"
          f"{thought / simulated - 1:>+8.0%}{right:>11.1%}   {found[0][3]}")  # fmt: skip
uniform = {}
for bits in (8, 4, 2):
    found = [with_bits(network, seed, bits) for seed, network in zip(SEEDS, networks)]
    uniform[bits] = np.mean([point[:2] for point in found], 0)
    print(f"{bits} bits in all layers{uniform[bits][0] * 1e9:>10.0f} nJ{uniform[bits][1]:>19.1%}")

sweep = np.array(sweep)
_, simulated, right = sweep.mean(1).T
best = front(simulated, right)
print("on the front:", ", ".join(f"{simulated[k] * 1e9:.0f} nJ {right[k]:.1%}" for k in best))
try:
    draw(sweep, uniform)
    print(f"drawn: {PICTURE}")
except ImportError:
    print("no picture: pip install matplotlib")
