"""Fine-tuning from the command line: its options, and the way from files to a saved network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from picojoule.errors import Fault, UsageError

if TYPE_CHECKING:
    from picojoule.graph import Graph

LabelledFile = Annotated[Path, typer.Option(help="labelled samples: .npz with x and y")]
Batch = Annotated[int, typer.Option(help="samples of a training step")]
Rate = Annotated[float, typer.Option(help="highest learning rate; 2 bits like 5e-3")]
Epochs = Annotated[int, typer.Option(help="passes over the data")]
TunedOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="the network (default: NETWORK.tuned.pjg)")
]
WeightMethod = Annotated[
    str,
    typer.Option(
        help="how weights are quantized: lsq, tqt, dorefa, ternary, binary, or a format"
        " of the machine, such as e4m3, mxfp4"
    ),
]
ActivationMethod = Annotated[
    str,
    typer.Option(
        help="how activations are: lsq, lsq+ (with an offset), pact, tqt, or a format of"
        " the machine, such as e4m3"
    ),
]
ValidationFile = Annotated[
    Path | None, typer.Option(help="labelled samples: the best epoch on them is kept")
]
Patience = Annotated[
    int | None, typer.Option(help="stop after so many epochs without a better validation")
]
CheckpointFile = Annotated[Path | None, typer.Option(help="holds all of training at each epoch")]
GoOn = Annotated[bool, typer.Option("--resume", help="go on from the checkpoint")]


def places(
    out: Path | None, network: Path, data: Path, validation: Path | None, checkpoint: Path | None
) -> Path:
    """The path of the network, which no input has, nor the checkpoint.  Raises UsageError."""
    from picojoule.cli.paths import output

    path = output(out, network, ".tuned.pjg", data, validation)
    if checkpoint is None:
        return path
    kept = output(checkpoint, network, ".pjc", data, validation, option="--checkpoint")
    if kept.resolve() == path.resolve():
        what = f"the network and the checkpoint would both be {str(path)!r}"
        raise UsageError(Fault("PJ806", what, fix="another path for --checkpoint"))
    return path


def tune(
    graph: Graph, target: str, data: Path, path: Path, validation: Path | None,
    training: dict[str, Any], changes: dict[str, Any],
) -> tuple[Graph, list[float]]:  # fmt: skip
    """The tuned network, saved at `path`, and the loss of each epoch.

    training  arguments of `api.finetune`; changes: fields of `train.Options`
    Raises what both raise, and UsageError PJ805 after an interrupt.
    """
    from picojoule import api, train
    from picojoule.cli.errors import interrupted
    from picojoule.cli.progress import Lines
    from picojoule.cli.samples import read_labelled
    from picojoule.graph.files import save

    epochs, samples = training["epochs"], read_labelled(data)
    held_out = None if validation is None else read_labelled(validation)
    options = replace(train.usual(graph), **changes)
    with Lines(f"fine-tuning for {target}", epochs) as lines, interrupts() as stopped:
        tuned = api.finetune(
            graph, api.target(target), samples, validation=held_out, callback=lines,
            options=options, **training,
        )  # fmt: skip
    done = len(lines.losses)
    if stopped and not done:
        raise UsageError(interrupted("interrupted before the first epoch was done"))
    save(tuned, path)
    if stopped:
        fix = f"run it again for all epochs, or go on with {path}: it is whole"
        raise UsageError(interrupted(f"interrupted after {done} of {epochs} epochs", fix))
    return tuned, lines.losses


@contextmanager
def interrupts() -> Iterator[list[str]]:
    """What the trainer says of an interrupt, instead of showing it."""
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", "training was interrupted")
        show = warnings.showwarning

        def hear(message: Warning | str, *rest: Any) -> None:
            if str(message).startswith("training was interrupted"):
                heard.append(str(message))
            else:
                show(message, *rest)

        warnings.showwarning = hear
        yield heard
