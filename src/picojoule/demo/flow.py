"""From digits to a bill: float training, fine-tuning, deployment, replay and report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from picojoule import nn, passes, sim, train
from picojoule.demo.digits import Split, digits
from picojoule.demo.show import Stage
from picojoule.errors import Fault, TrainError, UsageError
from picojoule.graph import Graph
from picojoule.program import Program
from picojoule.program.files import save
from picojoule.report import save_json
from picojoule.report.assess import make_report, price_run, share_right
from picojoule.report.data import Accuracy, Report, Row
from picojoule.report.html import save_html
from picojoule.report.text import show
from picojoule.target import Target, load
from picojoule.train import recipes
from picojoule.train.replay import replayed, start_replay

CALIBRATE = 512  # training samples that post-training quantization chooses its steps by


@dataclass(frozen=True)
class Case:
    """One network for one machine, at several numbers of bits."""

    network: str
    build: Callable[[int], Graph]
    target: str
    bits: tuple[int, ...]


CASES = (
    Case("digits_spiking", nn.digits_spiking, "loihi1", (8, 4)),
    Case("digits_relu", nn.digits_relu, "systolic_int8", (8, 4, 2)),
)


@dataclass(frozen=True)
class Deployed:
    """A fine-tuned network with its program, and what is known of it so far."""

    case: Case
    bits: int
    tuned: Graph
    program: Program
    accuracy: Accuracy
    replay: subprocess.Popen[str]


def run_demo(out: Path, *, seed: int = 0, quick: bool = False) -> Report:
    """Run everything and write report.html, report.json and the programs to `out`.

    Raises UsageError PJ801 where it cannot write; TrainError PJ703 where a replay fails, or
    differs: then after writing the report, which says where.
    """
    started = time.monotonic()
    _make(out)
    training, test = digits()
    with Stage(_work(quick)) as stage, tempfile.TemporaryDirectory() as scratch:
        deployed = [
            each
            for case in CASES
            for each in _deploy(case, training, test, stage, out, Path(scratch), seed, quick)
        ]
        rows = [_row(each, test, seed) for each in deployed]
        stage.done("replayed and priced")
    report = _write(out, rows, seed, quick)
    _conclude(report, out, time.monotonic() - started)
    _require_equal(report, out)
    return report


def _work(quick: bool) -> int:
    """Epochs in all, for the progress bar."""
    if quick:
        return sum(1 + len(case.bits) for case in CASES)
    return sum(
        recipes.recipe(case.build(0)).epochs
        + sum(recipes.recipe(case.build(0), bits).epochs for bits in case.bits)
        for case in CASES
    )


def _deploy(
    case: Case, training: Split, test: Split, stage: Stage, out: Path, scratch: Path,
    seed: int, quick: bool,
) -> list[Deployed]:  # fmt: skip
    """Train in float, then fine-tune and compile at each number of bits."""
    target, epochs = load(case.target), 1 if quick else None
    stage.start(f"{case.network}: float training")
    network = recipes.fit_digits(
        case.build(seed), training.x, training.y, seed=seed, epochs=epochs, callback=stage
    )
    floating = train.accuracy(network, test.x, test.y)
    stage.done(f"{case.network}: {floating:.1%} in float")
    found = []
    for bits in case.bits:
        stage.start(f"{case.network}: {bits} bits for {case.target}")
        before = post_training(network, target, training, bits)
        tuned, program = recipes.tune_digits(
            network, target, training.x, training.y, bits=bits, seed=seed, epochs=epochs,
            callback=stage,
        )  # fmt: skip
        accuracy = Accuracy(
            float=floating,
            ptq=train.accuracy(before, test.x, test.y),
            qat=train.accuracy(tuned, test.x, test.y),
        )
        stage.done(f"{case.network}: {accuracy.qat:.1%} at {bits} bits")
        path = out / f"{case.network}.{case.target}.w{bits}.pjp"
        save(program, path)
        replay = start_replay(tuned, test.x, path, scratch / f"{path.stem}.safetensors")
        found.append(Deployed(case, bits, tuned, program, accuracy, replay))
    return found


def post_training(network: Graph, target: Target, training: Split, bits: int) -> Graph:
    """The network quantized without any training, frozen."""
    live = passes.quantize(network, target, training.x[:CALIBRATE], bits=bits)
    return passes.freeze(passes.schedule_delays(live, target))


def _row(each: Deployed, test: Split, seed: int) -> Row:
    run = sim.run(each.program, test.x)
    accuracy = replace(each.accuracy, deployed=share_right(run.answers(), test.y))
    return price_run(
        run, load(each.case.target), test.x, accuracy, bits=each.bits, seed=seed,
        network=each.case.network, mismatched_outputs=replayed(each.replay)[1],
    )  # fmt: skip


def _write(out: Path, rows: list[Row], seed: int, quick: bool) -> Report:
    options = (f" --seed {seed}" if seed else "") + (" --quick" if quick else "")
    report = make_report("Picojoule demo: handwritten digits", rows, f"picojoule demo{options}")
    notes = (
        "Data: scikit-learn's 1,797 handwritten digits; fixed split, 20 % test, never trained on.",
        "One seed; differences below one point are within the spread between seeds.",
    )
    report = replace(report, notes=notes)
    save_json(report, out / "report.json")
    save_html(report, out / "report.html")
    return report


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the directory: {error.strerror}"
        raise UsageError(Fault("PJ801", what, where=str(out), fix="--out DIRECTORY")) from None


def _conclude(report: Report, out: Path, seconds: float) -> None:
    show(report)
    program = f"{CASES[0].network}.{CASES[0].target}.w{CASES[0].bits[0]}.pjp"
    run, python = _commands()
    steps = (
        (f"{out}/report.html", "plots, every price and its source"),
        (f"{run} show {out}/{program}", "the compiled program as text"),
        (f"{run} targets loihi1", "the machine, number by number"),
        (f"{python} examples/01_first_program.py", "the same in ten lines of Python"),
        (f"{run} check your.nir -t loihi1 --dt 1e-4", "does your network fit?"),
    )
    width = max(len(what) for what, _ in steps) + 2
    written = "report.html, report.json and the programs"
    print(f"\nDone in {seconds:.0f} s.  Written to {out}/: {written}.\nNext:")
    for what, why in steps:
        print(f"  {what:<{width}}{why}")


def _require_equal(report: Report, out: Path) -> None:
    """Raise TrainError PJ703 for each row whose trainer and program differ."""
    faults = [
        Fault(
            "PJ703", f"{row.mismatched_outputs} output integers of {row.network} on {row.target}"
            f" at {row.bits} bits differ between trainer and program",
            where=str(out / "report.json"), fix="report this: it is a bug",
        )
        for row in report.rows
        if row.mismatched_outputs
    ]  # fmt: skip
    if faults:
        raise TrainError(faults)


def _commands() -> tuple[str, str]:
    """How this shell can call picojoule and the Python that has it."""
    if shutil.which("picojoule"):
        return "picojoule", "python"
    try:
        here = Path(sys.executable).parent.relative_to(Path.cwd())
    except ValueError:
        here = Path(sys.executable).parent
    return str(here / "picojoule"), str(here / "python")
