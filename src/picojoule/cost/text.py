"""A bill as text, for `print(bill)`: what an inference costs, why, and what is not in it."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from picojoule import units
from picojoule.cost.bill import HOST, Bill, Row, StaticRow

WIDTH = 110
ENGINES_SHOWN = 3


def describe(bill: Bill) -> str:
    """The rows of a bill, dearest first, then its totals, all per inference."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    console.print(_table(bill))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    lines = [f"bill of one inference on {bill.target}, mean of {bill.samples}", text.rstrip("\n")]
    return "\n".join(line.rstrip() for line in "\n".join([*lines, *_totals(bill)]).splitlines())


def _table(bill: Bill) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("action", "count", "each", "energy", "band", "share", "source"):
        right = name in ("count", "each", "energy", "share")
        table.add_column(name, justify="right" if right else "left")
    for row in sorted(bill.all_rows, key=lambda row: -row.total_j):
        share = row.total_j / bill.run_total_j if bill.run_total_j else 0.0
        table.add_row(
            *_what(row, bill.samples),
            units.format(row.total_j / bill.samples, "J"),
            _band(row.low_j / bill.samples, row.high_j / bill.samples, "J"),
            f"{share:.1%}",
            f"{row.source}, {row.confidence}",
        )
    return table


def _what(row: Row | StaticRow, samples: int) -> tuple[str, str, str]:
    if isinstance(row, StaticRow):
        return f"static {row.name}", "", units.format(row.power_w, "W")
    count = row.count / samples
    return (
        f"{row.component} {row.action}",
        f"{count:,.0f}" if count >= 100 else f"{count:.3g}",
        units.format(row.each_j, "J"),
    )


def _totals(bill: Bill) -> Iterator[str]:
    yield ""
    marginal, static = (units.format(value, "J") for value in (bill.marginal_j, bill.static_j))
    left_out = any(item.component == HOST for item in bill.excluded) and not bill.io_j
    host = "excluded" if left_out else units.format(bill.io_j, "J")
    yield f"marginal {marginal}  static {static}  host I/O {host}"
    band = _band(*bill.energy_band_j, "J")
    yield f"total    {units.format(bill.total_j, 'J')}" + (f"   band {band}" if band else "")
    band = _band(*bill.time_band_s, "s")
    yield f"time     {units.format(bill.time_s, 's')}" + (f"   band {band}" if band else "")
    if bill.time_is_lower_bound:
        yield "         a lower bound: the counts were summed over samples or windows"
    yield from _waits(bill)
    yield f"assumed  {bill.assumed_share:.1%} of the energy has a price that nobody has published"
    for left in bill.excluded:
        count = left.count / bill.samples
        yield f"excluded {left.component} {left.action}: {count:,.4g} an inference; {left.note}"


def _waits(bill: Bill) -> Iterator[str]:
    """Which engines the time was spent on, longest first."""
    if not bill.time_s:
        return
    waits = [(f"{e.component} {e.engine}", e.bound_s) for e in bill.engines if e.bound_s]
    shown = waits[:ENGINES_SHOWN]
    others = sum(seconds for _, seconds in waits[ENGINES_SHOWN:])
    shown += [("other engines", others)] if others else []
    shown += [("serial", bill.serial_s)] if bill.serial_s else []
    yield "waits    " + ", ".join(f"{name} {s / bill.time_s:.0%}" for name, s in shown)


def _band(low: float, high: float, unit: str) -> str:
    return "" if low == high else f"{units.format(low, unit)} .. {units.format(high, unit)}"
