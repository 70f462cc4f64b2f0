"""Every example runs, and the README shows what its first one prints."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
README = ROOT / "README.md"
DATA = {"20_spiking_mnist": "data/mnist", "21_spoken_digits": "data/fsdd"}  # what some ask for


def output_of(path, *arguments):
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path, shared):
    given = [str(shared(DATA[path.stem]))] if path.stem in DATA else []
    assert output_of(path, "--quick", *given).strip()


@pytest.mark.parametrize("name", DATA)
def test_an_example_without_its_data_says_so(name, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py"), nowhere],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and nowhere in done.stderr and "Traceback" not in done.stderr


def test_readme_shows_the_first_example_and_its_output(request):
    source = EXAMPLES[0].read_text(encoding="utf-8")
    code = source[source.index("import picojoule") :].strip()
    printed = "\n".join(x.rstrip() for x in output_of(EXAMPLES[0]).strip().splitlines())
    if request.config.getoption("--update-golden"):
        text = README.read_text(encoding="utf-8")
        before, _, after = text.partition("prints\n```\n")
        README.write_text(f"{before}prints\n```\n{printed}\n```{after[after.index('```') + 3 :]}")
    text = README.read_text(encoding="utf-8")
    assert f"```python\n{code}\n```" in text
    assert f"prints\n```\n{printed}\n```" in text
