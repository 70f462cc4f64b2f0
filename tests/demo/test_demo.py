"""The demonstration, shortened to one epoch: what it writes, and what it refuses to pass over."""

import json
from dataclasses import replace

import pytest

from picojoule.demo import flow
from picojoule.errors import TrainError

ROWS = [("digits_spiking", "loihi1", 8), ("digits_spiking", "loihi1", 4),
        ("digits_relu", "systolic_int8", 8), ("digits_relu", "systolic_int8", 4),
        ("digits_relu", "systolic_int8", 2)]  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "shown"
    flow.run_demo(path, quick=True)
    return path


def test_rows_of_the_report(out):
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    rows = report["rows"]
    assert report["schema_version"] == 1
    assert [(row["network"], row["target"], row["bits"]) for row in rows] == ROWS
    for row in rows:
        accuracy = row["accuracy"]
        assert all(0 <= accuracy[name] <= 1 for name in ("float", "ptq", "qat", "deployed"))
        assert accuracy["qat"] == accuracy["deployed"] and row["mismatched_outputs"] == 0
        assert row["energy_j"] > 0 and row["time_s"] > 0


def test_page_and_programs_lie_beside_it(out):
    programs = {f"{network}.{target}.w{bits}.pjp" for network, target, bits in ROWS}
    assert {path.name for path in out.iterdir()} == programs | {"report.html", "report.json"}


def test_a_difference_fails_the_demo_after_the_report(tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "_deploy", lambda *_: [])
    honest = flow.make_report

    def altered(*words):
        row = flow.Row(network="n", target="t", bits=4, accuracy=flow.Accuracy(), energy_j=1.0,
                       time_s=1.0, mismatched_outputs=3)  # fmt: skip
        return replace(honest(*words), rows=(row,))

    monkeypatch.setattr(flow, "make_report", altered)
    with pytest.raises(TrainError, match="PJ703  3 output integers of n on t at 4 bits differ"):
        flow.run_demo(tmp_path / "shown")
    assert (tmp_path / "shown" / "report.json").exists()
