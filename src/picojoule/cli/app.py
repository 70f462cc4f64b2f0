"""The commands.  Each is thin: read files, call a verb, write files, print."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from picojoule.cli.errors import Commands
from picojoule.cli.tuning import (
    ActivationMethod,
    Batch,
    CheckpointFile,
    Epochs,
    GoOn,
    LabelledFile,
    Patience,
    Rate,
    TunedOut,
    ValidationFile,
    WeightMethod,
)

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Compile networks for small hardware, run them bit for bit, and price every picojoule.\n\n"
        "First steps: **picojoule demo**, then **picojoule targets**, then your own network: "
        "**picojoule check net.nir --target loihi1 --dt 1e-4**."
    ),
)

SEED_MAX = 2**32 - 1
VectorFolder = Annotated[Path, typer.Argument(help="a folder of golden vectors, or one .npz")]
Network = Annotated[
    Path, typer.Argument(help="a file: .nir, .onnx, .net (lava-dl) or .pjg (saved graph)")
]
ProgramFile = Annotated[Path, typer.Argument(help="a compiled program (.pjp)")]
SamplesFile = Annotated[Path, typer.Argument(help="samples: .npz with x (and y), .npy or .csv")]
InputFile = Annotated[
    Path,
    typer.Argument(
        help="samples (.npz with x and, perhaps, y; .npy; .csv), or a recording of any length: "
        ".npy of events (step, channel[, payload]), read piece by piece"
    ),
]
TargetName = Annotated[str, typer.Option("--target", "-t", help="a machine, or a YAML file")]
Bits = Annotated[int | None, typer.Option(help="bits of weights (default: all there are)")]
ActivationBits = Annotated[
    int | None, typer.Option(help="bits of activations (default: as weights)")
]
WeightFormat = Annotated[
    str | None,
    typer.Option(help="format of weights, if not integers: e4m3, mxfp4, ... as targets lists"),
]
ActivationFormat = Annotated[str | None, typer.Option(help="format of activations, likewise")]
Dt = Annotated[float | None, typer.Option(help="time step of a NIR network, in seconds")]
Dialect = Annotated[str, typer.Option(help="how NIR's continuous time becomes steps")]
Steps = Annotated[int, typer.Option(help="steps that a sample is shown (NIR)")]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="check every byte against the digest")
]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable")]
Seed = Annotated[int, typer.Option(min=0, max=SEED_MAX, help="of everything that is random")]
Folder = Annotated[Path, typer.Option(help="where to write")]
Quick = Annotated[bool, typer.Option(help="one epoch each: shows the way, not the accuracy")]
Machine = Annotated[str | None, typer.Argument(help="a machine to show in full, or a YAML file")]
Calibrate = Annotated[Path | None, typer.Option(help="samples to choose scales by")]
Dump = Annotated[Path | None, typer.Option(help="a directory for the text of every stage")]
Engine = Annotated[str, typer.Option(help="numba, or reference: plain numpy")]
RunSteps = Annotated[int | None, typer.Option(help="steps to run (default: one inference)")]
RunDetail = Annotated[str, typer.Option(help="counts kept: each sample and step, steps, or sum")]
RunSeed = Annotated[int, typer.Option(min=0, max=SEED_MAX, help="of the noise of neurons")]
Resume = Annotated[Path | None, typer.Option(help="go on from the end of an earlier run (.pjr)")]
Start = Annotated[int, typer.Option(min=0, help="the step of the samples to begin with")]
Threads = Annotated[int | None, typer.Option(help="threads (default: all cores)")]
RunFile = Annotated[Path, typer.Argument(help="a run (.pjr)")]
Prices = Annotated[
    str | None, typer.Option("--target", "-t", help="another price list for the same machine")
]
ReportSource = Annotated[Path, typer.Argument(help="report.json, or a program (.pjp)")]
ReportSamples = Annotated[
    Path | None, typer.Argument(help="samples for a program, with labels for an accuracy")
]
ProgramOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="the program (default: NETWORK.pjp)")
]
RunOut = Annotated[Path | None, typer.Option("--out", "-o", help="the run (default: PROGRAM.pjr)")]
PageOut = Annotated[Path, typer.Option("--out", "-o", help="the page; its JSON goes beside it")]


def say(text: Any, data: Any, as_json: bool) -> None:
    """Print a result: text or a rich renderable for people, or data as JSON."""
    if as_json:
        typer.echo(json_module.dumps(data, indent=1, default=str))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False, markup=False)
    console.print(text, soft_wrap=isinstance(text, str))


def counted(count: int, what: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _version(asked: bool) -> None:
    if asked:
        from picojoule import __version__

        typer.echo(f"picojoule {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it and exit")
    ] = False,
) -> None:
    """Options of all commands."""


@app.command()
def demo(
    out: Folder = Path("out/demo"),
    seed: Seed = 0,
    quick: Quick = False,
) -> None:
    """Train, fine-tune, compile, run and price two networks on real digits."""
    from picojoule.demo.flow import run_demo

    run_demo(out, seed=seed, quick=quick)


@app.command()
def targets(
    name: Machine = None,
    json: AsJson = False,
) -> None:
    """List the machines, or show one: geometry, limits, formats, prices and their sources."""
    from picojoule import api
    from picojoule.target import load, names, show

    if name is not None:
        machine = api.target(name)
        say(show(machine), _machine_data(machine), json)
        return
    machines = [load(each) for each in names()]
    lines = [f"{m.name:<16}{m.kind:<10}{m.title}" for m in machines]
    lines.append("\nOne in full: picojoule targets NAME")
    data = [{"name": m.name, "kind": m.kind, "title": m.title} for m in machines]
    say("\n".join(lines), data, json)


def _machine_data(machine: Any) -> dict[str, Any]:
    prices = [
        {"component": kind, "action": action, **{
            f: getattr(p, f) for f in ("energy_j", "energy_low_j", "energy_high_j", "time_s",
                                       "engine", "source", "confidence", "excluded", "note")}}
        for (kind, action), p in machine.prices.items()
    ]  # fmt: skip
    core = machine.core
    return {
        "name": machine.name, "kind": machine.kind, "title": machine.title,
        "cores": machine.cores, "chips": machine.chips, "profile": core.profile,
        "weight_bits": machine.weight_bits,
        "activation_bits": machine.activation_bits, "weight_formats": machine.weight_formats,
        "activation_formats": machine.activation_formats, "memories": dict(machine.memories),
        "clock_hz": machine.clock_hz, "static_power_w": machine.static_power_w,
        "machine_digest": machine.machine_digest, "price_digest": machine.price_digest,
        "prices": prices, "sources": dict(machine.sources),
    }  # fmt: skip


@app.command()
def check(
    network: Network, target: TargetName, bits: Bits = None, activation_bits: ActivationBits = None,
    weights: WeightFormat = None, activations: ActivationFormat = None,
    dt: Dt = None, dialect: Dialect = "ode-exact", steps: Steps = 100, json: AsJson = False,
) -> None:  # fmt: skip
    """Say every reason why a network does not fit a machine; exit status 1 if there is one."""
    from picojoule import api

    graph = api.load(network, dt=dt, dialect=dialect, steps=steps)
    found = api.check(
        graph, api.target(target), bits=bits, activation_bits=activation_bits, weights=weights,
        activations=activations,
    )  # fmt: skip
    say(str(found), {"fits": not found, "faults": [asdict(f) for f in found]}, json)
    if found:
        raise typer.Exit(1)


@app.command()
def compile(
    network: Network, target: TargetName,
    out: ProgramOut = None,
    calibrate: Calibrate = None,
    bits: Bits = None, activation_bits: ActivationBits = None,
    weights: WeightFormat = None, activations: ActivationFormat = None,
    dump: Dump = None,
    dt: Dt = None, dialect: Dialect = "ode-exact", steps: Steps = 100, json: AsJson = False,
) -> None:  # fmt: skip
    """Compile a network into a program for a machine."""
    from picojoule import api
    from picojoule.cli.paths import output
    from picojoule.cli.samples import read_samples
    from picojoule.program.files import save

    path = output(out, network, ".pjp", calibrate)
    graph = api.load(network, dt=dt, dialect=dialect, steps=steps)
    samples = None if calibrate is None else read_samples(calibrate)[0]
    program = api.compile(
        graph, api.target(target), calibrate=samples, bits=bits,
        activation_bits=activation_bits, dump=dump, weights=weights, activations=activations,
    )  # fmt: skip
    save(program, path)
    data = {
        "program": str(path), "digest": program.digest, "cores": program.cores,
        "instructions": len(program.instructions), "steps": program.steps,
    }  # fmt: skip
    words = f"{counted(program.cores, 'core')}, {counted(data['instructions'], 'instruction')}"
    say(f"{path}: {words}\nRead it: picojoule show {path}", data, json)


@app.command()
def show(
    program: ProgramFile,
    verify: Verify = True,
) -> None:
    """Print the listing of a program."""
    from picojoule.program.files import load
    from picojoule.program.listing import listing

    typer.echo(listing(load(program, verify=verify)))


@app.command()
def run(
    program: ProgramFile, samples: InputFile,
    out: RunOut = None,
    engine: Engine = "numba",
    steps: RunSteps = None,
    threads: Threads = None,
    detail: RunDetail = "each",
    seed: RunSeed = 0,
    resume: Resume = None, start: Start = 0,
    verify: Verify = True,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Run a program on samples, bit for bit, and count what it does."""
    from picojoule import api
    from picojoule.cli.paths import output
    from picojoule.cli.samples import final_state, read_input
    from picojoule.program.files import load
    from picojoule.sim.files import save_run

    path = output(out, program, ".pjr", samples, resume)
    loaded = load(program, verify=verify)
    x, y = read_input(loaded, samples, start)
    done = api.run(
        loaded, x, steps=steps, threads=threads, seed=seed,
        state=None if resume is None else final_state(loaded, resume),
        engine=engine, detail=detail,  # type: ignore[arg-type]
    )  # fmt: skip
    save_run(done, path)
    data: dict[str, Any] = {"run": str(path), "samples": done.samples, "digests": done.digests}
    words = f"{path}: {counted(done.samples, 'sample')}"
    if done.program.readout.kind != "none":
        data["answers"] = done.answers().tolist()
        if y is not None:
            data["accuracy"] = float((done.answers() == y).mean())
            words += f", {data['accuracy']:.2%} right"
    say(f"{words}\nPrice it: picojoule cost {path}", data, json)


