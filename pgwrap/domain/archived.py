"""What archived WAL is to the backups beside it: its segment size, what they need of it, the ways along it.

It judges no backup and no gap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

from pgwrap.domain.facts import ArchiveContents, Backup, Observation
from pgwrap.domain.lineage import Lineage, Run, lineages
from pgwrap.domain.wal import Ancestry, Lsn, Segment, SegmentRange, Timeline, segment_size_from
from pgwrap.records import dataclass


def segment_of(name: str, segment_size: int) -> Segment | None:
    """The segment of that name; None when no cluster of that segment size has one."""
    try:
        return Segment.parse(name, segment_size)
    except ValueError:
        return None


def segment_size_of(archive: ArchiveContents, backups: Iterable[Backup]) -> int | None:
    """The archive's segment size in bytes: as told, else what the positions of its backups leave possible."""
    if archive.segment_size is not None:
        return archive.segment_size
    for backup in backups_in(archive, backups):
        if backup.lsn_start is not None and backup.wal_start is not None:
            size = segment_size_from(backup.lsn_start, backup.wal_start)
            if size is not None:
                return size
    return None


def backups_in(archive: ArchiveContents, backups: Iterable[Backup]) -> tuple[Backup, ...]:
    """The backups whose WAL is in this archive."""
    place = (archive.repository, archive.archive)
    return tuple(backup for backup in backups if (backup.repository, backup.archive) == place)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededWal:
    """The segments without which a backup never becomes consistent."""

    first: Segment
    last: Segment
    stop: Lsn
    """The position at which it becomes consistent; the end of `last` when the engine does not tell."""


def needed_wal(backup: Backup, segment_size: int) -> NeededWal | None:
    """The WAL a backup needs; None when the engine names none (offline) or names cannot be of that segment size.

    A stop position on a segment's boundary needs the segment before it; Barman 3.13.3 names the one after.
    """
    if backup.wal_start is None or backup.wal_stop is None:
        return None
    return _between(backup.wal_start, backup.wal_stop, backup.lsn_stop, segment_size)


@lru_cache(maxsize=16384)  # one status comes back to the same backup up to nine times
def _between(start: str, stop: str, lsn_stop: Lsn | None, segment_size: int) -> NeededWal | None:
    first, last = segment_of(start, segment_size), segment_of(stop, segment_size)
    if first is None or last is None or first.timeline != last.timeline or last.number < first.number:
        return None
    if lsn_stop == last.start(segment_size) and last.number > first.number:
        last = Segment(last.timeline, last.number - 1)
    end = Lsn((last.number + 1) * segment_size)
    return NeededWal(first=first, last=last, stop=end if lsn_stop is None else lsn_stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One unbroken run of archived WAL on the way to a timeline."""

    lineage: Lineage
    run: Run

    def holds(self, needed: NeededWal) -> bool:
        """Whether a backup that needs this WAL finds all of it here."""
        return (
            self.run[0].first <= needed.first.number
            and needed.last.number <= self.run[-1].last
            and self.lineage.passes(needed.first.timeline, needed.stop)
        )


def _ways(archive: ArchiveContents, size: int) -> tuple[Way, ...]:
    ranges = archive.ranges or ()
    return tuple(
        Way(lineage=lineage, run=run)
        for lineage in lineages((part.timeline for part in ranges), archive.ancestries, size)
        for run in lineage.runs(ranges)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """An archive whose WAL could be listed."""

    ranges: tuple[SegmentRange, ...]
    segment_size: int
    ways: tuple[Way, ...]
    by_lineage: tuple[tuple[tuple[int, ...], tuple[Way, ...]], ...]
    """The ways of each lineage in the order of their first segments, whose numbers stand beside them."""
    ancestries: tuple[Ancestry, ...]

    def holds(self, needed: NeededWal) -> bool:
        """Whether one of the ways holds all of it; each lineage is looked through by place, not from its beginning."""
        for firsts, ways in self.by_lineage:
            place = bisect_right(firsts, needed.first.number) - 1
            if place >= 0 and ways[place].holds(needed):
                return True
        return False

    def begins_after(self, needed: NeededWal) -> bool:
        """Whether the history here lets the timeline begin only after this WAL: then the two are of different systems.

        Barman keeps the WAL of a server in one place across pg_upgrade, and timelines count from 1 again.
        """
        return needed.first.number < _begins(needed.first.timeline, self.ancestries, self.segment_size)


@lru_cache(maxsize=64)  # the same for every backup of an archive
def _begins(timeline: Timeline, ancestries: tuple[Ancestry, ...], segment_size: int) -> int:
    """The number of a timeline's first segment."""
    (own,) = lineages((timeline,), ancestries, segment_size)
    return own.legs()[-1].first


def shelf_of(archive: ArchiveContents, observation: Observation) -> Shelf | None:
    """The archive with its ways; None where its WAL or its segment size is not known."""
    size = segment_size_of(archive, observation.backups)
    if archive.ranges is None or size is None:
        return None
    ways = _ways(archive, size)
    return Shelf(
        ranges=archive.ranges,
        segment_size=size,
        ways=ways,
        by_lineage=tuple(
            (tuple(way.run[0].first for way in group), group)
            for _, members in groupby(ways, key=lambda way: way.lineage.timeline)
            if (group := tuple(members))
        ),
        ancestries=archive.ancestries,
    )
