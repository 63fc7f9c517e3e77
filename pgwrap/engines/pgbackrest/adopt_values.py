"""Which values of pgBackRest's have a word in the spec that means exactly them. It reads no file.

The spec's own rules are stricter than pgBackRest's; a value that they refuse stays a native option.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from pgwrap.domain.adoption import DraftValue, Words
from pgwrap.domain.model import Path
from pgwrap.engines.pgbackrest.layers import Given
from pgwrap.engines.pgbackrest.native_values import UNITS_OF_TIME
from pgwrap.engines.pgbackrest.stanza import size
from pgwrap.engines.port import EngineVersion

_HOST = re.compile(r"[^\s\-@/\[\]][^\s@/\[\]]*")
_ACCOUNT = re.compile(r"[^\s\-:@/][^\s:@/]*")
_DAYS = 36_500
_LONGEST_NAME = 128

Convert = Callable[[tuple[str, ...]], DraftValue]
"""From the values as written; None: no word means them."""


def flag(values: tuple[str, ...]) -> DraftValue:
    """y and n."""
    return {"y": True, "n": False}.get(values[0])


def text(values: tuple[str, ...]) -> DraftValue:
    """Any text that a line can hold."""
    value = values[0]
    return value if value.strip() and is_plain(value) else None


def texts(values: tuple[str, ...]) -> DraftValue:
    """A list."""
    return tuple(values) if all(text((value,)) is not None for value in values) else None


def path(values: tuple[str, ...]) -> DraftValue:
    """An absolute path."""
    value = values[0]
    return value if value.startswith("/") and "//" not in value and text(values) is not None else None


def host(values: tuple[str, ...]) -> DraftValue:
    """A host's name or address."""
    return values[0] if _HOST.fullmatch(values[0]) and is_plain(values[0]) else None


def account(values: tuple[str, ...]) -> DraftValue:
    """A user of an operating system."""
    return values[0] if _ACCOUNT.fullmatch(values[0]) and is_plain(values[0]) else None


def number(low: int, high: int) -> Convert:
    """A whole number within the spec's own limits."""

    def convert(values: tuple[str, ...]) -> DraftValue:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", values[0]):
            return None
        return int(values[0]) if low <= int(values[0]) <= high else None

    return convert


def choice(words: Mapping[str, str]) -> Convert:
    """One of a few, each with its word."""
    return lambda values: words.get(values[0])


def days(least: int) -> Convert:
    """A number of days."""

    def convert(values: tuple[str, ...]) -> DraftValue:
        count = number(least, _DAYS)(values)
        return None if count is None else f"{count}d"

    return convert


def amount(values: tuple[str, ...]) -> DraftValue:
    """A size in the greatest unit that divides it."""
    match = re.fullmatch(r"([0-9]{1,16})(?:([kmgtp])(?:i?b)?|b)?", values[0], re.IGNORECASE)
    if match is None:
        return None
    found = int(match[1]) << (10 * "bkmgtp".index((match[2] or "b").lower()))
    return size(found) if found <= 4 << 50 else None


def duration(version: EngineVersion) -> Convert:
    """Whole seconds, as this version counts them."""

    def convert(values: tuple[str, ...]) -> DraftValue:
        match = re.fullmatch(r"([0-9]{1,9})(s|m|h|d|w)?", values[0], re.IGNORECASE)
        if match is None:
            return None
        factors = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
        unit = (match[2] or "s").lower() if version >= UNITS_OF_TIME else "s"
        seconds = int(match[1]) * factors[unit]
        return f"{seconds}s" if seconds else None

    return convert


def is_plain(value: str) -> bool:
    """Whether the spec takes the text at all: no control characters, no breaks of lines."""
    return not any(unicodedata.category(one) == "Cc" or one in "\u2028\u2029" for one in value)


def native(given: Given) -> DraftValue:
    """The values as an option of `options:`, whole numbers without quotes."""
    values = tuple(_plain(value) for value in given.values)
    return values[0] if len(values) == 1 else values


def _plain(value: str) -> DraftValue:
    return int(value) if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else value


def name_fits(name: str) -> bool:
    """Whether the spec takes it as the name of a cluster or a stanza."""
    return (
        bool(name.strip())
        and name == name.strip()
        and name not in {".", ".."}
        and not name.startswith("-")
        and not any(one in "/[]=:" for one in name)
        and is_plain(name)
        and len(name.encode()) <= _LONGEST_NAME
    )


def put(words: Words, where: Path, value: DraftValue) -> None:
    """Set a word below others, which are made where they are missing."""
    *above, last = where
    for one in above:
        inner = words.setdefault(one, {})
        if not isinstance(inner, dict):
            raise TypeError(f"{one} is no mapping")
        words = inner
    words[last] = value
