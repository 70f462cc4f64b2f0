"""TQT, DoReFa, PACT, ternary, binary: gradients, and integers that the machine computes too."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Derivation
from picojoule.graph.derive import FUNCTIONS
from picojoule.passes import freeze, lower
from picojoule.train import Options, accuracy, confirm, fit, methods, start_quantized
from picojoule.train.derivations import VJPS, derive
from picojoule.train.penalties import damping, shrink

RNG = np.random.Generator(np.random.Philox(key=[8, 0]))
X = RNG.normal(0, 0.4, (3, 7))
METHODS = [
    ("tqt", "tqt", 4),
    ("dorefa", "pact", 4),
    ("ternary", "lsq", 4),
    ("binary", "tqt", 4),
    ("lsq", "lsq+", 4),
]


def images(data):
    """The four patterns of 12 values as images of 3 x 4."""
    x, y = data
    return x.reshape(-1, 3, 4, 1), y


@pytest.fixture
def conv():
    encoder = Encoder(kind="affine", shape=(3, 4, 1), step=1 / 127)
    layers = [nn.Conv(6, bias=False), nn.BatchNorm(), nn.Relu(), nn.Dense(8), nn.Relu(),
              nn.Dense(4, init="xavier")]  # fmt: skip
    return nn.sequential(layers, encoder=encoder, readout=Readout(), seed=1)


@pytest.mark.parametrize(("weights", "activations", "bits"), METHODS)
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_trained_by_any_method_the_program_computes_the_same(
    dense, conv, data, array, weights, activations, bits, kind
):
    graph, (x, y) = (dense, data) if kind == "dense" else (conv, images(data))
    graph = fit(graph, x, y, epochs=10, batch=16, lr=1e-2, seed=1)
    live = methods.use(start_quantized(graph, array, x, bits=bits), weights=weights,
                       activations=activations)  # fmt: skip
    tuned = fit(live, x, y, epochs=15, batch=16, lr=5e-3, seed=1)
    moved = [n for n in live.params if not np.array_equal(tuned.params[n], live.params[n])]
    assert any(".largest" in n or "step" in n for n in moved) or weights in ("ternary", "binary")
    frozen = freeze(tuned)
    program = lower(frozen, array)
    assert confirm(tuned, program, x) == confirm(frozen, program, x) == 4 * len(x)
    assert accuracy(frozen, x, y) > 0.8
    levels = {int(v) for layer in methods.layers(live) or () for v in [layer.high]}
    for node in frozen.nodes:
        if weights in ("ternary", "binary") and hasattr(node.op, "weight_bits"):
            found = set(np.unique(frozen.pinned[node.op.weight].values).tolist())
            assert found <= ({-1, 1} if weights == "binary" else {-1, 0, 1}), levels


def test_steps_of_tqt_are_powers_of_two(dense, array, data):
    live = methods.use(start_quantized(dense, array, data[0], bits=4), weights="tqt",
                       activations="tqt")  # fmt: skip
    before = start_quantized(dense, array, data[0], bits=4)
    for name in ("fc1.step_w", "fc1.step_out"):
        exponent = np.log2(live.value(name))
        assert np.array_equal(exponent, np.rint(exponent))
        assert (np.abs(exponent - np.log2(before.value(name))) <= 0.5).all()


def test_unknown_methods_are_refused(dense, array, data):
    live = start_quantized(dense, array, data[0], bits=4)
    with pytest.raises(UsageError) as caught:
        methods.use(live, weights="best", activations="relu")
    assert str(caught.value).count("PJ806") == 2


def gradient(made, *inputs, g=None):
    leaves = [Tensor(np.asarray(a, np.float64), wants=True) for a in inputs]
    out = derive(made, *leaves)
    backward(out, np.ones(out.shape) if g is None else g)
    return [leaf.grad for leaf in leaves]


def slope(function, *arrays, ways, size=1e-6):
    up, down = ([a + s * size * w for a, w in zip(arrays, ways)] for s in (1, -1))
    return (function(*up) - function(*down)) / (2 * size)


def test_the_power_of_two_has_the_gradient_of_the_identity_at_powers():
    found = gradient(Derivation("power_of_two", ("t",)), np.array([0.25, 2.0]))
    np.testing.assert_allclose(found[0], [1.0, 1.0])
    np.testing.assert_allclose(FUNCTIONS["power_of_two"](np.array([0.3, 0.25])), [0.5, 0.25])


@pytest.mark.parametrize("name", ["ternary_step", "binary_step"])
@pytest.mark.parametrize("rows", [0, 1])
def test_steps_from_weights_have_their_true_gradient(name, rows):
    options = (("rows", rows),) if name == "binary_step" else (("rows", rows), ("share", 0.7))
    made, way = Derivation(name, ("x",), options), RNG.normal(size=X.shape)
    g = RNG.normal(size=np.shape(FUNCTIONS[name](X, **dict(options))))
    found = float(np.sum(gradient(made, X, g=g)[0] * way))
    expected = slope(lambda x: np.sum(g * FUNCTIONS[name](x, **dict(options))), X, ways=[way])
    assert found == pytest.approx(expected, rel=1e-6)


def test_tanh_levels_have_the_gradient_of_what_is_rounded():
    """The stand-in: step high tanh(x) / (largest |tanh|, held constant)."""
    step, high, way = np.array([0.1, 0.2, 0.3]), 7, RNG.normal(size=X.shape)
    made = Derivation("tanh_levels", ("x", "s"), (("high", high),))
    most = np.abs(np.tanh(X)).max()
    found = float(np.sum(gradient(made, X, step)[0] * way))
    expected = slope(lambda x: np.sum(step[:, None] * high * np.tanh(x) / most), X, ways=[way])
    assert found == pytest.approx(expected, rel=1e-6)
    assert np.abs(FUNCTIONS["tanh_levels"](X, step, high=high)).max() == high


def test_merging_an_adapter_has_its_gradient_and_leaves_the_weight_alone():
    weight, down, up = RNG.normal(size=(3, 2, 2)), RNG.normal(size=(2, 4)), RNG.normal(size=(3, 2))
    made = Derivation("merge_lora", ("w", "a", "b"), (("scale", 0.5),))
    g = RNG.normal(size=weight.shape)
    grads = gradient(made, weight, down, up, g=g)
    assert grads[0] is None
    ways = [RNG.normal(size=a.shape) for a in (down, up)]
    expected = slope(lambda a, b: np.sum(g * FUNCTIONS["merge_lora"](weight, a, b, scale=0.5)),
                     down, up, ways=ways)  # fmt: skip
    found = sum(float(np.sum(got * way)) for got, way in zip(grads[1:], ways))
    assert found == pytest.approx(expected, rel=1e-6)


def test_every_derivation_has_a_gradient():
    assert set(VJPS) == set(FUNCTIONS)


def distance(graph):
    """Mean distance of weights from the middle of their levels, in steps."""
    found = []
    for layer in methods.layers(graph):
        step = np.reshape(graph.value(layer.step), (-1, 1))
        exact = np.clip(np.reshape(graph.value(layer.real), (len(graph.value(layer.real)), -1))
                        / step, layer.low, layer.high)  # fmt: skip
        found.append(np.abs(exact - np.rint(exact)).mean())
    return float(np.mean(found))


def test_damping_brings_weights_to_the_middle_of_their_levels(dense, array, data):
    live = start_quantized(dense, array, data[0], bits=2)
    ends = [
        fit(live, *data, epochs=20, batch=16, lr=1e-2, seed=0,
            options=Options(step_lr=0.0, penalties=penalties))
        for penalties in ((), (damping(0.05),))
    ]  # fmt: skip
    assert distance(ends[1]) < 0.7 * distance(ends[0])


def test_shrinking_makes_clip_levels_smaller(dense, array, data):
    live = methods.use(start_quantized(dense, array, data[0], bits=4), activations="pact")
    free, small = (fit(live, *data, epochs=10, lr=1e-2, options=Options(penalties=p))
                   for p in ((), (shrink(".largest", 0.1),)))  # fmt: skip
    assert small.params["fc1.largest"] < free.params["fc1.largest"]
