"""load: the suffix says the format."""

import subprocess
import sys

import nir
import numpy as np
import pytest

from picojoule.errors import FrontendError
from picojoule.frontend.load import load
from picojoule.frontend.nir import read


def test_nir(chain, tmp_path):
    one = np.ones(1)
    neuron = nir.LIF(0.02 * one, one, 0 * one, one, 0 * one)
    path = chain(nir.Linear(weight=np.ones((1, 1))), neuron)
    graph = load(path, dt=1e-3, dialect="euler", steps=5)
    assert graph == read(path, dt=1e-3, dialect="euler", steps=5)
    upper = path.rename(tmp_path / "NET.NIR")
    assert load(upper, dt=1e-3).name == "NET"


@pytest.mark.parametrize("name, match", [
    ("net.tflite", "TFLite files are not read yet: 'net.tflite'"),
    ("net.pkl", "'net.pkl' has no suffix of a network file that can be read"),
    ("net", "'net' has no suffix"),
])  # fmt: skip
def test_other_formats(name, match):
    with pytest.raises(FrontendError, match=match) as error:
        load(name)
    assert [f.code for f in error.value.faults] == ["PJ501"]
    assert "NIR (.nir)" in str(error.value)


def test_importing_the_reader_is_light():
    code = ("import sys, picojoule.frontend.load, picojoule.frontend.nir; "
            "sys.exit(any(m in sys.modules for m in ('h5py', 'nir', 'scipy')))")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
