"""HTML and SVG elements as strings that escape by construction.

    element("p", {"class": "note"}, "a < b")     ->  <p class="note">a &lt; b</p>

Only what `element` and `join` return is `Markup`; every other child is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Mapping, Sequence

from picojoule.report.numbers import clean

VOID = frozenset({"meta", "br", "hr"})
Value = str | float | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, attributes: Mapping[str, Value] | None = None, *children: str) -> Markup:
    """One element; attributes that are None are left out, numbers print at most 6 digits."""
    head = "".join(
        f' {key}="{html.escape(clean(_text(value)))}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Children one after the other, escaped unless they are Markup."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(clean(child), quote=False)
            for child in children
        )
    )


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text: Collection[int] = (0,),
    total: Sequence[str] = (),
) -> Markup:
    """A table in a frame that scrolls sideways; the first cell of each row is its header.

    text   which columns are text and align left; the others are numbers
    total  cells of a last, emphasised row
    """
    kinds = ["text" if i in text else "num" for i in range(len(heads))]
    head = element(
        "tr",
        None,
        *(element("th", {"scope": "col", "class": kind}, name) for kind, name in zip(kinds, heads)),
    )
    body = [_row(cells, kinds) for cells in rows]
    foot = [element("tfoot", None, _row(total, kinds))] if total else []
    inner = element(
        "table",
        None,
        element("caption", None, caption),
        element("thead", None, head),
        element("tbody", None, *body),
        *foot,
    )
    frame = {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption}
    return element("div", frame, inner)


def _row(cells: Sequence[str], kinds: Sequence[str]) -> Markup:
    first = element("th", {"scope": "row", "class": kinds[0]}, cells[0])
    rest = (element("td", {"class": kind}, cell) for cell, kind in zip(cells[1:], kinds[1:]))
    return element("tr", None, first, *rest)


def _text(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
