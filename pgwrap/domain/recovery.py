"""Which moments can be restored: pure conclusions from backups and archived WAL. It restores nothing and reads nothing.

A moment is claimed only when a whole backup precedes it and no segment between the two is missing. How far the newest
segment reaches in time is not guessed from a file's date: see `wanted_proofs` and `recoverable`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgwrap.domain.facts import (
    ArchiveContents,
    Backup,
    BackupState,
    EngineName,
    Observation,
    RecoverableInterval,
    WalGap,
)
from pgwrap.domain.lineage import Lineage, Run, lineages, segment_at, united
from pgwrap.domain.wal import Lsn, Segment, SegmentRange, Timeline, segment_size_from

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


def segment_of(name: str, segment_size: int) -> Segment | None:
    """The segment of that name; None when no cluster of that segment size has one."""
    try:
        return Segment.parse(name, segment_size)
    except ValueError:
        return None


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
    first, last = segment_of(backup.wal_start, segment_size), segment_of(backup.wal_stop, segment_size)
    if first is None or last is None or first.timeline != last.timeline or last.number < first.number:
        return None
    if backup.lsn_stop == last.start(segment_size) and last.number > first.number:
        last = Segment(last.timeline, last.number - 1)
    end = Lsn((last.number + 1) * segment_size)
    return NeededWal(first=first, last=last, stop=end if backup.lsn_stop is None else backup.lsn_stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Whether a backup can be restored, and why not; `restorable` None: not established."""

    restorable: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
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


def _ways(archive: ArchiveContents, size: int) -> tuple[_Way, ...]:
    ranges = archive.ranges or ()
    return tuple(
        _Way(lineage=lineage, run=run)
        for lineage in lineages((part.timeline for part in ranges), archive.ancestries, size)
        for run in lineage.runs(ranges)
    )


