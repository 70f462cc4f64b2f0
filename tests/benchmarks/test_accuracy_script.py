"""The accuracy script: its table, its file of results, and a quick run of all of it."""

import numpy as np
import pytest
from benchmarks.accuracy import images, script
from benchmarks.accuracy.lines import Lines
from benchmarks.accuracy.table import publish, table

from picojoule import nn


def row(bits, accuracy, seed=0, **more):
    return {"set": "mnist", "seed": seed, "tested": 10, "bits": bits, "accuracy": accuracy, **more}


def test_the_table_tells_means_losses_and_broken_promises():
    rows = [
        row("float", 0.994), row("float", 0.996, 1), row("W4A4", 0.992, energy_j=2e-6),
        row("W4A4", 0.990, 1, energy_j=4e-6), row("W2A2", 0.99), row("W2A2", 0.99, 1),
    ]  # fmt: skip
    lines, broken = table(rows)
    assert "| mnist | float | 99.50 (2 seeds) | 0.14 |  | at least 99.2 |  |" in lines
    w4a4 = next(line for line in lines if "W4A4" in line)
    assert "| 99.10 (2 seeds) | 0.14 | 0.40 | **loses at most 0.2: BROKEN** | 3.00 |" in w4a4
    assert broken == 1 and "| 0.50 | loses at most 0.8 |" in lines[-1]


def test_results_are_kept_and_a_cut_line_is_left_out(tmp_path, capsys):
    lines = Lines(tmp_path / "deep" / "r.jsonl")
    lines.add(row("float", 0.99))
    lines.path.write_text(lines.path.read_text() + '{"set": "mni')
    assert lines.rows() == [row("float", 0.99)] and lines.holds(row("float", 0.5))
    assert not lines.holds(row("W4A4", 0.99)) and '"float"' in capsys.readouterr().out


def test_a_page_gets_its_table(tmp_path):
    page = tmp_path / "results.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- /x -->\nb\n")
    publish(page, "x", ["| 1 |", "| 2 |"])
    publish(page, "x", ["| 3 |"])
    assert page.read_text() == "a\n<!-- x -->\n| 3 |\n<!-- /x -->\nb\n"


@pytest.mark.parametrize("word", ["--quick", "--validate"])
def test_networks_of_other_data_are_not_those_of_a_whole_run(tmp_path, word):
    parser = script.options("about", "out", ["mnist"])
    words = ["--data", "data", "--out", str(tmp_path / "out")]
    whole, part = (script.results_folder(parser.parse_args(w)) for w in (words, [*words, word]))
    assert whole == tmp_path / "out" and part.is_dir() and part.parent == whole


def test_a_float_network_is_trained_once(tmp_path):
    asked = []

    def fit(checkpoint):
        asked.append(checkpoint)
        checkpoint.touch()
        return nn.digits_relu(0)

    first, again = (script.trained_once(tmp_path / "x.0.pjg", fit) for _ in range(2))
    assert first == again and asked == [tmp_path / "x.0.pjc"] and not asked[0].exists()


@pytest.mark.slow
def test_a_quick_run_resumes_where_it_was_cut(tmp_path, capsys):
    rng = np.random.Generator(np.random.Philox(key=[7, 7]))
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    y = rng.integers(0, 10, 600)
    centres = rng.integers(0, 256, (10, 28, 28))
    x = np.clip(centres[y] + rng.normal(0, 20, (600, 28, 28)), 0, 255).astype(np.uint8)
    np.savez(folder / "train.npz", x=x[:500], y=y[:500])
    np.savez(folder / "test.npz", x=x[500:], y=y[500:])
    words = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--sets", "mnist",
             "--seeds", "1", "--bits", "4", "--quick"]  # fmt: skip
    assert images.main(words) == 1  # one epoch keeps no promise
    first = capsys.readouterr().out
    assert '"mismatched": 0' in first and "W4A4" in first
    assert images.main(words) == 1
    assert '"accuracy"' not in capsys.readouterr().out
