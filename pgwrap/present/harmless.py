"""Text from engines and authors made safe to show: no control codes, markup, formulas. It drops no visible word."""

from __future__ import annotations

import re
import unicodedata

_BLANK = re.compile(r"\s+")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder text, cannot be encoded or have no agreed look."""
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~#!(){}$]")
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a cell for a formula, in half and full width."""


def harmless(text: str) -> str:
    """`text` on one line: runs of white space as a space, everything invisible as a visible escape (`\\x1b`)."""
    folded = _BLANK.sub(" ", text).strip()
    return visible(folded)


def visible(text: str) -> str:
    """`text` with everything invisible as a visible escape, line breaks too; blanks stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markdown(text: str) -> str:
    """`text` as the content of a Markdown cell or line, with its punctuation taken literally."""
    escaped = _MARKDOWN.sub(lambda match: f"\\{match[0]}", harmless(text))
    return re.sub(r"&(?=[#\w])", "&amp;", escaped)


def nagios(text: str) -> str:
    """`text` in a plugin's output, where a bar would begin the performance data."""
    return harmless(text).replace("|", "/")


def spreadsheet(text: str) -> str:
    """`text` as a CSV cell that no spreadsheet evaluates: what looks like a formula gets an apostrophe in front."""
    cell = harmless(text)
    return f"'{cell}" if cell[:1] in _FORMULA else cell