def assess_backups(observation: Observation) -> tuple[Assessment, ...]:
    """For each backup, in their order: are it, those it builds on, and the WAL it needs all there?

    Page errors don't count here: such a backup restores, with damage.
    """
    states = {(backup.repository, backup.id): backup.state for backup in observation.backups}
    shelves = {(archive.repository, archive.archive): _shelf(archive, observation) for archive in observation.archives}
    return tuple(
        _by_state(backup)
        or _by_needs(backup, states)
        or _by_wal(backup, shelves.get((backup.repository, backup.archive)))
        for backup in observation.backups
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """An archive whose WAL could be listed."""

    ranges: tuple[SegmentRange, ...]
    segment_size: int
    ways: tuple[_Way, ...]


def _shelf(archive: ArchiveContents, observation: Observation) -> _Shelf | None:
    size = segment_size_of(archive, observation.backups)
    if archive.ranges is None or size is None:
        return None
    return _Shelf(ranges=archive.ranges, segment_size=size, ways=_ways(archive, size))


_NOT_DONE = {"failed": False, "invalid": False, "running": None, "waiting_for_wal": None}


def _by_state(backup: Backup) -> Assessment | None:
    if backup.state == "done":
        return None
    words = {"waiting_for_wal": "still waiting for its WAL"}.get(backup.state, backup.state)
    reason = f"the engine calls it {words}" + (f": {backup.error}" if backup.error else "")
    return Assessment(restorable=_NOT_DONE[backup.state], reason=reason)


def _by_needs(backup: Backup, states: Mapping[tuple[str | None, str], BackupState]) -> Assessment | None:
    needs = {id_: states.get((backup.repository, id_)) for id_ in backup.needs}
    broken = [id_ for id_, state in needs.items() if state in (None, "failed", "invalid")]
    if broken:
        return Assessment(restorable=False, reason=f"it builds on {', '.join(broken)}, which is gone or failed")
    unfinished = [id_ for id_, state in needs.items() if state != "done"]
    if unfinished:
        return Assessment(restorable=None, reason=f"it builds on {', '.join(unfinished)}, which is not done yet")
    return None


def _by_wal(backup: Backup, shelf: _Shelf | None) -> Assessment:
    if backup.wal_start is None:
        return Assessment(restorable=None, reason="the engine names no WAL that would make it consistent")
    if shelf is None:
        return Assessment(restorable=None, reason="the WAL archive could not be listed")
    needed = needed_wal(backup, shelf.segment_size)
    if needed is None:
        return Assessment(restorable=None, reason="the WAL it names fits no segment of this archive")
    if any(way.holds(needed) for way in shelf.ways):
        return Assessment(restorable=True)
    return Assessment(restorable=False, reason=f"WAL it needs is not in the archive: {_missing_text(needed, shelf)}")


def _missing_text(needed: NeededWal, shelf: _Shelf) -> str:
    alone = Lineage(needed.first.timeline, (), shelf.segment_size)
    holes = tuple(alone.missing(needed.first.number, needed.last.number, alone.runs(shelf.ranges)))
    texts = (span_text(hole, shelf.segment_size) for hole in holes)
    return ", ".join(texts) or "the way to it lies past the point where its timeline was left"


def span_text(span: SegmentRange, size: int) -> str:
    """The names of its first and last segment."""
    first, last = (Segment(span.timeline, number).name(size) for number in (span.first, span.last))
    return first if first == last else f"{first} to {last}"


def segment_size_of(archive: ArchiveContents, backups: Iterable[Backup]) -> int | None:
    """The archive's segment size in bytes: as told, else what the positions of its backups leave possible."""
    if archive.segment_size is not None:
        return archive.segment_size
    for backup in _backups_in(archive, backups):
        if backup.lsn_start is not None and backup.wal_start is not None:
            size = segment_size_from(backup.lsn_start, backup.wal_start)
            if size is not None:
                return size
    return None


def _backups_in(archive: ArchiveContents, backups: Iterable[Backup]) -> tuple[Backup, ...]:
    place = (archive.repository, archive.archive)
    return tuple(backup for backup in backups if (backup.repository, backup.archive) == place)


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
    shelf = _shelf(archive, observation)
    if shelf is None:
        return
    mine = _backups_in(archive, whole)
    systems = _systems(mine, archive)
    found = [
        (way, _stretch(way, backups, archive, observation, continues=system is None))
        for way in shelf.ways
        if way.run[-1].timeline == way.lineage.timeline
        for system in systems
        if (backups := _that_start_on(way, mine, systems[system]))
    ]
    yield from (narrow for _, narrow in found if not any(_says_more(way, wide, narrow) for way, wide in found))


_System = tuple[str | None, str | None]


def _systems(backups: tuple[Backup, ...], archive: ArchiveContents) -> dict[_System | None, frozenset[str]]:
    """Backup ids by the system they are of; None is the one that archives here now.

    Barman keeps the WAL of a server in one place across pg_upgrade: WAL of the new system never continues the old one.
    """
    newest = max(backups, key=_stop, default=None)
    system = archive.system_identifier or (newest.system_identifier if newest else None)
    version = archive.postgres_version or (newest.postgres_version if newest else None)
    found: dict[_System | None, frozenset[str]] = {}
    for backup in backups:
        same = _agree(backup.system_identifier, system) and _agree(backup.postgres_version, version)
        key = None if same else (backup.system_identifier, backup.postgres_version)
        found[key] = found.get(key, frozenset()) | {backup.id}
    return found


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _that_start_on(way: _Way, backups: tuple[Backup, ...], ids: frozenset[str]) -> tuple[Backup, ...]:
    size = way.lineage.segment_size
    usable = (
        backup
        for backup in backups
        if backup.id in ids and (needed := needed_wal(backup, size)) is not None and way.holds(needed)
    )
    return tuple(sorted(usable, key=_stop))


def _stretch(
    way: _Way, backups: tuple[Backup, ...], archive: ArchiveContents, observation: Observation, *, continues: bool
) -> Stretch:
    size = way.lineage.segment_size
    needs = [needed for backup in backups if (needed := needed_wal(backup, size)) is not None]
    newest = max(needed.last.number for needed in needs)
    run = _cut(way.run, min(needed.first.number for needed in needs), way.run[-1].last if continues else newest)
    timeline = run[-1].timeline
    archived = (part.last for part in archive.ranges or () if part.timeline == timeline)
    return Stretch(
        engine=observation.engine,
        engine_name=observation.engine_name,
        repository=archive.repository,
        archive=archive.archive,
        system_identifier=(archive.system_identifier if continues else None) or backups[0].system_identifier,
        timeline=timeline,
        segment_size=size,
        run=run,
        backups=backups,
        from_=_stop(backups[0]),
        newest_stop=newest,
        open_ended=run[-1].last == max(archived),
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


def _says_more(way: _Way, wide: Stretch, narrow: Stretch) -> bool:
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
        engine_name=observation.engine_name,
        timeline=hole.timeline,
        from_=Segment(hole.timeline, hole.first).name(size),
        to=Segment(hole.timeline, hole.last).name(size),
        segments=len(hole),
    )


def _done_wal(archive: ArchiveContents, size: int, observation: Observation) -> tuple[tuple[Backup, NeededWal], ...]:
    return tuple(
        (backup, needed)
        for backup in _backups_in(archive, observation.backups)
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
