"""The kernel cache: never stale, writable or temporary, nothing compiled twice."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
PROBE = """
from pathlib import Path
from picojoule.fixed import arithmetic
from picojoule.fixed.jit import cache_directory
print(arithmetic.shr_to_zero(-5, 1), len(arithmetic.shr_to_zero.stats.cache_hits))
print(cache_directory(Path(arithmetic.__file__)))
"""


def probe(src, cache, **more):
    env = {**os.environ, "PYTHONPATH": str(src), "PICOJOULE_CACHE": str(cache), **more}
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROBE], env=env, capture_output=True, text=True, check=True
    )
    numbers, where = done.stdout.splitlines()
    value, hits = map(int, numbers.split())
    return value, hits, Path(where)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    src = tmp_path_factory.mktemp("copy") / "src"
    shutil.copytree(SRC, src, ignore=shutil.ignore_patterns("__pycache__"))
    return src


def test_second_process_compiles_nothing(copy, tmp_path):
    assert probe(copy, tmp_path)[:2] == (-2, 0)
    assert probe(copy, tmp_path)[:2] == (-2, 1)


def test_editing_a_rule_changes_results_at_once(copy, tmp_path):
    first = probe(copy, tmp_path)
    path = copy / "picojoule" / "fixed" / "arithmetic.py"
    text = path.read_text(encoding="utf-8")
    edited = text.replace("return x >> bits if x >= 0 else -((-x) >> bits)", "return x >> bits")
    assert edited != text
    path.write_text(edited, encoding="utf-8")
    second = probe(copy, tmp_path)
    path.write_text(text, encoding="utf-8")
    assert (first[0], second[0]) == (-2, -3)
    assert first[2] != second[2]


def test_unwritable_cache_falls_back_to_a_temporary_directory(copy, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    value, _, where = probe(copy, blocked)
    assert value == -2 and "picojoule-kernels-" in where.parent.name
    assert not where.parent.exists(), "the temporary directory is removed at exit"


def test_bounds_checked_runs_have_their_own_cache(copy, tmp_path):
    plain = probe(copy, tmp_path)[2]
    checked = probe(copy, tmp_path, NUMBA_BOUNDSCHECK="1")[2]
    assert plain != checked


WHERE = """
from pathlib import Path
import picojoule
from picojoule.fixed.jit import cache_directory
for name in ("fixed/dynamics.py", "kernels/spiking.py", "kernels/tensor.py"):
    print(cache_directory(Path(picojoule.__file__).parent / name).name)
"""


def test_an_edit_starts_anew_what_it_may_change_and_nothing_else(copy, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(copy), "PICOJOULE_CACHE": str(tmp_path)}
    command = [sys.executable, "-B", "-c", WHERE]

    def names():
        return subprocess.run(
            command, env=env, capture_output=True, text=True, check=True
        ).stdout.split()

    before = names()
    path = copy / "picojoule" / "fixed" / "dynamics.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n# edited\n", encoding="utf-8")
    after = names()
    path.write_text(text, encoding="utf-8")
    assert [a != b for a, b in zip(before, after)] == [True, True, False]
