"""Results as JSON lines that a run can add to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY = ("set", "seed", "bits", "tested")


@dataclass(frozen=True)
class Lines:
    """A file of results, one JSON object a line."""

    path: Path

    def rows(self) -> list[dict[str, Any]]:
        """All results so far; a line that was cut while it was written is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether there is a result of this set, seed, bits and number of test samples."""
        return any(all(old.get(k) == row[k] for k in KEY) for old in self.rows())

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a result and print it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        print(text, flush=True)
