"""What may stand in a name or any other text of the spec, so that no value can become a line of a native file.

It reads no YAML and knows no word.
"""

from __future__ import annotations

import re

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that no value may hold: one of them could add a line to a native file."""

LONGEST_NAME = 128
"""Bytes: a name becomes a file and a directory with something added."""


def name_fault(text: str) -> str | None:
    """Why `text` cannot name a cluster, repository, stanza or server; None when it can."""
    if not text.strip():
        return "must not be empty"
    if text != text.strip():
        return "must not begin or end with a space"
    if text in {".", ".."} or text.startswith("-"):
        return "must not be . or .. or begin with -"
    bad = next((character for character in text if character in "/[]=" or CONTROL.match(character)), None)
    if bad is not None:
        return f"must not hold {bad!r}"
    return f"is longer than {LONGEST_NAME} bytes" if len(text.encode()) > LONGEST_NAME else None
