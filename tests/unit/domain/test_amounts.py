"""Durations, sizes and moments read well and never lie by more than they round."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.amounts import age, duration, moment, size, window


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (float("nan"), "?"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3600, "1h"),
        (93780, "1d2h"),
        (725, "12m5s"),
        (11520, "3h12m"),
        (86400, "1d"),
        (266400, "3d2h"),
        (-0.4, "0s"),
        (-90, "-1m30s"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    """The two largest units; a negative one keeps its sign."""
    assert text == duration(seconds)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (16 << 20, "16.0 MiB"),
        (1048575, "1.0 MiB"),
        (40055603, "38.2 MiB"),
        (-2048, "-2.0 KiB"),
        (2**80, "1048576.0 EiB"),
    ],
)
def test_size(count: int | None, text: str) -> None:
    """Binary units with one digit, bytes without."""
    assert text == size(count)


@given(st.integers(0, 2**62))
def test_size_is_short(count: int) -> None:
    """A size never takes more than ten columns."""
    assert len(size(count)) <= 10


def test_moment_is_utc() -> None:
    """Times say that they are UTC."""
    assert moment(datetime(2026, 11, 22, 11, 13, 36, 999999, tzinfo=UTC)) == "2026-11-22 11:13:36Z"


def test_an_age_before_its_time_is_negative() -> None:
    """A clock that runs ahead is not hidden."""
    now = datetime(2026, 11, 22, tzinfo=UTC)

    assert age(datetime(2026, 11, 22, 0, 5, tzinfo=UTC), now) == "-5m"


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (datetime(2026, 11, 22, 11, 13, tzinfo=UTC), "2026-11-22 01:00 → 11:13"),
        (datetime(2026, 11, 23, 11, 13, tzinfo=UTC), "2026-11-22 01:00 → 11-23 11:13"),
        (datetime(2027, 1, 3, 11, 13, tzinfo=UTC), "2026-11-22 01:00 → 2027-01-03 11:13"),
    ],
)
def test_window_says_the_year_and_day_once(end: datetime, text: str) -> None:
    """The end leaves out what the start has said."""
    assert text == window(datetime(2026, 11, 22, 1, tzinfo=UTC), end)
