"""A JSON object whose members are read as what they must be. It knows no program's answers and repairs none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pgwrap.domain.wal import Lsn
from pgwrap.records import dataclass

_NOTHING: Mapping[str, object] = {}


class WrongField(ValueError):
    """A member is missing or of another kind; the message has its place and what it should be, never its value."""


@dataclass(slots=True)
class Fields:
    """A JSON object with its place in the answer. Each reader raises WrongField; the optional ones give None for null
    and for what is missing."""

    within: Fields | None
    """The object that it is part of; None: `name` says where it stands."""
    name: str
    values: Mapping[str, object]
    index: int | None = None
    """Where it stands in the list called `name`."""

    @property
    def place(self) -> str:
        """Such as `info[0].backup[3].lsn`; worked out when something is wrong, for there are very many."""
        here = self.name if self.index is None else f"{self.name}[{self.index}]"
        return here if self.within is None else f"{self.within.place}.{here}"

    def wrong(self, key: str, wanted: str) -> WrongField:
        """The error for a member that is not `wanted`."""
        return WrongField(f"{self.place}.{key} is not {wanted}")

    def text(self, key: str) -> str:
        """A text, be it empty."""
        value = self.optional_text(key)
        if value is None:
            raise self.wrong(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text or None."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def integer(self, key: str) -> int:
        """A whole number."""
        value = self.optional_integer(key)
        if value is None:
            raise self.wrong(key, "a whole number")
        return value

    def optional_integer(self, key: str) -> int | None:
        """A whole number or None."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.wrong(key, "a whole number")
        return value

    def optional_number(self, key: str) -> float | None:
        """Any number or None."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self.wrong(key, "a number")
        return None if value is None else float(value)

    def optional_flag(self, key: str) -> bool | None:
        """True, false or None."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def optional_lsn(self, key: str) -> Lsn | None:
        """A WAL position written as text, or None."""
        text = self.optional_text(key)
        try:
            return None if text is None else Lsn.parse(text)
        except ValueError as error:
            raise self.wrong(key, "a WAL position") from error

    def epoch(self, key: str) -> datetime:
        """Whole seconds since 1970."""
        seconds = self.integer(key)
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise self.wrong(key, "a time") from error

    def optional_moment(self, key: str) -> datetime | None:
        """An ISO time as aware UTC, or None."""
        text = self.optional_text(key)
        try:
            return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.wrong(key, "a time") from error

    def child(self, key: str) -> Fields:
        """An object; an empty one when it is missing, but not for null."""
        value = self.values.get(key, _NOTHING)
        if type(value) is not dict:
            raise self.wrong(key, "an object")
        return Fields(self, key, value)

    def children(self, key: str) -> Iterator[Fields]:
        """The objects of a list; none when it is missing, but null is no list."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        for index, entry in enumerate(value):
            if type(entry) is not dict:
                raise self.wrong(f"{key}[{index}]", "an object")
            yield Fields(self, key, entry, index)

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a list; none when it is null or missing."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(key, "a list of texts")
        return tuple(self._is_text(key, item) for item in value)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """The members of an object that holds texts alone."""
        return tuple((name, self._is_text(key, value)) for name, value in self.child(key).values.items())

    def _is_text(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.wrong(key, "made of texts")
        return value


def fields_of(value: object, place: str) -> Fields:
    """The object that `value` is; WrongField when it is none."""
    if not isinstance(value, dict):
        raise WrongField(f"{place} is not an object")
    return Fields(None, place, value)
