"""Spans as words of a listing."""

from __future__ import annotations

from picojoule.program.plain import parse_span
from picojoule.program.program import Span
from picojoule.words import name, word


def span_word(span: Span) -> str:
    """A span as one word: w0[0:256]."""
    return f"{word(span.region)}[{span.start}:{span.stop}]"


def span(text: str) -> Span:
    """The inverse of `span_word`.  Raises ValueError."""
    head, bracket, rest = text.rpartition("[")
    found = parse_span(f"x{bracket}{rest}") if head else parse_span(text)
    return Span(name(head), found.start, found.stop)
