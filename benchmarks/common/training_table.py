"""The table of a whole run of `benchmarks/training.py`, as Markdown.

    python benchmarks/training.py > training.jsonl
    python benchmarks/common/training_table.py training.jsonl docs/benchmarks.md

Puts it between `<!-- training -->` and `<!-- /training -->` of the page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.accuracy.table import publish

# (case, peer): what is to be reached on 1 and on 2 threads
GOALS = {
    ("mlp", "torch"): (0.95, 1.0), ("cnn", "torch channels_last"): (1.15, 1.3),
    ("snn64", "torch"): (4, 5), ("snn64", "snntorch"): (7, 8), ("snn64", "norse"): (6, 7),
    ("snn64", "spikingjelly"): (6, 7), ("snn8", "torch"): (10, 12),
    ("lsq", "torch composed"): (3.5, 4), ("lsq", "brevitas"): (3.5, 4),
    ("qat", "brevitas"): (1.5, 2), ("tape", "torch"): (1, 1),
}  # fmt: skip


def cell(found: dict[str, Any] | None, goal: float | None) -> str:
    """Ratio, and our milliseconds a step; bold below the goal."""
    if found is None or found["ratio"] is None:
        return "absent"
    ratio = f"{found['ratio']:.2f}"
    short = goal is not None and found["ratio"] < goal
    return f"{f'**{ratio}**' if short else ratio} ({1e3 * found['ours_s']:.3g} ms)"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of the table: a line for each case and peer, a column for each number of threads."""
    lines = ["| case | peer | goal | 1 thread | 2 threads |", "|---|---|---|---|---|"]
    by = {(r["case"], r["peer"], r["threads"]): r for r in rows}
    for case, peer in dict.fromkeys((r["case"], r["peer"]) for r in rows):
        goal = GOALS.get((case, peer), (None, None))
        said = " / ".join(str(g) for g in goal) if goal[0] is not None else ""
        cells = [cell(by.get((case, peer, n)), goal[n - 1]) for n in (1, 2)]
        lines.append(f"| {case} | {peer} | {said} | {' | '.join(cells)} |")
    return lines


def main(source: str, page: str) -> None:
    read = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").splitlines()]
    made = table([row for row in read if "case" in row])
    print("\n".join(made))
    publish(Path(page), "training", made)


if __name__ == "__main__":
    main(*sys.argv[1:])
