"""The walls: a package imports only from strictly lower levels (ARCHITECTURE.md)."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "picojoule"
LEVELS = """
errors units words
container
fixed rule
kernels graph target activity
program
frontend passes sim cost grad
nn train learn
report explore
api demo conform testing
cli
"""
LEVEL = {name: n for n, line in enumerate(LEVELS.split("\n")) for name in line.split()}
STRANGERS = {("sim", "graph"), ("cost", "sim"), ("grad", "sim"), ("sim", "grad")}
ENTRIES = {"__init__", "__main__"}
FILES = sorted(p for p in SRC.rglob("*.py") if p.parent != SRC or p.stem not in ENTRIES)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (n.split(".")[1] for n in names if n.startswith("picojoule."))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_down(path):
    here = path.relative_to(SRC).parts[0].removesuffix(".py")
    for there in imports(path):
        if there not in LEVEL and there.isidentifier() and here in ("api", "cli", "demo"):
            continue  # a name of the facade, such as picojoule.run
        assert LEVEL[there] < LEVEL[here] or there == here, f"{here} must not import {there}"
        assert (here, there) not in STRANGERS, f"{here} must not know {there}"


def test_every_package_has_a_level():
    found = {path.stem for path in SRC.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert found - {*ENTRIES, "__pycache__"} <= set(LEVEL)
