"""Quantities with units: one strict grammar, one closed unit table a kind.

    quantity = number, one space, unit          23.6 pJ     -4e-3 mW     128 KiB
    number   = [sign] digits [. digits] [(e|E) [sign] digits]

Nothing else is read: no decimal comma, no thousands mark, no NaN, no infinity, no unit that is
not in the table of its kind.  Values are SI floats; memory is in bytes.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

UNITS: dict[str, dict[str, Decimal]] = {
    "energy": {
        "J": Decimal(1),
        "mJ": Decimal("1e-3"),
        "µJ": Decimal("1e-6"),
        "nJ": Decimal("1e-9"),
        "pJ": Decimal("1e-12"),
        "fJ": Decimal("1e-15"),
    },
    "time": {
        "s": Decimal(1),
        "ms": Decimal("1e-3"),
        "µs": Decimal("1e-6"),
        "ns": Decimal("1e-9"),
        "ps": Decimal("1e-12"),
    },
    "power": {
        "W": Decimal(1),
        "mW": Decimal("1e-3"),
        "µW": Decimal("1e-6"),
        "nW": Decimal("1e-9"),
    },
    "frequency": {
        "Hz": Decimal(1),
        "kHz": Decimal("1e3"),
        "MHz": Decimal("1e6"),
        "GHz": Decimal("1e9"),
    },
    "memory": {
        "B": Decimal(1),
        "bit": Decimal("0.125"),
        "KiB": Decimal(2**10),
        "MiB": Decimal(2**20),
        "GiB": Decimal(2**30),
    },
}

NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
PREFIXES = ("f", "p", "n", "µ", "m", "", "k", "M", "G", "T")  # 1e-15 .. 1e12
BINARY = ("B", "KiB", "MiB", "GiB")
MICRO = str.maketrans({"\N{GREEK SMALL LETTER MU}": "\N{MICRO SIGN}"})


def parse(text: str, kind: str) -> float:
    """Read a quantity such as `23.6 pJ`; `kind` is a key of `UNITS`.

    Returns the value in J, s, W, Hz or bytes, correctly rounded.  `uJ` is read as `µJ`.
    Raises ValueError, saying what was expected, for anything outside the grammar.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} has no unit; expected {_example(kind)}")
    number, space, unit = text.partition(" ")
    if "," in number:
        raise ValueError(f"{text!r} has a comma; write a decimal point")
    if not NUMBER.fullmatch(number):
        raise ValueError(f"{text!r} is not a number and a unit; expected {_example(kind)}")
    if not space or not unit:
        raise ValueError(f"{text!r} has no unit; expected {_example(kind)}")
    value = float(Decimal(number) * _scale(unit, kind, text))
    if not math.isfinite(value) or (value == 0 and Decimal(number) != 0):
        raise ValueError(f"{text!r} is out of range")
    return value


def _scale(unit: str, kind: str, text: str) -> Decimal:
    """The factor of a unit.  Raises ValueError when its kind does not have it."""
    table = UNITS[kind]
    name = unit.translate(MICRO)
    if name.startswith("u"):
        name = "µ" + name[1:]
    if name not in table:
        raise ValueError(f"{text!r}: {unit!r} is no unit of {kind}; known: {', '.join(table)}")
    return table[name]


def _example(kind: str) -> str:
    unit = list(UNITS[kind])[-2]
    return f"a number, a space and a unit of {kind}, such as '23.6 {unit}'"


def format(value: float, unit: str, digits: int = 3) -> str:
    """Print an SI value with a prefix and so many significant digits: `2.37 µJ`.

    Bytes (`B`) take binary prefixes and no needless zeros: `64 KiB`.
    Raises ValueError when the value is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"cannot print {value} {unit}: it is not finite")
    if unit == "B":
        return _format_bytes(value, digits)
    if value == 0:
        return f"0 {unit}"
    rounded = float(f"{value:.{digits - 1}e}")  # 999.7 must become 1.00 k, not 1000
    exponent = math.floor(math.log10(abs(rounded)) + 1e-12)
    group = exponent // 3
    if not -5 <= group <= 4:
        return f"{value:.{digits - 1}e} {unit}"
    scaled = rounded / 10.0 ** (3 * group) if group >= 0 else rounded * 10.0 ** (-3 * group)
    decimals = max(digits - 1 - (exponent - 3 * group), 0)
    return f"{scaled:.{decimals}f} {PREFIXES[group + 5]}{unit}"


def _format_bytes(value: float, digits: int) -> str:
    group = 0
    while abs(value) >= 1024 and group < len(BINARY) - 1:
        value, group = value / 1024, group + 1
    number = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{number} {BINARY[group]}"
