"""The host's time zone, as the C library finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgwrap.system.zone import local_zone

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "hours"),
    [("Europe/Berlin", 2), ("UTC", 0), (":/usr/share/zoneinfo/America/New_York", -4), ("No/Where", 0), ("../etc", 0)],
)
def test_the_zone_that_is_named(name: str, hours: int) -> None:
    """By its name or its file; UTC for what is neither."""
    assert timedelta(hours=hours) == SUMMER.astimezone(local_zone(name)).utcoffset()


def test_the_host_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is named, the host's own."""
    monkeypatch.delenv("TZ", raising=False)
    assert SUMMER.astimezone(local_zone()).utcoffset() is not None
