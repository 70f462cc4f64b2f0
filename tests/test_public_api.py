"""The surface of the package: nine verbs, a few types, a light import."""

import os
import subprocess
import sys

import pytest

import picojoule as pj

VERBS = ["target", "load", "check", "compile", "run", "cost", "finetune", "evaluate", "diff"]
HEAVY = ("numpy", "brian2", "matplotlib", "sklearn", "numba", "scipy", "torch", "rich", "pydantic")


def test_surface_is_exactly_this():
    assert list(pj.VERBS) == VERBS
    assert sorted(pj.__all__) == sorted(
        [
            *VERBS,
            "Activity", "Bill", "Encoder", "Events", "Format", "Graph", "Program", "Readout",
            "Recording", "Report", "Rule", "Run", "Target",
            "Fault", "PicojouleError", "CheckError", "CostError", "FrontendError", "GraphError",
            "ProgramError", "TargetError", "TrainError", "UsageError",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("name", pj.__all__)
def test_every_name_can_be_had(name):
    assert getattr(pj, name).__doc__, f"{name} needs a docstring"


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        _ = pj.quantise


def test_verbs_win_over_packages_of_the_same_name():
    from picojoule.cost import price
    from picojoule.target import load

    assert callable(pj.target) and callable(pj.cost)
    assert load("loihi1").name == pj.target("loihi1").name and callable(price)


def isolated(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    return done.stdout.split()


def test_import_is_light():
    code = "import sys, picojoule; print(*[m for m in sys.modules if '.' not in m])"
    assert not set(isolated(code)) & set(HEAVY)


def test_import_takes_less_than_half_a_second():
    code = "import time; t = time.perf_counter(); import picojoule; print(time.perf_counter() - t)"
    assert min(float(isolated(code)[0]) for _ in range(3)) < 0.5


def test_errors_form_one_family():
    for name in pj.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(pj, name), pj.PicojouleError)
