"""WAL arithmetic: positions, segments, ranges, gaps and timeline ancestry. It reads no files and knows no engine.

Sources: PostgreSQL's src/include/access/xlog_internal.h (segment names), timeline.c (history files).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NewType

from pgwrap.records import dataclass

Timeline = NewType("Timeline", int)

_XLOG_ID = 1 << 32
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")
_LSN_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
SEGMENT_SIZES = tuple(1 << power for power in range(20, 31))
"""Every wal_segment_size initdb accepts: powers of two from 1 MB to 1 GB, in bytes."""
DEFAULT_SEGMENT_SIZE = 16 << 20


class Lsn(int):
    """A byte position in the WAL, written `X/Y` in hexadecimal."""

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read PostgreSQL's `pg_lsn` text; ValueError when it is not one."""
        match = _LSN_TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not a WAL position: {text!r}")
        return cls(int(match[1], 16) * _XLOG_ID + int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    __repr__ = __str__


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One WAL segment: `number` counts segments from position 0, so it depends on the segment size."""

    timeline: Timeline
    number: int

    @classmethod
    def parse(cls, name: str, size: int) -> Segment:
        """Read a 24-digit segment file name; ValueError when it is none, or impossible at that size."""
        if not _SEGMENT_NAME.fullmatch(name):
            raise ValueError(f"not a WAL segment name: {name!r}")
        per_id = _XLOG_ID // size
        low = int(name[16:], 16)
        if low >= per_id:
            raise ValueError(f"WAL segment {name} cannot exist with a segment size of {size} bytes")
        return cls(Timeline(int(name[:8], 16)), int(name[8:16], 16) * per_id + low)

    @classmethod
    def holding(cls, timeline: Timeline, lsn: Lsn, size: int) -> Segment:
        """The segment that holds the byte at `lsn`."""
        return cls(timeline, lsn // size)

    def name(self, size: int) -> str:
        """The file name PostgreSQL gives this segment."""
        high, low = divmod(self.number, _XLOG_ID // size)
        return f"{self.timeline:08X}{high:08X}{low:08X}"

    def start(self, size: int) -> Lsn:
        """The position of the segment's first byte."""
        return Lsn(self.number * size)


def is_segment_name(text: str) -> bool:
    """Whether `text` is shaped like a complete WAL segment's file name."""
    return _SEGMENT_NAME.fullmatch(text) is not None


def greatest_ending(segment_size: int) -> str:
    """The greatest last eight digits of a segment's name at that size; a name with greater ones cannot exist."""
    return f"{_XLOG_ID // segment_size - 1:08X}"


def segment_size_from(lsn: Lsn, name: str) -> int | None:
    """The segment size at which the segment `name` holds `lsn`; None when more than one size, or none, fits."""
    fitting = [size for size in SEGMENT_SIZES if _name_holds(name, lsn, size)]
    return fitting[0] if len(fitting) == 1 else None


def _name_holds(name: str, lsn: Lsn, size: int) -> bool:
    try:
        return Segment.parse(name, size).number == lsn // size
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, order=True)
class SegmentRange:
    """An unbroken run of segments of one timeline, both ends included."""

    timeline: Timeline
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"an empty range of segments: {self.first}..{self.last}")

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, segment: object) -> bool:
        return (
            isinstance(segment, Segment)
            and segment.timeline == self.timeline
            and self.first <= segment.number <= self.last
        )

    def covers(self, first: Segment, last: Segment) -> bool:
        """Whether every segment from `first` to `last` is here."""
        return first in self and last in self


def ranges_of(segments: Iterable[Segment]) -> tuple[SegmentRange, ...]:
    """The unbroken runs that `segments`, in any order and with repeats, form; sorted."""
    runs: list[SegmentRange] = []
    for segment in sorted(set(segments)):
        if runs and runs[-1].timeline == segment.timeline and runs[-1].last + 1 == segment.number:
            runs[-1] = SegmentRange(segment.timeline, runs[-1].first, segment.number)
        else:
            runs.append(SegmentRange(segment.timeline, segment.number, segment.number))
    return tuple(runs)


def ranges_of_names(names: Iterable[str], segment_size: int) -> tuple[SegmentRange, ...]:
    """The unbroken runs of segment names, in any order and with repeats; ValueError for one impossible at that size.

    What `ranges_of` gives, without an object for each of perhaps hundreds of thousands of segments.
    """
    per_id, greatest = _XLOG_ID // segment_size, greatest_ending(segment_size)
    runs: list[tuple[int, int, int]] = []
    for name in sorted(set(names)):
        if name[16:] > greatest:
            raise ValueError(f"WAL segment {name} cannot exist with a segment size of {segment_size} bytes")
        timeline, number = int(name[:8], 16), int(name[8:16], 16) * per_id + int(name[16:], 16)
        if runs and runs[-1][0] == timeline and runs[-1][2] + 1 == number:
            runs[-1] = (timeline, runs[-1][1], number)
        else:
            runs.append((timeline, number, number))
    return tuple(SegmentRange(Timeline(timeline), first, final) for timeline, first, final in runs)


def gaps_between(ranges: Iterable[SegmentRange]) -> Iterator[SegmentRange]:
    """What is missing between neighbouring runs of the same timeline."""
    for before, after in pairwise(sorted(ranges)):
        if before.timeline == after.timeline and before.last + 1 < after.first:
            yield SegmentRange(before.timeline, before.last + 1, after.first - 1)


def without(ranges: Iterable[SegmentRange], taken: Iterable[SegmentRange]) -> Iterator[SegmentRange]:
    """The parts of `ranges` that no range of `taken` holds; both sorted and without overlaps, as `ranges_of` makes."""
    removed = iter(taken)
    gap = next(removed, None)
    for whole in ranges:
        first = whole.first
        while gap is not None and (gap.timeline, gap.first) <= (whole.timeline, whole.last):
            if gap.timeline == whole.timeline and gap.last >= first:
                if gap.first > first:
                    yield SegmentRange(whole.timeline, first, gap.first - 1)
                first = gap.last + 1
                if gap.last > whole.last:
                    break
            gap = next(removed, None)
        if first <= whole.last:
            yield SegmentRange(whole.timeline, first, whole.last)


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A timeline that `switched_at` was left for the next one."""

    timeline: Timeline
    switched_at: Lsn


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The way to one timeline: its ancestors, oldest first (a history file's content)."""

    timeline: Timeline
    ancestors: tuple[Ancestor, ...] = ()

    @classmethod
    def parse(cls, timeline: Timeline, text: str) -> Ancestry:
        """Read a `.history` file (timeline, position and reason a line, `#` comments); ValueError when it is none."""
        ancestors = []
        for line in text.splitlines():
            fields = line.split(None, 2)
            if not fields or fields[0].startswith("#"):
                continue
            if len(fields) < 2:
                raise ValueError(f"not a timeline history line: {line!r}")
            ancestors.append(Ancestor(Timeline(int(fields[0])), Lsn.parse(fields[1])))
        return cls(timeline, tuple(ancestors))

    def timelines(self) -> tuple[Timeline, ...]:
        """Every timeline on the way, the oldest first and this one last."""
        return (*(ancestor.timeline for ancestor in self.ancestors), self.timeline)
