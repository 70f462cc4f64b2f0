"""A report as plain data: what was asked, how accurate each deployment is, and what it costs.

Everything here is made of numbers, strings and tuples, so it saves as JSON and loads back equal
(`store`).  Energies are joules, times seconds, accuracies shares 0..1; counts, energies and times
are of one inference, averaged over the samples.  None means: not measured, or without meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass

SCHEMA_VERSION = 1
SUM_TOLERANCE = 1e-9  # relative: a saved bill may differ from its total by float rounding

# `float` is also the name of a field below, and would shadow the type there.
Share = float | None
Number = float | None

SIMULATED = (
    "Every integer of an inference, bit for bit, in the machine's own formats and order of work",
    "Every action that the hardware model names: counted, then priced",
    "Idle neurons and static power over the whole time of the inference",
)
NOT_SIMULATED = (
    "Silicon: no number here was measured on a chip; prices come from the sources shown",
    "Temperature, voltage scaling, process variation and manufacturing defects",
    "The host computer, power supplies, regulators and the board around the chip",
)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The accuracy ladder of one network, each a share 0..1 of the same test samples.

    float     the network in floating point, before anything was rounded
    ptq       quantized after training, as the machine computes it
    qat       fine-tuned on the machine's arithmetic, as the trainer saw it
    deployed  the compiled program, run
    """

    float: Share = None
    ptq: Share = None
    qat: Share = None
    deployed: Share = None


@dataclass(frozen=True, kw_only=True)
class BillLine:
    """One line of the bill of one inference.

    part          'marginal' (paid for work done), 'io' (exchange with the host) or 'static'
                  (paid for time passed)
    count         of the action; in a static line, seconds
    each_j        J a count; in a static line, W.  total_j = count * each_j
    low_j high_j  total_j with the lowest and highest price that the sources allow
    source        key of `Row.sources`
    confidence    of the price: 'published', 'derived', 'assumed', ...
    """

    component: str
    action: str
    count: float
    each_j: float
    total_j: float
    low_j: float
    high_j: float
    source: str = ""
    confidence: str = ""
    part: str = "marginal"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Something counted but not in the bill, and why."""

    item: str
    count: float = 0.0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the network occupies, and what it does in one inference."""

    cores: int | None = None
    neurons: int | None = None
    weights: int | None = None
    weight_bytes: float | None = None
    spikes: float | None = None  # neurons that fired
    packets: float | None = None  # one a fired neuron and core that hears it
    events: float | None = None  # synapses read because a spike arrived
    macs: float | None = None  # multiply-accumulates
    cycles: float | None = None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One node of the network: size, precision, work and energy of one inference."""

    node: str
    kind: str
    outputs: int | None = None  # neurons of a spiking layer
    weights: int | None = None
    bits: int | None = None
    spikes: float | None = None
    events: float | None = None
    macs: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerHealth:
    """What a layer gave for some samples; shares 0..1.

    mean, deviation  of its integers less their zero point; of spikes, a neuron and step
    zero             share of values that are 0
    dead             share of channels or neurons that gave 0 for every sample
    saturated        share of integers at an end of their range, or of neurons that always fire
    """

    node: str
    mean: float
    deviation: float
    zero: float
    dead: float
    saturated: float


@dataclass(frozen=True, kw_only=True)
class GradientHealth:
    """The gradient of the cross-entropy with respect to one parameter, for some samples.

    norm   Euclidean;  ratio: of norm to that of the parameter;  zero: share without gradient
    """

    parameter: str
    norm: float
    ratio: float
    zero: float


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much of one resource of a core, array or memory is used; `unit` is '', 'B', 'bit'."""

    component: str
    resource: str
    used: float
    limit: float
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Seconds of an inference that an engine is busy, and that all others wait for it alone."""

    component: str
    engine: str
    busy_s: float
    bound_s: float


@dataclass(frozen=True, kw_only=True)
class Population:
    """Rows start..stop of a raster: one layer."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class Raster:
    """The spikes of one sample: (step, neuron) pairs; layers are consecutive neurons.

    total  spikes of the sample, where `spikes` is a thinned part of them
    """

    steps: int
    populations: tuple[Population, ...]
    spikes: tuple[tuple[int, int], ...]
    sample: str = ""
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One network on one machine at one precision.

    mismatched_outputs  output integers of the trainer (or reference) and the program that differ
    energy_j            marginal_j + static_j + io_j; low_j and high_j are its band
    time_basis          what the time assumes, in words
    waits               where the time goes; busiest first
    health, gradients   of layers and parameters, on some samples; none where not measured
    assumed_share       share of energy_j whose price nobody has published
    bits_note           such as 'input 8 bits': what the plain number of bits does not say
    spread, seeds       standard deviation of `accuracy` over so many seeds
    digests             name -> hexadecimal digest: program, machine, prices, graph
    sources             key in the bill -> the work it stands for
    """

    network: str
    target: str
    bits: int
    accuracy: Accuracy
    mismatched_outputs: int | None
    energy_j: float
    time_s: float
    marginal_j: float | None = None
    static_j: float | None = None
    io_j: float | None = None
    low_j: float | None = None
    high_j: float | None = None
    assumed_share: float | None = None
    time_low_s: float | None = None
    time_high_s: float | None = None
    time_basis: str = ""
    bits_note: str = ""
    samples: int | None = None
    seeds: int = 1
    spread: Accuracy | None = None
    profile: str = ""
    engine: str = ""
    seed: int | None = None
    counts: Counts = Counts()
    bill: tuple[BillLine, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    layers: tuple[Layer, ...] = ()
    uses: tuple[Use, ...] = ()
    waits: tuple[Wait, ...] = ()
    raster: Raster | None = None
    health: tuple[LayerHealth, ...] = ()
    gradients: tuple[GradientHealth, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The computer that simulated, and the versions of what decides its results."""

    cpu: str = ""
    system: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Rows of results, and everything needed to get them again."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    created: str = ""  # ISO 8601, UTC
    command: str = ""
    machine: Machine = Machine()
    simulated: tuple[str, ...] = SIMULATED
    not_simulated: tuple[str, ...] = NOT_SIMULATED
    schema_version: int = SCHEMA_VERSION


