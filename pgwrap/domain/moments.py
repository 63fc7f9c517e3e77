"""Moments as people type them, read into times with a zone. It reads no clock and guesses no zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from pgwrap.errors import Refused, UsageError

_AGO = re.compile(r"(\d+)\s*([a-z]+)\s+ago")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_SHORT = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORT_OFFSET = re.compile(r"([+-]\d\d)$")


def read_moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """`2026-11-25 10:00:00+01`, RFC 3339, or `10 minutes ago`, in UTC.

    `zone` is this host's: a time without one is Refused, with both readings. UsageError for what is no time.
    """
    words = " ".join(text.split())
    ago = _AGO.fullmatch(words.lower())
    if ago is not None:
        return now - timedelta(seconds=int(ago[1]) * _seconds(ago[2], text))
    try:
        moment = datetime.fromisoformat(_full_offset(words))
    except ValueError:
        raise UsageError(
            f"{text!r} is no time",
            hint="write it with its zone, such as '2026-11-25 10:00:00+00', or '10 minutes ago'",
        ) from None
    if moment.tzinfo is None:
        raise _without_zone(text, moment, zone)
    return moment.astimezone(UTC)


def postgres_time(moment: datetime) -> str:
    """A time as PostgreSQL and both engines take it, in UTC with the zone said: `2026-11-25 10:00:00.5+00`."""
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
    return f"{text}+00"


def _full_offset(text: str) -> str:
    """PostgreSQL's `+00` in the form that Python reads, where the text has a clock time."""
    return _SHORT_OFFSET.sub(r"\1:00", text) if ":" in text else text


def _seconds(unit: str, text: str) -> int:
    known = _SHORT.get(unit) or _UNITS.get(unit.removesuffix("s"))
    if known is None:
        raise UsageError(f"{text!r}: {unit!r} is no unit of time", hint="seconds, minutes, hours, days or weeks")
    return known


def _without_zone(text: str, moment: datetime, zone: tzinfo) -> Refused:
    universal, local = moment.replace(tzinfo=UTC), moment.replace(tzinfo=zone)
    readings = f"in UTC it is '{_with_offset(universal)}'"
    if local.utcoffset() != universal.utcoffset():
        readings += f", by this host's clock '{_with_offset(local)}', which is {postgres_time(local)}"
    return Refused(f"{text!r} names no time zone, and the wrong one would lose data", hint=f"{readings}: say which")


def _with_offset(moment: datetime) -> str:
    text = moment.isoformat(sep=" ")
    return text.removesuffix(":00") if text[-6] in "+-" and text.endswith(":00") else text
