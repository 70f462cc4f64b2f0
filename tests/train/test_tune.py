"""Fine-tuning down to a Program that computes the trainer's integers."""

import subprocess
import sys

import numpy as np
import pytest

from picojoule.errors import CheckError, TrainError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.program.files import save
from picojoule.program.program import Program
from picojoule.sim.run import run
from picojoule.train import (
    accuracy,
    answers,
    confirm,
    dump_outputs,
    evaluate_outputs,
    finetune,
    fit,
)
from picojoule.train.replay import replay_all

TUNE = {"epochs": 2, "batch": 32, "seed": 0}


@pytest.fixture(scope="module")
def trained(data):
    from picojoule import nn

    dense = nn.dense_network([12, 16, 16, 4], seed=2, residual=True)
    spiking = nn.spiking_network([12, 20, 4], steps=10, seed=2, decay_u=0.7, decay_v=0.1)
    return {"dense": fit(dense, *data, epochs=15, lr=1e-2, batch=16),
            "spiking": fit(spiking, *data, epochs=15, lr=1e-2, batch=16)}  # fmt: skip


def tuned(trained, which, target, data, bits):
    activation_bits = bits if which == "dense" else None
    return finetune(trained[which], target, *data, bits=bits, activation_bits=activation_bits,
                    **TUNE)  # fmt: skip


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_tensor_program_computes_the_trainer_s_integers(trained, array, data, bits):
    graph, program = tuned(trained, "dense", array, data, bits)
    assert graph.frozen and isinstance(program, Program)
    ours, result = evaluate_outputs(graph, data[0]), run(program, data[0])
    assert np.array_equal(ours["output"], result.outputs["output"])
    assert np.array_equal(answers(graph, ours), result.answers())
    assert accuracy(graph, *data) >= (0.95 if bits > 2 else 0.7)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_spiking_program_computes_the_trainer_s_spikes_and_states(trained, chip, data, bits):
    graph, program = tuned(trained, "spiking", chip, data, bits)
    ours, result = evaluate_outputs(graph, data[0]), run(program, data[0])
    assert np.array_equal(ours["spikes"], result.outputs["spikes"]) and ours["spikes"].any()
    for name in ("lif1", "lif2"):
        assert np.array_equal(ours[f"u.{name}"], result.node(name, "u"))
        assert np.array_equal(ours[f"v.{name}"], result.node(name, "v"))
    assert np.array_equal(answers(graph, ours), result.answers())
    assert accuracy(graph, *data) >= 0.95


def test_recurrent_networks_are_deployed_exactly(recurrent, chip, data):
    graph, program = finetune(recurrent, chip, *data, bits=8, **TUNE)
    assert confirm(graph, program, data[0]) > 1000


def test_one_wrong_integer_is_reported(trained, array, chip, data):
    for which, target, constant in (("dense", array, "fc1.weight_q"), ("spiking", chip, "")):
        graph, program = tuned(trained, which, target, data, 8)
        name = constant or graph["fc1"].op.weight
        pin = graph.pinned[name]
        values = pin.values.copy()
        values[:, :] = -values
        wrong = type(pin)(values, pin.format, pin.scale)
        changed = type(graph)(**{
            **{f: getattr(graph, f) for f in graph.__dataclass_fields__},
            "pinned": {**graph.pinned, name: wrong},
        })  # fmt: skip
        with pytest.raises(TrainError, match=r"PJ703.*differ; first at"):
            confirm(changed, program, data[0])


def test_what_does_not_fit_is_refused_before_training(trained, chip, array, data):
    with pytest.raises(CheckError):
        finetune(trained["dense"], chip, *data, bits=8, **TUNE)
    with pytest.raises(CheckError, match="PJ209"):
        finetune(trained["dense"], array, *data, bits=3, **TUNE)
    with pytest.raises(UsageError, match="PJ803"):
        finetune(trained["dense"], array, data[0][:0], data[1][:0], bits=8, **TUNE)