def this_machine() -> Machine:
    """The computer at hand, with the versions of Python, Picojoule, numpy and numba."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in ("picojoule", "numpy", "numba"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    system = f"{platform.system()} {platform.machine()}"
    return Machine(cpu=_cpu_name() or platform.processor(), system=system, versions=versions)


def _cpu_name() -> str:
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def problems(report: Report) -> Iterator[tuple[str, str]]:
    """Yield (where, what) for each value that no honest report holds.

    Every number is finite and not negative, shares are at most 1, the bill sums to the total,
    raster spikes lie inside the raster.
    """
    yield from _bad_numbers(report, "report")
    for index, row in enumerate(report.rows):
        yield from _bad_row(row, f"rows[{index}]")


def _bad_numbers(value: object, where: str) -> Iterator[tuple[str, str]]:
    for path, number in _numbers(value, where):
        if not math.isfinite(number):
            yield path, f"must be finite, got {number}"
        elif number < 0 and not path.endswith((".seed", ".mean")):
            yield path, f"must not be negative, got {number}"


def _numbers(value: object, where: str) -> Iterator[tuple[str, float]]:
    """Every number below a value, with its path."""
    if isinstance(value, (int, float)):
        yield where, value
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from _numbers(part, f"{where}[{index}]")
    elif is_dataclass(value):
        for each in fields(value):
            yield from _numbers(getattr(value, each.name), f"{where}.{each.name}")


def _bad_row(row: Row, where: str) -> Iterator[tuple[str, str]]:
    shares = [(f"accuracy.{f.name}", getattr(row.accuracy, f.name)) for f in fields(Accuracy)]
    for name, share in [*shares, ("assumed_share", row.assumed_share)]:
        if share is not None and share > 1:
            yield f"{where}.{name}", f"is a share and must be at most 1, got {share}"
    for name, low, high in (
        ("low_j", row.low_j, row.high_j),
        ("time_low_s", row.time_low_s, row.time_high_s),
    ):
        if low is not None and high is not None and low > high:
            yield f"{where}.{name}", f"is {low}, above the high end of its band, {high}"
    yield from _bad_sums(row, where)
    if row.raster is not None:
        yield from _bad_raster(row.raster, f"{where}.raster")


def _bad_sums(row: Row, where: str) -> Iterator[tuple[str, str]]:
    billed = math.fsum(line.total_j for line in row.bill)
    if row.bill and not _same(billed, row.energy_j):
        yield f"{where}.energy_j", f"is {row.energy_j} J, but its bill sums to {billed} J"
    if row.marginal_j is None or row.static_j is None:
        return
    parts = row.marginal_j + row.static_j + (row.io_j or 0.0)
    if not _same(parts, row.energy_j):
        yield f"{where}.energy_j", f"is {row.energy_j} J, but its parts sum to {parts} J"


def _same(a: float, b: float) -> bool:
    return not math.isfinite(a + b) or math.isclose(a, b, rel_tol=SUM_TOLERANCE)


def _bad_raster(raster: Raster, where: str) -> Iterator[tuple[str, str]]:
    neurons = max((population.stop for population in raster.populations), default=0)
    outside = [s for s in raster.spikes if not (s[0] < raster.steps and s[1] < neurons)]
    if outside:
        yield (
            f"{where}.spikes",
            (
                f"{len(outside)} spikes lie outside {raster.steps} steps and {neurons} neurons, "
                f"such as {outside[0]}"
            ),
        )
