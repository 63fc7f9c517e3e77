"""Durations and sizes: what is read, what is refused, and that both ways agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwrap.spec.quantities import (
    QuantityError,
    format_duration,
    format_size,
    parse_days,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5min", 300),
        ("26h", 93_600),
        ("14d", 1_209_600),
        ("1d12h", 129_600),
        ("2 weeks", 1_209_600),
        ("1h 30min", 5400),
        ("90s", 90),
    ],
)
def test_durations_are_whole_numbers_with_units(text: str, seconds: int) -> None:
    """Every unit with a fixed length."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("300", "unit"),
        ("1.5h", "whole number"),
        ("1:30", "whole number"),
        ("-1d", "whole number"),
        ("", "whole number"),
        ("2 months", "31d"),
        ("1y", "31d"),
        ("5m", "min"),
        ("5 fortnights", "use s"),
        ("12h1d", "1d12h"),
        ("1h1h", "1d12h"),
        ("99999999999999999999d", "smaller"),
        ("99999999d", "shorter"),
    ],
)
def test_other_durations_are_refused_with_a_way_out(text: str, hint: str) -> None:
    """Never a guess at what was meant."""
    with pytest.raises(QuantityError) as caught:
        parse_duration(text)

    assert hint in caught.value.hint


def test_a_window_is_whole_days() -> None:
    """Both engines count days."""
    assert 14 == parse_days("2 weeks")
    with pytest.raises(QuantityError, match="not a whole number of days"):
        parse_days("36h")


@pytest.mark.parametrize(
    ("text", "size"),
    [("16MB", 16 << 20), ("512MiB", 512 << 20), ("1 GB", 1 << 30), ("8kB", 8192), ("5B", 5), ("4PiB", 4 << 50)],
)
def test_sizes_are_powers_of_1024_as_in_postgresql(text: str, size: int) -> None:
    """16MB is PostgreSQL's segment."""
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["16", "16M", "1.5GB", "-1MB", "16mb", "99999999999999999999B", "9PiB", ""])
def test_other_sizes_are_refused(text: str) -> None:
    """A size without a clear unit is no size."""
    with pytest.raises(QuantityError):
        parse_size(text)


def test_a_rate_is_a_size_a_second() -> None:
    """With or without saying so."""
    assert (10 << 20, 10 << 20) == (parse_rate("10MiB/s"), parse_rate("10MiB"))


@settings(deadline=None)
@given(st.integers(0, 100 * 365 * 86_400))
def test_durations_round_trip(seconds: int) -> None:
    """What is formatted is read back."""
    assert seconds == parse_duration(format_duration(seconds))


@settings(deadline=None)
@given(st.integers(0, 4 << 50))
def test_sizes_round_trip(size: int) -> None:
    """What is formatted is read back, to the byte."""
    assert size == parse_size(format_size(size))
