"""From a network and test data to a row of a report: accuracies, mismatches, price."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from picojoule import passes, sim, train
from picojoule.errors import Fault, UsageError
from picojoule.fixed.contract import Events
from picojoule.graph import Graph
from picojoule.graph.ops import REAL_OPS, IntConv2d, IntDense, IntSynapse
from picojoule.passes.warning import PicojouleWarning, warn
from picojoule.program import Program
from picojoule.report.build import make_raster, make_row
from picojoule.report.data import Accuracy, Report, Row, Use, this_machine
from picojoule.report.health import dead_layers, firing_faults
from picojoule.report.layers import Rasters, probes, rasters, told_apart
from picojoule.report.training import measured, with_health
from picojoule.target import Target

Array = np.ndarray
Samples = Array | Events
PROBED = 2**26  # elements of spike probes that are kept at once; beyond, fewer samples
# memory of a program -> memory of a hardware model
MEMORIES = {
    "sram_input": "input", "sram_weight": "filter", "sram_output": "output", "dram": "dram",
}  # fmt: skip


def assess(
    network: Graph,
    target: Target,
    x: Samples,
    y: Array,
    *,
    reference: Graph | None = None,
    calibrate: Samples | None = None,
    bits: int | None = None,
    activation_bits: int | None = None,
) -> Report:
    """One row: what `api.evaluate` promises.  Raises what compiling and running raise."""
    _labels_fit(x, y)
    floating = all(isinstance(node.op, REAL_OPS) for node in network.nodes)
    original = network if floating else reference
    options: dict[str, Any] = {
        "bits": bits or widest_bits(network), "activation_bits": activation_bits,
        "weights": _kind(network, "weight_kind"), "activations": _kind(network, "result_kind"),
    }  # fmt: skip
    live, notes = None, list[str]()
    if original is not None and calibrate is not None:
        live = _live(original, target, calibrate, notes, **options)
    quantized = None if live is None else passes.freeze(live)
    deployed = network
    if floating:
        if quantized is None:
            fix = "calibrate=training samples"
            raise UsageError(Fault("PJ806", "a float network needs samples to calibrate", fix=fix))
        deployed = quantized
    program = passes.compile_graph(deployed, target)
    if floating:
        with noted(notes):
            warn(firing_faults(network, program, calibrate))
    run = sim.run(program, x)
    accuracy = Accuracy(
        float=None if original is None else train.accuracy(original, x, y),
        ptq=None if quantized is None else train.accuracy(quantized, x, y),
        qat=None if floating else train.accuracy(network, x, y),
        deployed=share_right(run.answers(), y),
    )
    row = price_run(
        run, target, x, accuracy, bits=options["bits"] or max(target.weight_bits),
        mismatched_outputs=mismatches(deployed, program, x), notes=notes,
    )  # fmt: skip
    row = with_health(row, measured(network if live is None or not floating else live, x, y))
    return make_report(f"{network.name} on {target.name}", [row], "evaluate")


def _live(
    graph: Graph, target: Target, calibrate: Samples, notes: list[str], *, bits: int | None,
    activation_bits: int | None, weights: str | None, activations: str | None,
) -> Graph:  # fmt: skip
    """A float network quantized after training; what was warned of is added to `notes`."""
    with noted(notes):
        made = passes.quantize(
            graph, target, calibrate, bits=bits, activation_bits=activation_bits, weights=weights,
            activations=activations,
        )  # fmt: skip
    return passes.schedule_delays(made, target)


@contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    """Add what we warn of to `notes`; every warning is still given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        if isinstance(each.message, PicojouleWarning):
            notes.append(str(each.message).replace("\n       try:", "; try"))
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def make_report(title: str, rows: list[Row], command: str) -> Report:
    """A report of rows, dated, with the computer that simulated."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(
        title=title, rows=tuple(rows), created=now, command=command, machine=this_machine()
    )


def price_run(
    run: sim.Run,
    target: Target,
    x: Samples,
    accuracy: Accuracy,
    *,
    bits: int,
    mismatched_outputs: int | None,
    network: str = "",
    seed: int | None = None,
    notes: Sequence[str] = (),
) -> Row:
    """The row of one run: its price, its raster, how full the machine is."""
    tensor = run.program.kind == "tensor"
    fired = watch_spikes(run.program, x, run.seed)
    first = {node: a[0] for node, a in (fired or {}).items()}
    return make_row(
        run.program, run.activity, target, accuracy, bits=bits, network=network, seed=seed,
        mismatched_outputs=mismatched_outputs, engine=run.engine, rasters=fired,
        raster=make_raster(first, sample="first test sample") if first else None,
        uses=_memory_uses(run.program, target) if tensor else None,
        bits_note=", ".join([*_formats(run.program), *["input 8 bits"] * (tensor and bits < 8)]),
        notes=[*notes, *dead_layers(fired or {})],
    )  # fmt: skip


def share_right(answers: Array, y: Array) -> float:
    """Part of answers that are the label, 0..1."""
    return float(np.mean(answers == y))


def mismatches(graph: Graph, program: Program, x: Samples) -> int:
    """Output integers in which the trainer and the program differ, over both engines."""
    expected = train.evaluate_outputs(graph, x)
    return sum(_differing(expected, sim.run(program, x, engine=e)) for e in sim.ENGINES)


def _differing(expected: Mapping[str, Array], run: sim.Run) -> int:
    count = 0
    for name, want in expected.items():
        what, _, node = name.partition(".")
        found = run.node(node, what) if node else run.outputs[name]
        count += int(np.count_nonzero(found != want)) if found.shape == want.shape else want.size
    return count


def watch_spikes(program: Program, x: Samples, seed: int = 0) -> Rasters | None:
    """Spikes of all populations, of as many samples as may be kept; None where they do not
    tell layers apart."""
    if not told_apart(program):
        return None
    watched = probes(program)
    total = sum(s.stop - s.start for s in program.source if s.what == "spike")
    most = max(1, PROBED // max(1, program.steps * total))
    part = x.take(0, min(most, x.samples)) if isinstance(x, Events) else x[:most]
    run = sim.run(program, part, probes=watched, seed=seed)
    return rasters(program, run.probes, part)


def _memory_uses(program: Program, target: Target) -> list[Use]:
    """The most that any phase keeps in each memory at once."""
    peak = dict.fromkeys(MEMORIES, 0)
    for phase in range(len(program.phases)):
        touched = {
            span.region
            for i in program.instructions
            if i.phase == phase
            for span in (*i.reads, *i.writes)
        }
        for memory in MEMORIES:
            regions = [program.regions[name] for name in touched]
            held = sum(r.packed_bytes for r in regions if r.memory == memory)
            peak[memory] = max(peak[memory], held)
    return [
        Use(component="memory", resource=name, used=peak[memory], limit=limit, unit="B")
        for memory, name in MEMORIES.items()
        if (limit := target.memories.get(name)) is not None and peak[memory] <= limit
    ]


def widest_bits(network: Graph) -> int | None:
    """Bits of the weights of a quantized network; None for a float one."""
    found = [node.op.bits for node in network.nodes if isinstance(node.op, IntSynapse)]
    layers = [n.op for n in network.nodes if isinstance(n.op, IntDense | IntConv2d)]
    found += [op.weight_bits for op in layers]
    return max(found, default=None)


def _kind(network: Graph, field: str) -> str | None:
    """The format of a network's weights or results where they are no plain integers."""
    found = (getattr(node.op, field, None) for node in network.nodes)
    return next((kind for kind in found if kind), None)


def program_bits(program: Program) -> int:
    """Bits of the widest weights that a program stores, as the machine packs them."""
    packed = [dict(i.loops).get("weight_bits", 0) for i in program.instructions]
    weights = [program.regions[s.region] for s in program.source if s.what == "weight"]
    return max(packed) or max((region.format.bits for region in weights), default=0)


def _formats(program: Program) -> list[str]:
    """Formats beside integers that a program's weights and activations have."""
    found = {
        ("activations" if region.memory == "sram_input" else "weights", region.format.kind)
        for region in program.regions.values() if region.format.kind
    }  # fmt: skip
    return [f"{what} {kind}" for what, kind in sorted(found, reverse=True)]


def _labels_fit(x: Samples, y: Array) -> None:
    samples = x.samples if isinstance(x, Events) else len(x)
    if samples != len(y):
        raise UsageError(Fault("PJ802", f"{samples} samples, but {len(y)} labels"))
