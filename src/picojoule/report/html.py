"""The report as one HTML file that needs nothing else: no script, no font, no request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from picojoule.report.data import Report, Row
from picojoule.report.markup import Markup, element, join, table
from picojoule.report.numbers import energy_text, share_text, time_text
from picojoule.report.plots import (
    energy_colors,
    energy_figure,
    ladder_figure,
    ladder_low,
    row_name,
)
from picojoule.report.sections import cost_section, row_section
from picojoule.report.store import write_whole
from picojoule.report.style import CSS
from picojoule.report.text import ladder_cells, mismatch_text

VIEWPORT = "width=device-width, initial-scale=1"
# Nothing may be fetched even if text slipped through unescaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def to_html(report: Report) -> str:
    """The whole page.  The same report gives the same bytes."""
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": VIEWPORT}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("title", None, f"{report.title} · Picojoule report"),
        element("style", None, Markup(CSS)),
    )
    body = element("body", None, element("main", None, *_parts(report)))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head, body)}\n"


def save_html(report: Report, path: str | Path) -> None:
    """Write the page to a file, whole or not at all.

    Raises UsageError PJ801 when the file cannot be written.
    """
    write_whole(path, to_html(report))


def _parts(report: Report) -> list[Markup]:
    parts = [_header(report), _cards(report.rows)]
    if report.rows:
        parts += [_ladder(report.rows), cost_section(report.rows, energy_figure(report.rows))]
    for index, row in enumerate(report.rows):
        alike = [other for other in report.rows if other.target == row.target]
        parts.append(row_section(row, _anchor(index), energy_colors(alike)))
    return [*parts, _scope(report), _provenance(report)]


def _header(report: Report) -> Markup:
    links = [("#ladder", "Accuracy"), ("#cost", "Cost")] if report.rows else []
    links += [(f"#{_anchor(i)}", row_name(row)) for i, row in enumerate(report.rows)]
    links += [("#scope", "What is simulated"), ("#provenance", "Provenance")]
    items = [element("li", None, element("a", {"href": to}, name)) for to, name in links]
    notes = [element("p", {"class": "soft"}, note) for note in report.notes]
    return element(
        "header",
        None,
        element("p", {"class": "eyebrow"}, "Picojoule report"),
        element("h1", None, report.title),
        *notes,
        element("nav", {"aria-label": "Contents"}, element("ul", None, *items)),
    )


def _anchor(index: int) -> str:
    return f"row-{index + 1}"


def _cards(rows: Sequence[Row]) -> Markup:
    cards = [_agreement_card(rows)]
    known = [row for row in rows if row.accuracy.deployed is not None]
    if known:
        best = max(known, key=lambda row: row.accuracy.deployed or 0.0)
        most = share_text(best.accuracy.deployed)
        name = _named(best, known, lambda row: row.accuracy.deployed)
        cards.append(_card("Highest accuracy deployed", most, name))
    if rows:
        least = min(rows, key=lambda row: row.energy_j)
        quick = min(rows, key=lambda row: row.time_s)
        least_name = _named(least, rows, lambda row: row.energy_j)
        quick_name = _named(quick, rows, lambda row: row.time_s)
        cards.append(_card("Least energy per inference", energy_text(least.energy_j), least_name))
        cards.append(_card("Shortest inference", time_text(quick.time_s), quick_name))
    return element("div", {"class": "cards"}, *cards)


def _named(best: Row, rows: Sequence[Row], measure: Callable[[Row], float | None]) -> str:
    """The best row's name, and how many others are as good."""
    others = sum(measure(row) == measure(best) for row in rows) - 1
    return row_name(best) + (f", and {others} more" if others else "")


def _agreement_card(rows: Sequence[Row]) -> Markup:
    checked = [row.mismatched_outputs for row in rows if row.mismatched_outputs is not None]
    label = "Outputs that differ"
    if not checked:
        return _card(label, "–", "not checked")
    total = sum(checked)
    detail = f"trainer against program, {len(checked)} of {len(rows)} rows checked"
    return _card(label, f"{total:,}", detail, "bad" if total else "good")


def _card(label: str, value: str, detail: str, tone: str = "") -> Markup:
    return element(
        "div",
        {"class": "card"},
        element("p", {"class": "label"}, label),
        element("p", {"class": f"value {tone}".strip()}, value),
        element("p", {"class": "detail"}, detail),
    )


def _ladder(rows: Sequence[Row]) -> Markup:
    low = ladder_low(rows)
    panels = [ladder_figure(row, low) for row in rows]
    heads = (
        "network, target, bits",
        "float",
        "quantized after training",
        "fine-tuned",
        "deployed",
        "outputs differing",
    )
    cells = [(row_name(row), *ladder_cells(row), mismatch_text(row)) for row in rows]
    about = (
        "From the network in floating point, to its integers without any training, to those "
        "after fine-tuning on the machine's own arithmetic, to the compiled program."
    )
    axis = f" The axes begin at {share_text(low, 0)}." if low else ""
    return element(
        "section",
        {"id": "ladder"},
        element("h2", None, "Accuracy"),
        element("p", {"class": "soft"}, about + axis),
        element("div", {"class": "panels"}, *panels),
        table("Accuracy on the same samples", heads, cells),
    )


def _scope(report: Report) -> Markup:
    parts = [element("h2", None, "What is simulated, and what is not")]
    for name, items in (("Simulated", report.simulated), ("Not simulated", report.not_simulated)):
        lines = [element("li", None, item) for item in items]
        parts += [element("h3", None, name), element("ul", None, *lines)] if lines else []
    excluded = {
        (row.target, each.item, each.why): None for row in report.rows for each in row.excluded
    }
    lines = [
        element("li", None, f"{target}: {item}" + (f" – {why}" if why else ""))
        for target, item, why in excluded
    ]
    if lines:
        parts += [
            element("h3", None, "Counted, but excluded from every total"),
            element("ul", None, *lines),
        ]
    return element("section", {"id": "scope"}, *parts)


def _provenance(report: Report) -> Markup:
    machine = report.machine
    facts = [
        ("created", report.created),
        ("command", element("code", None, report.command) if report.command else ""),
        ("processor", machine.cpu),
        ("system", machine.system),
    ]
    facts += list(machine.versions.items())
    facts.append(("schema version", str(report.schema_version)))
    pairs = [
        join([element("dt", None, name), element("dd", None, value)])
        for name, value in facts
        if value
    ]
    digests = [
        (row_name(row), name, element("code", None, digest))
        for row in report.rows
        for name, digest in row.digests.items()
    ]
    parts = [element("h2", None, "Provenance"), element("dl", None, *pairs)]
    if digests:
        parts.append(table("Digests", ("row", "of", "SHA-256"), digests, text=(0, 1, 2)))
    return element("section", {"id": "provenance"}, *parts)
