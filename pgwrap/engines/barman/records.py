"""Typed reading of JSON objects, so that nothing past a parser meets a dict. It knows no command and no option.

A value that is missing, null or of another type reads as None: Barman leaves out and renames fields between versions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime

from pgwrap.domain.wal import Lsn
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object. `diagnose --show-config-source` wraps each option as {value, source}; both shapes read alike."""

    values: Mapping[str, object] = field(default_factory=dict, repr=False)

    def raw(self, key: str) -> object:
        """The bare value; None when there is none."""
        value = self.values.get(key)
        if isinstance(value, dict) and value.keys() == {"value", "source"}:
            return value["value"]
        return value

    def text(self, key: str) -> str | None:
        """A text that is not empty."""
        value = self.raw(key)
        return value if isinstance(value, str) and value else None

    def integer(self, key: str) -> int | None:
        """A whole number, also one written as text or as a float without a fraction."""
        number = self.number(key)
        return int(number) if number is not None and number == int(number) else None

    def number(self, key: str) -> float | None:
        """A finite number, also one written as text ("1795346827")."""
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def boolean(self, key: str) -> bool | None:
        """True or false, never a guess from another type."""
        value = self.raw(key)
        return value if isinstance(value, bool) else None

    def moment(self, key: str) -> datetime | None:
        """An ISO time with a zone, as aware UTC; None for Barman's other form, a local ctime without zone."""
        try:
            moment = datetime.fromisoformat(self.text(key) or "")
        except ValueError:
            return None
        return moment.astimezone(UTC) if moment.tzinfo is not None else None

    def epoch(self, key: str) -> datetime | None:
        """Seconds since 1970 (number or text) as aware UTC."""
        seconds = self.number(key)
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, ValueError, OSError):
            return None

    def lsn(self, key: str) -> Lsn | None:
        """A WAL position."""
        try:
            return Lsn.parse(self.text(key) or "")
        except ValueError:
            return None

    def record(self, key: str) -> Record:
        """The object at `key`; an empty one when there is none."""
        value = self.values.get(key)
        return Record(value) if isinstance(value, dict) else Record()

    def items(self) -> Iterator[tuple[str, Record]]:
        """Every member that is an object, with its name."""
        for key, value in self.values.items():
            if isinstance(value, dict):
                yield key, Record(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list; what is not text is left out."""
        value = self.raw(key)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def records(self, key: str) -> tuple[Record, ...]:
        """The objects of a list."""
        value = self.raw(key)
        return tuple(Record(item) for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
