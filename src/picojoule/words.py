"""Words of readable text that is parsed back: names, numbers, shapes, logical lines, checksums.

One logical line is one thing; a backslash at its end continues it; `#` starts a comment.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

WIDTH = 100
BARE = re.compile(r"[A-Za-z0-9_.:/+@-]+")
WORD = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"#\\])+')
COMMENT = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^"#])*)')
WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def word(text: str) -> str:
    """A name as one word: bare where it can be, else in quotes."""
    return text if BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def name(text: str) -> str:
    """The inverse of `word`.  Raises ValueError."""
    if not text.startswith('"'):
        return text
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError(f"{text} is not a name") from None
    return str(found)


def shape_word(shape: Iterable[int]) -> str:
    """A shape as one word: [3,5]."""
    return "[" + ",".join(str(n) for n in shape) + "]"


def shape(text: str) -> tuple[int, ...]:
    """The inverse of `shape_word`.  Raises ValueError."""
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"{text} is not a shape such as [3,5]")
    return tuple(whole(n) for n in text[1:-1].split(",") if text != "[]")


def whole(text: str) -> int:
    """An integer.  Raises ValueError."""
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text} is not an integer")
    return int(text)


def real(text: str) -> float:
    """A finite number.  Raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{text} is not a finite number")
    return value


def checksum(array: np.ndarray) -> str:
    """CRC-32 of the elements, row-major and little-endian, as 8 hexadecimal digits."""
    packed = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return f"{zlib.crc32(packed.tobytes()):08x}"


def wrapped(head: str, pieces: Iterable[str], comment: str = "") -> Iterator[str]:
    """Pieces after a head, two spaces apart, continued on further lines where they are many."""
    line, empty = head, True
    for piece in pieces:
        if len(line) + len(piece) + 4 > WIDTH and not empty:
            yield line + " \\"
            line, empty = " " * 6, True
        line, empty = f"{line}  {piece}", False
    yield line + comment


@dataclass
class Line:
    """One logical line: the words not read yet, and where it began."""

    number: int
    words: list[str]

    def take(self, what: str) -> str:
        """The next word.  Raises ValueError when there is none; `what` says what is missing."""
        if not self.words:
            raise ValueError(f"{what} is missing")
        return self.words.pop(0)

    def peek(self) -> str:
        """The next word, or nothing."""
        return self.words[0] if self.words else ""

    def expect(self, keyword: str) -> None:
        """Read exactly this word.  Raises ValueError."""
        found = self.take(f"'{keyword}'")
        if found != keyword:
            raise ValueError(f"expected '{keyword}', found '{found}'")

    def skip(self, keyword: str) -> bool:
        """Read this word if it is the next one."""
        found = self.peek() == keyword
        if found:
            self.words.pop(0)
        return found

    def end(self) -> None:
        """Raises ValueError when words are left."""
        if self.words:
            raise ValueError(f"unexpected '{self.words[0][:40]}'")


def lines(text: str) -> Iterator[Line]:
    """Logical lines that are not empty.  Raises nothing: bad characters become bad words."""
    start, parts = 0, []
    for number, physical in enumerate(text.split("\n"), 1):
        found = COMMENT.match(physical)
        code = found[1].rstrip() if found else ""
        start = start or number
        parts.append(code.removesuffix("\\"))
        if code.endswith("\\"):
            continue
        words = [w for part in parts for w in _words(part)]
        if words:
            yield Line(start, words)
        start, parts = 0, []
    words = [w for part in parts for w in _words(part)]
    if words:
        yield Line(start, words)


def _words(code: str) -> list[str]:
    found = WORD.findall(code)
    rest = WORD.sub("", code).strip()
    return [*found, *([rest] if rest else [])]
