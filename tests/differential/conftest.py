"""The machines that networks are compared on."""

from pathlib import Path

import pytest

from picojoule.target import load, parse

LOIHI = Path(__file__).parents[2] / "hardware_models" / "loihi1.yaml"


@pytest.fixture(scope="session")
def machines():
    """A target by profile; loihi1 with the other profile for Brian2Loihi."""
    text = LOIHI.read_text(encoding="utf-8")
    for field in ("name", "profile"):
        assert text.count(f"{field}: loihi1\n") == 1
        text = text.replace(f"{field}: loihi1\n", f"{field}: brian2loihi\n")
    return {
        "loihi1": load("loihi1"),
        "brian2loihi": parse(text.encode(), "brian2loihi.yaml"),
        "tensor": load("systolic_int8"),
        "floats": load("fp8_mx"),
    }
