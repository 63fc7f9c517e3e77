"""Barman's index of WAL files tells what `sync-info` tells."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.wal import Segment, SegmentRange, Timeline, ranges_of
from pgwrap.engines.barman.parse import parse_wal_list
from pgwrap.engines.barman.xlogdb import parse_index
from pgwrap.errors import OutputNotUnderstood

SIZE = 16 << 20
LINE = "000000010000000000000001\t16\t1795346734.8163157\tgzip\n"

Recording = Callable[[str], str]
segments = st.lists(st.builds(Segment, st.integers(1, 3).map(Timeline), st.integers(0, 600)))
columns = st.sampled_from(["", "\tNone", "\tgzip", "\tNone\tNone", "\tzstd\tgpg"])


@pytest.mark.parametrize("version", ["3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1"])
def test_the_recorded_index_gives_what_barman_said(recording: Recording, version: str) -> None:
    """As far as it went when Barman was asked; by then it ended at `last_name`."""
    said = recording(f"{version}/43_sync_info.out")
    last, answer = json.loads(said)["last_name"], parse_wal_list(said, None)
    lines = [line for line in recording(f"{version}/xlog.db").splitlines(keepends=True) if line[:24] <= last]

    listed = parse_index("".join(line for line in lines if line >= (answer.minimum or "")), SIZE)

    assert (answer.ranges, answer.minimum, answer.maximum, answer.newest_at) == (
        listed.ranges,
        listed.minimum,
        listed.maximum,
        listed.newest_at,
    )


def test_a_deletion_leaves_a_hole_in_the_index(recording: Recording) -> None:
    """The kept backup's WAL, and that of the backups after the deleted one."""
    listed = parse_index(recording("3.20.1/xlog.db"), SIZE)

    assert (SegmentRange(Timeline(1), 0x06, 0x06), SegmentRange(Timeline(1), 0x0B, 0x13)) == listed.ranges


@given(segments=segments, rest=columns)
def test_every_shape_of_line_is_read(segments: list[Segment], rest: str) -> None:
    """Three columns, four or (3.14+) five, beside history files, which are no segments."""
    names = ["00000002.history", *(segment.name(SIZE) for segment in segments)]
    text = "".join(f"{name}\t16777216\t1795346734.5{rest}\n" for name in names)

    assert ranges_of(segments) == parse_index(text, SIZE).ranges


@given(cut=st.integers(0, len(LINE) - 1))
def test_a_line_that_is_being_written_does_not_count(cut: int) -> None:
    """No lock is taken, so the last one may be half there."""
    second = LINE.replace("01\t", "02\t")[:cut]

    assert parse_index(LINE, SIZE) == parse_index(LINE + second, SIZE)


def test_wal_older_than_every_backup_is_there(recording: Recording) -> None:
    """`sync-info` leaves it out; it is on disk all the same, and retention removes it."""
    listed = parse_index(recording("3.20.1/xlog.db"), SIZE)
    older = parse_index(LINE + recording("3.20.1/xlog.db"), SIZE)

    assert (SegmentRange(Timeline(1), 1, 1), *listed.ranges) == older.ranges


@pytest.mark.parametrize(
    "text",
    ["nonsense\n", "\n", "a\tb\t1.0\n", "a\t1\tb\n", "a b c d e f\n", f"{'0' * 21}FFF\t1\t1.0\n", "\x00\ufffd\n"],
)
def test_another_text_is_not_understood(text: str) -> None:
    """Never a shorter list for an unreadable line."""
    with pytest.raises(OutputNotUnderstood):
        parse_index(LINE + text, SIZE)
