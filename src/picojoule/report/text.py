"""Reports for the terminal: the accuracy ladder, and the cost of each row."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO

from picojoule.report.data import BillLine, Report, Row
from picojoule.report.numbers import (
    NONE,
    clean,
    count_text,
    energy_text,
    quantity_text,
    share_text,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

LABEL_WIDTH = 19  # the first column of the cost table
COLUMN_WIDTH = 18  # one row of the report in it, with its padding
LABELS = (
    "cores",
    "neurons",
    "weights",
    "weight memory",
    "spikes",
    "packets",
    "synaptic events",
    "MACs",
    "cycles",
    "time",
    "energy",
    "  marginal",
    "  static",
    "  host I/O",
    "  low end",
    "  high end",
    "  assumed prices",
)
PLAIN = {"µ": "u", "–": "-", "·": "-", "×": "x", "→": "->", "≥": ">="}


def to_text(report: Report, width: int = 100, color: bool = False) -> str:
    """The report as text, at most `width` columns wide; `color` adds terminal colours."""
    return _printed(render(report, width), width, color)


def show(report: Report, file: TextIO | None = None) -> None:
    """Print the report: in colour on a terminal that has it, in ASCII where it must be."""
    import sys

    from rich.console import Console

    file = file or sys.stdout
    console = Console(file=file)
    width = max(console.width, 60)
    text = to_text(report, width, bool(console.is_terminal and not console.no_color))
    file.write(encodable(text, getattr(file, "encoding", None) or "utf-8"))


def encodable(text: str, encoding: str) -> str:
    """The text with plainer characters where the encoding does not have them."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        plain = "".join(PLAIN.get(c, c) for c in text)
        return plain.encode("ascii", "replace").decode("ascii")
    return text


def render(report: Report, width: int = 100) -> RenderableType:
    """The report as rich renderables, laid out for `width` columns."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(clean(report.title), style="bold")]
    if not report.rows:
        return Group(*parts, Text("no rows"))
    parts += [Text(), ladder_table(report.rows)]
    parts += [part for table in _cost_tables(report.rows, width) for part in (Text(), table)]
    parts += [part for row in report.rows for t in health_tables(row) for part in (Text(), t)]
    parts += [Text(f"\nnote: {clean(note)}", style="dim") for note in _notes(report)]
    return Group(*parts)


def ladder_table(rows: Sequence[Row]) -> Table:
    """Accuracy from floating point to the deployed program, one line a row of the report."""
    table = _table("Accuracy")
    table.add_column("network\ntarget, bits", overflow="fold")
    for name in ("float", "quantized", "fine-tuned", "deployed", "outputs\ndiffering"):
        table.add_column(name, justify="right", vertical="bottom")
    for row in rows:
        bits = bits_text(row).replace(" (", "\n(", 1)
        name = f"{clean(row.network)}\n{clean(row.target)}, {bits}"
        table.add_row(name, *ladder_cells(row), mismatch_text(row))
    return table


def ladder_cells(row: Row) -> tuple[str, str, str, str]:
    """The four shares of a row, with their spread where there are several seeds."""
    spread = row.spread
    texts = []
    for name in ("float", "ptq", "qat", "deployed"):
        text = share_text(getattr(row.accuracy, name))
        deviation = getattr(spread, name) if spread else None
        texts.append(
            text if deviation is None else text.replace(" %", f" ± {100 * deviation:.1f} %")
        )
    return texts[0], texts[1], texts[2], texts[3]


def mismatch_text(row: Row) -> str:
    """How many output integers of trainer and program differ."""
    return "not checked" if row.mismatched_outputs is None else f"{row.mismatched_outputs:,}"


def bits_text(row: Row) -> str:
    """Bits of weights, with the row's note: `4 bits (input 8)`."""
    unit = "bit" if row.bits == 1 else "bits"
    note = f" ({clean(row.bits_note)})" if row.bits_note else ""
    return f"{row.bits} {unit}{note}"


