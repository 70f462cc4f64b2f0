"""The accuracy script of spiking networks: a short run, and what it does when run again."""

import json

import pytest
from benchmarks.accuracy.spiking import main


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion_mnist", "fsdd"])
def test_a_short_run_deploys_what_it_trained(name, shared, tmp_path, capsys):
    words = ["--data", str(shared(f"data/{name}").parent), "--out", str(tmp_path), "--sets", name,
             "--seeds", "1", "--quick"]  # fmt: skip
    assert main(words) == 1  # three epochs keep no promise
    rows = [json.loads(x) for x in (tmp_path / "quick" / "results.jsonl").read_text().splitlines()]
    assert [row["bits"] for row in rows] == ["float", "loihi1 W8"]
    assert rows[0]["accuracy"] > 0.3 and rows[1]["integers_replayed"] > 20_000
    assert rows[1]["mismatched"] == 0 and not list(tmp_path.rglob("*.safetensors"))
    capsys.readouterr()
    main(words)  # nothing is left to do
    assert "epoch" not in capsys.readouterr().err
    assert len((tmp_path / "quick" / "results.jsonl").read_text().splitlines()) == 2
