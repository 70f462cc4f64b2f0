"""Layers that build graphs."""

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import ops
from picojoule.graph.interpret import interpret
from picojoule.nn.init import generator, he_std, spiking_std, step_response, xavier_std

ENCODER = Encoder(kind="affine", shape=(6,), step=1 / 127)


def build(*layers, **more):
    return nn.sequential(layers, encoder=ENCODER, readout=Readout(), seed=1, **more)


def test_a_dense_network_has_the_layers_one_asks_for():
    graph = nn.dense_network([6, 5, 5, 3], seed=0, residual=True)
    kinds = [type(graph[name].op).__name__ for name in graph.names()]
    assert kinds == [
        "Input",
        "Dense",
        "BatchNorm",
        "Relu",
        "Dense",
        "BatchNorm",
        "Add",
        "Relu",
        "Dense",
    ]
    assert graph["add1"].inputs == ("bn2", "relu1")
    assert graph.types[graph.output].shape == (3,)


def test_all_parameters_are_float32_and_used():
    for graph in (nn.digits_relu(0), nn.digits_spiking(0)):
        used = {n for node in graph.nodes for n in graph.constants(node).values()}
        assert set(graph.params) == used
        assert {a.dtype for a in graph.params.values()} == {np.dtype(np.float32)}


def test_seeds_decide_everything():
    assert nn.digits_relu(3).digest == nn.digits_relu(3).digest
    assert nn.digits_relu(3).digest != nn.digits_relu(4).digest


def test_layers_draw_from_streams_of_their_own():
    a, b = generator(0, 0).normal(size=50), generator(0, 1).normal(size=50)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.4 and not np.array_equal(a, b)


def test_a_residual_adds_its_input():
    graph = build(nn.Residual((nn.Dense(6),)))
    x = generator(0, 9).normal(size=(4, 6))
    out = interpret(graph, x)
    np.testing.assert_allclose(out["add1"], out["fc1"] + out["input"])


def test_a_residual_of_another_size_is_refused():
    with pytest.raises(UsageError, match=r"PJ806.*6 features into 4"):
        build(nn.Residual((nn.Dense(4),)))


def test_an_unknown_initialisation_is_refused():
    with pytest.raises(UsageError, match=r"PJ806.*'lecun'"):
        build(nn.Dense(4, init="lecun"))


@pytest.mark.parametrize("name, std", [("he", he_std(6, 400)), ("xavier", xavier_std(6, 400))])
def test_weights_have_the_deviation_of_their_rule(name, std):
    weight = build(nn.Dense(400, init=name)).params["fc1.weight"]
    assert weight.std() == pytest.approx(std, rel=0.1)
    assert he_std(8, 1) == 0.5 and xavier_std(4, 4) == 0.5


def test_images_are_flattened_first():
    encoder = Encoder(kind="affine", shape=(2, 3), step=1.0)
    graph = nn.sequential([nn.Dense(4)], encoder=encoder, readout=Readout(), seed=0)
    assert isinstance(graph[graph["fc1"].inputs[0]].op, ops.Flatten)
    assert graph.params["fc1.weight"].shape == (4, 6)


def test_step_response_is_the_sum_of_the_impulse_response():
    assert step_response(1.0, 1.0, 7) == 1.0  # nothing is kept
    assert step_response(1.0, 0.0, 7) == 7.0  # all of v is kept
    assert step_response(0.5, 1.0, 200) == pytest.approx(2.0)
    wide, narrow = (
        spiking_std(n, rate=0.2, decay_u=0.5, decay_v=0.2, v_th=1.0, steps=8, reach=1.0)
        for n in (16, 64)
    )
    assert wide == pytest.approx(2 * narrow)


