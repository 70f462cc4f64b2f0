"""The script that compares formats on digits."""

import json

import pytest
from benchmarks.accuracy import formats


def test_it_prints_a_row_for_reals_and_for_each_pair(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["formats.py", "--seeds", "1"])
    monkeypatch.setattr(formats, "EPOCHS", 3)
    monkeypatch.setattr(formats, "TUNING", 0)
    monkeypatch.setattr(formats, "FLOATS", ["mxfp4"])
    formats.main()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["weights"], row.get("activations")) for row in rows] == [
        ("float", None), ("lsq", "lsq"), ("mxfp4", "lsq"), ("lsq", "e4m3"), ("mxfp4", "e4m3"),
    ]  # fmt: skip
    assert all(row["rounded"] == row["tuned"] for row in rows[1:])
    assert rows[1]["rounded_mean"] == pytest.approx(rows[0]["accuracy"][0], abs=0.03)
