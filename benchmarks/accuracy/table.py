"""Tables of `docs/results.md` from JSON lines, and whether promises are kept.

`table` is that of `images.py`; `spiking.py` has columns of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FLOAT_LEAST = {"mnist": 99.2, "fashion_mnist": 91.5}  # percent
# points that the deployed program may lose against float, mean over the seeds
LOSS_MOST = {
    ("mnist", "W8A8"): 0.1, ("mnist", "W4A4"): 0.2, ("mnist", "W2A2"): 0.8,
    ("fashion_mnist", "W8A8"): 0.2, ("fashion_mnist", "W4A4"): 0.5,
    ("fashion_mnist", "W2A2"): 1.5,
}  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], int]:
    """(lines of a Markdown table, broken promises)."""
    lines = [
        "| set | bits | accuracy, % | spread | lost, points | promised | energy, uJ |",
        "|---|---|---|---|---|---|---|",
    ]
    broken = 0
    for name in dict.fromkeys(row["set"] for row in rows):
        whole = {row["seed"]: row["accuracy"] for row in rows
                 if row["set"] == name and row["bits"] == "float"}  # fmt: skip
        for bits in dict.fromkeys(row["bits"] for row in rows if row["set"] == name):
            chosen = [row for row in rows if (row["set"], row["bits"]) == (name, bits)]
            line, kept = _line(name, bits, chosen, whole)
            lines.append(line)
            broken += not kept
    return lines, broken


def _line(
    name: str, bits: str, rows: list[dict[str, Any]], whole: dict[int, float]
) -> tuple[str, bool]:
    found = np.array([100 * row["accuracy"] for row in rows])
    lost = np.array([100 * whole[row["seed"]] for row in rows if row["seed"] in whole])
    lost_by = float(np.mean(lost) - np.mean(found)) if len(lost) == len(found) else float("nan")
    energy = [row["energy_j"] * 1e6 for row in rows if "energy_j" in row]
    if bits == "float":
        promise, kept = f"at least {FLOAT_LEAST[name]}", found.mean() >= FLOAT_LEAST[name]
        last = ""
    else:
        most = LOSS_MOST[name, bits]
        promise, kept, last = f"loses at most {most}", lost_by <= most, f"{lost_by:.2f}"
    word = promised(promise, bool(kept))
    price = f"{np.mean(energy):.2f}" if energy else ""
    return (
        f"| {name} | {bits} | {found.mean():.2f} ({len(found)} seeds) | {spread(found):.2f} |"
        f" {last} | {word} | {price} |"
    ), bool(kept)


def publish(path: Path, name: str, lines: Sequence[str]) -> None:
    """Put lines between `<!-- name -->` and `<!-- /name -->` of a Markdown page."""
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    assert start in text and end in text, f"{path} has no part {name!r}"
    made = "\n".join([start, *lines, end])
    pattern = re.escape(start) + ".*?" + re.escape(end)
    path.write_text(re.sub(pattern, lambda _: made, text, flags=re.DOTALL), encoding="utf-8")


def spread(found: np.ndarray) -> float:
    """Standard deviation between seeds; 0 where there is but one."""
    return float(np.std(found, ddof=1)) if len(found) > 1 else 0.0


def promised(what: str, kept: bool) -> str:
    """The cell of a promise."""
    return what if kept else f"**{what}: BROKEN**"


def finish(lines: Sequence[str], broken: int, page: Path | None, part: str) -> int:
    """Print a table, put it on that part of a page; returns 1 where a promise is broken."""
    print("\n".join(lines))
    if page is not None:
        publish(page, part, lines)
    return min(broken, 1)
