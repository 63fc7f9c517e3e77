"""Barman's WAL list held against the files themselves: the list (xlog.db) does not notice a lost file.

It reads no file: `find` lists them on Barman's host. Layout (barman/xlog.py, hash_dir): WALS/first 16 digits/segment.
"""

from __future__ import annotations

from pgwrap.domain.wal import SegmentRange, greatest_ending, is_segment_name, ranges_of_names, without
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What list and disk have in common, and where they differ."""

    present: tuple[SegmentRange, ...]
    """Listed and on disk: what a restore can use."""
    lost: tuple[SegmentRange, ...]
    """Listed, but not on disk."""
    unlisted: tuple[SegmentRange, ...]
    """On disk between listed ones, but not listed: Barman would not copy it in a restore."""


def parse_files(text: str, segment_size: int) -> tuple[SegmentRange, ...]:
    """The segments among the paths that `find` printed; names impossible at `segment_size` (bytes) are no segments."""
    last = greatest_ending(segment_size)
    names = (line.rpartition("/")[2] for line in text.splitlines())
    return ranges_of_names((name for name in names if is_segment_name(name) and name[16:] <= last), segment_size)


def compared(listed: tuple[SegmentRange, ...], files: tuple[SegmentRange, ...]) -> Comparison:
    """Files newer or older than the whole list are left aside: archiving and retention go on while pgwrap looks."""
    unlisted = [part for part in without(files, listed) if _within(part, listed)]
    lost = tuple(without(listed, files))
    return Comparison(present=tuple(without(listed, lost)), lost=lost, unlisted=tuple(unlisted))


def _within(part: SegmentRange, listed: tuple[SegmentRange, ...]) -> bool:
    same = [run for run in listed if run.timeline == part.timeline]
    return bool(same) and same[0].first < part.first and part.last < same[-1].last
