"""Durations, sizes and moments as people read them. The same everywhere.

It rounds for the eye; exact figures are the JSON's.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

NOT_KNOWN = "?"
"""Shown where the engine does not tell."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SPANS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float | None) -> str:
    """The two largest units of `seconds`: 42s, 12m5s, 3h12m, 3d2h; `?` for None."""
    if seconds is None or not math.isfinite(seconds):
        return NOT_KNOWN
    sign = "-" if seconds <= -1 else ""
    left = int(abs(seconds))
    for place, (span, unit) in enumerate(_SPANS[:-1]):
        if left >= span:
            next_span, next_unit = _SPANS[place + 1]
            rest = left % span // next_span
            return f"{sign}{left // span}{unit}" + (f"{rest}{next_unit}" if rest else "")
    return f"{sign}{left}s"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago `moment` was; negative when it is still to come; `?` for None."""
    return duration(None if moment is None else (now - moment).total_seconds())


def size(count: int | None) -> str:
    """A count of bytes in binary units: 512 B, 38.2 MiB; `?` for None."""
    if count is None:
        return NOT_KNOWN
    amount = float(count)
    for unit in _UNITS:
        if abs(amount) < 1023.95 or unit == _UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit takes every size")


def moment(time: datetime | None) -> str:
    """A time in UTC to the second, such as `2026-11-22 11:13:36Z`; `?` for None."""
    return NOT_KNOWN if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def minute(time: datetime) -> str:
    """A time in UTC to the minute, for a column with little room."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def window(start: datetime, end: datetime) -> str:
    """From one moment to another to the minute; the end leaves out the year or day that the start has said."""
    first, last = minute(start), minute(end)
    if first[:10] == last[:10]:
        return f"{first} → {last[11:]}"
    return f"{first} → {last[5:] if first[:4] == last[:4] else last}"
