"""Draws of noise belong to the neurons of the network, not to the cores that hold them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from integer_nets import Ints, machine_of, raster

from picojoule.passes import compile_graph
from picojoule.sim.run import run

PROFILE = "nengo_loihi"
NOISE = {"noise_exponent": 9, "noise_on_v": 1, "refractory": 1}


def noisy_net(*names, extra=()):
    """Noisy populations of 10 neurons behind one input, all heard by `out`."""
    net = Ints(4, PROFILE, steps=12)
    source = net.input(6)
    for name in (*names, *extra):
        registers = {"decay_u": 900, "decay_v": 300, "v_th": 6, "v_low": -(2**20),
                     "v_high": 2**20, "noise_on": (np.arange(10) % 4 != 3).astype(int)}  # fmt: skip
        synapse = net.synapse(f"s_{name}", source, 6, 10, weight=2 * (np.arange(60) % 9 - 3)
                              .reshape(10, 6))  # fmt: skip
        net.neurons(name, "cuba_noise", synapse, registers=registers, **NOISE)
    heard = [net.synapse(f"o_{name}", name, 10, 4, weight=np.full((4, 10), 20)) for name in names]
    heard += [net.synapse(f"o_{n}", n, 10, 4, weight=np.zeros((4, 10), int)) for n in extra]
    net.cuba("out", *heard)
    return net.graph("out")


def compiled(graph, neurons):
    target = machine_of(PROFILE, neurons=neurons)
    return compile_graph(replace(graph, machine=target.name), target)


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_small_cores_draw_what_large_ones_draw(engine):
    graph = noisy_net("a", "b")
    x = raster(graph)
    whole, *cut = (
        run(compiled(graph, n), x, engine=engine, seed=7, probes=["a.v", "b.v"]) for n in (64, 7, 3)
    )
    assert whole.outputs["spikes"].any()
    quiet = run(compiled(graph, 64), x, engine=engine, seed=8, probes=["a.v"])
    assert (quiet.probes["a.v"] != whole.probes["a.v"]).any()
    assert (whole.probes["a.v"] != whole.probes["b.v"]).any()  # nodes draw apart
    for found in cut:
        assert found.program.cores > whole.program.cores
        for part in ("outputs", "probes"):
            for name, values in getattr(whole, part).items():
                np.testing.assert_array_equal(getattr(found, part)[name], values, err_msg=name)


def test_a_node_more_leaves_the_draws_of_others():
    alone, beside = noisy_net("b"), noisy_net("b", extra=("a",))
    x = raster(alone)
    one, two = (run(compiled(g, 64), x, probes=["b.v"]) for g in (alone, beside))
    np.testing.assert_array_equal(one.probes["b.v"], two.probes["b.v"])


def test_recorded_draws_follow_nodes_not_cores():
    graph = noisy_net("b", "a")
    x = raster(graph)
    noise = np.random.default_rng(5).integers(-127, 128, (len(x), graph.steps, 20))
    steps = graph.steps
    whole, cut = (
        run(compiled(graph, n), x, steps=steps, noise=noise, probes=["a.v", "b.v"]) for n in (64, 3)
    )
    swapped = run(compiled(graph, 64), x, steps=steps, probes=["a.v"],
                  noise=np.roll(noise, 10, axis=2))  # fmt: skip
    for name, values in whole.probes.items():
        np.testing.assert_array_equal(cut.probes[name], values)
    assert (swapped.probes["a.v"] != whole.probes["a.v"]).any()
