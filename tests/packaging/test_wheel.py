"""The wheel, not the checkout: built, installed in a fresh environment, run from elsewhere."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROBE = """
import picojoule as pj
from pathlib import Path
chip = pj.target("loihi1")
print(Path(pj.__file__).parent, chip.name, chip.core.count)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(out)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    if done.returncode and "Could not find a version" in done.stderr:
        pytest.skip("no package index to fetch the build backend from")
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("picojoule-*.whl")
    return made


def test_wheel_holds_models_and_licence(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    models = {p.name for p in (ROOT / "hardware_models").glob("*.yaml")}
    assert {f"picojoule/hardware_models/{name}" for name in models} <= set(names)
    assert any(name.endswith("LICENSE") for name in names)
    assert "picojoule/py.typed" in names and not any("tests" in name for name in names)


def test_installed_wheel_runs_from_another_directory(wheel, tmp_path):
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    site = next((place / "lib").glob("python*/site-packages"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*command, str(site), str(wheel)], check=True, capture_output=True)
    # dependencies come from the environment that runs the tests; the package does not
    here = next(p for p in sys.path if p.endswith("site-packages"))
    (site / "dependencies.pth").write_text(here + "\n", encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True, "check": True}
    where, name, cores = subprocess.run([python, "-c", PROBE], **run).stdout.split()
    assert Path(where).is_relative_to(place) and (name, cores) == ("loihi1", "128")
    shown = subprocess.run([python, "-m", "picojoule", "targets", "systolic_int8"], **run).stdout
    assert "16 x 16" in shown
