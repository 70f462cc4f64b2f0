"""Break each rule on purpose: the shipped vectors must notice.

    python tests/golden/mutate.py [--check | RULE ...]

Copies the package, replaces a text, and runs the tests of vectors (`tests/conformance`, and those
of neuron kinds) against the copy, uncompiled.
Exit status 1 if the unchanged copy fails, if a mutation survives, if a text to be replaced is
not found exactly once, or if a rule of docs/numerics.md has no mutation.  With --check only the
last two, in no time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutation import Mutation
from mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "picojoule"
VECTORS = ("tests/fixed/test_dynamics.py", "tests/sim/test_sim_kinds.py", "tests/conformance")
TESTS = [sys.executable, "-m", "pytest", *VECTORS, "-x", "-m", "golden", "--tb=no"]


def rules() -> list[str]:
    """Numbers of all rules, from the headings of the page."""
    page = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    return re.findall(r"^### ([A-Z]\d+) ", page, re.MULTILINE)


def complaints(mutations: tuple[Mutation, ...]) -> list[str]:
    """Rules without a mutation, mutations without a rule or without their text."""
    covered, known = {m.rule for m in mutations}, rules()
    found = [f"rule {rule} has no mutation" for rule in known if rule not in covered]
    found += [f"no such rule: {rule}" for rule in sorted(covered - set(known))]
    for m in mutations:
        text = (PACKAGE / m.path).read_text(encoding="utf-8")
        found += [f"{m.rule}, {m.what}: found {text.count(before)} times in {m.path}: {before!r}"
                  for before, _ in m.replacements if text.count(before) != 1]  # fmt: skip
    return found


def caught_by(mutation: Mutation | None) -> str:
    """The first test that fails against a copy with the mutation; '' if all pass."""
    with tempfile.TemporaryDirectory(prefix="mutated-") as folder:
        copy = Path(folder) / "picojoule"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "hardware_models", copy / "hardware_models")
        if mutation is not None:
            _mutate(copy / mutation.path, mutation)
        changed = {"PYTHONPATH": folder, "NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(TESTS, cwd=ROOT, env={**os.environ, **changed}, text=True,
                              capture_output=True, check=False)  # fmt: skip
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) \S*?(?:::(\S+))?(?: - .*)?$", done.stdout, re.MULTILINE)
    return (failed and failed[1]) or f"status {done.returncode}: {done.stdout[-300:]}"


def _mutate(path: Path, mutation: Mutation) -> None:
    text = path.read_text(encoding="utf-8")
    for before, after in mutation.replacements:
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def main(wanted: list[str]) -> int:
    """Print the table; the exit status says whether every mutation was caught."""
    wrong = complaints(MUTATIONS)
    check_only = wanted == ["--check"]
    if not wrong and not check_only and (failed := caught_by(None)):
        wrong = [f"the unchanged package fails: {failed}"]
    print("\n".join(wrong), end="\n" if wrong else "")
    if wrong or check_only:
        return 1 if wrong else 0
    chosen = [m for m in MUTATIONS if not wanted or m.rule in wanted]
    survived = 0
    print("| rule | mutation | caught by |\n|---|---|---|")
    for mutation in chosen:
        caught = caught_by(mutation)
        survived += not caught
        print(f"| {mutation.rule} | {mutation.what} | {caught or 'SURVIVED'} |", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutations caught")
    return 1 if survived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
