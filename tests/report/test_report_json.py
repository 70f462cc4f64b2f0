"""Reports save as JSON and load back equal; what is wrong in a file is said, all at once."""

import json
import math
from dataclasses import replace

import pytest
import report_samples as samples

from picojoule.errors import UsageError
from picojoule.report import load_json, save_json, this_machine
from picojoule.report.store import from_json, to_json

ROW = {
    "network": "n",
    "target": "t",
    "bits": 4,
    "mismatched_outputs": 0,
    "energy_j": 1e-6,
    "time_s": 0.001,
    "accuracy": {"float": 0.9, "ptq": 0.8, "qat": 0.9, "deployed": 0.9},
}


def document(**changes):
    return {"title": "t", "schema_version": 1, "rows": [ROW | changes]}


def faults(text):
    with pytest.raises(UsageError) as caught:
        from_json(text if isinstance(text, (str, bytes)) else json.dumps(text))
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("report", [samples.full(), samples.bare()], ids=["full", "bare"])
def test_round_trip(report, tmp_path):
    save_json(report, tmp_path / "report.json")
    assert load_json(tmp_path / "report.json") == report


def test_the_agreed_fields(tmp_path):
    save_json(samples.full(), tmp_path / "report.json")
    tree = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert tree["schema_version"] == 1
    assert len(tree["rows"]) == 5
    for row in tree["rows"]:
        assert set(ROW) <= set(row)
        assert list(row["accuracy"]) == ["float", "ptq", "qat", "deployed"]
        assert all(0 <= share <= 1 for share in row["accuracy"].values())
        assert all(math.isfinite(row[name]) for name in ("energy_j", "time_s"))


def test_the_agreed_fields_alone_are_enough():
    report = from_json(json.dumps(document()))
    assert report.rows[0].accuracy.ptq == 0.8
    assert report.rows[0].bill == ()


def test_every_fault_at_once():
    tree = document(bits="four", colour="red")
    del tree["rows"][0]["time_s"]
    tree["rows"][0]["accuracy"] = {"float": 0.9, "best": 1.0}
    text = "\n".join(faults(tree))
    for where in (
        "rows[0].bits",
        "rows[0].time_s",
        "rows[0].colour: unknown",
        "rows[0].accuracy.best: unknown",
    ):
        assert where in text
    assert len(faults(tree)) == 4
    assert text.count("PJ802") == 4


def test_an_unknown_field_alone_is_a_fault():
    assert "rows[0].colour: unknown field" in faults(document(colour="red"))[0]


@pytest.mark.parametrize(
    "changes, where",
    [
        ({"accuracy": {"deployed": 97.2}}, "rows[0].accuracy.deployed"),
        ({"energy_j": -1.0}, "rows[0].energy_j"),
        ({"marginal_j": 1e-6, "static_j": 1e-6}, "rows[0].energy_j"),
        ({"low_j": 2e-6, "high_j": 1e-6}, "rows[0].low_j"),
        ({"raster": {"steps": 3, "populations": [], "spikes": [[3, 0]]}}, "rows[0].raster"),
    ],
)
def test_impossible_values(changes, where):
    assert where in "\n".join(faults(document(**changes)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        b"\xff\xfe",
        '{"rows": []}',
        '{"schema_version": 2, "title": "t", "rows": []}',
        '{"schema_version": true, "title": "t", "rows": []}',
        '{"schema_version": 1, "title": "t", "rows": {}}',
        '{"schema_version": 1, "title": "t", "rows": [7, null, []]}',
    ],
)
def test_other_files_are_refused(text):
    assert all(fault.startswith("PJ802") for fault in faults(text))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_file_with_numbers_that_are_not_finite(number):
    text = json.dumps(document()).replace("0.001", number)
    assert "rows[0].time_s must be finite" in faults(text)[0]


def test_numbers_that_are_not_finite_are_not_saved(tmp_path):
    row = replace(samples.bare().rows[0], time_s=math.inf)
    with pytest.raises(UsageError, match="PJ807"):
        save_json(replace(samples.bare(), rows=(row,)), tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_a_bill_must_sum_to_its_total():
    report = samples.full()
    row = replace(report.rows[0], bill=report.rows[0].bill[1:])
    with pytest.raises(UsageError, match="its bill sums to"):
        to_json(replace(report, rows=(row,)))


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(UsageError, match="PJ801"):
        load_json(tmp_path / "none.json")
    with pytest.raises(UsageError, match="PJ801"):
        load_json(tmp_path)
    with pytest.raises(UsageError, match="PJ801"):
        save_json(samples.bare(), tmp_path / "none" / "report.json")
    with pytest.raises(UsageError, match="PJ801"):
        save_json(samples.bare(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_the_whole_file(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("x" * 1_000_000)
    path.chmod(0o600)
    save_json(samples.bare(), path)
    assert load_json(path) == samples.bare()
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    save_json(samples.bare(), path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(UsageError, match="No space left"):
        save_json(samples.full(), path)
    assert load_json(path) == samples.bare()
    assert list(tmp_path.iterdir()) == [path]


def test_this_machine_names_the_versions():
    machine = this_machine()
    assert {"python", "numpy", "numba"} <= set(machine.versions)
    assert machine.system
