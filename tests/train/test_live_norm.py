"""Batch norm within integer layers, while its statistics move and after they are frozen."""

from functools import partial

import numpy as np
import pytest

from picojoule import nn
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.passes import freeze, lower
from picojoule.train import Options, confirm, fit, start_quantized
from picojoule.train.live_norm import _unfolded_vjp, unfolded
from picojoule.train.model import forward_pass, prepare, trainable

RNG = np.random.Generator(np.random.Philox(key=[11, 0]))
Y = np.arange(64) % 4
X = (0.4 * RNG.random((64, 4, 4, 2)) + 0.6 * (Y[:, None, None, None] == np.arange(4)[:, None])
     ).astype(np.float32)  # fmt: skip
LAYERS = {
    "conv": [nn.Conv(6), nn.BatchNorm(), nn.Relu(), nn.MaxPool(2), nn.Conv(4, bias=False),
             nn.BatchNorm(), nn.Dense(4)],
    "dense": [nn.Dense(12), nn.BatchNorm(), nn.Relu(), nn.Dense(4)],
}  # fmt: skip


@pytest.fixture(scope="module", params=LAYERS)
def trained(request):
    encoder = Encoder(kind="affine", shape=(4, 4, 2), step=1 / 127)
    graph = nn.sequential(LAYERS[request.param], encoder=encoder, readout=Readout(), seed=3)
    return fit(graph, X, Y, epochs=8, batch=16, lr=1e-2, seed=0)


def passed(graph, **how):
    names = trainable(graph)
    leaves = {n: Tensor(np.asarray(a), wants=n in names) for n, a in graph.params.items()}
    return leaves, forward_pass(prepare(graph), leaves, X, **how)


def layers(made):
    """Integers of the layers with batch norm, in order."""
    found = [n for n in made.graph.order if f"{n}.step_out" in made.graph.params]
    return [made.values.of[n].data.astype(int) for n in found if n.startswith(("conv", "fc1"))]


def test_with_the_statistics_of_the_batch_there_is_nothing_to_correct(trained, array):
    """One layer after the other gets those of the batch; then both passes give the same."""
    live = start_quantized(trained, array, X, bits=8)
    for _ in range(3):
        found = passed(live, live_norm=True)[1].statistics
        assert found
        n = {name: X.shape[0] * (16 if "1" in name else 4) for name in found}
        biased = {name: a * (n[name] - 1) / n[name] if "variance" in name else a
                  for name, a in found.items()}  # fmt: skip
        live = live.with_params({n: a.astype(np.float32) for n, a in biased.items()})
    corrected, plain = (layers(passed(live, live_norm=how)[1]) for how in (True, False))
    assert corrected
    for ours, machine in zip(corrected, plain):
        off = np.abs(ours - machine)  # rounded weights moved the statistics a little
        assert off.max() <= 4 and off.mean() < 0.4


def test_the_correction_has_its_true_gradient():
    sigma, gain = RNG.uniform(0.5, 2, 3), np.array([0.7, -1.3, 0.2])
    y, g = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    out, saved = unfolded(sigma, y, gain)
    np.testing.assert_allclose(out, y * sigma / gain)
    found = _unfolded_vjp(saved, g)
    assert found[1] is None  # the gain is held: batch norm behind it has its gradient
    way = RNG.normal(size=y.shape)
    up, down = ((g * unfolded(sigma, y + s * way, gain)[0]).sum() for s in (1e-6, -1e-6))
    assert (up - down) / 2e-6 == pytest.approx((found[0] * way).sum(), rel=1e-6)


def test_gradients_are_those_of_batch_norm_in_reals(trained, array):
    """At 8 bits a quantized pass is near the float pass, whose gradient is proved."""
    live = start_quantized(trained, array, X, bits=8)
    g = RNG.normal(size=(len(X), 4)).astype(np.float32)
    exact = passed(trained, training=True)
    near = passed(live, live_norm=True)
    for _, made in (exact, near):
        backward(made.scores, g)
    for name in trainable(trained):
        ours, theirs = near[0][name].grad, exact[0][name].grad
        if np.abs(theirs).max() < 1e-3:  # a bias before batch norm has no gradient
            assert ours is None or np.abs(ours).max() < 1e-2
            continue
        alike = (ours * theirs).sum() / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert alike > 0.95 and np.linalg.norm(ours) == pytest.approx(
            np.linalg.norm(theirs), rel=0.2), name  # fmt: skip


def test_statistics_move_then_freeze_and_the_program_agrees(trained, array):
    live = start_quantized(trained, array, X, bits=4)
    means = [n for n in live.params if n.endswith((".mean", ".variance"))]
    seen = []
    keep = partial(fit, live, X, Y, epochs=4, batch=16, seed=0,
                   callback=lambda epoch: seen.append(epoch.graph))  # fmt: skip
    tuned = keep(options=Options(live_statistics=0.5))
    moved = [[not np.array_equal(a.params[n], b.params[n]) for n in means]
             for a, b in zip([live, *seen], seen)]  # fmt: skip
    assert means and np.array(moved)[:2].all() and not np.array(moved)[2:].any()
    program = lower(freeze(tuned), array)
    assert confirm(tuned, program, X) == 4 * len(X)
    still = keep(options=Options())
    assert all(np.array_equal(still.params[n], live.params[n]) for n in means)
