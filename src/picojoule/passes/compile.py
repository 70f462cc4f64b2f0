"""From a network to a Program: every pass, in order, each checked and written down on request."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.errors import CheckError, Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.faults import verify
from picojoule.graph.text import text
from picojoule.passes.bits import stored_bits_faults
from picojoule.passes.canonicalise import canonicalise
from picojoule.passes.check import check
from picojoule.passes.fold_batch_norm import fold_batch_norm
from picojoule.passes.freeze import freeze
from picojoule.passes.lower import lower
from picojoule.passes.quantize import quantize
from picojoule.passes.schedule_delays import schedule_delays, stretched_loops
from picojoule.passes.warning import PicojouleWarning
from picojoule.program import Program
from picojoule.program.listing import listing
from picojoule.target import Target


def compile_graph(
    graph: Graph, target: Target, *, calibrate: np.ndarray | Events | None = None,
    bits: int | None = None, activation_bits: int | None = None, dump: str | Path | None = None,
    weights: str | None = None, activations: str | None = None,
) -> Program:  # fmt: skip
    """Compile a network, float, quantized or frozen, for a target.

    calibrate  samples to choose scales by; tensor targets need them for float networks
    weights, activations  formats that the target offers for those of a float network: `quantize`
    dump       a directory for the text of every stage: 00-load.txt, 01-canonicalise.txt, ...
    Warns (PicojouleWarning) PJ211, PJ212, and PJ213 where a loop takes longer on the machine.
    Raises CheckError with every fault where the network does not fit.
    """
    asked: dict[str, Any] = {
        "bits": bits, "activation_bits": activation_bits, "weights": weights,
        "activations": activations,
    }  # fmt: skip
    faults = check(graph, target, **asked)
    faults += stored_bits_faults(graph, bits, weights, activations)
    if faults:
        raise CheckError(faults)
    stage = _Stages(dump)
    graph = stage("load", graph)
    graph = stage("canonicalise", canonicalise(graph))
    graph = stage("fold_batch_norm", fold_batch_norm(graph))
    graph = stage("quantize", quantize(graph, target, calibrate, **asked))
    if target.kind == "spiking":
        _warn(stretched_loops(graph, target))
    graph = stage("schedule_delays", schedule_delays(graph, target))
    graph = stage("freeze", freeze(graph))
    program = lower(graph, target)
    stage.write("lower", lambda: listing(program, target.core.limits))
    return program


def _warn(faults: list[Fault]) -> None:
    for fault in faults:
        warnings.warn(str(fault), PicojouleWarning, stacklevel=3)


class _Stages:
    """Checks the graph after each pass, and keeps its text where asked to."""

    def __init__(self, dump: str | Path | None) -> None:
        self.directory = None if dump is None else Path(dump)
        self.count = 0

    def __call__(self, name: str, graph: Graph) -> Graph:
        verify(graph)
        self.write(name, lambda: text(graph))
        return graph

    def write(self, name: str, content: Callable[[], str]) -> None:
        if self.directory is None:
            return
        path = self.directory / f"{self.count:02d}-{name}.txt"
        self.count += 1
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            path.write_text(content().rstrip("\n") + "\n", encoding="utf-8")
        except OSError as error:
            what = f"the text of a stage cannot be written: {error.strerror}"
            fix = "a directory that may be written to, or a new name"
            raise UsageError(Fault("PJ801", what, where=str(path), fix=fix)) from None