def test_dumps_replay_without_the_trainer(trained, array, chip, data, tmp_path):
    from picojoule.sim.replay import read_dump

    for which, target in (("dense", array), ("spiking", chip)):
        graph, program = tuned(trained, which, target, data, 8)
        path, dump = tmp_path / f"{which}.pjp", tmp_path / f"{which}.safetensors"
        save(program, path)
        dump_outputs(graph, data[0][:8], dump)
        expected = (
            {"x", "output"}
            if which == "dense"
            else {"x", "spikes", "u.lif1", "v.lif1", "u.lif2", "v.lif2"}
        )
        assert set(read_dump(dump)) == expected
        command = [sys.executable, "-m", "picojoule.sim.replay", str(path), str(dump)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"mismatched": 0' in done.stdout


@pytest.mark.parametrize("which", ["dense", "spiking"])
def test_all_samples_replay_in_parts(which, trained, array, chip, data, tmp_path):
    graph, program = tuned(trained, which, array if which == "dense" else chip, data, 8)
    saved, x = tmp_path / f"{which}.pjp", data[0][:10]
    save(program, saved)
    integers = sum(a.size for a in evaluate_outputs(graph, x).values())
    assert replay_all(graph, x, saved, part=6) == (2 * integers, 0)  # on two engines
    other, _ = tuned(trained, which, array if which == "dense" else chip, data, 4)
    wrong = [replay_all(other, x, saved, part)[1] for part in (5, 6, 10)]
    assert wrong[0] > 0 and wrong == [wrong[0]] * 3
    saved.write_bytes(b"no program")
    with pytest.raises(TrainError, match=r"PJ703.*replay of a program failed"):
        replay_all(graph, x, saved)
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]


def test_a_dump_that_cannot_be_written_says_so(trained, data, tmp_path):
    with pytest.raises(UsageError, match="PJ801"):
        dump_outputs(trained["dense"], data[0], tmp_path / "missing" / "out.safetensors")


def test_ties_go_to_the_higher_voltage_and_then_the_lower_index(trained):
    graph = trained["spiking"]
    spikes = np.zeros((3, 10, 4), bool)
    spikes[:, :2, 1] = spikes[:, 3:5, 3] = True
    spikes[2, 7, 0] = True
    voltage = np.array([[9, 1, 9, 2], [9, 5, 9, 5], [9, 9, 0, 1]])
    assert answers(graph, {"spikes": spikes, "v.lif2": voltage}).tolist() == [3, 1, 1]


def test_no_readout_no_answers(trained):
    from dataclasses import replace

    bare = replace(trained["dense"], readout=Readout(kind="none"))
    with pytest.raises(UsageError, match="PJ806"):
        answers(bare, {"output": np.zeros((1, 4))})


def test_networks_of_events_can_be_tuned(chip, data):
    from picojoule import nn

    x, y = data
    steps = np.arange(10)[None, :, None] < 10 * x[:, None, :]
    encoder = Encoder(kind="events", shape=(12,), steps=10)
    graph = nn.sequential(
        [nn.CubaLif(features=16, bias=True), nn.CubaLif(features=4)], encoder=encoder,
        readout=Readout(kind="count"), seed=1, steps=10)  # fmt: skip
    graph = fit(graph, steps, y, epochs=20, lr=1e-2, batch=16)
    graph, program = finetune(graph, chip, steps, y, bits=8, **TUNE)
    assert confirm(graph, program, steps) > 0 and accuracy(graph, steps, y) > 0.9


def test_options_and_methods_reach_training(dense, array, data):
    """Through the verb: one epoch without a rate moves nothing, and the optimizer has its say."""
    import picojoule as pj
    from picojoule.train import Options

    def tuned(**how):
        return pj.finetune(dense, array, data, bits=4, epochs=1, lr=1e-2, **how)

    usual, sgd = tuned(), tuned(options=Options(optimizer="sgd"))
    still = tuned(options=Options(fixed=tuple(dense.params), step_lr=0.0))
    weights = [g.pinned[g["fc2"].op.weight].values for g in (usual, sgd, still)]
    assert not np.array_equal(weights[0], weights[1])
    assert np.array_equal(weights[2], tuned(options=Options(fixed=tuple(dense.params), step_lr=0.0)
                                            ).pinned[still["fc2"].op.weight].values)  # fmt: skip
    ternary = tuned(weights="ternary", activations="lsq+")
    assert set(np.unique(ternary.pinned[ternary["fc2"].op.weight].values)) <= {-1, 0, 1}


def test_methods_of_tensor_machines_are_refused_for_spikes(spiking, chip, data):
    with pytest.raises(UsageError, match=r"PJ806.*without spikes"):
        finetune(spiking, chip, *data, bits=8, weights="dorefa", **TUNE)
