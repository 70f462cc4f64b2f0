"""Numbers as readers see them: units everywhere, '–' where there is none."""

from __future__ import annotations

from picojoule import units

NONE = "–"


def count_text(value: float | None) -> str:
    """A count: `1,024`, averages below 1000 with one decimal, from 10 million on `12.3 M`."""
    if value is None:
        return NONE
    if value >= 1e7:
        return units.format(value, "").strip()
    if value < 1000 and value != int(value):
        return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"
    return f"{round(value):,}"


def share_text(value: float | None, decimals: int = 1) -> str:
    """A share 0..1 in per cent: `97.3 %`; never rounded to nothing or to all of it."""
    if value is None:
        return NONE
    least = 10.0**-decimals
    if 0 < 100 * value < least / 2:
        return f"< {least:.{decimals}f} %"
    if 0 < 100 * (1 - value) <= least / 2:
        return f"> {100 - least:.{decimals}f} %"
    return f"{100 * value:.{decimals}f} %"


def quantity_text(value: float | None, unit: str) -> str:
    """An SI value with its unit; `` and `bit` are plain counts."""
    if value is None:
        return NONE
    if unit in ("", "bit"):
        return f"{count_text(value)} {unit}".strip()
    return units.format(value, unit)


def energy_text(value: float | None) -> str:
    """Joules: `2.37 µJ`."""
    return quantity_text(value, "J")


def time_text(value: float | None) -> str:
    """Seconds: `1.20 ms`."""
    return quantity_text(value, "s")


def band_text(low: float | None, high: float | None) -> str:
    """A band of joules: `1.90 µJ to 3.10 µJ`."""
    if low is None or high is None:
        return NONE
    return f"{energy_text(low)} to {energy_text(high)}"


def clean(text: str) -> str:
    """Text without control characters, which could steer a terminal or break a page."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
