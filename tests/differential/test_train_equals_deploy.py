"""What training computes is what a program computes, bit for bit, for any network."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.differential import networks, networks_image
from tests.differential.agree import all_agree, equal, integers, moved, quantized
from tests.differential.networks import Case
from tests.graph.build import batch, recurrent, residual

from picojoule.fixed.contract import Encoder
from picojoule.fixed.format import Format
from picojoule.fixed.profile import CLIP, SPIKING, UNLIMITED, WRAP
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.ops import Input, IntDense
from picojoule.passes import freeze, lower
from picojoule.sim.run import run
from picojoule.train import evaluate_outputs, spiking, tensor

# kind -> (machine, networks)
KINDS = {
    "tensor": ("tensor", networks.tensor()),
    "spiking": ("loihi1", networks.spiking()),
    "integers": ("tensor", networks.integers()),
    "images": ("tensor", networks_image.images()),
    "pinned images": ("tensor", networks_image.pinned_images()),
    "floats": ("floats", networks.floats(networks.tensor())),
    "float images": ("floats", networks.floats(networks_image.images())),
    "loihi1": ("loihi1", networks.registers("loihi1")),
    "brian2loihi": ("brian2loihi", networks.registers("brian2loihi")),
}
FAST = {
    "tensor": 80,
    "spiking": 40,
    "integers": 60,
    "images": 60,
    "pinned images": 60,
    "floats": 60,
    "float images": 60,
    "loihi1": 100,
    "brian2loihi": 100,
}
MANY = 400


def hold_for(examples: int, strategy, agrees) -> Counter:
    """Count what `agrees` says of many cases."""
    found: Counter = Counter()

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def check(case):
        found[agrees(case)] += 1

    check()
    return found


def agrees_on(target):
    """As quantized, and once more with other parameters."""

    def agrees(case):
        live = case.graph if case.bits is None else quantized(case, target)
        outputs = None if live is None else all_agree(live, target, case.x)
        if live is not None and case.bits is not None:
            all_agree(moved(live, seed=1), target, case.x)
        if outputs is None:
            return "refused"
        return "active" if any(a.any() for a in outputs.values()) else "silent"

    return agrees


@pytest.mark.parametrize("kind", KINDS)
def test_trainer_and_engines_agree(kind, machines):
    machine, strategy = KINDS[kind]
    found = hold_for(FAST[kind], strategy, agrees_on(machines[machine]))
    assert found["active"] > found["silent"] + found["refused"], found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_trainer_and_engines_agree_on_many(kind, machines):
    machine, strategy = KINDS[kind]
    found = hold_for(MANY, strategy, agrees_on(machines[machine]))
    assert found["active"] > found["silent"] + found["refused"], found


WRONG_RULES = [
    ("loihi1", "q_mode", UNLIMITED), ("loihi1", "u_mode", UNLIMITED), ("loihi1", "v_mode", WRAP),
    ("loihi1", "u_mode", CLIP), ("loihi1", "u_decay_offset", 0), ("loihi1", "weight_shift", 5),
    ("brian2loihi", "u_mode", WRAP), ("brian2loihi", "weight_limit", 0),
    ("brian2loihi", "u_decay_offset", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "field", "value"), WRONG_RULES)
def test_the_fast_examples_see_a_wrong_rule_in_the_trainer(
    name, field, value, machines, monkeypatch
):
    """Or they would prove nothing about it."""
    narrow = {"u_bits": 23} if field == "u_mode" else {}
    wrong = {**SPIKING, name: replace(SPIKING[name], **{field: value}, **narrow)}

    def differs(case):
        program = lower(case.graph, machines[name])
        with monkeypatch.context() as patch:
            patch.setattr(spiking, "SPIKING", wrong)
            trained = evaluate_outputs(case.graph, case.x)
        deployed = integers(run(program, case.x, threads=1), trained)
        return any(not np.array_equal(trained[n], deployed[n]) for n in trained)

    assert hold_for(FAST[name], KINDS[name][1], differs)[True] >= 1


def ties_up(acc, multiplier, exponent, zero, low, high, fraction):
    """T6 with the ties of T3 to +infinity, where the rule takes them away from zero."""
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    wide = (((acc.astype(np.int64) << left) + 2**31) & (2**32 - 1)) - 2**31
    high_part = (wide * multiplier + 2**30) >> 31
    return np.clip(((high_part + ((1 << right) >> 1)) >> right) + zero, low, high)


def test_the_fast_examples_see_a_wrong_tie_in_the_trainer(machines, monkeypatch):
    def differs(case):
        with monkeypatch.context() as patch:
            patch.setattr(tensor, "requantize_array", ties_up)
            trained = evaluate_outputs(case.graph, case.x)["output"]
        done = run(lower(case.graph, machines["tensor"]), case.x, threads=1)
        return not np.array_equal(trained, done.outputs["output"])

    found = hold_for(FAST["integers"], KINDS["integers"][1], differs)
    assert 1 <= found[True] < found[False]  # a tie is rare


@pytest.mark.parametrize("kind", ["tensor", "spiking"])
def test_many_samples_in_any_split_of_work(kind, machines):
    """More than the blocks that batches are cut into (8 and 256)."""
    target = machines[KINDS[kind][0]]
    build = {"tensor": residual, "spiking": recurrent}[kind]
    graph = build(3)
    x = batch(graph, seed=4, n=600 if kind == "tensor" else 37)
    live = quantized(Case(graph, x, 4), target)
    want = all_agree(live, target, x)
    program = lower(freeze(live), target)
    for threads in (1, 2, 3, 16):
        equal(want, evaluate_outputs(live, x, threads=threads), f"trainer, {threads} threads")
        equal(want, integers(run(program, x, threads=threads), want), f"{threads} threads")


def test_wide_layers_sum_exactly(machines):
    """2000 products at the ends of their words: beyond 2**24, where float32 rounds."""
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (6, 2000))
    x[:4] = rng.choice([-128, 127], (4, 2000))
    weight = np.concatenate([np.sign(x[:4] + 0.5) * 127, rng.integers(-127, 128, (2, 2000))])
    most = 2**31 - 1 - 2000 * 127 * 128
    values = {"w": Pinned(weight.astype(np.int64), Format(8)),
              "b": Pinned(np.array([most, -most, 1, -1, most, 0]), Format(32))}  # fmt: skip
    nodes = (Node("input", Input(shape=(2000,))),
             Node("dense", IntDense(weight="w", bias="b", step_in="one", step_w="one",
                                    features=6), ("input",)))  # fmt: skip
    encoder = Encoder(kind="affine", shape=(2000,))
    graph = Graph("wide", nodes, "dense", encoder, params={"one": np.ones(())}, pinned=values)
    want = all_agree(graph, machines["tensor"], x)["output"]
    assert np.array_equal(want, x @ weight.T.astype(np.int64) + values["b"].values)
    assert want.max() > 2**31 - 2**20
