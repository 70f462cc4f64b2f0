"""Networks at the edge of meaning: each was found by the random ones, and made small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.differential.agree import all_agree, quantized
from tests.differential.networks import Case

from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Graph, Node
from picojoule.graph.ops import CubaLif, Delay, Dense, Input
from picojoule.passes import check


def one_population(weight, v_th, *, delays=()):
    """Spikes of 2 channels, through delays, onto one neuron; no bias."""
    nodes, source = [Node("input", Input(shape=(2,), kind="spike"))], "input"
    for k, steps in enumerate(delays):
        nodes.append(Node(f"delay{k}", Delay(steps=steps), (source,)))
        source = f"delay{k}"
    nodes += [
        Node("dense", Dense(weight="w", features=1), (source,)),
        Node("lif", CubaLif(decay_u="d", decay_v="d", v_th="v_th"), ("dense",)),
    ]
    params = {"w": np.array([weight], float), "d": np.array(0.5), "v_th": np.array(v_th)}
    encoder = Encoder(kind="rate", shape=(2,), steps=8)
    return Graph("one", tuple(nodes), "lif", encoder, Readout(kind="count"), params=params,
                 steps=8)  # fmt: skip


SAMPLES = np.array([[0.5, 1.0], [0.0, 0.75]])


@pytest.mark.parametrize("weight", [[1.0, -0.5], [-1.0, -1.0], [1e-30, 0.0], [0.0, 1e30]])
def test_a_threshold_of_zero(weight, machines):
    case = Case(one_population(weight, 0.0), SAMPLES, 8)
    live = quantized(case, machines["loihi1"])
    fired = all_agree(live, machines["loihi1"], SAMPLES)["spikes"].any()
    assert fired == (max(weight) > 0)


def test_delays_in_a_row_listed_backwards(machines):
    graph = one_population([1.0, 0.5], 0.9, delays=(2, 1))
    backwards = replace(graph, nodes=graph.nodes[::-1])
    case = Case(backwards, SAMPLES, 8)
    live = quantized(case, machines["loihi1"])
    assert all_agree(live, machines["loihi1"], SAMPLES)["spikes"].any()


def test_nothing_but_zeros(machines):
    case = Case(one_population([0.0, 0.0], 0.0), SAMPLES, 8)
    live = quantized(case, machines["loihi1"])
    assert not all_agree(live, machines["loihi1"], SAMPLES)["spikes"].any()


def test_a_network_of_nothing_but_its_input(machines):
    """It is refused, or its answers are the input's integers."""
    nodes = (Node("input", Input(shape=(2,))),)
    graph = Graph("none", nodes, "input", Encoder(kind="affine", shape=(2,), step=1 / 32))
    if not check(graph, machines["tensor"]):
        case = Case(graph, SAMPLES, 8)
        assert all_agree(quantized(case, machines["tensor"]), machines["tensor"], SAMPLES)


def test_a_bias_far_above_its_weights_takes_the_accumulator(machines):
    """The weight step grows until the bias fits its word; the weights may vanish below it."""
    params = {"w": np.full((2, 2), 1e-9), "b": np.array([0.5, -0.5])}
    nodes = (
        Node("input", Input(shape=(2,))),
        Node("fc", Dense(weight="w", bias="b", features=2), ("input",)),
    )
    graph = Graph("far", nodes, "fc", Encoder(kind="affine", shape=(2,)), params=params)
    live = quantized(Case(graph, SAMPLES, 8), machines["tensor"])
    found = all_agree(live, machines["tensor"], SAMPLES)["output"]
    assert (found[:, 0] > 2**29).all() and (found[:, 1] < -(2**29)).all()
