"""Durations and sizes as the spec writes them, to seconds and bytes and back. It knows no word of the spec."""

from __future__ import annotations

import re

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

_DURATION_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours"), HOUR),
    **dict.fromkeys(("d", "day", "days"), DAY),
    **dict.fromkeys(("w", "week", "weeks"), WEEK),
}
_CALENDAR_UNITS = {"M", "mon", "month", "months", "y", "year", "years"}
_PART = re.compile(r"([0-9]+) ?([A-Za-z]+)")
_DURATION = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*")

_SIZE_UNITS = {
    "B": 1,
    **dict.fromkeys(("kB", "KB", "KiB"), 1 << 10),
    **dict.fromkeys(("MB", "MiB"), 1 << 20),
    **dict.fromkeys(("GB", "GiB"), 1 << 30),
    **dict.fromkeys(("TB", "TiB"), 1 << 40),
    **dict.fromkeys(("PB", "PiB"), 1 << 50),
}
_SIZE = re.compile(r"([0-9]+) ?([A-Za-z]+)")
_LONGEST = 100 * 365 * DAY
_LARGEST = 4 << 50


class QuantityError(ValueError):
    """The text is no duration or size; `hint` says what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_duration(text: str) -> int:
    """Seconds in `5min`, `26h`, `1d12h` or `2 weeks`: whole numbers with units, the largest unit first."""
    if not _DURATION.fullmatch(text):
        raise QuantityError(
            f"{text!r} is not a duration", "write a whole number with its unit, such as 5min, 26h or 14d"
        )
    parts = [(_whole(number), _duration_unit(unit)) for number, unit in _PART.findall(text)]
    units = [unit for _, unit in parts]
    if units != sorted(set(units), reverse=True):
        raise QuantityError(f"{text!r} repeats a unit or puts a smaller one first", "write it as in 1d12h")
    seconds = sum(number * unit for number, unit in parts)
    if seconds > _LONGEST:
        raise QuantityError(f"{text!r} is longer than a hundred years", "write a shorter duration")
    return seconds


def _duration_unit(unit: str) -> int:
    if unit in _CALENDAR_UNITS:
        raise QuantityError(f"{unit!r} has no fixed length", "write days, such as 31d")
    if unit == "m":
        raise QuantityError("'m' could be minutes or months", "write min, or days")
    if unit not in _DURATION_UNITS:
        raise QuantityError(f"{unit!r} is not a unit of time", "use s, min, h, d or w")
    return _DURATION_UNITS[unit]


def _whole(digits: str) -> int:
    if len(digits) > 18:
        raise QuantityError("the number is absurdly large", "write a smaller number")
    return int(digits)


def parse_days(text: str) -> int:
    """Days in `14d` or `2 weeks`; a duration that is no whole number of days is refused."""
    seconds = parse_duration(text)
    if seconds % DAY:
        raise QuantityError(f"{text!r} is not a whole number of days", "write days or weeks, such as 14d")
    return seconds // DAY


def parse_size(text: str) -> int:
    """Bytes in `512MiB`, `16MB` or `100 GiB`. As in PostgreSQL, kB, MB, GB and TB are powers of 1024 too."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is not a size", "write a whole number with its unit, such as 16MB or 10GiB")
    if match[2] not in _SIZE_UNITS:
        raise QuantityError(f"{match[2]!r} is not a unit of size", "use B, kB, MB, GB, TB, or KiB, MiB, GiB, TiB")
    size = _whole(match[1]) * _SIZE_UNITS[match[2]]
    if size > _LARGEST:
        raise QuantityError(f"{text!r} is larger than 4 PiB", "write a smaller size")
    return size


def parse_rate(text: str) -> int:
    """Bytes per second in `10MiB/s`; the `/s` may be left out."""
    return parse_size(text.removesuffix("/s").rstrip())


def format_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads back, such as `1d12h`."""
    parts = []
    for letters, unit in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1)):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count}{letters}")
    return "".join(parts) or "0s"


def format_size(size: int) -> str:
    """The shortest exact text that `parse_size` reads back, such as `512MiB`."""
    for letters in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        unit = _SIZE_UNITS[letters]
        if size and size % unit == 0:
            return f"{size // unit}{letters}"
    return f"{size}B"
