"""Which moments can be restored: pure conclusions from backups and archived WAL. It restores nothing and reads nothing.

A moment is claimed only when a whole backup precedes it and no segment between the two is missing. How far the newest
segment reaches in time is not guessed from a file's date: see `wanted_proofs` and `recoverable`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pgwrap.domain.archived import NeededWal, Way, backups_in, needed_wal, segment_of, shelf_of
from pgwrap.domain.facts import ArchiveContents, Backup, EngineName, Observation, RecoverableInterval
from pgwrap.domain.lineage import Run, segment_at
from pgwrap.domain.wal import Segment, SegmentRange, Timeline
from pgwrap.domain.wholeness import assess_backups
from pgwrap.records import dataclass

CLOCK_TICK = timedelta(microseconds=1)
"""The resolution of PostgreSQL's timestamps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofKey:
    """One archived segment whose newest commit time can be asked for; the answer never changes, so it can be cached."""

    system_identifier: str | None
    timeline: Timeline
    segment: str
    segment_size: int
    repository: str | None
    archive: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A whole backup and the unbroken WAL that replays from it, up to the end of `run`."""

    engine: EngineName
    engine_name: str
    repository: str | None
    archive: str | None
    system_identifier: str | None
    timeline: Timeline
    """The timeline a recovery along it ends on."""
    segment_size: int
    run: Run
    """The WAL from the oldest backup's first segment on, by timeline."""
    backups: tuple[Backup, ...]
    """The whole backups it can start from, oldest first."""
    from_: datetime
    newest_stop: int
    """The number of the segment in which the newest of the backups ends."""
    open_ended: bool
    """Whether it reaches the newest archived segment of its timeline."""

    @property
    def last(self) -> Segment:
        """The last segment that replay reaches."""
        return Segment(self.run[-1].timeline, self.run[-1].last)

    def proof(self, segment: Segment) -> ProofKey:
        """The question for one of its segments."""
        return ProofKey(
            system_identifier=self.system_identifier,
            timeline=segment.timeline,
            segment=segment.name(self.segment_size),
            segment_size=self.segment_size,
            repository=self.repository,
            archive=self.archive,
        )

    def newest_first(self) -> Iterator[Segment]:
        """Its segments from the last one back to the one in which the newest backup ends."""
        for number in range(self.last.number, self.newest_stop - 1, -1):
            segment = segment_at(self.run, number)
            if segment is not None:
                yield segment


def stretches(observation: Observation) -> tuple[Stretch, ...]:
    """Every unbroken stretch of WAL that begins with a whole backup, by repository, archive, timeline and place.

    A stretch on a timeline that was left is dropped when one that goes on from it says the same and more.
    """
    if not observation.read:
        return ()
    verdicts = zip(observation.backups, assess_backups(observation), strict=True)
    whole = tuple(backup for backup, verdict in verdicts if verdict.restorable and backup.stopped_at is not None)
    return tuple(stretch for archive in observation.archives for stretch in _stretches_in(archive, whole, observation))


def _stretches_in(archive: ArchiveContents, whole: tuple[Backup, ...], observation: Observation) -> Iterator[Stretch]:
    shelf = shelf_of(archive, observation)
    if shelf is None:
        return
    systems = {
        system: _by_place(backups, shelf.segment_size)
        for system, backups in _systems(backups_in(archive, whole), archive).items()
    }
    ends = _ends(archive)
    found = [
        (way, _stretch(way, backups, archive, observation, ends, continues=system is None))
        for way in shelf.ways
        if way.run[-1].timeline == way.lineage.timeline
        for system, placed in systems.items()
        if (backups := _that_start_on(way, placed))
    ]
    left = [(way, wide) for way, wide in found if way.lineage.ancestors]
    yield from (narrow for _, narrow in found if not any(_says_more(way, wide, narrow) for way, wide in left))


_System = tuple[str | None, str | None]


def _systems(backups: tuple[Backup, ...], archive: ArchiveContents) -> dict[_System | None, list[Backup]]:
    """Backups by the system they are of; None is the one that archives here now.

    Barman keeps the WAL of a server in one place across pg_upgrade: WAL of the new system never continues the old one.
    """
    newest = max(backups, key=_stop, default=None)
    system = archive.system_identifier or (newest.system_identifier if newest else None)
    version = archive.postgres_version or (newest.postgres_version if newest else None)
    found: dict[_System | None, list[Backup]] = {}
    for backup in backups:
        same = _agree(backup.system_identifier, system) and _agree(backup.postgres_version, version)
        key = None if same else (backup.system_identifier, backup.postgres_version)
        found.setdefault(key, []).append(backup)
    return found


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


_Placed = tuple[tuple[int, ...], tuple[tuple[NeededWal, Backup], ...]]
"""Backups in the order of the first segment they need, whose numbers stand beside them."""


def _by_place(backups: list[Backup], size: int) -> _Placed:
    known = [(needed, backup) for backup in backups if (needed := needed_wal(backup, size)) is not None]
    placed = sorted(known, key=lambda pair: pair[0].first.number)
    return tuple(needed.first.number for needed, _ in placed), tuple(placed)


