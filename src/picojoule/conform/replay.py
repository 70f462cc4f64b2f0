"""Run a trial and compare, integer for integer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from picojoule.conform.machine import lowered
from picojoule.conform.trial import OUTPUT, Array, NotYet, Quantity, Trial
from picojoule.errors import CheckError
from picojoule.graph.faults import verify
from picojoule.sim.run import Engine, Run, run

Status = Literal["match", "differ", "skipped", "error"]


@dataclass(frozen=True)
class Difference:
    """The first element that differs: its step, its place in the recorded row, both integers."""

    quantity: str
    step: int
    neuron: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"{self.quantity} step {self.step} neuron {self.neuron}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one vector."""

    peer: str
    name: str
    status: Status
    quantities: tuple[str, ...] = ()
    equal: int = 0
    total: int = 0
    first: Difference | None = None
    reason: str = ""

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """One quantity: how many elements are equal, and the first that is not."""

    name: str
    equal: int
    total: int
    first: Difference | None


def compare(trial: Trial, engine: Engine) -> list[Compared]:
    """Verify, lower and run the Graph of a trial; every quantity compared.

    Raises NotYet where the compiler refuses sums that could overflow (PJ210): no peer defines
    what they are then.
    """
    verify(trial.graph)
    try:
        program = lowered(trial.graph, trial.profile)
    except CheckError as error:
        if {fault.code for fault in error.faults} == {"PJ210"}:
            raise NotYet(f"the compiler refuses it: {error.faults[0].what}") from None
        raise
    probes = list(dict.fromkeys(name for q in trial.quantities for name in _probes(q)))
    options: dict[str, Any] = {"engine": engine, "detail": "sum"}
    if trial.profile:
        options |= {"steps": trial.graph.steps, "probes": probes}
    if trial.noise is not None:
        options["noise"] = trial.noise[None, :, _draw_order(trial)]
    done = run(program, trial.samples, **options)
    sent = f"{trial.graph.output}.spike"
    return [_compared(q, _gathered(q, done, sent)) for q in trial.quantities]


def _draw_order(trial: Trial) -> Array:
    """Columns of the recorded draws in the order in which `sim.run` takes them."""
    return np.concatenate([columns for _, columns in sorted(trial.noisy, key=lambda n: n[0])])


def _probes(quantity: Quantity) -> Iterator[str]:
    for probe, _ in quantity.pieces:
        if probe != OUTPUT:
            yield probe
            if quantity.fired is not None:
                yield _spike(probe)


def _spike(probe: str) -> str:
    return f"{probe.rpartition('.')[0]}.spike"


def _gathered(quantity: Quantity, done: Run, sent: str) -> Array:
    """What came out in the place of `want`, int64; spikes of the output node as they leave."""
    rows = quantity.want.shape[0]
    got = np.zeros(quantity.want.shape, np.int64)
    for probe, columns in quantity.pieces:
        probe = OUTPUT if probe == sent else probe
        found = _found(probe, done)[quantity.first : quantity.first + rows].astype(np.int64)
        if quantity.fired is not None:
            spiked = _found(_spike(probe), done)[quantity.first : quantity.first + rows] != 0
            found = np.where(spiked, quantity.fired, found)
        got[:, columns] = found
    return got


def _found(probe: str, done: Run) -> Array:
    if probe != OUTPUT:
        return done.probes[probe][0]
    if "output" in done.outputs:
        return done.outputs["output"]
    return done.outputs["spikes"][0]


def _compared(quantity: Quantity, got: Array) -> Compared:
    want = quantity.want * quantity.unit
    differ = np.argwhere(want != got)
    first = None
    if len(differ):
        row, column = (int(i) for i in differ[0])
        first = Difference(
            quantity.name, quantity.first + row, column, int(want[row, column]),
            int(got[row, column]),
        )  # fmt: skip
    return Compared(quantity.name, want.size - len(differ), want.size, first)


def outcome(peer: str, name: str, found: list[Compared]) -> Outcome:
    """All quantities of a vector together; of the first differences the earliest."""
    firsts = [c.first for c in found if c.first is not None]
    return Outcome(
        peer=peer, name=name, status="differ" if firsts else "match",
        quantities=tuple(c.name for c in found), equal=sum(c.equal for c in found),
        total=sum(c.total for c in found),
        first=min(firsts, key=lambda d: d.step) if firsts else None,
    )  # fmt: skip
