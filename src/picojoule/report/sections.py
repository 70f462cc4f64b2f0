"""The cost section of the HTML report, and the section of each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from picojoule.report.data import BillLine, Row, Use
from picojoule.report.markup import Markup, element, join, table
from picojoule.report.numbers import (
    NONE,
    band_text,
    count_text,
    energy_text,
    quantity_text,
    share_text,
    time_text,
)
from picojoule.report.plots import (
    breakdown_figure,
    layer_meter,
    meter,
    raster_figure,
    row_name,
)
from picojoule.report.text import (
    bits_text,
    cost_cells,
    health_cells,
    labels,
    line_count,
    line_price,
)

CORES_SHOWN = 24  # fullest first; the others are summed up in a line


def cost_section(rows: Sequence[Row], figure: Markup) -> Markup:
    """Energy of all rows in one figure, and the cost table."""
    about = (
        "Marginal energy is caused by the work of an inference; static energy is power that flows "
        "whatever happens, over the time of the inference. The band takes every price at the low "
        "and at the high end of what its sources say."
    )
    return element(
        "section",
        {"id": "cost"},
        element("h2", None, "Cost of one inference"),
        element("p", {"class": "soft"}, about),
        figure,
        _cost_table(rows),
    )


def _cost_table(rows: Sequence[Row]) -> Markup:
    cells = [cost_cells(row) for row in rows]
    heads = [element("th", {"scope": "col", "class": "text"}, "per inference")]
    heads += [
        element(
            "th",
            {"scope": "col", "class": "num"},
            row.network,
            element("span", {"class": "head2"}, row.target),
            element("span", {"class": "head2"}, bits_text(row)),
        )
        for row in rows
    ]
    body = [_cost_row(label, [each.get(label, NONE) for each in cells]) for label in labels(cells)]
    caption = "Resources, activity, time and energy"
    inner = element(
        "table",
        None,
        element("caption", None, caption),
        element("thead", None, element("tr", None, *heads)),
        element("tbody", None, *body),
    )
    frame = {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": caption}
    return element("div", frame, inner)


def _cost_row(label: str, cells: Sequence[str]) -> Markup:
    kind = "sub" if label.startswith(" ") else "strong" if label in ("time", "energy") else None
    head = element("th", {"scope": "row", "class": "text"}, label.strip())
    return element(
        "tr", {"class": kind}, head, *(element("td", {"class": "num"}, cell) for cell in cells)
    )


def row_section(row: Row, anchor: str, colors: Mapping[str, int]) -> Markup:
    """Everything about one row; pieces that the report lacks are left out."""
    parts = [element("h2", None, row_name(row)), _summary(row)]
    if row.bill:
        parts.append(breakdown_figure(row, colors))
    if row.layers:
        parts.append(_layer_table(row))
    for kind, (heads, cells) in health_cells(row).items():
        if cells:
            parts.append(table(f"{kind}, for some samples", heads, cells))
    if row.raster is not None:
        parts.append(raster_figure(row.raster))
    if row.uses:
        parts.append(_use_table(row.uses))
    if row.waits:
        parts.append(_wait_table(row))
    if row.bill:
        parts.append(_bill_table(row))
    if row.excluded:
        parts.append(_excluded_table(row))
    return element("section", {"id": anchor, "class": "row"}, *parts)


def _summary(row: Row) -> Markup:
    facts = {
        "energy": f"{energy_text(row.energy_j)}, band {band_text(row.low_j, row.high_j)}"
        if row.low_j is not None
        else energy_text(row.energy_j),
        "time": _time(row),
        "assumed prices": share_text(row.assumed_share),
        "numerics": row.profile or NONE,
        "engine": row.engine or NONE,
        "samples": count_text(row.samples),
        "seed": NONE if row.seed is None else str(row.seed),
        "seeds": NONE if row.seeds == 1 else f"mean and standard deviation of {row.seeds}",
    }
    pairs = [
        join([element("dt", None, name), element("dd", None, text)])
        for name, text in facts.items()
        if text != NONE
    ]
    notes = [element("li", None, note) for note in row.notes]
    listed = [element("ul", None, *notes)] if notes else []
    return element("div", None, element("dl", None, *pairs), *listed)


def _time(row: Row) -> str:
    text = time_text(row.time_s)
    if row.time_low_s is not None and row.time_high_s is not None:
        text += f", band {time_text(row.time_low_s)} to {time_text(row.time_high_s)}"
    return f"{text}; {row.time_basis}" if row.time_basis else text


def _layer_table(row: Row) -> Markup:
    """A column is left out when no layer has anything in it."""
    total = math.fsum(layer.energy_j or 0.0 for layer in row.layers)
    columns: dict[str, list[str]] = {
        "node": [layer.node for layer in row.layers],
        "kind": [layer.kind or NONE for layer in row.layers],
        "neurons or outputs": [count_text(layer.outputs) for layer in row.layers],
        "weights": [count_text(layer.weights) for layer in row.layers],
        "weight bits": [count_text(layer.bits) for layer in row.layers],
        "spikes": [count_text(layer.spikes) for layer in row.layers],
        "synaptic events": [count_text(layer.events) for layer in row.layers],
        "MACs": [count_text(layer.macs) for layer in row.layers],
        "marginal energy": [layer_meter(layer, total) for layer in row.layers],
    }
    kept = {name: cells for name, cells in columns.items() if any(c != NONE for c in cells)}
    text = [index for index, name in enumerate(kept) if name in ("node", "kind")]
    return table("Layers, per inference", list(kept), list(zip(*kept.values())), text=text)


def _use_table(uses: Sequence[Use]) -> Markup:
    """Cores down, resources across, the fullest cores first."""
    resources = list(dict.fromkeys(use.resource for use in uses))
    by_core: dict[str, dict[str, Use]] = {}
    for use in uses:
        by_core.setdefault(use.component, {})[use.resource] = use
    fullest = sorted(by_core, key=lambda core: -max(map(_filled, by_core[core].values())))
    kept = set(fullest[:CORES_SHOWN])
    rows = [
        (core, *(_use_cell(found.get(name)) for name in resources))
        for core, found in by_core.items()
        if core in kept
    ]
    shown = table("Utilisation of cores and memories", ["", *resources], rows)
    rest = fullest[CORES_SHOWN:]
    if not rest:
        return shown
    most = max(_filled(use) for core in rest for use in by_core[core].values())
    line = f"{len(rest):,} more, none of them filled above {share_text(most)} in any resource."
    return join([shown, element("p", {"class": "soft small"}, line)])


def _use_cell(use: Use | None) -> str:
    if use is None:
        return NONE
    share = _filled(use)
    text = f"{quantity_text(use.used, use.unit)} / {quantity_text(use.limit, use.unit)}"
    label = f"{use.component}, {use.resource}: {share_text(share)} of the limit"
    return join([text, meter(share, label)])


def _filled(use: Use) -> float:
    return use.used / use.limit if use.limit else float(use.used > 0)


def _wait_table(row: Row) -> Markup:
    cells = [
        (
            wait.component,
            wait.engine,
            time_text(wait.busy_s),
            time_text(wait.bound_s),
            share_text(wait.bound_s / row.time_s if row.time_s else 0.0),
        )
        for wait in row.waits
    ]
    heads = ("component", "engine", "busy", "all wait for it", "of the time")
    return table("Where the time goes, per inference", heads, cells, text=(0, 1))


def _bill_table(row: Row) -> Markup:
    lines = sorted(row.bill, key=lambda line: (line.part == "static", -line.total_j))
    total = math.fsum(line.total_j for line in lines)
    cells = [
        (
            f"{line.component} {line.action}".strip(),
            energy_text(line.total_j),
            share_text(line.total_j / total if total else 0.0),
            energy_text(line.low_j),
            energy_text(line.high_j),
            line_count(line),
            line_price(line),
            _confidence(line),
            line.source or NONE,
        )
        for line in lines
    ]
    heads = (
        "component, action", "energy", "share", "low", "high", "count", "each", "confidence",
        "source",
    )  # fmt: skip
    sums = (
        "total",
        energy_text(total),
        share_text(1.0) if total else NONE,
        energy_text(math.fsum(line.low_j for line in lines)),
        energy_text(math.fsum(line.high_j for line in lines)),
        "",
        "",
        "",
        "",
    )
    bill = table("The bill, per inference", heads, cells, text=(0, 7, 8), total=sums)
    return join([bill, _sources(row)])


def _confidence(line: BillLine) -> Markup:
    kind = "tag assumed" if line.confidence == "assumed" else "tag"
    return element("span", {"class": kind}, line.confidence or NONE)


def _sources(row: Row) -> Markup:
    """The works behind the prices, and what the prices leave out."""
    used = dict.fromkeys(line.source for line in row.bill)
    items = [
        join([element("b", None, key), f" – {row.sources[key]}"])
        for key in used
        if key in row.sources
    ]
    items += [
        join([element("b", None, f"{line.component} {line.action}"), f" – {line.note}"])
        for line in row.bill
        if line.note
    ]
    if not items:
        return join([])
    lines = [element("li", None, item) for item in items]
    return element("ul", {"class": "small soft"}, *lines)


def _excluded_table(row: Row) -> Markup:
    cells = [(each.item, each.why or NONE, count_text(each.count)) for each in row.excluded]
    return table("Counted, but not priced", ("what", "why", "count"), cells, text=(0, 1))
