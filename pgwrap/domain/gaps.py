"""Which WAL is missing in an archive, and what that costs. It decides nothing about moments that can be restored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from pgwrap.domain.archived import NeededWal, backups_in, needed_wal, segment_size_of
from pgwrap.domain.facts import ArchiveContents, Backup, Observation, WalGap
from pgwrap.domain.lineage import Lineage, Run, lineages, united
from pgwrap.domain.wal import Segment, SegmentRange
from pgwrap.records import dataclass


def gaps(observation: Observation) -> tuple[WalGap, ...]:
    """Every run of missing segments between the first and the last one that the archive, or a backup, speaks of."""
    return tuple(
        _gap(hole, archive, size, observation)
        for archive in observation.archives
        if archive.ranges is not None and (size := segment_size_of(archive, observation.backups)) is not None
        for hole in _holes(archive, size, observation)
    )


def _gap(hole: SegmentRange, archive: ArchiveContents, size: int, observation: Observation) -> WalGap:
    return WalGap(
        repository=archive.repository,
        archive=archive.archive,
        engine=observation.engine,
        engine_name=archive.engine_name or observation.engine_name,
        timeline=hole.timeline,
        from_=Segment(hole.timeline, hole.first).name(size),
        to=Segment(hole.timeline, hole.last).name(size),
        segments=len(hole),
    )


def _done_wal(archive: ArchiveContents, size: int, observation: Observation) -> tuple[tuple[Backup, NeededWal], ...]:
    return tuple(
        (backup, needed)
        for backup in backups_in(archive, observation.backups)
        if backup.state == "done" and (needed := needed_wal(backup, size)) is not None
    )


def _holes(archive: ArchiveContents, size: int, observation: Observation) -> tuple[SegmentRange, ...]:
    ranges = archive.ranges or ()
    needs = tuple(needed for _, needed in _done_wal(archive, size, observation))
    timelines = {part.timeline for part in ranges} | {needed.first.timeline for needed in needs}
    return united(
        hole
        for lineage in lineages(timelines, archive.ancestries, size)
        for hole in _holes_along(lineage, ranges, needs)
    )


def _holes_along(
    lineage: Lineage, ranges: tuple[SegmentRange, ...], needs: tuple[NeededWal, ...]
) -> Iterator[SegmentRange]:
    runs = lineage.runs(ranges)
    wanted = [needed for needed in needs if lineage.passes(needed.first.timeline, needed.stop)]
    firsts = [run[0].first for run in runs] + [needed.first.number for needed in wanted]
    lasts = [run[-1].last for run in runs] + [needed.last.number for needed in wanted]
    if firsts:
        yield from lineage.missing(min(firsts), max(lasts), runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMeaning:
    """What a gap costs: `harmless` ones are listed but nothing to act on."""

    harmless: bool
    reason: str


def meanings_of(
    found: Iterable[WalGap], observation: Observation, *, thinned: Collection[str | None]
) -> tuple[GapMeaning, ...]:
    """For each gap: whether retention, or the absence of any backup before it, explains it.

    `thinned`: the repositories whose policy keeps continuous WAL for the newest backups alone (pgBackRest's
    `repo-retention-archive`): its expire then leaves of older WAL only what lies between each backup's start and stop
    (src/command/expire/expire.c). Barman does so around a backup held as standalone (backup.py).
    """
    grounds = {
        (archive.repository, archive.archive): _ground(archive, size, observation, thinned)
        for archive in observation.archives
        if (size := segment_size_of(archive, observation.backups)) is not None
    }
    return tuple(_meaning(gap, grounds[gap.repository, gap.archive]) for gap in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What the gaps of one archive are judged by."""

    segment_size: int
    needs: tuple[NeededWal, ...]
    keepers: tuple[SegmentRange, ...]
    """The WAL of backups that keep no more than their own."""
    starts: frozenset[Segment]
    ways: tuple[tuple[Lineage, tuple[Run, ...]], ...]


def _ground(archive: ArchiveContents, size: int, observation: Observation, thinned: Collection[str | None]) -> _Ground:
    done = _done_wal(archive, size, observation)
    ranges = archive.ranges or ()
    keeps_own = archive.repository in thinned
    keepers = (
        SegmentRange(needed.first.timeline, needed.first.number, needed.last.number)
        for backup, needed in done
        if (keeps_own if backup.engine == "pgbackrest" else backup.held == "standalone")
    )
    timelines = {part.timeline for part in ranges} | {needed.first.timeline for _, needed in done}
    return _Ground(
        segment_size=size,
        needs=tuple(needed for _, needed in done),
        keepers=united(keepers),
        starts=frozenset(needed.first for _, needed in done),
        ways=tuple((way, way.runs(ranges)) for way in lineages(timelines, archive.ancestries, size)),
    )


def _meaning(gap: WalGap, ground: _Ground) -> GapMeaning:
    first, last = (Segment.parse(name, ground.segment_size).number for name in (gap.from_, gap.to))
    hole = SegmentRange(gap.timeline, first, last)
    ways = [(way, runs) for way, runs in ground.ways if _reads(way, hole)]
    if not any(_comes_to(hole, needed, way) for needed in ground.needs for way, _ in ways):
        return GapMeaning(harmless=True, reason="older than every backup, so nothing needs it")
    if any(_is_trimmed(hole, runs, ground) for _, runs in ways):
        return GapMeaning(harmless=True, reason="retention removed it: older backups keep only their own WAL")
    return GapMeaning(harmless=False, reason="no moment after it can be restored from a backup before it")


def _reads(way: Lineage, hole: SegmentRange) -> bool:
    return any(
        leg.timeline == hole.timeline and leg.first <= hole.last and hole.first <= leg.last for leg in way.legs()
    )


def _comes_to(hole: SegmentRange, needed: NeededWal, way: Lineage) -> bool:
    """Whether replay from a backup would come to the gap."""
    return needed.first.number <= hole.last and way.passes(needed.first.timeline, needed.stop)


def _is_trimmed(hole: SegmentRange, runs: tuple[Run, ...], ground: _Ground) -> bool:
    """Whether a backup starts right after the gap, and all WAL before it is some older backup's own."""
    after = next((run[0] for run in runs if run[0].first > hole.last), None)
    if after is None or Segment(after.timeline, after.first) not in ground.starts:
        return False
    before = (piece for run in runs for piece in run if piece.last < hole.first)
    return all(any(_within(piece, kept) for kept in ground.keepers) for piece in before)


def _within(inner: SegmentRange, outer: SegmentRange) -> bool:
    return inner.timeline == outer.timeline and outer.first <= inner.first and inner.last <= outer.last
