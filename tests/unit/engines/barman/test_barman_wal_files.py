"""Set arithmetic on ranges of segments agrees with plain sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.wal import Segment, SegmentRange, Timeline, ranges_of, ranges_of_names, without
from pgwrap.engines.barman.wal_files import compared, parse_files

segments = st.frozensets(st.builds(Segment, st.integers(1, 3).map(Timeline), st.integers(0, 30)))


def members(ranges: tuple[SegmentRange, ...]) -> set[Segment]:
    """Every segment of the ranges."""
    return {Segment(run.timeline, number) for run in ranges for number in range(run.first, run.last + 1)}


@given(whole=segments, taken=segments)
def test_taking_ranges_away_is_set_difference(whole: frozenset[Segment], taken: frozenset[Segment]) -> None:
    """Whatever overlaps, and on several timelines."""
    rest = tuple(without(ranges_of(whole), ranges_of(taken)))

    assert ranges_of(whole - taken) == rest


@given(listed=segments, files=segments)
def test_a_comparison_divides_the_list(listed: frozenset[Segment], files: frozenset[Segment]) -> None:
    """Present and lost make up the list; what is unlisted is on disk alone."""
    comparison = compared(ranges_of(listed), ranges_of(files))

    assert listed & files == members(comparison.present)
    assert listed - files == members(comparison.lost)
    assert members(comparison.unlisted) <= files - listed


def test_only_segments_count_among_the_files() -> None:
    """History, partial and backup files lie beside them."""
    text = (
        "/w/0000000100000000/000000010000000000000001\n/w/0000000100000000/000000010000000000000002.partial\n"
        "/w/0000000100000000/000000010000000000000003.00000028.backup\n/w/0000000100000000/000000010000000000000FFF\n"
    )

    assert (SegmentRange(Timeline(1), 1, 1),) == parse_files(text, 16 << 20)


@given(segments=segments, size=st.sampled_from([1 << 20, 16 << 20, 1 << 30]))
def test_runs_of_names_are_runs_of_segments(segments: frozenset[Segment], size: int) -> None:
    """The lean way and the plain one agree, at every segment size."""
    assert ranges_of(segments) == ranges_of_names([segment.name(size) for segment in segments], size)
