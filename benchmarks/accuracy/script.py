"""What the accuracy scripts share: options, where results lie, trainings that were cut."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from picojoule import passes, train
from picojoule.graph import Graph
from picojoule.graph import files as graphs
from picojoule.program import Program
from picojoule.program import files as programs
from picojoule.train.replay import replay_all

Array = np.ndarray
VALIDATION = 5000  # images at the end of the training part


def options(about: str, out: str, sets: Iterable[str]) -> argparse.ArgumentParser:
    """The command line of a script whose docstring is `about`."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help=f"folder of {', '.join(sets)}")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--sets", nargs="+", choices=sorted(sets), default=sorted(sets))
    parser.add_argument("--write", type=Path, help="a page to put the table on")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--quick", action="store_true")
    return parser


def results_folder(asked: argparse.Namespace) -> Path:
    """Where results and networks lie, made if need be.

    Those of --quick and --validate lie apart: they learned from other data, and must not be
    taken for the networks of a whole run.
    """
    apart = [word for word in ("quick", "validate") if getattr(asked, word)]
    folder = Path(asked.out, *apart)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def said(what: str) -> train.options.Progress:
    """A callback that prints a line an epoch."""
    return lambda e: print(
        f"  {what}  epoch {e.number + 1}/{e.epochs}  loss {e.loss:.4f}  {e.seconds:.0f} s",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def trained_once(path: Path, fit: Callable[[Path], Graph]) -> Graph:
    """The graph of a file; where there is none, what fit(checkpoint) gives, which is saved."""
    if path.exists():
        return graphs.load(path)
    checkpoint = path.with_suffix(".pjc")
    found = fit(checkpoint)
    graphs.save(found, path)
    checkpoint.unlink(missing_ok=True)
    return found


def tuned(
    checkpoint: Path, finetune: Callable[[Path], tuple[Graph, Program]]
) -> tuple[Graph, Program]:
    """What finetune(checkpoint) gives, without its warnings; the checkpoint is then removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", passes.PicojouleWarning)
        found = finetune(checkpoint)
    checkpoint.unlink(missing_ok=True)
    return found


def replayed(frozen: Graph, program: Program, x: Array, path: Path) -> dict[str, int]:
    """Save the Program as PATH.pjp and replay it on all samples, alone in fresh processes.

    Both engines must give every integer that training gave: AssertionError where one differs.
    """
    saved = path.with_name(f"{path.name}.pjp")
    programs.save(program, saved)
    elements, mismatched = replay_all(frozen, x, saved)
    assert not mismatched, f"{saved}: {mismatched} of {elements} integers differ in a replay"
    return {"integers_replayed": elements, "mismatched": mismatched}