@app.command()
def cost(
    run: RunFile,
    target: Prices = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Price a finished run: energy and time of an inference, row by row, with sources."""
    from picojoule.cost import price
    from picojoule.sim.files import load_run
    from picojoule.target import load

    saved = load_run(run)
    bill = price(saved.activity, load(target or saved.target))
    data = {
        **asdict(bill), "total_j": bill.total_j, "marginal_j": bill.marginal_j,
        "static_j": bill.static_j, "io_j": bill.io_j, "energy_band_j": bill.energy_band_j,
        "assumed_share": bill.assumed_share,
    }  # fmt: skip
    say(str(bill), data, json)


@app.command()
def report(
    source: ReportSource,
    samples: ReportSamples = None,
    out: PageOut = Path("report.html"),
    json: AsJson = False,
) -> None:  # fmt: skip
    """Render a report, or run a program on samples and report on it, as one HTML page."""
    from picojoule.cli.paths import page
    from picojoule.cli.reports import report_of
    from picojoule.report import load_json, save_json
    from picojoule.report.html import save_html
    from picojoule.report.store import to_json
    from picojoule.report.text import render

    out, beside = page(out, source, samples)
    made = load_json(source) if source.suffix == ".json" else report_of(source, samples)
    save_html(made, out)
    if source.suffix != ".json":
        save_json(made, beside)
    say(render(made), json_module.loads(to_json(made)), json)
    if not json:
        typer.echo(f"\nwritten: {out}")


@app.command()
def finetune(
    network: Network, target: TargetName,
    data: LabelledFile,
    out: TunedOut = None,
    bits: Bits = None, activation_bits: ActivationBits = None,
    epochs: Epochs = 5,
    batch: Batch = 64,
    lr: Rate = 1e-3,
    seed: Seed = 0,
    weights: WeightMethod = "lsq", activations: ActivationMethod = "lsq",
    validation: ValidationFile = None, patience: Patience = None,
    checkpoint: CheckpointFile = None, resume: GoOn = False,
    dt: Dt = None, dialect: Dialect = "ode-exact", steps: Steps = 100, json: AsJson = False,
) -> None:  # fmt: skip
    """Train a network on the machine's own arithmetic, and save it ready to compile."""
    from picojoule import api
    from picojoule.cli.tuning import places, tune

    path = places(out, network, data, validation, checkpoint)
    graph = api.load(network, dt=dt, dialect=dialect, steps=steps)
    training = {"epochs": epochs, "batch": batch, "lr": lr, "seed": seed, "bits": bits,
                "activation_bits": activation_bits, "weights": weights,
                "activations": activations}  # fmt: skip
    changes = {"patience": patience, "checkpoint": checkpoint, "resume": resume}
    tuned, losses = tune(graph, target, data, path, validation, training, changes)
    words = f"{path}: every output integer of a batch equals the compiled program's"
    say(f"{words}\nNext: picojoule compile {path} --target {target}",
        {"network": str(path), "digest": tuned.digest, "losses": losses}, json)  # fmt: skip


@app.command()
def diff(
    network: Network, program: ProgramFile, samples: SamplesFile,
    dt: Dt = None, dialect: Dialect = "ode-exact", steps: Steps = 100, json: AsJson = False,
) -> None:  # fmt: skip
    """Say, node by node, where a float network and its program part."""
    from picojoule import api
    from picojoule.cli.samples import read_samples
    from picojoule.program.files import load

    graph = api.load(network, dt=dt, dialect=dialect, steps=steps)
    found = api.diff(graph, load(program, verify=True), read_samples(samples)[0])
    say(str(found), asdict(found), json)


@app.command()
def conform(
    folder: VectorFolder,
    engine: Engine = "numba",
    json: AsJson = False,
) -> None:  # fmt: skip
    """Replay golden vectors of other simulators, integer for integer; status 1 on a difference."""
    from picojoule.conform.run import conform as replay
    from picojoule.conform.run import line, summary

    def told(result: Any) -> None:
        if not json:
            typer.echo(line(result))

    found = replay(folder, engine=engine, told=told)  # type: ignore[arg-type]
    say(summary(found), {"summary": summary(found), "vectors": [o.data() for o in found]}, json)
    if any(o.status in ("differ", "error") for o in found):
        raise typer.Exit(1)
