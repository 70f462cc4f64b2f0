"""Learned delays: rounded forward, differences back, written into the graph that is deployed."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError
from picojoule.fixed.contract import events_from_raster
from picojoule.grad.tape import Tensor, backward
from picojoule.graph import Node
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import Delay
from picojoule.kernels.train_blocks import Surrogate
from picojoule.train import confirm, evaluate_outputs, finetune
from picojoule.train.derivations import constants
from picojoule.train.spiking import score, score_and_spikes
from picojoule.train.wiring import flatten, with_delays, write_delays


def known(graph):
    return constants(graph, {n: Tensor(a) for n, a in graph.params.items()})


def delays_of(graph):
    flat = flatten(graph)
    return dict(zip(flat.synapses, flat.wiring.groups[:, 2].tolist()))


def scores(graph, raster, delays):
    """Scores with real delays, on the tape."""
    return score_and_spikes(graph, flatten(graph), known(graph), events_from_raster(raster),
                            Surrogate(1, 2.0), 1, delays)[0]  # fmt: skip


def test_rounded_delays_keep_loops_possible(recurrent):
    flat = flatten(recurrent)  # fc1, rec1, fc2, rec2, fc3
    moved = with_delays(flat, np.array([2.4, -3.0, 0.6, 0.2, -1.0]))
    assert moved.wiring.groups[:, 2].tolist() == [2, 1, 1, 1, 0]
    assert flat.wiring.groups[:, 2].tolist() == [0, 1, 0, 1, 0]


def test_a_graph_with_written_delays_is_the_network_that_was_trained(recurrent, data):
    flat = flatten(recurrent)
    moved = with_delays(flat, np.array([2, 3, 0, 1, 1]))
    graph = write_delays(recurrent, moved)
    assert delays_of(graph) == {"fc1": 2, "rec1": 3, "fc2": 0, "rec2": 1, "fc3": 1}
    ours, theirs = evaluate_outputs(graph, data[0]), interpret(graph, data[0])
    assert np.array_equal(ours["spikes"], theirs[graph.output])
    back = write_delays(graph, flat)
    assert delays_of(back) == delays_of(recurrent)
    assert len(back.names(Delay)) == len(recurrent.names(Delay))  # none is left over


def test_scores_are_those_of_the_written_graph(recurrent):
    raster = np.random.Generator(np.random.Philox(key=[6, 0])).random((5, 8, 12)) < 0.6
    delays = Tensor(np.array([1.6, 2.2, 0.4, 1.0, 0.7], np.float32), wants=True)
    graph = write_delays(recurrent, with_delays(flatten(recurrent), delays.data))
    found = scores(recurrent, raster, delays)
    wanted = score(graph, flatten(graph), known(graph), events_from_raster(raster), Surrogate())
    assert np.array_equal(found.data, wanted.data) and found.data.any()
    backward(found, np.ones_like(found.data))
    assert delays.grad.shape == (5,) and np.isfinite(delays.grad).all() and delays.grad.any()


def test_a_delay_behind_synapses_cannot_shrink(recurrent):
    behind = recurrent.add(Node(name="late", op=Delay(steps=2), inputs=("fc1",)))
    lif = behind["lif1"]
    inputs = tuple("late" if i == "fc1" else i for i in lif.inputs)
    behind = behind.swap("lif1", lif.op, inputs)
    with pytest.raises(TrainError, match="cannot shrink by 2"):
        write_delays(behind, flatten(recurrent))


def test_delays_alone_learn_when_spikes_shall_arrive():
    """One output, counted from step 8 on, and spikes that come too early for it."""
    graph = nn.spiking_network([2, 2], steps=14, seed=1, decay_u=0.9, decay_v=0.5)
    name = next(n for n, a in graph.params.items() if a.ndim == 2)
    graph = graph.with_params({name: 1.2 * np.eye(2, dtype=np.float32)})
    graph = replace(graph, readout=replace(graph.readout, start=8))
    raster = np.zeros((1, 14, 2), bool)
    raster[0, 2:8] = True
    delays, found = Tensor(np.array([0.0]), wants=True), []
    for _ in range(12):
        delays.grad = None
        z = scores(graph, raster, delays)
        found.append(float(z.data.sum()))
        backward(z, np.ones_like(z.data))
        delays = Tensor(np.maximum(delays.data + np.clip(delays.grad, -1, 1), 0), wants=True)
    assert found[0] <= 2 and max(found) >= found[0] + 6


def test_written_delays_deploy(spiking, chip, data):
    """Trainer and program agree in every integer."""
    graph = write_delays(spiking, with_delays(flatten(spiking), np.array([3.0, 2.0])))
    frozen, program = finetune(graph, chip, *data, bits=8, epochs=1, lr=1e-3)
    assert delays_of(frozen)["fc2"] == 2 and confirm(frozen, program, data[0]) > 0
