"""What training computes is what a program computes, bit for bit, for any network."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from tests.differential import networks
from tests.differential.agree import all_agree, quantized

# kind -> (machine, networks)
KINDS = {
    "tensor": ("tensor", networks.tensor()),
    "spiking": ("loihi1", networks.spiking()),
    "loihi1": ("loihi1", networks.registers("loihi1")),
    "brian2loihi": ("brian2loihi", networks.registers("brian2loihi")),
}
FAST = {"tensor": 25, "spiking": 25, "loihi1": 20, "brian2loihi": 20}
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
    def agrees(case):
        live = case.graph if case.bits is None else quantized(case, target)
        outputs = None if live is None else all_agree(live, target, case.x)
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
    print(kind, dict(found))
    assert found["active"] > found["silent"] + found["refused"], found
