"""`fit` and `finetune` learn delays: where nothing else solves the task, and down to the chip."""

from dataclasses import replace

import numpy as np
import pytest

from picojoule import nn
from picojoule.errors import TrainError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.graph import Node
from picojoule.graph.ops import Delay, IntSynapse
from picojoule.passes import PicojouleWarning, schedule_delays
from picojoule.train import Options, accuracy, confirm, finetune, fit, start_quantized
from picojoule.train.delays import delays_of, learned
from picojoule.train.wiring import flatten

STEPS, LONG, APART = 24, 5, 3
LEARN = {"epochs": 40, "batch": 20, "lr": 1e-2, "seed": 1}
LATE = Options(delay_lr=20.0, delay_max=8, neuron_lr=0.0)


def bursts(count, seed):
    """Two bursts of spikes, APART steps from one another; the class is which comes first."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
    y, x = np.arange(count) % 2, np.zeros((count, STEPS, 2), bool)
    for k in range(count):
        first = rng.integers(0, STEPS - LONG - 2 * APART) + APART * np.array([y[k], 1 - y[k]])
        for channel in (0, 1):
            x[k, first[channel] : first[channel] + LONG, channel] = True
    return x, y


def without_memory(seed=1, hidden=16, decay=1.0):
    """Two groups of synapses from the input to hidden neurons that forget after each step."""
    graph = nn.sequential(
        [nn.CubaLif(features=n, decay_u=decay, decay_v=decay) for n in (hidden, 2)],
        encoder=Encoder(kind="events", shape=(2,), steps=STEPS), readout=Readout(kind="count"),
        seed=seed, name="which_first", steps=STEPS,
    )  # fmt: skip
    weight = graph.params["fc1.weight"]
    rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
    other = rng.normal(0, weight.std(), weight.shape).astype(np.float32)
    graph = graph.add(Node("fc1b", replace(graph["fc1"].op, weight="fc1b.weight"), ("input",)))
    graph = graph.with_params({"fc1b.weight": other})
    return graph.swap("lif1", graph["lif1"].op, ("fc1", "fc1b"))


def steps(graph):
    flat = flatten(graph)
    return dict(zip(flat.synapses, delays_of(graph, flat).astype(int).tolist()))


@pytest.fixture(scope="module")
def solved():
    return fit(without_memory(), *bursts(200, 0), options=LATE, **LEARN)


def test_a_task_that_only_delays_can_solve(solved):
    """Step by step both classes hold the same inputs, so without memory they look the same."""
    unseen = bursts(100, 5)
    as_given = fit(without_memory(), *bursts(200, 0), options=replace(LATE, delay_lr=0.0), **LEARN)
    assert accuracy(as_given, *unseen) == 0.5 and set(steps(as_given).values()) == {0}
    found = steps(solved)
    assert accuracy(solved, *unseen) >= 0.95
    assert abs(found["fc1"] - found["fc1b"]) >= 1 and max(found.values()) <= 8


def test_learned_delays_deploy_and_go_on_learning(solved, chip):
    data, unseen = bursts(200, 0), bursts(100, 5)
    options = replace(LATE, step_lr=0.0, delay_lr=50.0)
    frozen, program = finetune(solved, chip, *data, bits=8, epochs=3, lr=2e-3, options=options)
    assert confirm(frozen, program, unseen[0]) > 0 and accuracy(frozen, *unseen) >= 0.95
    started = start_quantized(solved, chip, data[0], bits=8)
    assert steps(frozen) != steps(started)  # the machine's own step is in both
    for name in frozen.names(IntSynapse):
        assert frozen[name].op.delay == steps(frozen)[name] - 1
    again = schedule_delays(frozen, chip)
    assert steps(again) == steps(frozen) and again.latency == frozen.latency == 1


def test_all_that_a_neuron_has_moves_with_its_delays(chip):
    graph, (x, y) = without_memory(decay=0.6), bursts(60, 0)
    options = Options(delay_lr=100.0, delay_max=5, average=0.5)
    live = start_quantized(graph, chip, x, bits=8)
    for before in (graph, live):
        after = fit(before, x, y, epochs=4, batch=20, lr=5e-3, seed=0, options=options)
        for field in ("decay_u", "decay_v", "v_th"):
            for lif in ("lif1", "lif2"):
                assert after.params[f"{lif}.{field}"] != before.params[f"{lif}.{field}"], field
        assert steps(after) != steps(before)


def test_the_same_bits_when_cut_and_on_any_number_of_threads(tmp_path):
    graph, (x, y) = without_memory(decay=0.6), bursts(60, 0)
    late = {"delay_lr": 100.0, "average": 0.9, "delay_max": 6}
    rest = {"epochs": 6, "batch": 16, "lr": 5e-3, "seed": 2, "validation": (x[:30], y[:30])}
    whole = fit(graph, x, y, options=Options(**late, threads=1), **rest)
    kept = Options(**late, threads=3, checkpoint=tmp_path / "t.pjc", resume=True)

    def stop(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(PicojouleWarning, match="interrupted"):
        fit(graph, x, y, options=kept, callback=stop, **rest)
    assert fit(graph, x, y, options=kept, **rest).digest == whole.digest
    assert steps(whole) != steps(graph)
    other = replace(kept, delay_max=7)
    with pytest.raises(TrainError, match=r"PJ707.*delay_max=6, now 7"):
        fit(graph, x, y, options=other, **rest)


def test_limits_of_loops_machines_and_delays_behind_synapses(recurrent, chip, data):
    found = learned(recurrent, flatten(recurrent), 9)
    assert dict(zip(flatten(recurrent).synapses, found.low)) == {
        "fc1": 0, "rec1": 1, "fc2": 0, "rec2": 1, "fc3": 0}  # fmt: skip
    assert set(found.high) == {9}
    behind = recurrent.add(Node("late", Delay(steps=2), ("fc1",)))
    inputs = tuple("late" if i == "fc1" else i for i in behind["lif1"].inputs)
    behind = behind.swap("lif1", behind["lif1"].op, inputs)
    assert learned(behind, flatten(behind), 9).low.tolist() == [2, 1, 0, 1, 0]
    live = start_quantized(recurrent, chip, data[0], bits=8)
    flat = flatten(live)
    for most, beyond in ((9, 9), (100, 62)):
        limits = learned(live, flat, most)
        assert set(limits.low) == {1} and set(limits.high) == {1 + beyond}


def test_a_longer_delay_than_asked_for_is_kept(recurrent):
    longer = recurrent.swap(recurrent.names(Delay)[0], Delay(steps=12))
    found = learned(longer, flatten(longer), 4)
    assert found.high.max() == 12 and sorted(found.high)[:-1] == [4, 4, 4, 4]


def test_delays_that_cannot_be_learned_are_refused(dense, recurrent, data):
    options = Options(delay_lr=1.0)
    with pytest.raises(UsageError, match=r"PJ806.*networks of spiking"):
        fit(dense, *data, epochs=1, options=options)
    both = nn.spiking_network([12, 8, 8, 4], steps=8, seed=3, recurrent=True)
    both = both.swap("lif2", both["lif2"].op, (*both["lif2"].inputs, "rec1"))
    with pytest.raises(TrainError, match=r"PJ704.*'rec1' lead to several populations"):
        fit(both, *data, epochs=1, options=options)
