"""docs/costs.md prints the prices that the hardware models hold."""

from pathlib import Path

from picojoule import units
from picojoule.target import load, names

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
START, END = "<!-- prices -->\n", "<!-- end of prices -->"


def band(low, high, unit):
    return "" if low == high else f"{units.format(low, unit)} to {units.format(high, unit)}"


def provenance(number):
    other = f"; band {number.band_source}" if number.band_source else ""
    return f"{number.source}, {number.confidence}{other}"


def price_rows(machine):
    yield f"**{machine.name}**\n"
    yield "| action | energy | band | time | band | engine | source |"
    yield "|---|---|---|---|---|---|---|"
    for p in machine.prices.values():
        action = f"{p.component} `{p.action}`"
        if p.excluded:
            yield f"| {action} | excluded | | | | | {p.note} |"
            continue
        yield (
            f"| {action} | {units.format(p.energy_j, 'J')} | "
            f"{band(p.energy_low_j, p.energy_high_j, 'J')} | {units.format(p.time_s, 's')} | "
            f"{band(p.time_low_s, p.time_high_s, 's')} | {p.engine} | {provenance(p)} |"
        )
    for term in machine.static_terms:
        yield (
            f"| static `{term.name}` | {units.format(term.power_w, 'W')} | "
            f"{band(term.low_w, term.high_w, 'W')} | | | | {provenance(term)} |"
        )
    yield ""


def expected():
    return "\n".join(line for name in names() for line in price_rows(load(name)))


def test_the_page_holds_every_price(request):
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    shown, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(before + START + expected() + "\n" + END + after, encoding="utf-8")
        shown = expected() + "\n"
    assert shown == expected() + "\n", "run with --update-golden"
