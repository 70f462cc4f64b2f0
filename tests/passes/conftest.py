"""The shipped machines."""

import pytest

from picojoule.target import load


@pytest.fixture(scope="session")
def loihi():
    return load("loihi1")


@pytest.fixture(scope="session")
def systolic():
    return load("systolic_int8")
