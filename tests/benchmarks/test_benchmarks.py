"""The benchmarks: their network is ours, the C loop computes the same, a peer's end is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.fixture(autouse=True)
def _benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("profile", ["loihi1", "brian2loihi"])
def test_the_network_fires_as_often_as_was_asked(profile):
    from common.network import random_network
    from common.program import events_of, program_of

    from picojoule.sim import run

    program = program_of(random_network(1000, 0.05), profile)
    spikes = run(program, events_of(profile, 100, True), steps=100).outputs["spikes"]
    assert 0.04 < spikes.mean() < 0.06


def test_both_engines_run_the_network_alike():
    from common.network import random_network
    from common.program import events_of, program_of

    from picojoule.sim import run

    program, events = program_of(random_network(200, 0.25)), events_of("loihi1", 12, True)
    ours, plain = (run(program, events, steps=12, engine=e) for e in ("numba", "reference"))
    assert np.array_equal(ours.outputs["spikes"], plain.outputs["spikes"])
    assert ours.outputs["spikes"].any()


def test_the_c_loop_goes_on_where_it_ended_and_agrees(tmp_path):
    from common.c_loop import RowsLoop, compiled
    from common.network import random_network, voltage_digest
    from common.program import events_of, program_of

    from picojoule.sim import run

    library = compiled("spiking_rows", str(tmp_path))
    if library is None:
        pytest.skip("no C compiler")
    network = random_network(300, 0.25)
    whole = run(program_of(network), events_of("loihi1", 20, True), steps=20)
    loop, spikes = RowsLoop(library, network), np.zeros((2, 10, 300), np.uint8)
    for part in spikes:
        loop.run(10, part)
    assert np.array_equal(spikes.reshape(20, 300), whole.outputs["spikes"][0])
    assert voltage_digest(loop.v) == voltage_digest(whole.state["v"][0])


def test_the_digest_tells_one_changed_voltage_and_two_swapped():
    from common.network import voltage_digest

    v = np.arange(-50, 50)
    changed, swapped = v.copy(), v.copy()
    changed[7] += 1
    swapped[[3, 4]] = swapped[[4, 3]]
    assert len({voltage_digest(x) for x in (v, changed, swapped)}) == 3


def test_a_worker_that_ends_says_why(tmp_path, monkeypatch):
    from common import workers

    (tmp_path / "benchmarks" / "peers").mkdir(parents=True)
    (tmp_path / "benchmarks" / "peers" / "broken.py").write_text("raise SystemExit('no such peer')")
    monkeypatch.setattr(workers, "ROOT", tmp_path)
    worker = workers.Worker(Path(sys.executable), "broken")
    with worker, pytest.raises(workers.PeerFailed, match="no such peer"):
        worker.ask({"do": "facts"})


def test_a_worker_answers_errors_and_goes_on(tmp_path, monkeypatch):
    from common import workers

    folder = tmp_path / "benchmarks" / "peers"
    folder.mkdir(parents=True)
    serve = (ROOT / "benchmarks" / "peers" / "serve.py").read_text()
    (folder / "serve.py").write_text(serve.replace("from common.network", "from network"))
    (folder / "network.py").write_text("Network = object\ndef load(path): return path\n")
    (folder / "echo.py").write_text(
        "from serve import serve\n"
        "class Echo:\n"
        "    def run(self, steps):\n"
        "        print('noise')\n"
        "        return {'steps': 1 // steps}\n"
        "serve({}, lambda network, settings: Echo())\n"
    )
    monkeypatch.setattr(workers, "ROOT", tmp_path)
    with workers.Worker(Path(sys.executable), "echo") as worker:
        worker.ask({"do": "build", "network": "none", "settings": {}})
        with pytest.raises(workers.PeerFailed, match="ZeroDivisionError"):
            worker.ask({"do": "run", "steps": 0})
        assert worker.ask({"do": "run", "steps": 1})["steps"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_quick_benchmark_prints_lines_of_the_common_form(script):
    done = subprocess.run([sys.executable, str(script), "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    about, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert about["machine"] and lines
    if script.stem == "scale":  # of sizes, not of peers
        assert [line["neurons"] for line in lines] == [1024, 10240]
        return
    for line in lines:
        assert {"benchmark", "case", "peer", "threads", "ratio", "low", "high"} <= line.keys()
        assert line["ratio"] is None or line["low"] <= line["ratio"] <= line["high"]


def test_a_sheet_compiles_for_the_board_and_fires_as_often_as_was_asked():
    from common.sheet import FAN_IN, SIDES, Sheet, graph_of, kick

    import picojoule as pj

    sheet = Sheet(*SIDES[1_024])
    graph = graph_of(sheet, 0.05, 100)
    assert graph.sparse["near"].seen.synapses == FAN_IN * sheet.neurons
    program = pj.compile(graph, pj.target("loihi1_board"))
    spikes = pj.run(program, kick(100), steps=100).outputs["spikes"]
    assert program.cores == 4 and 0.03 < spikes.mean() < 0.07


def test_synapses_of_a_sheet_join_near_neurons_and_are_the_same_each_time():
    from common.sheet import FAN_IN, REACH, TILE, Sheet

    sheet = Sheet(5, 8)
    bounds, source, weight = sheet.synapses(1024, 1024 + 300)
    again = sheet.synapses(1024, 1024 + 300)
    assert all(np.array_equal(a, b) for a, b in zip((bounds, source, weight), again))
    assert np.array_equal(np.diff(bounds), np.full(300, FAN_IN)) and not np.any(weight % 8)
    row, column = sheet.place(source)
    here = sheet.place(np.repeat(np.arange(1024, 1324), FAN_IN))
    for a, b, tiles in ((row, here[0], 8), (column, here[1], 5)):
        away = np.abs(a - b)
        assert np.minimum(away, tiles * TILE - away).max() == REACH
    pairs = np.stack([np.repeat(np.arange(300), FAN_IN), source])
    assert len(np.unique(pairs, axis=1).T) == source.size
    assert np.array_equal(sheet.number(*sheet.place(np.arange(sheet.neurons))),
                          np.arange(sheet.neurons))  # fmt: skip
