"""What retention does: which backups and which WAL stay or go, why, and when. It knows no engine's rules and deletes
nothing.

An engine's own rules (`engines/*/expiry.py`) fill a `Forecast`; what follows from it is worked out here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pgwrap.domain.archived import segment_size_of
from pgwrap.domain.facts import (
    ArchiveContents,
    Backup,
    BackupRetention,
    BackupState,
    BackupType,
    EngineName,
    Finding,
    Held,
    Observation,
    RecoverableInterval,
)
from pgwrap.domain.recovery import Stretch
from pgwrap.domain.wal import Segment, SegmentRange, Timeline, without
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFate:
    """One backup and what the policy does to it; `kept` False: the engine's next expiry deletes it."""

    id: str
    type: BackupType
    state: BackupState
    started_at: datetime | None
    stopped_at: datetime | None
    bytes: int | None
    """What its deletion frees; None where the engine does not tell."""
    held: Held
    needs: tuple[str, ...]
    kept: bool | None
    reason: str
    expires: datetime | None
    """From when on it goes though nothing else happens; None: time alone does not let it go, or it goes now."""
    event: str | None
    """What lets it go, where that is not time alone."""
    engine_name: str | None = None
    """Under which name its engine keeps it, where that is not the forecast's: that of a carried history."""
    enforced_by: str | None = None
    """Who lets it go, where that is not who applies the policy to the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalFate:
    """An unbroken run of archived segments, both ends included, that share a fate."""

    archive: str | None
    timeline: Timeline
    from_: str
    to: str
    segments: int
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the engine's next expiry does to one repository of a cluster."""

    repository: str | None
    engine: EngineName
    engine_name: str
    policy: str | None
    """In words; None: nothing ever expires."""
    native: tuple[tuple[str, str], ...]
    """The engine's own settings that say so."""
    enforced_by: str | None
    """Who applies it, and when."""
    backups: tuple[BackupFate, ...]
    """Oldest first."""
    wal: tuple[WalFate, ...] | None
    """By archive and place; None: the archived WAL is not known."""
    refuses: str | None = None
    """Why the engine would refuse to expire anything."""

    def going(self) -> tuple[BackupFate, ...]:
        """The backups that go."""
        return tuple(fate for fate in self.backups if fate.kept is False)

    def going_wal(self) -> tuple[WalFate, ...]:
        """The runs of WAL that go."""
        return tuple(fate for fate in self.wal or () if not fate.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDay:
    """Backups that go at one moment though nothing else happens."""

    at: datetime
    repository: str | None
    engine: EngineName
    backups: tuple[str, ...]
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusedWal:
    """Archived segments that no restorable backup can be replayed with."""

    repository: str | None
    archive: str | None
    timeline: Timeline
    from_: str
    to: str
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How another policy's verdicts differ from today's, by backup id and number of segments."""

    repository: str | None
    kept_instead: tuple[str, ...]
    gone_instead: tuple[str, ...]
    wal_segments_kept: int
    """How many segments more (or, negative, fewer) stay."""
    bytes_kept: int | None
    """How many bytes of backups more (or, negative, fewer) stay; None where a size is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The forecast under another policy, and the difference that makes."""

    asked: str
    repositories: tuple[Forecast, ...]
    recoverable_after: tuple[RecoverableInterval, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRetention:
    """The whole answer for one cluster."""

    name: str
    engine: EngineName
    engine_version: str | None
    engine_name: str
    read: bool
    """Whether the engine told of it. False: `findings` say why, and nothing else is known."""
    findings: tuple[Finding, ...] = ()
    repositories: tuple[Forecast, ...] = ()
    recoverable: tuple[RecoverableInterval, ...] = ()
    recoverable_after: tuple[RecoverableInterval, ...] = ()
    """What can be restored once the next expiry is through."""
    calendar: tuple[CalendarDay, ...] = ()
    unused_wal: tuple[UnusedWal, ...] = ()
    what_if: WhatIf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRetention:
    """`result` of `pgwrap retention`."""

    clusters: tuple[ClusterRetention, ...]
    days: int
    """How far the calendars look ahead."""
    what_if: str | None = None


# What an expiry does


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedWal:
    """Archived files that the engine says it would delete: all between two names, both included, by their beginning.

    A name may be a directory's: the first sixteen digits of the segments in it.
    """

    archive: str
    start: str
    stop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What the engine's own dry run says it would delete of one repository."""

    backups: frozenset[str]
    wal: tuple[AnnouncedWal, ...] = ()
    whole_archives: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryExpiry:
    """What is to go of one repository: as foretold, and as the engine itself says in a dry run."""

    repository: str | None
    backups: tuple[str, ...]
    wal_segments: int | None
    """None: the archived WAL is not known."""
    bytes: int | None
    """Of the backups alone."""
    engine_backups: tuple[str, ...] | None
    """None: the engine has no dry run."""
    more: tuple[str, ...] = ()
    """What the engine would delete beyond what was foretold: backups, and runs of WAL."""
    less: tuple[str, ...] = ()
    """Backups that were foretold to go and that the engine would keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterExpiry:
    """The expiry of one cluster: what goes, what was done, what stood in the way."""

    name: str
    engine: EngineName
    engine_name: str
    repositories: tuple[RepositoryExpiry, ...] = ()
    commands: tuple[str, ...] = ()
    """What to type to do the same by hand."""
    done: bool = False
    deleted: tuple[str, ...] = ()
    """The backups that are gone since."""
    refused: str | None = None
    """Why nothing is, or was, done."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetExpiry:
    """`result` of `pgwrap expire`."""

    dry_run: bool
    clusters: tuple[ClusterExpiry, ...]


def compared(forecast: Forecast, announced: Announced | None) -> RepositoryExpiry:
    """The forecast beside the engine's dry run; nothing is more or less where it has none."""
    going = tuple(fate.id for fate in forecast.going())
    more, less = _beyond(forecast, announced) if announced is not None else ((), ())
    return RepositoryExpiry(
        repository=forecast.repository,
        backups=going,
        wal_segments=None if forecast.wal is None else sum(fate.segments for fate in forecast.going_wal()),
        bytes=total(fate.bytes for fate in forecast.going()),
        engine_backups=None if announced is None else tuple(sorted(announced.backups)),
        more=more,
        less=less,
    )


def announced_together(parts: Iterable[Announced]) -> Announced:
    """What several dry runs of one repository say."""
    known = tuple(parts)
    return Announced(
        backups=frozenset(id_ for one in known for id_ in one.backups),
        wal=tuple(run for one in known for run in one.wal),
        whole_archives=frozenset(name for one in known for name in one.whole_archives),
    )


def _beyond(forecast: Forecast, announced: Announced) -> tuple[tuple[str, ...], tuple[str, ...]]:
    going = {fate.id for fate in forecast.going()}
    more = [*sorted(announced.backups - going)]
    if forecast.wal is None:
        more += [f"WAL {run.archive} {run.start} to {run.stop}, which is not known" for run in announced.wal]
    for fate in forecast.wal or ():
        if fate.kept and (fate.archive in announced.whole_archives or _touched(fate, announced)):
            more.append(f"WAL {fate.archive} among {fate.from_} to {fate.to}")
    return tuple(more), tuple(sorted(going - announced.backups))


def _touched(fate: WalFate, announced: Announced) -> bool:
    """Whether a run that is kept has a segment among those announced: the two would have to overlap."""
    return any(
        run.archive == fate.archive
        and run.start <= fate.to[: len(run.start)]
        and fate.from_[: len(run.stop)] <= run.stop
        for run in announced.wal
    )


# What an engine's rules need


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A stretch of WAL that is kept, `last` None: and all that follows, on later timelines too.

    Ordered as the names are: by timeline, then by place. That is how both engines compare them.
    """

    first: Segment
    last: Segment | None
    reason: str


def backup_fates(backups: Iterable[Backup], verdicts: Mapping[str, BackupRetention]) -> tuple[BackupFate, ...]:
    """Backups with the verdicts of their engine's rules, in the order given."""
    return tuple(_backup_fate(backup, verdicts[backup.id]) for backup in backups)


def _backup_fate(backup: Backup, verdict: BackupRetention) -> BackupFate:
    return BackupFate(
        id=backup.id,
        type=backup.type,
        state=backup.state,
        started_at=backup.started_at,
        stopped_at=backup.stopped_at,
        bytes=backup.stored_bytes,
        held=backup.held,
        needs=backup.needs,
        kept=verdict.kept,
        reason=verdict.reason,
        expires=verdict.expires,
        event=verdict.event,
    )


def wal_fates(archive: ArchiveContents, size: int, keeps: Iterable[Keep], otherwise: str) -> tuple[WalFate, ...]:
    """The archived WAL cut into what one of `keeps` holds and what goes, for the reason `otherwise`."""
    ordered = _merged(sorted(keeps, key=lambda keep: (keep.first, keep.last is None)))
    firsts = [keep.first for keep in ordered]
    return tuple(
        wal_fate(archive, size, part, kept=reason is not None, reason=reason or otherwise)
        for span in archive.ranges or ()
        for part, reason in _cut(span, ordered, firsts)
    )


def wal_fate(archive: ArchiveContents, size: int, span: SegmentRange, *, kept: bool, reason: str) -> WalFate:
    """One run of segments with its fate."""
    return WalFate(
        archive=archive.archive,
        timeline=span.timeline,
        from_=Segment(span.timeline, span.first).name(size),
        to=Segment(span.timeline, span.last).name(size),
        segments=len(span),
        kept=kept,
        reason=reason,
    )


def all_wal(archives: Iterable[tuple[ArchiveContents, int]], *, kept: bool, reason: str) -> Iterator[WalFate]:
    """All WAL of the archives with one fate."""
    for archive, size in archives:
        for span in archive.ranges or ():
            yield wal_fate(archive, size, span, kept=kept, reason=reason)


def _merged(keeps: Iterable[Keep]) -> list[Keep]:
    """Without overlaps: the earlier one's reason holds as far as it reaches."""
    merged: list[Keep] = []
    for keep in keeps:
        before = merged[-1] if merged else None
        if before is None or (before.last is not None and before.last < keep.first):
            merged.append(keep)
        elif before.last is not None and (keep.last is None or keep.last > before.last):
            merged.append(replace(keep, first=_after(before.last)))
    return merged


def _after(segment: Segment) -> Segment:
    return Segment(segment.timeline, segment.number + 1)


def _cut(span: SegmentRange, keeps: list[Keep], firsts: list[Segment]) -> Iterator[tuple[SegmentRange, str | None]]:
    """The span in pieces, each with the reason it is kept for, None where it is not."""
    position, end = span.first, Segment(span.timeline, span.last)
    place = max(bisect_right(firsts, Segment(span.timeline, span.first)) - 1, 0)
    for keep in keeps[place : bisect_right(firsts, end)]:
        first = max(keep.first, Segment(span.timeline, position)).number
        last = span.last if keep.last is None or keep.last > end else keep.last.number
        if keep.last is not None and keep.last < Segment(span.timeline, position):
            continue
        if first > position:
            yield SegmentRange(span.timeline, position, first - 1), None
        yield SegmentRange(span.timeline, first, last), keep.reason
        position = last + 1
    if position <= span.last:
        yield SegmentRange(span.timeline, position, span.last), None


def sized_archives(repository: str | None, observation: Observation) -> tuple[tuple[ArchiveContents, int], ...] | None:
    """A repository's archives with their segment size in bytes; None where the WAL of one of them is not known."""
    sized: list[tuple[ArchiveContents, int]] = []
    for archive in observation.archives:
        if archive.repository != repository:
            continue
        size = segment_size_of(archive, observation.backups)
        if archive.ranges is None or (size is None and archive.ranges):
            return None
        if size is not None:
            sized.append((archive, size))
    return tuple(sized)


# What follows from forecasts


def with_verdicts(observation: Observation, forecasts: Iterable[Forecast]) -> Observation:
    """The observation whose backups carry what the next expiry does to each."""
    verdicts = {
        (forecast.repository, fate.id): BackupRetention(
            kept=fate.kept, reason=fate.reason, expires=fate.expires, event=fate.event
        )
        for forecast in forecasts
        for fate in forecast.backups
    }
    return replace(
        observation,
        backups=tuple(
            replace(one, retention=verdicts.get((one.repository, one.id), one.retention)) for one in observation.backups
        ),
    )


def observation_after(observation: Observation, forecasts: Iterable[Forecast]) -> Observation:
    """What would be observed once the next expiry is through; WAL that is not known stays unknown."""
    by_repository = {forecast.repository: forecast for forecast in forecasts}
    gone = {(forecast.repository, fate.id) for forecast in by_repository.values() for fate in forecast.going()}
    return replace(
        observation,
        backups=tuple(one for one in observation.backups if (one.repository, one.id) not in gone),
        archives=tuple(
            _archive_after(archive, by_repository.get(archive.repository), observation)
            for archive in observation.archives
        ),
    )


def _archive_after(archive: ArchiveContents, forecast: Forecast | None, observation: Observation) -> ArchiveContents:
    size = segment_size_of(archive, observation.backups)
    if forecast is None or forecast.wal is None or archive.ranges is None or size is None:
        return archive
    removed = sorted(
        SegmentRange(fate.timeline, Segment.parse(fate.from_, size).number, Segment.parse(fate.to, size).number)
        for fate in forecast.going_wal()
        if fate.archive == archive.archive
    )
    return replace(archive, segment_size=size, ranges=tuple(without(archive.ranges, removed)))


def calendar(forecasts: Iterable[Forecast], now: datetime, days: int) -> tuple[CalendarDay, ...]:
    """What goes in the next `days` days by time alone, by moment and repository."""
    until = now + timedelta(days=days)
    found: dict[tuple[datetime, str | None], list[BackupFate]] = {}
    engines: dict[str | None, EngineName] = {}
    for forecast in forecasts:
        engines[forecast.repository] = forecast.engine
        for fate in forecast.backups:
            if fate.kept and fate.expires is not None and fate.expires <= until:
                found.setdefault((fate.expires, forecast.repository), []).append(fate)
    return tuple(
        CalendarDay(
            at=at,
            repository=repository,
            engine=engines[repository],
            backups=tuple(fate.id for fate in fates),
            bytes=total(fate.bytes for fate in fates),
        )
        for (at, repository), fates in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )


def total(amounts: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    known = 0
    for amount in amounts:
        if amount is None:
            return None
        known += amount
    return known


def unused_wal(observation: Observation, found: Iterable[Stretch]) -> tuple[UnusedWal, ...]:
    """Archived segments on no stretch that a whole backup begins; nothing where backups are not known to be whole."""
    used: dict[tuple[str | None, str | None], list[SegmentRange]] = {}
    for stretch in found:
        used.setdefault((stretch.repository, stretch.archive), []).extend(stretch.run)
    return tuple(
        UnusedWal(
            repository=archive.repository,
            archive=archive.archive,
            timeline=span.timeline,
            from_=Segment(span.timeline, span.first).name(size),
            to=Segment(span.timeline, span.last).name(size),
            segments=len(span),
        )
        for archive in observation.archives
        if (size := segment_size_of(archive, observation.backups)) is not None
        for span in _unused(archive, used.get((archive.repository, archive.archive), []))
    )


def _unused(archive: ArchiveContents, used: list[SegmentRange]) -> Iterator[SegmentRange]:
    """Each part of `used` may overlap another: two timelines share what lies before the fork."""
    left: Iterable[SegmentRange] = archive.ranges or ()
    for part in sorted(set(used)):
        left = tuple(without(left, (part,)))
    yield from left


def differences(today: Iterable[Forecast], instead: Iterable[Forecast]) -> tuple[Difference, ...]:
    """How `instead` differs from `today`, by repository; another engine has one repository for all."""
    others = tuple(instead)
    return tuple(_difference(forecast, _matching(forecast, others)) for forecast in today)


def _matching(forecast: Forecast, others: tuple[Forecast, ...]) -> Forecast | None:
    return next((other for other in others if other.repository == forecast.repository), None)


def _difference(today: Forecast, instead: Forecast | None) -> Difference:
    before = {fate.id: fate for fate in today.backups if fate.kept}
    after = {fate.id: fate for fate in instead.backups if fate.kept} if instead is not None else {}
    more, fewer = _only_in(after, before), _only_in(before, after)
    kept_more, kept_fewer = total(fate.bytes for fate in more), total(fate.bytes for fate in fewer)
    return Difference(
        repository=today.repository,
        kept_instead=tuple(fate.id for fate in more),
        gone_instead=tuple(fate.id for fate in fewer),
        wal_segments_kept=_kept_segments(instead) - _kept_segments(today),
        bytes_kept=None if kept_more is None or kept_fewer is None else kept_more - kept_fewer,
    )


def _only_in(these: Mapping[str, BackupFate], those: Mapping[str, BackupFate]) -> tuple[BackupFate, ...]:
    return tuple(fate for id_, fate in these.items() if id_ not in those)


def _kept_segments(forecast: Forecast | None) -> int:
    return sum(fate.segments for fate in (forecast.wal if forecast else None) or () if fate.kept)


def next_step(forecasts: Iterable[Forecast]) -> str | None:
    """What goes next and when, in a sentence; None where nothing ever does."""
    known = tuple(forecasts)
    now = [(forecast, fate) for forecast in known for fate in forecast.going()]
    if now:
        who = now[0][1].enforced_by or now[0][0].enforced_by or "the next expiry"
        return f"{_named([fate.id for _, fate in now])} at the next run of {who}"
    dated = [(fate.expires, fate.id) for forecast in known for fate in forecast.backups if fate.expires is not None]
    if dated:
        first = min(at for at, _ in dated)
        return f"{_named([id_ for at, id_ in dated if at == first])} from {first:%Y-%m-%d %H:%M:%S}Z on"
    events = ((fate.event, fate.id) for forecast in known for fate in forecast.backups if fate.event)
    return next((f"{id_} {event}" for event, id_ in events), None)


def _named(ids: list[str]) -> str:
    shown = ", ".join(ids[:3])
    return shown if len(ids) <= 3 else f"{shown} and {len(ids) - 3} more"


_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def earlier(moment: datetime, days: int) -> datetime:
    """So many days before `moment`, by the wall clock of its zone, in UTC.

    People write 9999999 to keep everything, which is before all time.
    """
    return (moment - timedelta(days=days)).astimezone(UTC) if days < (moment - _FIRST).days else _FIRST


def later(moment: datetime, days: int, tick: timedelta) -> datetime | None:
    """So many days after `moment` by the wall clock of its zone, and a tick, in UTC; None beyond all time."""
    return (moment + timedelta(days=days)).astimezone(UTC) + tick if days < (_LAST - moment).days else None


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 full backup`, `2 full backups`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


Dependents = Callable[[str], tuple[str, ...]]


def dependents_of(backups: Iterable[Backup]) -> Dependents:
    """For an id, all that builds on it, directly or not, in the order of `backups`."""
    children: dict[str, list[str]] = {}
    for backup in backups:
        if backup.parent is not None:
            children.setdefault(backup.parent, []).append(backup.id)

    def below(id_: str) -> tuple[str, ...]:
        found: list[str] = []
        seen = {id_}
        waiting = list(reversed(children.get(id_, ())))
        while waiting:
            child = waiting.pop()
            if child not in seen:
                seen.add(child)
                found.append(child)
                waiting.extend(reversed(children.get(child, ())))
        return tuple(found)

    return below
