"""A report on one program and the samples that it is run on."""

from __future__ import annotations

from pathlib import Path

from picojoule import sim
from picojoule.cli.samples import read_samples
from picojoule.errors import Fault, UsageError
from picojoule.program.files import load
from picojoule.report.assess import make_report, price_run, program_bits, share_right
from picojoule.report.data import Accuracy, Report
from picojoule.target import load as load_target


def report_of(path: Path, samples: Path | None) -> Report:
    """Run a saved program and report on it.  Raises UsageError PJ806 without samples."""
    if samples is None:
        fix = "picojoule report PROGRAM.pjp SAMPLES.npz"
        raise UsageError(Fault("PJ806", "a program needs samples to be reported on", fix=fix))
    program = load(path, verify=True)
    x, y = read_samples(samples)
    run = sim.run(program, x)
    known = y is not None and program.readout.kind != "none"
    accuracy = Accuracy(deployed=share_right(run.answers(), y) if known else None)
    target = load_target(program.target)
    row = price_run(run, target, x, accuracy, bits=program_bits(program), mismatched_outputs=None)
    return make_report(f"{program.name} on {target.name}", [row], "report")
