"""Find the vectors below a folder, and replay each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from picojoule.conform import brian2loihi, lava, lava_dl, nengo_loihi, nir_trace, own
from picojoule.conform.replay import Outcome, compare, outcome
from picojoule.conform.trial import NotYet, Trial
from picojoule.conform.vector import Vector, read_sidecar, read_vector
from picojoule.errors import Fault, PicojouleError, UsageError
from picojoule.sim.run import ENGINES, Engine

Reader = Callable[[Vector], Iterator[Trial]]
# (what the line of a vector says, whether a vector is of the format, its reader)
FORMATS: tuple[tuple[str, Callable[[Vector], bool], Reader], ...] = (
    ("brian2loihi", brian2loihi.known, brian2loihi.trials),
    ("nengo_loihi", nengo_loihi.known, nengo_loihi.trials),
    ("lava", lava.known, lava.trials),
    ("picojoule", own.known, own.trials),
    ("lava_dl", lava_dl.known, lava_dl.trials),
)
UNKNOWN = "unknown"


def conform(
    folder: str | os.PathLike[str], *, engine: Engine = "numba",
    told: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:  # fmt: skip
    """Replay every vector below a folder (or one `.npz`); `told` hears of each when it is done.

    Raises UsageError PJ801 where there is no such folder, PJ803 where it holds no vector,
    PJ806 for an unknown engine.
    """
    if engine not in ENGINES:
        what = f"no such engine: {engine!r}; known: {', '.join(ENGINES)}"
        raise UsageError(Fault("PJ806", what))
    root = Path(folder)
    found = []
    for path in _files(root):
        found.append(_replayed(path, root, engine))
        told(found[-1])
    if not found:
        fix = "a folder with NAME.npz and NAME.json, as docs/conform.md describes them"
        raise UsageError(Fault("PJ803", "there are no golden vectors", str(root), fix))
    return found


def _files(root: Path) -> list[Path]:
    """Archives, traces, and sidecars of vectors whose archive is not there; in order."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UsageError(Fault("PJ801", "no such folder", str(root)))
    found = [*root.rglob("*.npz"), *(p for p in root.rglob("*.csv") if nir_trace.known(p))]
    bare = (p for p in root.rglob("*.json") if not p.with_suffix(".npz").exists())
    return sorted([*found, *(p for p in bare if _promises_arrays(p))])


def _promises_arrays(path: Path) -> bool:
    try:
        head = read_sidecar(path)
    except UsageError:
        return False
    vector = Vector(path.stem, path, head, {})
    return any(known(vector) for _, known, _ in FORMATS)


def _replayed(path: Path, root: Path, engine: Engine) -> Outcome:
    name = path.stem if path == root else str(path.relative_to(root).with_suffix(""))
    peer = UNKNOWN
    try:
        if path.suffix == ".json":
            what = f"vector {name!r}: its arrays {path.with_suffix('.npz').name!r} are missing"
            raise UsageError(Fault("PJ801", what, str(path)))
        if path.suffix == ".csv":
            peer, made = "nir_paper", nir_trace.trials(path, name)
        else:
            vector = read_vector(path, name)
            peer, reader = _format(vector)
            made = reader(vector)
        compared = [c for trial in _made(made, path, name) for c in compare(trial, engine)]
    except NotYet as reason:
        return Outcome(peer, name, "skipped", reason=str(reason))
    except PicojouleError as error:
        return Outcome(peer, name, "error", reason=str(error))
    return outcome(peer, name, compared)


def _made(made: Iterator[Trial], path: Path, name: str) -> Iterator[Trial]:
    """The trials of a reader; a sidecar of the wrong form is the user's, not a bug of ours."""
    while True:
        try:
            trial = next(made, None)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            what = f"vector {name!r}: the sidecar and the arrays do not hold together: {error!r}"
            raise UsageError(Fault("PJ802", what[:400], str(path))) from None
        if trial is None:
            return
        yield trial


def _format(vector: Vector) -> tuple[str, Reader]:
    """The peer of a vector, and its reader.  Raises NotYet where no format fits."""
    for peer, known, reader in FORMATS:
        if known(vector):
            return peer, reader
    kind = vector.head.get("kind")
    if kind is not None:
        raise NotYet(f"unknown kind {str(kind)[:40]!r}")
    raise NotYet("not a known format" if vector.head else "no sidecar, and no known arrays")


def summary(found: list[Outcome]) -> str:
    """`N of M vectors match`, and how many were not compared at all."""
    tried = [o for o in found if o.status != "skipped"]
    matched = sum(o.status == "match" for o in found)
    skipped = len(found) - len(tried)
    rest = f" ({skipped} skipped)" if skipped else ""
    return f"{matched} of {len(tried)} vectors match{rest}"


def line(result: Outcome) -> str:
    """One vector for people."""
    head = f"{result.status:<8}{result.peer:<12} {result.name}"
    if result.status in ("skipped", "error"):
        return f"{head}: {result.reason}"
    what = " ".join(shortened(result.quantities))
    text = f"{head}  {what}  {result.equal}/{result.total}"
    return text if result.first is None else f"{text}  first: {result.first}"


def shortened(names: tuple[str, ...]) -> list[str]:
    """At most eight names, and how many there are more."""
    return [*names] if len(names) <= 8 else [*names[:7], f"(+{len(names) - 7})"]
