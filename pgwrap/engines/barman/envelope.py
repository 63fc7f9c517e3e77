"""Barman's way of wrapping what it says: JSON after stray lines, messages beside data, passwords in messages.

It interprets no command's content.
"""

from __future__ import annotations

import json
import re

from pgwrap.engines.barman.records import Record
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass

_PASSWORD = re.compile(r"(password\s*=\s*)(?:\*REDACTED\*)?(?:'(?:[^'\\]|\\.)*(?:'|$)|\S*)", re.IGNORECASE)
"""Barman's own masking takes a quoted password for an empty one and leaves it behind its mark."""
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_OBJECT = re.compile(r"^\s*\{", re.MULTILINE)
_EXCERPT = 120
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """The lists that `-f json` puts beside the data (barman/output.py, JsonOutputWriter), without passwords."""

    errors: tuple[str, ...] = ()
    """`_ERROR` and `_EXCEPTION`: part of the answer, or all of it, is missing."""
    warnings: tuple[str, ...] = ()
    information: tuple[str, ...] = ()


def redacted(text: str) -> str:
    """`text` without the passwords of connection strings; Barman's JSON and some of its errors show them."""
    return _URL_PASSWORD.sub(r"\1*REDACTED*@", _PASSWORD.sub(r"\1*REDACTED*", text))


def read_object(text: str, decoder: json.JSONDecoder = _DECODER) -> Record:
    """The JSON object in `text`, whatever lines stand before it; OutputNotUnderstood when there is no whole one."""
    start = _OBJECT.search(text)
    if start is None:
        raise OutputNotUnderstood(f"Barman answered without JSON: {excerpt(text)}")
    try:
        value, _ = decoder.raw_decode(text, start.end() - 1)
    except (ValueError, RecursionError) as error:
        raise OutputNotUnderstood(f"Barman's JSON cannot be read: {error}") from error
    return Record(value)


def messages_of(envelope: Record) -> Messages:
    """What Barman said beside its data."""
    return Messages(
        errors=redacted_all(envelope.texts("_EXCEPTION") + envelope.texts("_ERROR")),
        warnings=redacted_all(envelope.texts("_WARNING")),
        information=redacted_all(envelope.texts("_INFO")),
    )


def console_messages(stderr: str) -> Messages:
    """The same from the console form, which writes them to stderr one a line with their level in front."""
    lines = [redacted(line.strip()) for line in stderr.splitlines()]
    return Messages(
        errors=tuple(text for line in lines if (text := _after(line, "ERROR:", "EXCEPTION:", "CRITICAL:", "FATAL:"))),
        warnings=tuple(text for line in lines if (text := _after(line, "WARNING:"))),
    )


def excerpt(text: str) -> str:
    """The first line that says something, cut short and without passwords, for an error message."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "nothing")
    return redacted(line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…")


def _after(line: str, *levels: str) -> str | None:
    for level in levels:
        if line.startswith(level):
            return line.removeprefix(level).strip()
    return None


def redacted_all(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each of them once, without passwords."""
    return tuple(dict.fromkeys(redacted(text) for text in texts))
