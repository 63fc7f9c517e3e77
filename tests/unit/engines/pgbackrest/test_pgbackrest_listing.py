"""Reading `repo-ls` of an archive, on genuine answers."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.wal import Segment, SegmentRange, Timeline, ranges_of, ranges_of_names
from pgwrap.engines.pgbackrest.listing import fits, listings_from
from pgwrap.errors import OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import VERSIONS, recorded

SIXTEEN = 16 << 20


def test_complete_segments_are_told_from_the_rest() -> None:
    """`.partial`, `.backup` and `.history` files are no segments, and both timelines are listed."""
    listing = listings_from(recorded("2.45", "repo_ls_archive_whole.json"))[0]
    assert ("15-1", 13, (Timeline(2),)) == (listing.archive, len(listing.segments), listing.histories)
    assert "00000001000000000000000A" not in listing.segments


@pytest.mark.parametrize("version", VERSIONS)
def test_a_removed_segment_is_a_gap(version: str) -> None:
    """The run of timeline 1 is broken where segment 5 was removed."""
    listing = listings_from(recorded(version, "repo_ls_archive_1.json"))[0]
    first, second = ranges_of_names(listing.segments, SIXTEEN)[:2]
    assert (SegmentRange(Timeline(1), 2, 4), SegmentRange(Timeline(1), 6, 9)) == (first, second)


def test_the_newest_timeline_with_segments_is_the_one_to_read() -> None:
    """Its history file tells where every earlier timeline was left."""
    listing = listings_from(recorded("2.60.0", "repo_ls_archive_2.json"))[0]
    assert Timeline(2) == listing.newest_history()


def test_an_absent_stanza_lists_nothing() -> None:
    """`repo-ls` of a path that does not exist succeeds."""
    assert () == listings_from(b'{".":{"type":"path"}}')


def test_an_empty_archive_is_listed_as_empty() -> None:
    """Its directory is there without a segment."""
    listing = listings_from(b'{".":{"type":"path"},"17-2":{"type":"path"}}')[0]
    assert ("17-2", (), None) == (listing.archive, listing.segments, listing.newest_history())


def test_several_archives_are_kept_apart() -> None:
    """After an upgrade the same segment name may exist in both."""
    name = "0000000100000000/000000010000000000000001-" + "a" * 40
    entries = {f"{archive}/{name}.{kind}": {"type": "file", "size": 1, "time": 5} for archive, kind in _UPGRADED}
    listings = listings_from(json.dumps(entries).encode())
    assert ["15-1", "17-2", "9.6-1"] == [listing.archive for listing in listings]
    assert [1, 1, 1] == [len(listing.segments) for listing in listings]


_UPGRADED = [("15-1", "gz"), ("17-2", "zst"), ("9.6-1", "lz4")]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"x":', b'{"x":{"size":"big"}}', b'{"x":[1]}', b'{"type":"path"}', b"ERROR: [055]: no"]
)
def test_nonsense_is_refused(answer: bytes) -> None:
    """What no version prints is OutputNotUnderstood."""
    with pytest.raises(OutputNotUnderstood):
        listings_from(answer)


@given(st.integers(min_value=1, max_value=2500))
def test_a_truncated_listing_is_refused(length: int) -> None:
    """Half a listing would show gaps that are none."""
    with pytest.raises(OutputNotUnderstood):
        listings_from(recorded("2.45", "repo_ls_archive_whole.json")[:length])


@given(
    st.sets(st.tuples(st.integers(1, 3), st.integers(0, 60)), max_size=60),
    st.sampled_from([1 << 20, SIXTEEN, 64 << 20, 1 << 30]),
)
def test_ranges_from_names_are_those_of_the_segments(numbers: set[tuple[int, int]], size: int) -> None:
    """The lean way gives what the domain's own gives, at every segment size."""
    segments = [Segment(Timeline(timeline), number) for timeline, number in numbers]
    assert ranges_of(segments) == ranges_of_names(sorted(segment.name(size) for segment in segments), size)


def test_names_of_smaller_segments_do_not_fit() -> None:
    """With 1 MiB segments names reach beyond what 16 MiB allows."""
    assert not fits(["000000010000000000000100"])
    assert fits(["0000000100000000000000FF"])


def test_a_hundred_thousand_segments_stay_small() -> None:
    """The listing is reduced while it is read: the peak is a small multiple of its text."""
    entry = '"15-1/{0:016X}/{0:016X}{1:08X}-' + "a" * 40 + '.gz":{{"type":"file","size":16384,"time":1795420118}}'
    names = (entry.format((1 << 32) + number // 256, number % 256) for number in range(100_000))
    text = ("{" + ",".join(names) + "}").encode()
    tracemalloc.start()
    listing = listings_from(text)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 100_000 == len(listing.segments)
    assert peak < 4 * len(text)
