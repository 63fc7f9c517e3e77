"""Barman's WAL list held against the files themselves: `sync-info` reads xlog.db, which does not notice a lost file.

It reads no file: `find` lists them on Barman's host. Layout (barman/xlog.py, hash_dir): WALS/first 16 digits/segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pgwrap.domain.wal import SegmentRange, Timeline, is_segment_name


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
    last = _last_part(segment_size)
    names = (line.rpartition("/")[2] for line in text.splitlines())
    return ranges_of_names((name for name in names if is_segment_name(name) and name[16:] <= last), segment_size)


def ranges_of_names(names: Iterable[str], segment_size: int) -> tuple[SegmentRange, ...]:
    """The unbroken runs of segment names, in any order and with repeats; ValueError for one impossible at that size.

    What `wal.ranges_of` gives, without an object for each of perhaps hundreds of thousands of segments.
    """
    per_id, last = _per_id(segment_size), _last_part(segment_size)
    runs: list[tuple[int, int, int]] = []
    for name in sorted(set(names)):
        if name[16:] > last:
            raise ValueError(f"WAL segment {name} cannot exist with a segment size of {segment_size} bytes")
        timeline, number = int(name[:8], 16), int(name[8:16], 16) * per_id + int(name[16:], 16)
        if runs and runs[-1][0] == timeline and runs[-1][2] + 1 == number:
            runs[-1] = (timeline, runs[-1][1], number)
        else:
            runs.append((timeline, number, number))
    return tuple(SegmentRange(Timeline(timeline), first, final) for timeline, first, final in runs)


def compared(listed: tuple[SegmentRange, ...], files: tuple[SegmentRange, ...]) -> Comparison:
    """Files newer or older than the whole list are left aside: archiving and retention go on while pgwrap looks."""
    unlisted = [part for part in without(files, listed) if _within(part, listed)]
    lost = tuple(without(listed, files))
    return Comparison(present=tuple(without(listed, lost)), lost=lost, unlisted=tuple(unlisted))


def without(ranges: Iterable[SegmentRange], taken: Iterable[SegmentRange]) -> Iterator[SegmentRange]:
    """The parts of `ranges` that no range of `taken` holds; both sorted and without overlaps, as `ranges_of` makes."""
    removed = iter(taken)
    gap = next(removed, None)
    for whole in ranges:
        first = whole.first
        while gap is not None and _key(gap.timeline, gap.first) <= _key(whole.timeline, whole.last):
            if gap.timeline == whole.timeline and gap.last >= first:
                if gap.first > first:
                    yield SegmentRange(whole.timeline, first, gap.first - 1)
                first = gap.last + 1
                if gap.last > whole.last:
                    break
            gap = next(removed, None)
        if first <= whole.last:
            yield SegmentRange(whole.timeline, first, whole.last)


def _key(timeline: int, number: int) -> tuple[int, int]:
    return timeline, number


def _within(part: SegmentRange, listed: tuple[SegmentRange, ...]) -> bool:
    same = [run for run in listed if run.timeline == part.timeline]
    return bool(same) and same[0].first < part.first and part.last < same[-1].last


def _per_id(segment_size: int) -> int:
    return (1 << 32) // segment_size


def _last_part(segment_size: int) -> str:
    """The greatest last third of a segment's name at that size."""
    return f"{_per_id(segment_size) - 1:08X}"
