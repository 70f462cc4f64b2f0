"""The bill: what a run cost, row by row, and where its time went."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

HOST = "host"


@dataclass(frozen=True)
class Row:
    """One action of one kind of component, over the whole run.

    each_j             joules of one count
    low_j, high_j      `total_j` at the ends of the band of the sources
    """

    component: str
    action: str
    count: int
    each_j: float
    total_j: float
    low_j: float
    high_j: float
    source: str
    confidence: str
    note: str = ""

    @property
    def part(self) -> str:
        """`io` for exchange with the host, else `marginal`."""
        return "io" if self.component == HOST else "marginal"


@dataclass(frozen=True)
class StaticRow:
    """Static power times the time of the whole run."""

    name: str
    power_w: float
    total_j: float
    low_j: float
    high_j: float
    source: str
    confidence: str
    note: str = ""

    @property
    def part(self) -> str:
        """`static`: paid for time, not for work."""
        return "static"


@dataclass(frozen=True)
class Excluded:
    """Something that was counted and that the machine gives no price for, over the run."""

    component: str
    action: str
    count: int
    note: str


@dataclass(frozen=True)
class EngineTime:
    """Seconds per inference that an engine is busy, and that the run waits for it alone."""

    component: str
    engine: str
    busy_s: float
    bound_s: float


@dataclass(frozen=True)
class Bill:
    """Energy and time of a run.  Rows are over the run; all else is per inference.

    An inference is one sample; names that begin with `run_` are over the whole run.

    rows, static_rows    marginal energy and I/O by action; static energy by term
    excluded             counted, not priced; no part of any total
    time_s               mean over samples of the sum over windows (see docs/costs.md)
    time_band_s          the same with every time at the low and at the high end of its band
    window_s             time of each window, mean over samples; `windows` names them if phases
    time_is_lower_bound  the activity was summed over samples or windows, so slow windows of
                         different engines are no longer told apart
    by_component, by_node
                         marginal and I/O energy by component, and by graph node or phase
    engines              busiest first
    """

    target: str
    samples: int
    rows: tuple[Row, ...]
    static_rows: tuple[StaticRow, ...]
    excluded: tuple[Excluded, ...]
    time_s: float
    time_band_s: tuple[float, float]
    time_is_lower_bound: bool
    window_s: tuple[float, ...]
    windows: tuple[str, ...]
    by_component: dict[str, float]
    by_node: dict[str, float]
    engines: tuple[EngineTime, ...]
    serial_s: float

    def __str__(self) -> str:
        # here, because text needs Bill
        from picojoule.cost.text import describe

        return describe(self)

    @property
    def all_rows(self) -> tuple[Row | StaticRow, ...]:
        """The rows of every joule on the bill."""
        return (*self.rows, *self.static_rows)

    @property
    def by_action(self) -> dict[str, float]:
        """Joules per inference by row, as in `sram read`; static energy is not in it."""
        return {f"{row.component} {row.action}": row.total_j / self.samples for row in self.rows}

    @property
    def marginal_j(self) -> float:
        """Energy that the inference itself causes."""
        return self._each(row.total_j for row in self.rows if row.part == "marginal")

    @property
    def io_j(self) -> float:
        """Energy of exchanging events with the host, as far as it is priced."""
        return self._each(row.total_j for row in self.rows if row.part == "io")

    @property
    def static_j(self) -> float:
        """Static power times the time of an inference."""
        return self._each(row.total_j for row in self.static_rows)

    @property
    def total_j(self) -> float:
        """Marginal, static and I/O energy."""
        return self._each(row.total_j for row in self.all_rows)

    @property
    def energy_band_j(self) -> tuple[float, float]:
        """`total_j` at the low and high ends of all bands: energies, powers and times."""
        return (
            self._each(row.low_j for row in self.all_rows),
            self._each(row.high_j for row in self.all_rows),
        )

    @property
    def marginal_band_j(self) -> tuple[float, float]:
        """`marginal_j` at the low and high ends of the energy bands."""
        rows = [row for row in self.rows if row.part == "marginal"]
        return self._each(row.low_j for row in rows), self._each(row.high_j for row in rows)

    @property
    def run_total_j(self) -> float:
        """Marginal, static and I/O energy of the whole run."""
        return math.fsum(row.total_j for row in self.all_rows)

    @property
    def run_marginal_j(self) -> float:
        """Energy that the whole run causes, without host I/O."""
        return math.fsum(row.total_j for row in self.rows if row.part == "marginal")

    @property
    def run_static_j(self) -> float:
        """Static power times the time of the whole run."""
        return math.fsum(row.total_j for row in self.static_rows)

    @property
    def run_time_s(self) -> float:
        """Time of the whole run, one sample after the other."""
        return self.time_s * self.samples

    @property
    def assumed_share(self) -> float:
        """Share of the total energy, 0..1, whose price nobody has published."""
        assumed = math.fsum(row.total_j for row in self.all_rows if row.confidence == "assumed")
        return assumed / self.run_total_j if self.run_total_j else 0.0

    @property
    def average_power_w(self) -> float:
        """Total energy over time; 0 where nothing takes time."""
        return self.total_j / self.time_s if self.time_s else 0.0

    def _each(self, energies: Iterable[float]) -> float:
        return math.fsum(energies) / self.samples
