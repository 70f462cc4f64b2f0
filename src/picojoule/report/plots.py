"""The figures of the HTML report, as inline SVG in HTML.

Hand-made rather than drawn by a plotting library: positions are percentages, so figures fit any
width without shrinking their text; colours are CSS variables, so they follow the reader's
theme; and the same report gives the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from picojoule.report.data import BillLine, Layer, Raster, Row
from picojoule.report.markup import Markup, Value, element, join
from picojoule.report.numbers import band_text, count_text, energy_text, share_text
from picojoule.report.text import bits_text, ladder_cells

STAGES = (("float", "float"), ("ptq", "quantized"), ("qat", "fine-tuned"), ("deployed", "deployed"))
LANE = 26  # pixels from stage to stage of a ladder
COLORS = 7  # fills f0..f6; f6 is grey, for what is left over
STRIP_MIN, STRIP_ALL = 38, 300  # pixels: least height of a raster strip, height of all


@dataclass(frozen=True)
class Slice:
    """A part of an energy: `color` is an index of the fills, static parts are hatched."""

    name: str
    energy_j: float
    color: int
    static: bool


def ladder_figure(row: Row, low: float) -> Markup:
    """The accuracy of one row at its four stages; the axis runs from the share `low` to 1."""
    cells = ladder_cells(row)
    label = (
        "Accuracy of "
        + row_name(row)
        + ": "
        + ", ".join(f"{name} {cell}" for (_, name), cell in zip(STAGES, cells))
    )
    height = LANE * len(STAGES)
    drawing = element(
        "svg",
        {"role": "img", "aria-label": label, "height": height},
        *_ladder_grid(height),
        *_ladder_marks(row, low),
    )
    names = element("div", {"class": "names"}, *(element("span", None, n) for _, n in STAGES))
    values = element("div", {"class": "values"}, *(element("span", None, c) for c in cells))
    axis = element(
        "div",
        {"class": "axis", "aria-hidden": "true"},
        *(element("span", None, share_text(low + k * (1 - low) / 2, 0)) for k in range(3)),
    )
    body = element("div", {"class": "ladder"}, names, drawing, values, axis)
    return element("figure", None, _caption(row), body)


def ladder_low(rows: Sequence[Row]) -> float:
    """Where the ladders' common axis begins: a round share below every accuracy."""
    known = [
        getattr(row.accuracy, name)
        for row in rows
        for name, _ in STAGES
        if getattr(row.accuracy, name) is not None
    ]
    lowest = min(known, default=0.0)
    return max(math.floor((lowest - 0.02) * 5) / 5, 0.0)


def _ladder_grid(height: int) -> list[Markup]:
    return [
        element("line", {"class": "grid", "x1": f"{x}%", "x2": f"{x}%", "y1": 0, "y2": height})
        for x in (0, 25, 50, 75, 100)
    ]


def _ladder_marks(row: Row, low: float) -> list[Markup]:
    """A mark in the lane of each known stage, and lines from one to the next."""
    points = []
    for lane, (name, _) in enumerate(STAGES):
        share = getattr(row.accuracy, name)
        if share is not None:
            x = 100 * (share - low) / (1 - low) if low < 1 else 100.0
            points.append((name, x, LANE * lane + LANE / 2))
    links = [
        element(
            "line",
            {"class": "link", "x1": f"{a[1]:.2f}%", "y1": a[2], "x2": f"{b[1]:.2f}%", "y2": b[2]},
        )
        for a, b in pairwise(points)
    ]
    return links + [_mark(name, x, y) for name, x, y in points]


def _mark(name: str, x: float, y: float) -> Markup:
    """Stages differ in shape as well as in colour."""
    at: dict[str, Value] = {"x": f"{x:.2f}%", "y": y, "width": 1, "height": 1, "style": "width:1px"}
    shapes = {
        "float": element("circle", {"r": 5, "class": "paper", "stroke-width": 1.8}),
        "ptq": element("path", {"d": "M0-6.5L6.5 0L0 6.5L-6.5 0Z", "class": "f5"}),
        "qat": element("circle", {"r": 5.5, "class": "f0"}),
        "deployed": element(
            "rect", {"x": -5.5, "y": -5.5, "width": 11, "height": 11, "class": "ink"}
        ),
    }
    return element("svg", at, shapes[name])


