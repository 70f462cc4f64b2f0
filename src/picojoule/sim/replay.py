"""Replay a dump: `python -m picojoule.sim.replay PROGRAM DUMP` runs a saved Program alone.

Graph and trainer cannot be imported while it runs, so a Program that replays is sufficient.
A dump (.npz or .safetensors) holds samples `x`, of noisy neurons `seed` () or the draws
themselves, `noise`; and what they must give: `output` (n, n_out), or `spikes`
(n, steps, n_out), and any of `u.NODE`, `v.NODE` or another state word of the node's
kind: (n, steps, size) at the end of each step, or (n, size) at the end of the run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

GIVEN = {"x", "seed", "noise"}  # what a run takes in
FORBIDDEN = ("picojoule.graph", "picojoule.train")
USAGE = "usage: python -m picojoule.sim.replay PROGRAM DUMP"


class Wall(MetaPathFinder):
    """Refuses to import what a Program must not need."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if any(name == f or name.startswith(f"{f}.") for f in FORBIDDEN):
            raise ImportError(f"{name} is not available in a replay", name=name)


@contextmanager
def walled() -> Iterator[None]:
    """Keep the forbidden packages from being imported."""
    wall = Wall()
    sys.meta_path.insert(0, wall)
    try:
        yield
    finally:
        sys.meta_path.remove(wall)


def replay_file(program_path: str | Path, dump_path: str | Path) -> dict[str, Any]:
    """Run a dump on every engine: {'elements', 'mismatched', 'engines'}, over all engines.

    elements    integers and spikes compared        mismatched  how many of them differ
    Raises UsageError PJ801 or PJ802 for the dump, ProgramError for the program.
    """
    with walled():
        from picojoule.program.files import load
        from picojoule.sim.run import ENGINES

        program, dump = load(program_path, verify=True), read_dump(dump_path)
        results = [_compare(program, dump, engine) for engine in ENGINES]
    elements, mismatched = (sum(column) for column in zip(*results))
    return {"elements": elements, "mismatched": mismatched, "engines": list(ENGINES)}


def read_dump(path: str | Path) -> dict[str, Any]:
    """Name -> array.  Raises UsageError PJ801 for a file that cannot be read."""
    import numpy as np

    from picojoule.errors import Fault, UsageError

    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # noqa: BLE001  (each reader has exceptions of its own)
        what = f"a dump cannot be read: {error}"
        raise UsageError(Fault("PJ801", what, where=str(path))) from None


def _compare(program: Any, dump: Mapping[str, Any], engine: Any) -> tuple[int, int]:
    from picojoule.sim.run import run

    _check_names(program, dump)
    watched = [_probe(name) for name, array in dump.items() if "." in name and array.ndim == 3]
    steps = dump["spikes"].shape[1] if "spikes" in dump else None
    drawn: dict[str, Any] = {"noise": dump.get("noise"), "seed": _seed(dump)}
    got = run(program, dump["x"], steps=steps, engine=engine, probes=watched, **drawn)
    elements = mismatched = 0
    for name, want in dump.items():
        if name in GIVEN:
            continue
        found = got.outputs.get(name)
        if found is None:
            what, _, node = name.partition(".")
            found = got.probes[_probe(name)] if want.ndim == 3 else got.node(node, what)
        elements += want.size
        mismatched += want.size if want.shape != found.shape else int((found != want).sum())
    return elements, mismatched


def _seed(dump: Mapping[str, Any]) -> int:
    from picojoule.errors import Fault, UsageError

    seed = dump.get("seed")
    if seed is None:
        return 0
    if seed.size != 1 or seed.dtype.kind not in "iu":
        what = f"seed of a dump must be one whole number, got {seed.dtype} {list(seed.shape)}"
        raise UsageError(Fault("PJ802", what))
    return int(seed.reshape(()))


def _probe(name: str) -> str:
    """'u.lif1' -> 'lif1.u'."""
    what, _, node = name.partition(".")
    return f"{node}.{what}"


def _check_names(program: Any, dump: Mapping[str, Any]) -> None:
    from picojoule.errors import Fault, UsageError
    from picojoule.sim.layout import WATCHED

    result = "output" if program.kind == "tensor" else "spikes"
    needed = {"x", result}
    known = needed | (set() if program.kind == "tensor" else GIVEN)
    faults = [f"the dump has no {name!r}" for name in sorted(needed - dump.keys())]
    more = () if program.kind == "tensor" else tuple(f"{word}." for word in sorted(WATCHED))
    faults += [f"the dump has {name!r}, which a {program.kind} program does not give"
               for name in dump if name not in known and not name.startswith(more)]  # fmt: skip
    if faults:
        raise UsageError([Fault("PJ802", fault) for fault in faults])


def main(arguments: list[str]) -> int:
    """Exit code 0: all equal; 1: something differs, or an input is wrong; 2: usage."""
    if len(arguments) != 2:
        print(USAGE, file=sys.stderr)
        return 2
    assert not any(name in sys.modules for name in FORBIDDEN), "the engines imported the graph"
    with walled():
        from picojoule.errors import PicojouleError

        try:
            result = replay_file(*arguments)
        except PicojouleError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(result))
    return 1 if result["mismatched"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
