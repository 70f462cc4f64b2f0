"""Gradients of derivations: true ones by differences, rounding ones by a named stand-in."""

import numpy as np
import pytest

from picojoule.grad.tape import Tensor, backward, check_grads
from picojoule.graph import Derivation
from picojoule.graph.derive import FUNCTIONS
from picojoule.train.derivations import VJPS, constants, derive, lsq_scale

RNG = np.random.Generator(np.random.Philox(key=[11, 0]))
W, B, GAIN, SHIFT, MEAN = RNG.normal(size=(4, 6)), *RNG.normal(size=(4, 4))
VARIANCE = RNG.uniform(0.5, 2, 4)


def test_every_derivation_has_a_gradient():
    assert VJPS.keys() == FUNCTIONS.keys()


def test_folded_batch_norm_by_differences():
    weight = Derivation("fold_bn_weight", ("w", "g", "v"), (("eps", 1e-3),))
    bias = Derivation("fold_bn_bias", ("b", "g", "s", "m", "v"), (("eps", 1e-3),))
    variance, mean = Tensor(VARIANCE), Tensor(MEAN)
    check_grads(lambda w, g: derive(weight, w, g, variance), W, GAIN)
    check_grads(lambda b, g, s: derive(bias, b, g, s, mean, variance), B, GAIN, SHIFT)


@pytest.mark.parametrize("name, arrays, options", [
    ("times", (B,), (("factor", 3.0),)), ("product", (B, GAIN), ()), ("total", (B, GAIN), ()),
    ("product", (np.array(1.5), GAIN), ()), ("total", (B, np.array(0.5)), ()),
])  # fmt: skip
def test_smooth_derivations_by_differences(name, arrays, options):
    made = Derivation(name, tuple("ab"[: len(arrays)]), options)
    check_grads(lambda *x: derive(made, *x), *arrays)


def quantized(x, step, g, **options):
    """Gradients of x and step for a gradient g that arrives at the real numbers."""
    name = "mantissa" if "dropped" in options else "quantize"
    made = Derivation(name, ("x", "step"), tuple(options.items()))
    leaves = [Tensor(x, wants=True), Tensor(step, wants=True)]
    backward(derive(made, *leaves), g)
    return leaves[0].grad, leaves[1].grad


@pytest.mark.parametrize("more", [{}, {"dropped": 5}])
def test_quantize_has_the_gradient_of_a_clip_with_its_rounding_errors_held(more):
    """Stand-in: step * low | x + step * (level - x / step) held | step * high."""
    step = np.array([0.3, 0.5, 0.9, 0.2])
    low, high = -3, 3
    g = RNG.normal(size=W.shape)
    exact = W / step[:, None]
    held = np.clip(np.rint(exact), low, high) - exact
    assert ((exact < low) | (exact > high)).any()

    def stand_in(x, s):
        inside = (exact >= low) & (exact <= high)
        edge = np.where(exact > high, high, low) * s[:, None]
        return np.sum(g * np.where(inside, x + s[:, None] * held, edge))

    of_x, of_step = quantized(W, step, g, low=low, high=high, **more)
    way, way_s = RNG.normal(size=W.shape), RNG.normal(size=4)
    eps = 1e-6
    slope = (stand_in(W + eps * way, step) - stand_in(W - eps * way, step)) / (2 * eps)
    assert np.sum(of_x * way) == pytest.approx(slope, rel=1e-6)
    slope = (stand_in(W, step + eps * way_s) - stand_in(W, step - eps * way_s)) / (2 * eps)
    assert np.sum(of_step * way_s) == pytest.approx(slope * lsq_scale(6, high), rel=1e-6)


def test_one_step_for_all_rows_adds_up_the_gradients_of_a_step_each():
    g = RNG.normal(size=W.shape)
    _, each = quantized(W, np.full(4, 0.4), g, low=-7, high=7)
    _, one = quantized(W, np.array(0.4), g, low=-7, high=7)
    assert one.shape == ()
    assert one / lsq_scale(24, 7) == pytest.approx(each.sum() / lsq_scale(6, 7))


def test_a_decay_register_has_the_gradient_of_the_decay_where_it_is_not_clipped():
    made = Derivation("decay_register", ("d",), (("bits", 12), ("offset", 1), ("high", 4095)))
    decay = Tensor(np.array([0.0, 0.25, 0.9, 1.0]), wants=True)
    g = np.array([1.0, 2.0, 3.0, 4.0])
    backward(derive(made, decay), g)
    assert decay.grad.tolist() == [0.0, 2.0, 3.0, 4.0]  # register of 0 would be -1
    low = derive(made, Tensor(np.array([0.25 + 1 / 4096]))).data[0]
    assert low - derive(made, Tensor(np.array([0.25]))).data[0] == 1  # more decay, more register


def test_constants_do_not_depend_on_their_order(dense, array, data):
    from picojoule.train import start_quantized

    graph = start_quantized(dense, array, data[0], bits=8)
    leaves = {n: Tensor(a) for n, a in graph.params.items()}
    known = constants(graph, leaves)
    for name in graph.derived:
        assert np.array_equal(known[name].data, graph.value(name)), name