def energy_figure(rows: Sequence[Row]) -> Markup:
    """Energy of an inference, all rows on one scale, with the band of the sources."""
    top = max((row.high_j or row.energy_j for row in rows), default=0.0) or 1.0
    bars = [_energy_bar(row, top) for row in rows]
    axis = element(
        "div",
        {"class": "axis", "aria-hidden": "true"},
        element("span", None, "0 J"),
        element("span", None, energy_text(top)),
    )
    caption = element(
        "figcaption",
        None,
        "Energy of one inference ",
        element("span", None, "– solid: marginal; hatched: static; line: band of the sources"),
    )
    return element("figure", None, caption, element("div", {"class": "bars"}, *bars, axis))


def _energy_bar(row: Row, top: float) -> Markup:
    slices = [Slice("marginal and host I/O", row.energy_j - (row.static_j or 0.0), 0, False)]
    if row.static_j:
        slices.append(Slice("static", row.static_j, 6, True))
    label = (
        f"{row_name(row)}: {energy_text(row.energy_j)}, of it static "
        f"{energy_text(row.static_j)}; band {band_text(row.low_j, row.high_j)}"
    )
    drawing = element(
        "svg",
        {"role": "img", "aria-label": label, "height": 24},
        *_stacked(slices, top, 16, 4),
        *_whisker(row, top),
    )
    head = element(
        "div",
        {"class": "head"},
        element("span", None, row_name(row)),
        element("b", None, energy_text(row.energy_j)),
    )
    return element("div", None, head, drawing)


def _whisker(row: Row, top: float) -> list[Markup]:
    if row.low_j is None or row.high_j is None:
        return []
    low, high = (f"{100 * end / top:.2f}%" for end in (row.low_j, row.high_j))
    return [
        element("line", {"class": "whisker", "x1": x1, "x2": x2, "y1": y1, "y2": y2})
        for x1, x2, y1, y2 in ((low, high, 12, 12), (low, low, 7, 17), (high, high, 7, 17))
    ]


def breakdown_figure(row: Row, colors: Mapping[str, int]) -> Markup:
    """Where the energy of one row goes: its whole, by component and action."""
    slices = energy_slices(row.bill, colors)
    label = f"Energy of {row_name(row)} by component: " + ", ".join(
        f"{part.name} {energy_text(part.energy_j)}" for part in slices
    )
    total = math.fsum(part.energy_j for part in slices) or 1.0
    drawing = element(
        "svg", {"role": "img", "aria-label": label, "height": 26}, *_stacked(slices, total, 26, 0)
    )
    items = [_legend_item(part, total) for part in slices]
    legend = element("ul", {"class": "legend"}, *items)
    return element(
        "figure",
        None,
        element("figcaption", None, "Energy by component and action"),
        drawing,
        legend,
    )


def _legend_item(part: Slice, total: float) -> Markup:
    swatch = element(
        "svg", {"height": 14, "aria-hidden": "true"}, *_stacked([part], part.energy_j or 1.0, 14, 0)
    )
    amount = f"{energy_text(part.energy_j)} · {share_text(part.energy_j / total)}"
    return element(
        "li",
        None,
        swatch,
        element("span", None, part.name),
        element("span", {"class": "soft"}, amount),
    )


def energy_colors(rows: Sequence[Row]) -> dict[str, int]:
    """A colour for each of the dearest lines of all rows of one target."""
    energies: dict[str, float] = {}
    for row in rows:
        for line in row.bill:
            if line.part != "static":
                energies[_line_name(line)] = energies.get(_line_name(line), 0.0) + line.total_j
    dear = sorted((name for name in energies if energies[name] > 0), key=lambda n: -energies[n])
    return {name: index for index, name in enumerate(dear[: COLORS - 1])}


def energy_slices(bill: Sequence[BillLine], colors: Mapping[str, int]) -> list[Slice]:
    """The lines of a bill that have a colour, the rest as one, static terms last."""
    slices = [
        Slice(_line_name(line), line.total_j, colors[_line_name(line)], False)
        for line in bill
        if line.part != "static" and _line_name(line) in colors
    ]
    slices.sort(key=lambda part: part.color)
    rest = math.fsum(
        line.total_j for line in bill if line.part != "static" and _line_name(line) not in colors
    )
    if rest:
        slices.append(Slice("all other actions", rest, COLORS - 1, False))
    return slices + [
        Slice(_line_name(line), line.total_j, COLORS - 1, True)
        for line in bill
        if line.part == "static"
    ]


def _line_name(line: BillLine) -> str:
    return f"{line.component} {line.action}".strip()


