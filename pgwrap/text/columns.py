"""Text measured and broken by the columns that a terminal gives it. It knows nothing of what the text says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def columns(text: str) -> int:
    """How many terminal columns `text` takes: wide characters two, combining ones and colours none."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_columns(character) for character in _COLOUR.sub("", text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, its middle left out when it is longer: both ends of a name tell it apart."""
    if columns(text) <= width:
        return text
    room = max(width - 1, 0)
    tail = _fitting(text[::-1], room // 2)[::-1]
    head = _fitting(text, room - columns(tail))
    return f"{head}{ELLIPSIS}{tail}" if width > 0 else ""


def _fitting(text: str, width: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:place]
    return text


def wrap(text: str, width: int, *, first: str = "", rest: str = "") -> tuple[str, ...]:
    """Lines of at most `width` columns, broken at spaces where possible; `first` and `rest` begin them.

    At least 8 columns are left for text, whatever the width and the indentation are.
    """
    lines: list[str] = []
    line, used = first, False
    for word in _words(text, max(width - max(columns(first), columns(rest)), 8)):
        if used and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, used = rest, False
        line, used = f"{line} {word}" if used else f"{line}{word}", True
    return (*lines, line.rstrip())


def _words(text: str, limit: int) -> Iterator[str]:
    for word in text.split(" "):
        left = word
        while columns(left) > limit:
            piece = _fitting(left, limit)
            yield piece
            left = left[len(piece) :]
        yield left