@pytest.mark.parametrize("decay_u, decay_v", [(1.0, 0.5), (0.7, 0.1), (0.2, 0.05)])
def test_all_layers_fire_before_training(decay_u, decay_v):
    graph = nn.spiking_network([20, 64, 64, 10], steps=20, seed=0, decay_u=decay_u,
                               decay_v=decay_v)  # fmt: skip
    out = interpret(graph, generator(1, 0).uniform(size=(20, 20)))
    for name in graph.names(ops.CubaLif):
        assert 0.01 < out[name].mean() < 0.5, name


def test_recurrent_neurons_read_themselves_a_step_late():
    graph = nn.spiking_network([4, 6, 3], steps=5, seed=0, recurrent=True)
    assert graph["lif1"].inputs == ("fc1", "rec1")
    assert graph[graph["rec1"].inputs[0]].op == ops.Delay(steps=1)
    assert graph["lif1_late"].inputs == ("lif1",) and graph["lif2"].inputs == ("fc2",)


IMAGES = Encoder(kind="affine", shape=(9, 8, 3), step=1 / 127)


def build_image(*layers):
    return nn.sequential(layers, encoder=IMAGES, readout=Readout(), seed=1)


def test_layers_of_images():
    graph = build_image(
        nn.Conv(6, 3, stride=2, bias=False), nn.BatchNorm(), nn.Relu(),
        nn.Residual((nn.Conv(6, (1, 3)), nn.LeakyRelu(0.2))), nn.MaxPool(2),
        nn.Conv(4, 2, padding=(1, 0), groups=2), nn.AveragePool((2, 1), stride=1, padding=0),
        nn.Dense(7), nn.Elu(), nn.Dense(3),
    )  # fmt: skip
    shapes = {name: graph.types[name].shape for name in graph.names()}
    assert shapes["conv1"] == (5, 4, 6) == shapes["add1"]
    assert shapes["pool1"] == (2, 2, 6) and shapes["conv3"] == (3, 1, 4)
    assert graph["conv1"].op.padding == (1, 0, 1, 1)
    assert graph["flat"].inputs == ("mean1",) and graph.types["fc2"].shape == (3,)
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 3))
    assert interpret(graph, x)["fc2"].shape == (2, 3)


def test_pools_of_the_same_size():
    graph = build_image(nn.MaxPool(3, stride=1, padding="same"), nn.AveragePool(2, padding="same"))
    assert [graph.types[name].shape for name in graph.names()[1:]] == [(9, 8, 3), (5, 4, 3)]


def test_the_spread_of_convolutions_is_he():
    graph = build_image(nn.Conv(400, 3, groups=1, padding=1))
    assert graph.params["conv1.weight"].std() == pytest.approx(np.sqrt(2 / 27), rel=0.03)


def test_vectors_of_images_without_image_layers_come_first():
    graph = build_image(nn.BatchNorm(), nn.Dense(2))
    assert graph.names()[:2] == ("input", "flat") and graph.params["bn1.gain"].shape == (216,)


@pytest.mark.parametrize("layers, message", [
    ([nn.Dense(4), nn.Conv(2)], "Conv needs images"),
    ([nn.Conv(4, padding="odd")], "padding='odd' is not 'same'"),
    ([nn.Conv(4, groups=2)], "2 groups do not divide 3 channels into 4"),
    ([nn.Conv(4, 0)], "kernel needs 2 numbers of at least 1"),
    ([nn.MaxPool(10)], "does not fit into"),
    ([nn.Residual((nn.Conv(4),))], r"a Residual turns \[9, 8, 3\] into \[9, 8, 4\]"),
    ([nn.Conv(4, init="odd")], "init='odd'"),
    ([nn.Conv(4, stride=0)], "stride needs 2 numbers of at least 1"),
    ([nn.Conv(4, kernel=(3,))], r"one number or \(y, x\) is needed"),
    ([nn.Dense(4), nn.MaxPool(2, padding="same")], "MaxPool needs an image"),
    ([nn.MaxPool], "is no layer"),
])  # fmt: skip
def test_layers_of_images_that_do_not_fit(layers, message):
    with pytest.raises(UsageError, match=message):
        build_image(*layers)