def cost_cells(row: Row) -> dict[str, str]:
    """What a row occupies and costs, by label; labels without meaning for the row are absent."""
    counts = row.counts
    numbers = (
        counts.cores,
        counts.neurons,
        counts.weights,
        None,
        counts.spikes,
        counts.packets,
        counts.events,
        counts.macs,
        counts.cycles,
    )
    energies = (row.energy_j, row.marginal_j, row.static_j, row.io_j, row.low_j, row.high_j)
    texts = [
        *(count_text(number) for number in numbers),
        time_text(row.time_s),
        *(energy_text(energy) for energy in energies),
        share_text(row.assumed_share),
    ]
    cells = dict(zip(LABELS, texts, strict=True))
    cells["weight memory"] = quantity_text(counts.weight_bytes, "B")
    if row.excluded and not row.io_j:
        cells["  host I/O"] = "excluded"  # 0 J would read as free
    return {label: text for label, text in cells.items() if text != NONE}


def cost_table(rows: Sequence[Row]) -> Table:
    """What each row occupies and what one inference costs, one column a row of the report."""
    table = _table("Cost of one inference")
    table.add_column("", no_wrap=True, min_width=LABEL_WIDTH)
    for row in rows:
        head = f"{clean(row.network)}\n{clean(row.target)}\n{bits_text(row)}"
        table.add_column(
            head, justify="right", overflow="fold", vertical="bottom", min_width=COLUMN_WIDTH - 2
        )
    cells = [cost_cells(row) for row in rows]
    for label in labels(cells):
        style = "bold" if label in ("energy", "time") else ""
        table.add_row(label, *(each.get(label, NONE) for each in cells), style=style)
    return table


def health_tables(row: Row) -> list[Table]:
    """Statistics of layers and of gradients; none where they were not measured."""
    found = []
    for kind, (heads, cells) in health_cells(row).items():
        if not cells:
            continue
        table = _table(f"{kind}: {clean(row.network)} on {clean(row.target)}, {bits_text(row)}")
        table.add_column(heads[0], overflow="fold")
        for head in heads[1:]:
            table.add_column(head, justify="right", vertical="bottom")
        for each in cells:
            table.add_row(*each)
        found.append(table)
    return found


def health_cells(row: Row) -> dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Heads and cells of the tables of layers and of gradients."""
    layers = [
        (clean(h.node), f"{h.mean:.3g}", f"{h.deviation:.3g}", *map(
            share_text, (h.zero, h.dead, h.saturated)))
        for h in row.health
    ]  # fmt: skip
    gradients = [
        (clean(g.parameter), f"{g.norm:.3g}", f"{g.ratio:.3g}", share_text(g.zero))
        for g in row.gradients
    ]
    return {
        "Layers": (("layer", "mean", "deviation", "zero", "dead or silent", "saturated"), layers),
        "Gradients": (("parameter", "norm", "of its size", "zero"), gradients),
    }


def line_count(line: BillLine) -> str:
    """The count of a bill line; seconds in a static one."""
    return quantity_text(line.count, "s" if line.part == "static" else "")


def line_price(line: BillLine) -> str:
    """The price of one count of a bill line; watts in a static one."""
    return quantity_text(line.each_j, "W" if line.part == "static" else "J")


def _cost_tables(rows: Sequence[Row], width: int) -> list[Table]:
    """The cost table, cut into as many as `width` needs."""
    each = max((width - LABEL_WIDTH) // COLUMN_WIDTH, 1)
    pieces = -(-len(rows) // each)
    each = -(-len(rows) // pieces)  # 5 rows where 4 fit: 3 and 2, not 4 and 1
    return [cost_table(rows[start : start + each]) for start in range(0, len(rows), each)]


def labels(cells: Sequence[dict[str, str]]) -> list[str]:
    """Labels that any column has, in the order of `cost_cells`."""
    return [label for label in LABELS if any(label in each for each in cells)]


def _notes(report: Report) -> list[str]:
    notes = [*report.notes]
    for row in report.rows:
        notes += [f"{row.network} on {row.target}, {bits_text(row)}: {note}" for note in row.notes]
    return notes


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        header_style="bold",
        padding=(0, 1, 0, 0),
    )


def _printed(content: RenderableType, width: int, color: bool) -> str:
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        color_system="standard" if color else None,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        legacy_windows=False,
        emoji=False,
        markup=False,
    )
    console.print(content)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
