"""Each command on small networks: its exit status, what it writes, what it prints."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

SPIKING, TENSOR = "loihi1", "systolic_int8"
COMMANDS = ("demo", "targets", "check", "compile", "show", "run", "cost", "report", "finetune",
            "diff", "conform")  # fmt: skip


def done(said):
    assert said.status == 0 and said.err == "", said
    return said.out


def data(said):
    """Standard output as JSON, strictly: no NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(done(said), parse_constant=refuse)


def test_version(say):
    assert re.fullmatch(r"picojoule \d+\.\d+\.\d+\n", done(say("--version")))


def test_targets(say):
    assert SPIKING in done(say("targets")) and TENSOR in done(say("targets"))
    assert {row["name"] for row in data(say("targets", "--json"))} >= {SPIKING, TENSOR}
    assert "davies2018" in done(say("targets", SPIKING))
    shown = data(say("targets", "mine.yaml", "--json"))
    assert shown["cores"] == 128 and {"component", "action", "source"} <= set(shown["prices"][0])
    board = data(say("targets", "loihi1_board", "--json"))
    assert (board["cores"], board["chips"]) == (4096, 32)
    assert "4096 x neuro core, 128 on each of 32 chips" in done(say("targets", "loihi1_board"))


def test_check(say):
    assert "fits loihi1" in done(say("check", "spikes.pjg", "-t", SPIKING))
    assert data(say("check", "spikes.pjg", "-t", SPIKING, "--json")) == {
        "fits": True, "faults": [],
    }  # fmt: skip
    said = say("check", "dense.pjg", "-t", SPIKING, "--json")
    found = json.loads(said.out)
    assert said.status == 1 and not found["fits"]
    assert {fault["code"] for fault in found["faults"]} == {"PJ206"}


def test_compile_and_show(say, room):
    assert "1 core, " in done(say("compile", "spikes.pjg", "-t", SPIKING, "-o", "a.pjp"))
    words = ("compile", "net.nir", "-t", SPIKING, "--dt", "1e-3", "--steps", "8", "--json")
    made = data(say(*words, "--dump", "stages"))
    assert made["program"] == "net.pjp" and made["cores"] == 1
    assert [p.name[:2] for p in sorted((room / "stages").iterdir())][:2] == ["00", "01"]
    assert done(say("show", "net.pjp", "--verify")).startswith("program net ")


def test_run(say):
    assert "12 samples" in done(say("run", "spikes.pjp", "data.npz"))
    by_kind = [
        data(say("run", "dense.pjp", name, "-o", "other.pjr", "--json"))["answers"]
        for name in ("data.npz", "data.npy", "data.csv")
    ]
    assert by_kind[0] == by_kind[1] == by_kind[2]


def test_engines_and_threads_agree(say):
    runs = [
        data(say("run", "spikes.pjp", "data.npy", "-o", "a.pjr", "--json", *more))["digests"]
        for more in ((), ("--engine", "reference"), ("--threads", "1"))
    ]
    assert runs[0] == runs[1] == runs[2]


def test_accuracy_is_the_share_of_right_answers(say):
    made = data(say("run", "dense.pjp", "data.npz", "--json"))
    y = np.load("data.npz")["y"]
    assert made["accuracy"] == (np.array(made["answers"]) == y).mean()


def test_cost(say):
    assert "total" in done(say("cost", "spikes.pjr")).lower()
    bill = data(say("cost", "dense.pjr", "--json"))
    assert 0 < bill["total_j"] < 1 and bill["samples"] == 12
    assert data(say("cost", "spikes.pjr", "-t", "mine.yaml", "--json"))["target"] == SPIKING


def test_report(say, room):
    done(say("report", "spikes.pjp", "data.npz", "-o", "r.html"))
    assert (room / "r.html").read_text().startswith("<!")
    again = data(say("report", "r.json", "-o", "again.html", "--json"))
    assert again["rows"] and not (room / "again.json").exists()


@pytest.mark.parametrize("name, target", [("dense", TENSOR), ("spikes", SPIKING)])
def test_finetune_then_compile(say, name, target):
    made = data(say("finetune", f"{name}.pjg", "-t", target, "--data", "data.npz",
                    "--epochs", 2, "--json"))  # fmt: skip
    assert made["network"] == f"{name}.tuned.pjg" and len(made["losses"]) == 2
    done(say("compile", f"{name}.tuned.pjg", "-t", target))


