"""A machine as a person wants to see it."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from picojoule import units
from picojoule.target.machine import FORMATS, Limits, Price, StaticTerm, Target

WIDTH = 110


def describe(target: Target) -> str:
    """`show` as plain text, at most `WIDTH` columns wide."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, legacy_windows=False)
    console.print(show(target))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def show(target: Target) -> RenderableType:
    """Geometry, formats, limits, prices with their bands and sources, as rich renderables."""
    return Group(
        Text(f"{target.name}: {target.title}", style="bold"),
        Text(target.description),
        Text(
            f"machine {target.machine_digest[:8]}   prices {target.price_digest[:8]}"
            f"   file {target.path}",
            style="dim",
        ),
        Text(),
        machine_table(target),
        Text(),
        price_table(target),
        Text(),
        note_table(target),
        Text(),
        source_table(target),
    )


def machine_table(target: Target) -> Table:
    """Geometry, number formats, memories, limits and static power, one line each."""
    core = target.core
    table = _table("", "machine")
    table.add_row("cores", f"{target.cores} x {core.type}{_chips(target)}")
    if core.count > 1:
        grid = core.grid
        table.add_row("mesh", f"{grid.columns} x {grid.rows} tiles of {grid.cores_per_tile} cores")
    if target.array:
        array = target.array
        table.add_row("array", f"{array.rows} x {array.columns}, dataflow {array.dataflow}")
    if target.clock_hz:
        table.add_row("clock", units.format(target.clock_hz, "Hz"))
    table.add_row("numerics", core.profile)
    for name, bits in core.choices:
        table.add_row(name.replace("_", " "), ", ".join(map(str, bits)))
    for field in FORMATS:
        if getattr(core, field):
            table.add_row(field.replace("_", " "), ", ".join(getattr(core, field)))
    for name, size in target.memories.items():
        table.add_row(f"{name} memory", units.format(size, "B"))
    for name, value in _ranges(core.limits):
        table.add_row(name.replace("_", " "), value)
    for term in target.static_terms:
        table.add_row(f"static power, {term.name}", _static(term))
    return table


def price_table(target: Target) -> Table:
    """Every action with its price, band, engine, source and note."""
    table = _table("action", "energy", "band", "time", "engine", "source")
    for price in target.prices.values():
        table.add_row(f"{price.component} {price.action}", *_price_cells(price))
    return table


def note_table(target: Target) -> Table:
    """What the numbers leave out or assume, in the words of the file."""
    table = _table("note", "")
    for price in target.prices.values():
        if price.note:
            table.add_row(f"{price.component} {price.action}", price.note)
    for term in target.static_terms:
        if term.note:
            table.add_row(f"static {term.name}", term.note)
    return table


def source_table(target: Target) -> Table:
    """The works that the numbers come from."""
    table = _table("source", "")
    for key, text in target.sources.items():
        table.add_row(key, text)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("energy", "time") else "left")
    return table


def _price_cells(price: Price) -> tuple[str, ...]:
    if price.excluded:
        return "excluded", "", "", "", ""
    band = _band(price.energy_low_j, price.energy_high_j, "J")
    energy = "unknown" if "energy" in price.unknown else units.format(price.energy_j, "J")
    time = "unknown" if "time" in price.unknown else units.format(price.time_s, "s")
    return energy, band, time, price.engine, _provenance(price)


def _static(term: StaticTerm) -> str:
    band = _band(term.low_w, term.high_w, "W")
    power = units.format(term.power_w, "W") + (f" ({band})" if band else "")
    return f"{power}  {_provenance(term)}"


def _provenance(number: Price | StaticTerm) -> str:
    other = f"; band {number.band_source}" if number.band_source else ""
    return f"{number.source}, {number.confidence}{other}"


def _band(low: float, high: float, unit: str) -> str:
    return "" if low == high else f"{units.format(low, unit)} .. {units.format(high, unit)}"


def _chips(target: Target) -> str:
    return f", {target.core.count} on each of {target.chips} chips" if target.chips > 1 else ""


def _ranges(limits: Limits) -> list[tuple[str, str]]:
    """Limits with `_min` and `_max` as one range; the others as they are."""
    rows = []
    for name, value in limits.items():
        stem = name.removesuffix("_max")
        if name.endswith("_min") and name.removesuffix("_min") + "_max" in limits:
            continue
        low = limits.get(f"{stem}_min") if name.endswith("_max") else None
        rows.append(
            (stem if low is not None else name, str(value) if low is None else f"{low} .. {value}")
        )
    return rows
