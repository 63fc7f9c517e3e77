"""Moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.moments import postgres_time, read_moment
from pgwrap.errors import Refused, UsageError

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25 10:00:00+00", datetime(2026, 11, 25, 10, tzinfo=UTC)),
        ("2026-11-25 10:00:00.25+01", datetime(2026, 11, 25, 9, 0, 0, 250000, tzinfo=UTC)),
        ("2026-11-25 10:00-05:30", datetime(2026, 11, 25, 15, 30, tzinfo=UTC)),
        ("2026-11-25T10:00:00Z", datetime(2026, 11, 25, 10, tzinfo=UTC)),
        ("10 minutes ago", NOW - timedelta(minutes=10)),
        ("1 hour ago", NOW - timedelta(hours=1)),
        ("2d ago", NOW - timedelta(days=2)),
        ("90 s ago", NOW - timedelta(seconds=90)),
    ],
)
def test_a_time_with_its_zone_is_one_moment(text: str, expected: datetime) -> None:
    """Offsets as PostgreSQL and as RFC 3339 write them, and times counted back from now."""
    assert expected == read_moment(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["2026-11-25 10:00", "2026-11-25", "2026-11-25T10:00:00"])
def test_a_time_without_a_zone_is_refused_with_both_readings(text: str) -> None:
    """The host's own reading is an hour off, and is said to be."""
    with pytest.raises(Refused) as caught:
        read_moment(text, NOW, BERLIN)
    assert "names no time zone" in caught.value.message
    assert "+00'" in caught.value.hint
    assert "+01'" in caught.value.hint


def test_where_the_host_keeps_utc_there_is_one_reading() -> None:
    """Nothing is gained by saying the same twice."""
    with pytest.raises(Refused) as caught:
        read_moment("2026-11-25 10:00", NOW, UTC)
    assert caught.value.hint == "in UTC it is '2026-11-25 10:00:00+00': say which"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01 00:00+00", "10 fortnights ago", "ago"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    """With what a time looks like."""
    with pytest.raises(UsageError):
        read_moment(text, NOW, UTC)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is drawn
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_what_postgresql_is_given_is_the_same_moment(naive: datetime, minutes: int) -> None:
    """To the microsecond, whatever the zone was."""
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment == read_moment(postgres_time(moment), NOW, BERLIN)
