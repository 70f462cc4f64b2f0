"""Every example runs, and the README shows what its first one prints."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
README = ROOT / "README.md"


def output_of(path, *arguments):
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path):
    assert output_of(path, "--quick").strip()


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
