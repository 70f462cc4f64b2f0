"""Samples and labels from files: `.npz` (arrays x and, optionally, y), `.npy`, `.csv`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from picojoule.container import DAMAGED, existing, npz_entries, sentence, unopened
from picojoule.errors import Fault, UsageError
from picojoule.program import Program
from picojoule.sim import Recording
from picojoule.sim.files import load_run
from picojoule.sim.recording import is_recording

FORM = "save them as numpy.savez(path, x=samples, y=labels)"


def read_samples(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """(x, y or None).  Raises UsageError PJ801, PJ802 or PJ803; never unpickles."""
    path = existing(path)
    readers = {".npz": _npz, ".npy": _npy, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        what = f"{path.name!r} has no suffix of a file of samples"
        raise UsageError(Fault("PJ801", what, fix=f"one of {', '.join(readers)}"))
    try:
        x, y = reader(path)
    except OSError as error:
        raise unopened(path, "read", error) from None
    except DAMAGED as error:
        what = f"cannot be read as {path.suffix[1:]}: {sentence(error)}"
        raise UsageError(Fault("PJ801", what, where=str(path), fix=FORM)) from None
    faults = [*_sample_faults(x, str(path)), *_label_faults(x, y, str(path))]
    if faults:
        raise UsageError(faults)
    return x, y


def read_labelled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(x, y).  Raises UsageError PJ802 where the file has no labels."""
    x, y = read_samples(path)
    if y is None:
        raise UsageError(Fault("PJ802", "the file has no labels", where=str(path), fix=FORM))
    return x, y


def read_input(
    program: Program, path: Path, start: int = 0
) -> tuple[np.ndarray | Recording, np.ndarray | None]:
    """(x, y or None) for a run from step `start`; a recording is opened, not read.

    Raises what `read_samples` and `Recording` raise, and UsageError PJ806 for a wrong start.
    """
    if program.encoder.kind == "events" and is_recording(path):
        return Recording(path, start=start), None
    x, y = read_samples(path)
    if start == 0:
        return x, y
    if program.encoder.kind != "events" or start >= x.shape[1]:
        what = f"samples of shape {list(x.shape)} cannot begin at step {start}"
        fix = "--start 0" if program.encoder.kind != "events" else f"0..{x.shape[1] - 1}"
        raise UsageError(Fault("PJ806", what, where=str(path), fix=fix))
    return x[:, start:], y


def final_state(program: Program, path: Path) -> dict[str, np.ndarray]:
    """Where a saved run ended.  Raises UsageError PJ801, or PJ802 for another program's run."""
    saved = load_run(path)
    if saved.program != program.digest:
        what = f"the run is of program {saved.program[:12]}, not of {program.digest[:12]}"
        raise UsageError(Fault("PJ802", what, where=str(path), fix="resume with its own program"))
    return dict(saved.state)


def _npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    npz_entries(path)
    with np.load(path, allow_pickle=False) as arrays:
        if "x" not in arrays:
            raise ValueError(f"it has no array 'x'; found {', '.join(arrays.files) or 'nothing'}")
        return arrays["x"], arrays.get("y")


def _npy(path: Path) -> tuple[np.ndarray, None]:
    with path.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False), None


def _csv(path: Path) -> tuple[np.ndarray, None]:
    with path.open(encoding="utf-8") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty table is refused, later
        return np.loadtxt(file, delimiter=",", ndmin=2), None


def _sample_faults(x: np.ndarray, where: str) -> Iterator[Fault]:
    if x.dtype.kind not in "biuf":
        yield Fault("PJ802", f"samples must be numbers, got {x.dtype}", where, FORM)
    elif x.ndim < 2:
        what = f"samples have shape {list(x.shape)}; the first axis counts them"
        yield Fault("PJ802", what, where, "x[None] makes one sample an array of one")
    elif 0 in x.shape:
        yield Fault("PJ803", f"there are no samples: shape {list(x.shape)}", where, FORM)


def _label_faults(x: np.ndarray, y: np.ndarray | None, where: str) -> Iterator[Fault]:
    if y is None:
        return
    if y.dtype.kind not in "iu" or y.ndim != 1:
        what = f"labels must be one whole number a sample, got {y.dtype} of shape {list(y.shape)}"
        yield Fault("PJ802", what, where, "labels.astype(int), counted from 0")
    elif x.ndim and len(x) != len(y):
        yield Fault("PJ802", f"{len(x)} samples, but {len(y)} labels", where, "one label a sample")