def _that_start_on(way: Way, placed: _Placed) -> tuple[Backup, ...]:
    numbers, pairs = placed
    near = pairs[bisect_left(numbers, way.run[0].first) : bisect_right(numbers, way.run[-1].last)]
    return tuple(sorted((backup for needed, backup in near if way.holds(needed)), key=_stop))


def _ends(archive: ArchiveContents) -> Mapping[Timeline, int]:
    """The number of the last archived segment of each timeline."""
    ends: dict[Timeline, int] = {}
    for part in archive.ranges or ():
        ends[part.timeline] = max(part.last, ends.get(part.timeline, part.last))
    return ends


def _stretch(
    way: Way,
    backups: tuple[Backup, ...],
    archive: ArchiveContents,
    observation: Observation,
    ends: Mapping[Timeline, int],
    *,
    continues: bool,
) -> Stretch:
    size = way.lineage.segment_size
    needs = [needed for backup in backups if (needed := needed_wal(backup, size)) is not None]
    newest = max(needed.last.number for needed in needs)
    run = _cut(way.run, min(needed.first.number for needed in needs), way.run[-1].last if continues else newest)
    timeline = run[-1].timeline
    return Stretch(
        engine=observation.engine,
        engine_name=archive.engine_name or observation.engine_name,
        repository=archive.repository,
        archive=archive.archive,
        system_identifier=(archive.system_identifier if continues else None) or backups[0].system_identifier,
        timeline=timeline,
        segment_size=size,
        run=run,
        backups=backups,
        from_=_stop(backups[0]),
        newest_stop=newest,
        open_ended=run[-1].last == ends[timeline],
    )


def _stop(backup: Backup) -> datetime:
    if backup.stopped_at is None:
        raise ValueError(f"backup {backup.id} has no stop time")
    return backup.stopped_at


def _cut(run: Run, first: int, last: int) -> Run:
    return tuple(
        SegmentRange(piece.timeline, max(piece.first, first), min(piece.last, last))
        for piece in run
        if piece.first <= last and first <= piece.last
    )


def _says_more(way: Way, wide: Stretch, narrow: Stretch) -> bool:
    """Whether `wide` goes on along another timeline from where the timeline of `narrow` was left."""
    left_at = way.lineage.left_at(narrow.timeline)
    return (
        left_at is not None
        and narrow.last.number <= min(left_at // narrow.segment_size, wide.last.number)
        and wide.run[0].first <= narrow.run[0].first
        and set(narrow.backups) <= set(wide.backups)
    )


def wanted_proofs(
    found: Iterable[Stretch], known: Mapping[ProofKey, datetime | None], limit_per_stretch: int
) -> tuple[ProofKey, ...]:
    """The next segment of each stretch whose newest commit is worth knowing, none where the answer is already there.

    Walks back from the last segment while the answer is None (no commit in it), at most `limit_per_stretch` segments
    and never past the newest backup's last one. Ask again with the answers added, until nothing is wanted.
    """
    wanted = (_next_proof(stretch, known, limit_per_stretch) for stretch in found)
    return tuple(dict.fromkeys(key for key in wanted if key is not None))


def _next_proof(stretch: Stretch, known: Mapping[ProofKey, datetime | None], limit: int) -> ProofKey | None:
    for _, segment in zip(range(limit), stretch.newest_first(), strict=False):
        key = stretch.proof(segment)
        if key not in known:
            return key
        if known[key] is not None:
            return None
    return None


def recoverable(found: Iterable[Stretch], known: Mapping[ProofKey, datetime | None]) -> tuple[RecoverableInterval, ...]:
    """The intervals in which any moment can be restored, sorted by repository, archive, timeline and time.

    An interval ends just before the newest commit that is known to be in the archived WAL, or where no such commit is
    later than the newest whole backup, at that backup's stop. Just before: recovery to a time ends at the first commit
    after it, and fails when there is none (xlogrecovery.c, recoveryStopsBefore), so that commit's own time is too late.
    """
    intervals = (_interval(stretch, known) for stretch in found)
    return tuple(sorted(intervals, key=lambda i: (i.repository or "", i.archive or "", i.timeline, i.from_)))


def _interval(stretch: Stretch, known: Mapping[ProofKey, datetime | None]) -> RecoverableInterval:
    stop = _stop(stretch.backups[-1])
    commits = (commit for key, commit in known.items() if commit is not None and _proves(key, stretch))
    newest = max((commit - CLOCK_TICK for commit in commits), default=stop)
    return RecoverableInterval(
        repository=stretch.repository,
        archive=stretch.archive,
        engine=stretch.engine,
        engine_name=stretch.engine_name,
        timeline=stretch.timeline,
        from_=stretch.from_,
        to=max(newest, stop),
        to_proof="commit" if newest > stop else "backup",
        open_ended=stretch.open_ended,
    )


def _proves(key: ProofKey, stretch: Stretch) -> bool:
    return key == replace(stretch.proof(stretch.last), timeline=key.timeline, segment=key.segment) and any(
        segment_of(key.segment, key.segment_size) in piece for piece in stretch.run
    )
