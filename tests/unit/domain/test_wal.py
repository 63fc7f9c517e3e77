"""WAL arithmetic: names, positions, ranges and histories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.wal import (
    SEGMENT_SIZES,
    Ancestor,
    Ancestry,
    Lsn,
    Segment,
    SegmentRange,
    Timeline,
    gaps_between,
    is_segment_name,
    ranges_of,
    segment_size_from,
)

SIZES = st.sampled_from(SEGMENT_SIZES)
POSITIONS = st.integers(0, 2**64 - 1).map(Lsn)
TIMELINES = st.integers(1, 2**32 - 1).map(Timeline)
SEGMENTS = st.builds(Segment, st.integers(1, 3).map(Timeline), st.integers(0, 40))


@given(POSITIONS)
def test_position_survives_its_text(position: Lsn) -> None:
    """A position written and read again is the same."""
    assert position == Lsn.parse(str(position))


@given(POSITIONS, TIMELINES, SIZES)
def test_segment_name_survives_at_every_size(position: Lsn, timeline: Timeline, size: int) -> None:
    """The segment that holds a position has a name that leads back to it."""
    segment = Segment.holding(timeline, position, size)
    name = segment.name(size)

    assert segment == Segment.parse(name, size)
    assert is_segment_name(name)
    assert segment.start(size) <= position < segment.start(size) + size


@pytest.mark.parametrize("size", SEGMENT_SIZES)
def test_names_carry_over_at_the_32_bit_boundary(size: int) -> None:
    """The last segment of one log id is followed by the first of the next."""
    last = Segment.holding(Timeline(1), Lsn(2**32 - 1), size)
    following = Segment(last.timeline, last.number + 1)

    assert f"0000000100000000{2**32 // size - 1:08X}" == last.name(size)
    assert following.name(size) == "000000010000000100000000"
    assert str(following.start(size)) == "1/0"


@given(SIZES)
def test_name_past_the_last_of_its_size_is_refused(size: int) -> None:
    """A name that no cluster of that segment size could have is an error, not a wrong number."""
    with pytest.raises(ValueError, match="cannot exist"):
        Segment.parse(f"0000000100000000{2**32 // size:08X}", size)


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "G/0", "0/123456789", "0/0 ", "-1/0"])
def test_text_that_is_no_position_is_refused(text: str) -> None:
    """Only PostgreSQL's own notation is read."""
    with pytest.raises(ValueError, match="not a WAL position"):
        Lsn.parse(text)


@pytest.mark.parametrize(
    "name", ["", "00000001000000000000000", "00000001000000000000000g", "000000010000000000000001.partial"]
)
def test_text_that_is_no_segment_is_refused(name: str) -> None:
    """A partial, history or lower-case name is no complete segment."""
    with pytest.raises(ValueError, match="not a WAL segment name"):
        Segment.parse(name, 1 << 24)


def test_segment_size_follows_from_a_position_and_its_name() -> None:
    """At 64 MB the 4th GB-quarter ends at 3F; only one size fits a high position."""
    position = Lsn.parse("7/FC000028")

    assert segment_size_from(position, Segment.holding(Timeline(1), position, 64 << 20).name(64 << 20)) == 64 << 20
    assert segment_size_from(Lsn(40), "000000010000000000000000") is None


@given(st.lists(SEGMENTS))
def test_ranges_hold_exactly_their_segments(segments: list[Segment]) -> None:
    """Ranges neither lose nor invent a segment, and never touch each other."""
    ranges = ranges_of(segments)
    held = {Segment(part.timeline, number) for part in ranges for number in range(part.first, part.last + 1)}

    assert set(segments) == held
    assert sorted(ranges) == list(ranges)


@given(st.lists(SEGMENTS))
def test_gaps_are_what_ranges_leave_out(segments: list[Segment]) -> None:
    """Ranges and the gaps between them together are unbroken on every timeline."""
    ranges = ranges_of(segments)
    gaps = tuple(gaps_between(ranges))
    both = [Segment(part.timeline, n) for part in (*ranges, *gaps) for n in range(part.first, part.last + 1)]

    assert len({s.timeline for s in segments}) == len(ranges_of(both))
    assert len(set(both)) == len(both)


def test_range_knows_what_it_holds() -> None:
    """Membership respects both ends and the timeline."""
    part = SegmentRange(Timeline(1), 3, 5)

    assert len(part) == 3
    assert part.covers(Segment(Timeline(1), 3), Segment(Timeline(1), 5))
    assert not part.covers(Segment(Timeline(1), 2), Segment(Timeline(1), 5))
    assert Segment(Timeline(2), 4) not in part


def test_empty_range_is_refused() -> None:
    """A range that ends before it begins is an error."""
    with pytest.raises(ValueError, match="empty range"):
        SegmentRange(Timeline(1), 5, 4)


def test_history_file_is_read() -> None:
    """Comments, blank lines and reasons are skipped; the order is kept."""
    text = "# a comment\n1\t0/3000000\tno recovery target specified\n\n2\t0/5000110\tbefore 2026-11-22 11:00\n"
    expected = (Ancestor(Timeline(1), Lsn(0x3000000)), Ancestor(Timeline(2), Lsn(0x5000110)))

    ancestry = Ancestry.parse(Timeline(3), text)

    assert expected == ancestry.ancestors
    assert ancestry.timelines() == (1, 2, 3)


@pytest.mark.parametrize("text", ["1\n", "x 0/0 reason\n", "1 nowhere reason\n"])
def test_broken_history_file_is_refused(text: str) -> None:
    """A history that cannot be read is an error, not a shorter history."""
    with pytest.raises(ValueError):  # noqa: PT011  # three messages, one meaning
        Ancestry.parse(Timeline(2), text)