def _stacked(slices: Sequence[Slice], total: float, height: int, top: int) -> list[Markup]:
    """Rectangles one after the other, as percentages of `total`."""
    parts: list[Markup] = []
    x = 0.0
    for part in slices:
        width = 100 * part.energy_j / total
        box: dict[str, Value] = {
            "x": f"{x:.3f}%",
            "y": top,
            "width": f"{width:.3f}%",
            "height": height,
        }
        parts.append(
            element(
                "rect", {**box, "class": f"f{part.color} gap"}, element("title", None, part.name)
            )
        )
        if part.static:
            parts.append(
                element(
                    "svg",
                    {**box, "style": f"width:{width:.3f}%;overflow:hidden"},
                    _hatching(height),
                )
            )
        x += width
    return parts


def _hatching(height: int) -> Markup:
    """Slanted lines over whatever width the box has; a pattern would need an id."""
    lines = "".join(f"M{x} {height}l{height}-{height}" for x in range(-height, 1200, 7))
    return element("path", {"class": "hatch", "d": lines})


def meter(share: float, label: str) -> Markup:
    """A bar filled to a share 0..1."""
    width = f"{100 * min(share, 1.0):.2f}%"
    return element(
        "svg",
        {"class": "meter", "role": "img", "aria-label": label, "height": 6},
        element("rect", {"class": "faint", "width": "100%", "height": 6, "rx": 2}),
        element(
            "rect", {"class": "f0" if share < 1 else "f5", "width": width, "height": 6, "rx": 2}
        ),
    )


def layer_meter(layer: Layer, total_j: float) -> Markup:
    """A layer's energy as text with its share of a total as a bar."""
    if layer.energy_j is None:
        return join(["–"])
    share = layer.energy_j / total_j if total_j else 0.0
    return join([energy_text(layer.energy_j), meter(share, f"{share_text(share)} of the energy")])


def raster_figure(raster: Raster) -> Markup:
    """Spikes of one sample over time, a strip a layer, step to the right."""
    neurons = max(sum(p.stop - p.start for p in raster.populations), 1)
    strips = []
    for population in raster.populations:
        size = population.stop - population.start
        height = max(round(STRIP_ALL * size / neurons), STRIP_MIN)
        spikes = [s for s in raster.spikes if population.start <= s[1] < population.stop]
        dots = _dots(raster, population.start, size, height, spikes)
        label = f"Spikes of {population.name}: {count_text(len(spikes))} over {raster.steps} steps"
        drawing = element(
            "svg",
            {"role": "img", "aria-label": label, "height": height},
            element("rect", {"class": "faint", "width": "100%", "height": "100%"}),
            dots,
        )
        name = join(
            [
                element("b", None, population.name),
                element("br"),
                element(
                    "span",
                    {"class": "soft"},
                    f"{count_text(size)} rows · {count_text(len(spikes))} spikes",
                ),
            ]
        )
        strips.append(element("div", {"class": "strip"}, element("div", None, name), drawing))
    return element("figure", None, _raster_caption(raster), *strips, _raster_axis(raster))


def _dots(
    raster: Raster, start: int, size: int, height: int, spikes: Sequence[tuple[int, int]]
) -> Markup:
    """One dot a spike; strokes do not scale, so dots stay round at any width."""
    path = "".join(f"M{2 * step + 1} {2 * (neuron - start) + 1}h0" for step, neuron in spikes)
    box = f"0 0 {2 * raster.steps} {2 * max(size, 1)}"
    inner = element(
        "path",
        {
            "class": "dots",
            "d": path or "M0 0",
            "vector-effect": "non-scaling-stroke",
            "stroke-opacity": None if path else 0,
            "stroke-width": min(max(0.5 * height / max(size, 1), 2.4), 5.0),
        },
    )
    return element(
        "svg",
        {"viewBox": box, "preserveAspectRatio": "none", "height": "100%", "width": "100%"},
        inner,
    )


def _raster_caption(raster: Raster) -> Markup:
    of = f" of {raster.sample}" if raster.sample else ""
    shown = len(raster.spikes)
    thin = raster.total is not None and raster.total > shown
    note = f" – {count_text(shown)} of {count_text(raster.total)} spikes drawn" if thin else ""
    return element("figcaption", None, f"Spikes{of}", element("span", None, note))


def _raster_axis(raster: Raster) -> Markup:
    ends = ("step 0", f"step {raster.steps - 1}")
    axis = element(
        "div",
        {"class": "axis", "aria-hidden": "true"},
        *(element("span", None, end) for end in ends),
    )
    return element("div", {"class": "strip"}, axis)


def row_name(row: Row) -> str:
    """A row in words: `digits on loihi1, 8 bits`."""
    return f"{row.network} on {row.target}, {bits_text(row)}"


def _caption(row: Row) -> Markup:
    return element(
        "figcaption",
        None,
        row.network,
        element("span", None, f" on {row.target}, {bits_text(row)}"),
    )
