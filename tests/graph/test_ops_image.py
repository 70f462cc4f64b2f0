"""Ops of images: shapes, what is refused, and what they compute by hand."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule.errors import GraphError
from picojoule.fixed.contract import Encoder
from picojoule.graph import Graph, Node
from picojoule.graph.faults import infer, verify
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import (
    AveragePool,
    Concat,
    Conv,
    Elu,
    GlobalAveragePool,
    Input,
    IntAdd,
    IntConv2d,
    IntLookup,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Softmax,
    Tanh,
)
from picojoule.graph.text import parse, text

SHAPE = (3, 4, 2)
X = np.arange(24.0).reshape(1, *SHAPE)


def one(op, params=None, shape=SHAPE, inputs=("input",)):
    nodes = (Node("input", Input(shape=shape)), Node("y", op, inputs))
    return Graph("one", nodes, "y", Encoder(kind="affine", shape=shape), params=params or {})


def computed(op, x=X, **params):
    return interpret(one(op, params, x.shape[1:]), x)["y"]


def test_a_convolution_by_hand():
    weight = np.zeros((3, 1, 2, 2))
    weight[0, 0] = [[1, 0], [0, 0]]
    weight[1:, 0, 1, 1] = 1, 10
    op = Conv(weight="w", bias="b", kernel=(2, 2), features=4, groups=2, stride=(2, 1),
              padding=(1, 0, 0, 1), dilation=(1, 2))  # fmt: skip
    y = computed(op, w=np.concatenate([weight, weight[:1]]), b=np.array([0, 0, 0, 0.5]))[0]
    assert y.shape == (2, 3, 4)
    assert y[0, :, 0].tolist() == [0, 0, 0]  # the row above the image
    assert y[1, :, 0].tolist() == [8, 10, 12]  # x[1, q, 0]
    assert y[0, :, 1].tolist() == [4, 6, 0]  # x[0, q + 2, 0], then beyond the right
    assert y[1, :, 2].tolist() == [10 * 21, 10 * 23, 0]  # group 1: x[2, q + 2, 1]
    assert y[1, :, 3].tolist() == [9.5, 11.5, 13.5]


def test_pools_by_hand():
    image = X[..., :1]
    assert computed(MaxPool(kernel=(2, 2), stride=(1, 2)), image)[0, :, :, 0].tolist() == [
        [10, 14], [18, 22]]  # fmt: skip
    low = computed(MaxPool(kernel=(2, 2), padding=(1, 1, 0, 0)), image - 100)[0, :, :, 0]
    assert low[0].tolist() == [-100, -98, -96, -94]  # padding never wins
    mean = AveragePool(kernel=(2, 2), stride=(2, 2), padding=(1, 1, 0, 1))
    assert computed(mean, image)[0, :, :, 0].tolist() == [[0, 3, 6], [12, 15, 18]]
    counted = replace(mean, count_padding=True)
    assert computed(counted, image)[0, :, :, 0].tolist() == [[0, 1.5, 1.5], [6, 15, 9]]
    assert computed(GlobalAveragePool()).tolist() == [[11, 12]]


@pytest.mark.parametrize("op, want", [
    (LeakyRelu(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    (Elu(2.0), lambda x: np.where(x > 0, x, 2 * (np.exp(np.minimum(x, 0)) - 1))),
    (Sigmoid(), lambda x: 1 / (1 + np.exp(-x))), (Tanh(), np.tanh),
])  # fmt: skip
def test_functions_of_elements(op, want):
    x = np.linspace(-5, 5, 24).reshape(1, *SHAPE)
    np.testing.assert_allclose(computed(op, x), want(x), rtol=1e-12)
    assert np.isfinite(computed(op, 1e5 * x)).all()


def test_softmax_of_large_numbers():
    found = computed(Softmax(), np.array([[1000.0, 1000.0, -1000.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]], atol=1e-12)


REFUSED = {
    "vector": (one(MaxPool(kernel=(2, 2)), shape=(6,)), "needs an image"),
    "too large": (one(MaxPool(kernel=(4, 2))), r"a window of \[4, 2\] does not fit into \[3, 4\]"),
    "kernel": (one(MaxPool(kernel=(2,))), "kernel needs 2 numbers of at least 1"),
    "stride": (one(MaxPool(kernel=(2, 2), stride=(0, 1))), "stride needs 2 numbers"),
    "padding": (one(AveragePool(kernel=(2, 2), padding=(0, 2, 0, 0))), "must be less than"),
    "groups": (
        one(Conv(weight="w", kernel=(1, 1), features=3, groups=2), {"w": np.ones((3, 1, 1, 1))}),
        "2 groups do not divide 2 channels into 3"),
    "weights": (
        one(Conv(weight="w", kernel=(1, 1), features=3), {"w": np.ones((3, 1, 1, 1))}),
        r"needs \[3, 2, 1, 1\]"),
    "slope": (one(LeakyRelu(float("nan"))), "slope must be finite"),
    "one input": (one(Concat()), "needs at least 2"),
    "table": (one(IntLookup(table="t", step_in="s", step_out="s", function="Tanh", entries=500),
                  {"t": np.zeros(500, int), "s": np.ones(())}), r"a table has 1\.\.256 entries"),
    "range": (one(IntConv2d(weight="w", bias="b", multiplier="m", exponent="e", step_in="s",
                            step_w="s", step_out="s", kernel=(1, 1), features=1, low=3, high=3)),
              "low 3 is not below high 3"),
    "profile": (one(IntAdd(scaling="m", step_a="s", step_b="s", step_out="s", profile="odd"),
                    inputs=("input", "input")), "no such tensor profile: 'odd'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_network(name):
    graph, message = REFUSED[name]
    with pytest.raises(GraphError, match=message):
        verify(graph)


def test_joined_images_differ_in_channels_only():
    graph = one(Concat(), inputs=("input", "pool"))
    graph = graph.add(Node("pool", MaxPool(kernel=(2, 2)), ("input",)))
    with pytest.raises(GraphError, match="differ in the last axis only"):
        verify(graph)


def test_geometry_survives_its_text():
    op = Conv(weight="w", kernel=(2, 1), features=1, stride=(2, 1), padding=(1, 0, 2, 3),
              dilation=(3, 1), groups=2)  # fmt: skip
    graph = one(op, {"w": np.ones((1, 1, 2, 1))})
    assert parse(text(graph), graph.params) == graph


def test_a_concatenation_is_typed_by_all_its_inputs_in_any_order_of_nodes():
    nodes = (
        Node("y", GlobalAveragePool(), ("both",)),
        Node("both", Concat(), ("twice", "input")),
        Node("twice", Concat(), ("input", "input")),
        Node("input", Input(shape=SHAPE)),
    )
    graph = Graph("four", nodes, "y", Encoder(kind="affine", shape=SHAPE))
    verify(graph)
    for types in (graph.types, infer(graph)[0]):
        assert types["both"].shape == (3, 4, 6) and types["y"].size == 6
