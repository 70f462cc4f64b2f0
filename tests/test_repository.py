"""What holds for every text file of the project."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "docs", "benchmarks", "examples", "hardware_models")
MARKERS = ("<" * 7 + " ", "=" * 7 + "\n", ">" * 7 + " ")


def texts():
    kinds = {".py", ".md", ".yaml", ".toml", ".txt", ".json"}
    files = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in kinds]
    return [*files, *(p for p in ROOT.iterdir() if p.suffix in kinds)]


def test_no_merge_was_left_half_done():
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(True), 1)
        if line.startswith(MARKERS)
    ]
    assert not found