def test_finetune_with_options(say):
    words = ("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "--json", "--bits", 4)
    kept = ("--validation", "data.npz", "--checkpoint", "training.pjc")
    first = data(say(*words, *kept, "--epochs", 2, "--weights", "tqt", "--activations", "lsq+"))
    more = (*kept, "--resume", "--weights", "tqt", "--activations", "lsq+")
    again = data(say(*words, *more, "--epochs", 2))
    assert len(first["losses"]) == 2 and not again["losses"]
    short = data(say(*words, "--validation", "data.npz", "--patience", 1, "--epochs", 30,
                     "--lr", 0))  # fmt: skip
    assert len(short["losses"]) == 2  # the second is no better


@pytest.mark.parametrize("name", ["dense", "spikes"])
def test_diff(say, name):
    found = data(say("diff", f"{name}.pjg", f"{name}.pjp", "data.npz", "--json"))
    assert found["samples"] == 12 and len(found["nodes"]) >= 2
    assert "answers agree" in done(say("diff", f"{name}.pjg", f"{name}.pjp", "data.npy"))


# ------------------------------------------------------------------------------------- usage


def plain(text):
    """Help without what depends on the terminal: frames, blanks, line breaks."""
    text = re.sub(r"[\u2500-\u257f]+", " ", text)
    return re.sub(r"\s+", " ", text).strip()


def test_help_texts(say, golden, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    pages = [plain(done(say(*words, "--help"))) for words in ((), *((c,) for c in COMMANDS))]
    golden("cli_help.txt", "\n\n".join(pages) + "\n")


def test_every_command_is_known_here(say):
    shown = re.findall(r"^│ (\w+) {2,}", say("--help").out, flags=re.M)
    assert tuple(c for c in shown if c in COMMANDS) == COMMANDS


@pytest.mark.parametrize("words, match", [
    (("chekc",), "Did you mean 'check'?"),
    (("nonsense",), "No such command 'nonsense'"),
    (("check", "spikes.pjg", "--tarjet", "x"), "--target"),
    (("check",), "Missing argument"),
    (("check", "spikes.pjg"), "Missing option '--target'"),
    (("check", "spikes.pjg", "-t", SPIKING, "--bits", "two"), "'--bits'"),
    (("finetune", "dense.pjg", "-t", TENSOR, "--data", "data.npz", "--seed", "-1"), "'--seed'"),
    (("cost", "spikes.pjr", "more"), "unexpected extra argument"),
])  # fmt: skip
def test_wrong_usage_is_2(say, words, match):
    said = say(*words)
    assert said.status == 2 and said.out == "" and "Traceback" not in said.err
    assert match in plain(said.err)


def test_no_command_shows_help(say):
    said = say()
    assert said.status == 2 and "Usage: picojoule" in said.out + said.err


def test_as_a_process(process, room):
    for words, code in ((["targets"], 0), (["cost", "none.pjr"], 1), (["cost"], 2)):
        started = process(*words)
        out, err = started.communicate(timeout=60)
        assert started.returncode == code and "Traceback" not in err
        assert bool(out) == (code == 0)


def test_conform(say, room):
    tmp_path = room / "recorded"
    tmp_path.mkdir()
    vectors = Path(__file__).parents[1] / "golden" / "vectors"
    for name in ("nl_decay", "tfl_register_wraps"):
        for suffix in (".json", ".npz"):
            shutil.copy(vectors / f"{name}{suffix}", tmp_path)
    lines = done(say("conform", str(tmp_path))).splitlines()
    assert lines[0].startswith("match   picojoule    nl_decay  a.u a.v a.spike  10290/10290")
    assert lines[1].startswith("skipped picojoule    tfl_register_wraps: the compiler refuses")
    assert lines[2] == "1 of 1 vectors match (1 skipped)"
    found = data(say("conform", str(tmp_path), "--engine", "reference", "--json"))
    assert [v["status"] for v in found["vectors"]] == ["match", "skipped"]
    with np.load(tmp_path / "nl_decay.npz") as file:
        arrays = dict(file)
    arrays["a.u"] = arrays["a.u"] + 1
    np.savez(tmp_path / "nl_decay.npz", **arrays)
    said = say("conform", str(tmp_path))
    assert said.status == 1 and "differ  picojoule    nl_decay" in said.out
    assert "0 of 1 vectors match" in said.out
