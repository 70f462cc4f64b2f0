"""The suite that any simulator can be run against: our engines pass, broken ones do not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from picojoule.errors import UsageError
from picojoule.fixed.profile import SPIKING
from picojoule.program.verify import verify
from picojoule.sim.run import run
from picojoule.testing import ABILITIES, PROPERTIES, check_simulator, make_case

reference = partial(run, engine="reference")


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("profile", SPIKING)
def test_our_engines_pass(engine, profile):
    checked = check_simulator(partial(run, engine=engine), profile=profile, seeds=range(2))
    assert checked == [check.name for check in PROPERTIES]


@pytest.mark.parametrize("graded", [False, True])
def test_cases_are_valid_and_lively(graded):
    for seed in range(5):
        case = make_case(seed, "loihi2", graded)
        verify(case.program)
        assert np.count_nonzero(reference(case.program, case.x).outputs["spikes"]) > 10


def altered(change):
    """A simulator whose spikes are changed afterwards: change(spikes, program, x)."""

    def broken(program, x, **more):
        result = reference(program, x, **more)
        return replace(result, outputs={"spikes": change(result.outputs["spikes"], program, x)})

    return broken


def shifting():
    calls = iter(range(10**6))
    return lambda spikes, program, x: np.roll(spikes, next(calls), axis=1)


BROKEN = {
    "two runs": shifting(),
    "one by one": lambda s, p, x: np.roll(s, len(s) - 1, axis=1),
    "opposite order": lambda s, p, x: np.roll(s, p.instructions[0].core, axis=2),
    "silence": lambda s, p, x: s | ~x.any(),
    "before a change": lambda s, p, x: np.roll(s, 10 if x[:, 10:].any() else 0, axis=1),
    "10 \\+ 10": lambda s, p, x: s[:, :, ::-1] if s.shape[1] == 10 else s,
    "events out": lambda s, p, x: s & (np.arange(s.shape[1]) % 2 == 0)[:, None],
}


@pytest.mark.parametrize("told", BROKEN)
def test_a_broken_simulator_is_told(told):
    with pytest.raises(AssertionError, match=told):
        check_simulator(altered(BROKEN[told]), able=("counts", "resume"), seeds=range(1))


def test_abilities_choose_the_properties():
    assert len(check_simulator(reference, able=(), seeds=range(1))) == 5
    with pytest.raises(UsageError, match="no such ability"):
        check_simulator(reference, able=("speed",))
    assert set(ABILITIES) >= set().union(*(check.needs for check in PROPERTIES))
