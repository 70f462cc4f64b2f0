"""Reports on the terminal: golden texts, widths, and text that could steer a terminal."""

import io
from dataclasses import replace

import pytest
import report_samples as samples

from picojoule.report import Report
from picojoule.report.numbers import count_text, share_text
from picojoule.report.text import show, to_text


@pytest.mark.parametrize("width", [80, 120])
def test_golden_report(golden, width):
    golden(f"report.{width}.txt", to_text(samples.full(), width))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_too_wide(width):
    report = samples.full()
    assert max(map(len, to_text(report, width).splitlines())) <= width


def test_no_word_of_a_cell_is_cut_off_at_80_columns():
    text = to_text(samples.full(), 80)
    assert "…" not in text
    for word in ("synaptic events", "weight memory", "fine-tuned"):
        assert word in text


def test_every_number_of_a_row_is_there():
    text = to_text(samples.full(), 200)
    for piece in (
        "97.2 %",
        "86.1 %",
        "39.2 %",
        "95.3 %",
        "41,230",
        "18,560",
        "743",
        "18.4 µs",
        "9.43 µJ",
        "1.91 µJ",
        "20.4 KiB",
    ):
        assert piece in text


def test_missing_pieces():
    text = to_text(samples.bare(), 80)
    assert "not checked" in text and "1.00 µJ" in text
    assert "no rows" in to_text(Report(title="t", rows=()), 80)


def test_spread_over_seeds():
    report = samples.full()
    spread = samples.Accuracy(deployed=0.004)
    row = replace(report.rows[0], spread=spread, seeds=5)
    assert "96.9 ± 0.4 %" in to_text(replace(report, rows=(row,)), 100)


def test_colour_only_when_asked():
    assert "\x1b[" not in to_text(samples.full(), 80)
    assert "\x1b[" in to_text(samples.full(), 80, color=True)


def test_names_cannot_steer_the_terminal():
    row = replace(samples.full().rows[0], network="[red]a\x1b[2J\nb", notes=("\x07[/]",))
    text = to_text(Report(title="\x1b]0;t", rows=(row,)), 120)
    assert "\x1b" not in text and "\x07" not in text
    assert text.count("[red]a") == 3 and "[/]" in text  # ladder, cost, note


def test_a_terminal_without_unicode(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show(samples.full(), file)
    file.seek(0)
    assert "9.43 uJ" in file.read()


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.9999, "> 99.9 %"),
        (1e-9, "< 0.1 %"),
        (None, "–"),
    ],
)
def test_shares(value, text):
    assert share_text(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (7, "7"),
        (12.25, "12.2"),
        (0.003, "0.003"),
        (1234.5, "1,234"),
        (9_999_999, "9,999,999"),
        (12_345_678, "12.3 M"),
        (None, "–"),
    ],
)
def test_counts(value, text):
    assert count_text(value) == text
