"""Which backup a restore starts from, across repositories and engines, and why; or why none will do. It reads nothing.

It stands on the same facts as `pgwrap status`: whole backups, unbroken WAL, commits that were read from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import TypeAlias

from pgwrap.domain.amounts import duration, moment
from pgwrap.domain.archived import needed_wal
from pgwrap.domain.facts import Backup, EngineName, Observation, RecoverableInterval
from pgwrap.domain.gaps import gaps
from pgwrap.domain.lineage import segment_at
from pgwrap.domain.moments import postgres_time
from pgwrap.domain.recovery import CLOCK_TICK, ProofKey, Stretch, recoverable, stretches, wanted_proofs
from pgwrap.domain.restoring import NeededSegments, RecoveryTarget, Refusal, RefusalCode
from pgwrap.domain.wal import Segment, Timeline
from pgwrap.domain.wholeness import assess_backups
from pgwrap.errors import UsageError
from pgwrap.records import dataclass

_WHOLE_SECOND = timedelta(seconds=1)
"""pgBackRest tells a backup's stop in whole seconds, cut off: the backup may end up to one later."""
_SHOWN = 3

Commits: TypeAlias = Mapping[ProofKey, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one engine holds of the PostgreSQL system."""

    cluster: str
    """The cluster of the spec by which the engine knows it."""
    observation: Observation
    commits: Commits
    depth: int
    """How many segments without a commit were looked through before a proof was given up."""
    asked: bool = True
    """Whether this is the cluster that was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the operator narrowed the choice to."""

    engine: EngineName | None = None
    repository: str | None = None
    backup: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A backup from which the target is reached along a stretch of WAL."""

    holding: Holding
    stretch: Stretch
    backup: Backup
    interval: RecoverableInterval
    proven: bool | None
    """Whether archived WAL reaches the target; None: for an xid or a name it cannot be known beforehand."""

    @property
    def place(self) -> tuple[str, str | None]:
        """Where it lies: engine and repository."""
        return self.backup.engine, self.backup.repository

    @cached_property
    def stopped_at(self) -> datetime:
        """When the backup ended; the backups of a stretch all tell it."""
        if self.backup.stopped_at is None:
            raise ValueError(f"backup {self.backup.id} has no stop time")
        return self.backup.stopped_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The backup to restore, with the reason."""

    candidate: Candidate
    reason: str
    wal: NeededSegments
    refusals: tuple[Refusal, ...] = ()
    """What stands against it, all of which can be accepted."""
    notes: tuple[str, ...] = ()


def choose(
    holdings: tuple[Holding, ...], target: RecoveryTarget, wanted: Wanted, now: datetime
) -> Choice | tuple[Refusal, ...]:
    """The best backup for the target, or every reason why there is none. UsageError for words that name nothing."""
    _check_words(holdings, wanted)
    if target.time is not None and target.time > now:
        return (_future(target.time, now),)
    ways = tuple(_ways(holdings, target, wanted))
    candidates = tuple(candidate for way in ways for candidate in _candidates(way, target, wanted))
    if not candidates:
        return _why_none(holdings, ways, target, wanted)
    best = max(candidates, key=lambda candidate: _merit(candidate, target))
    return Choice(
        candidate=best,
        reason=_reason(best, candidates, target, wanted),
        wal=_segments(best, target),
        refusals=tuple(_doubts(best)),
        notes=tuple(_notes(best, candidates, target)),
    )


def commits_matter(holdings: tuple[Holding, ...], target: RecoveryTarget) -> bool:
    """Whether commits that are read from the WAL can change the choice: where the target is a time, and where several
    ways lead to the end."""
    if target.kind != "latest":
        return target.time is not None
    ways = (stretch for one in holdings for stretch in stretches_along(one.observation, target.timeline))
    return sum(1 for _ in ways) > 1


def _check_words(holdings: tuple[Holding, ...], wanted: Wanted) -> None:
    engines = {holding.observation.engine for holding in holdings}
    if wanted.engine is not None and wanted.engine not in engines:
        held = ", ".join(sorted(engines))
        raise UsageError(f"{wanted.engine} holds no backups of this cluster", hint=f"engines that do: {held}")
    known = {state.name for one in _of_engine(holdings, wanted) for state in one.observation.repositories}
    if wanted.repository is not None and wanted.repository not in known:
        names = ", ".join(sorted(known)) or "none"
        raise UsageError(f"there is no repository {wanted.repository!r}", hint=f"its repositories: {names}")
    backups = [backup.id for backup in _backups(holdings, wanted)]
    if wanted.backup is not None and wanted.backup not in backups:
        close = get_close_matches(wanted.backup, backups, n=_SHOWN) or sorted(backups, reverse=True)[:_SHOWN]
        near = f"did you mean {' or '.join(close)}?" if close else "it has none"
        raise UsageError(f"there is no backup {wanted.backup!r} to restore", hint=near)


def _of_engine(holdings: tuple[Holding, ...], wanted: Wanted) -> Iterator[Holding]:
    return (one for one in holdings if wanted.engine in (None, one.observation.engine))


def _backups(holdings: tuple[Holding, ...], wanted: Wanted) -> Iterator[Backup]:
    for holding in _of_engine(holdings, wanted):
        for backup in holding.observation.backups:
            if wanted.repository in (None, backup.repository):
                yield backup


def _future(time: datetime, now: datetime) -> Refusal:
    return Refusal(
        code=RefusalCode.FUTURE_TARGET,
        message=f"the target {moment(time)} is {duration((time - now).total_seconds())} in the future",
        hint="nothing has been archived of it: name a moment that has passed, or leave the target out for the newest",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    holding: Holding
    stretch: Stretch
    interval: RecoverableInterval
    settled: bool
    """Whether the newest commit of the stretch is known, so that nothing later can be restored."""


def _ways(holdings: tuple[Holding, ...], target: RecoveryTarget, wanted: Wanted) -> Iterator[_Way]:
    for holding in _of_engine(holdings, wanted):
        for stretch in stretches_along(holding.observation, target.timeline):
            if wanted.repository not in (None, stretch.repository):
                continue
            (interval,) = recoverable((stretch,), holding.commits)
            settled = not wanted_proofs((stretch,), holding.commits, holding.depth)
            yield _Way(holding=holding, stretch=stretch, interval=interval, settled=settled)


def stretches_along(observation: Observation, timeline: Timeline | None) -> tuple[Stretch, ...]:
    """Every stretch of WAL that recovery can go along; for one timeline only as far as that goes."""
    whole = stretches(observation)
    if timeline is None:
        return whole
    return tuple(part for stretch in whole if (part := _along(stretch, timeline)) is not None)


def _along(stretch: Stretch, timeline: Timeline) -> Stretch | None:
    """The stretch up to where `timeline` was left; None when it does not come along it."""
    if stretch.timeline == timeline:
        return stretch
    place = next((index for index, piece in enumerate(stretch.run) if piece.timeline == timeline), None)
    if place is None:
        return None
    run = stretch.run[: place + 1]
    size, end = stretch.segment_size, run[-1].last
    needs = ((backup, needed_wal(backup, size)) for backup in stretch.backups)
    whole = tuple((backup, needed) for backup, needed in needs if needed is not None and needed.last.number <= end)
    if not whole:
        return None
    newest = max(needed.last.number for _, needed in whole)
    backups = tuple(backup for backup, _ in whole)
    return replace(stretch, run=run, timeline=timeline, backups=backups, newest_stop=newest, open_ended=False)


def _candidates(way: _Way, target: RecoveryTarget, wanted: Wanted) -> Iterator[Candidate]:
    for backup in way.stretch.backups:
        if wanted.backup not in (None, backup.id):
            continue
        fits, proven = _fits(backup, way, target)
        if fits:
            yield Candidate(
                holding=way.holding, stretch=way.stretch, backup=backup, interval=way.interval, proven=proven
            )


def _fits(backup: Backup, way: _Way, target: RecoveryTarget) -> tuple[bool, bool | None]:
    """Whether the target can lie ahead of the backup on this way, and whether it is known to."""
    if target.time is not None:
        reached = target.time <= way.interval.to
        ends_before = backup.stopped_at is not None and backup.stopped_at <= target.time
        return ends_before and (reached or not way.settled), reached
    if target.lsn is not None:
        needed = needed_wal(backup, way.stretch.segment_size)
        holds = segment_at(way.stretch.run, target.lsn // way.stretch.segment_size) is not None
        return holds and needed is not None and needed.stop <= target.lsn, True
    return True, True if target.kind in ("latest", "immediate") else None


_Merit: TypeAlias = tuple[bool, bool, int, tuple[int, float], bool, datetime, bool, int]
"""Proven, without damage, timeline, reach, surely before the target, newest, of the cluster named, first repository."""


def _merit(candidate: Candidate, target: RecoveryTarget) -> _Merit:
    sure = target.time is None or candidate.stopped_at + _WHOLE_SECOND <= target.time
    repositories = [state.name for state in candidate.holding.observation.repositories]
    place = repositories.index(candidate.backup.repository) if candidate.backup.repository in repositories else 256
    return (
        candidate.proven is not False,
        candidate.backup.page_errors is not True,
        candidate.stretch.timeline,
        _reach(candidate) if target.kind == "latest" else (0, 0.0),
        sure,
        candidate.stopped_at,
        candidate.holding.asked,
        -place,
    )


def _reach(candidate: Candidate) -> tuple[int, float]:
    return candidate.stretch.last.number, candidate.interval.to.timestamp()


def _reason(best: Candidate, candidates: tuple[Candidate, ...], target: RecoveryTarget, wanted: Wanted) -> str:
    words = {
        "time": "the newest backup that ended before the target",
        "lsn": "the newest backup that ended before the target",
        "latest": "the newest backup on the way to the end of the archived WAL",
        "immediate": "the newest whole backup",
    }
    said = words.get(target.kind, "the newest whole backup, as nothing tells where the target lies")
    if wanted.backup is not None:
        said = "named by --backup"
    others = dict.fromkeys(other.place for other in candidates if other.place != best.place)
    rivals = (
        max((one for one in candidates if one.place == place), key=lambda one: _merit(one, target)) for place in others
    )
    return "; ".join((said, *(_why_not(best, rival, target) for rival in rivals)))


def _why_not(best: Candidate, rival: Candidate, target: RecoveryTarget) -> str:
    """What the other place's best backup is worse in."""
    mine, theirs = _merit(best, target), _merit(rival, target)
    causes = (
        "does not surely reach the target",
        "has page errors",
        f"is on the older timeline {rival.stretch.timeline}",
        f"reaches no further than segment {rival.stretch.last.name(rival.stretch.segment_size)}",
        "ended within a second of the target",
        f"is {duration((best.stopped_at - rival.stopped_at).total_seconds())} older",
        "is as good, but of another cluster of the spec",
        "is as good, but comes later in the spec",
    )
    cause = next((cause for cause, one, other in zip(causes, mine, theirs, strict=True) if one != other), "is as good")
    place = rival.backup.engine if rival.backup.engine != best.backup.engine else f"repository {rival.place[1]}"
    return f"the best of {place}, {rival.backup.id}, {cause}"


def _segments(best: Candidate, target: RecoveryTarget) -> NeededSegments:
    size = best.stretch.segment_size
    needed = needed_wal(best.backup, size)
    if needed is None:
        raise ValueError(f"backup {best.backup.id} names no WAL")
    last = _last_needed(best, target, needed.last)
    count = last.number - needed.first.number + 1
    return NeededSegments(
        from_=needed.first.name(size),
        to=last.name(size),
        segments=count,
        bytes=count * size,
        exact=target.kind in ("lsn", "immediate", "latest"),
    )


def _last_needed(best: Candidate, target: RecoveryTarget, own: Segment) -> Segment:
    """The last segment that replay can come to."""
    stretch = best.stretch
    if target.kind == "immediate":
        return own
    if target.lsn is not None:
        return segment_at(stretch.run, target.lsn // stretch.segment_size) or stretch.last
    past = [segment.number for segment in _past(target.time, best)] if target.time is not None else []
    if not past:
        return stretch.last
    return segment_at(stretch.run, max(own.number, min(past))) or stretch.last


def _past(time: datetime, best: Candidate) -> Iterator[Segment]:
    """Segments that are known to hold a commit after `time`."""
    for segment in best.stretch.newest_first():
        commit = best.holding.commits.get(best.stretch.proof(segment))
        if commit is not None and commit - CLOCK_TICK >= time:
            yield segment


def _doubts(best: Candidate) -> Iterator[Refusal]:
    if best.proven is False:
        yield Refusal(
            code=RefusalCode.TARGET_NOT_PROVEN,
            message="no commit after the target has been found in the archived WAL; PostgreSQL stops with an error "
            f"when there is none. Proven is {moment(best.interval.to)}",
            hint="take a moment up to that, leave the target out for the end of the WAL, or install PostgreSQL's "
            "pg_waldump here so that it can be proven",
            acceptable=True,
        )
    if best.backup.page_errors:
        yield Refusal(
            code=RefusalCode.PAGE_ERRORS,
            message=f"{best.backup.id} holds pages with wrong checksums, and no other backup reaches the target",
            hint="restore it to look at what is whole, and check with pg_amcheck",
            acceptable=True,
        )


def _notes(best: Candidate, candidates: tuple[Candidate, ...], target: RecoveryTarget) -> Iterator[str]:
    if best.proven is None:
        yield (
            f"whether archived WAL holds the {target.kind} {target.value} cannot be checked beforehand; if it lies "
            f"before {moment(best.stopped_at)}, where this backup ended, name an older one with --backup"
        )
    older = sorted({one.backup.id for one in candidates} - {best.backup.id}, reverse=True)
    if best.proven is None and older:
        yield f"older backups: {', '.join(older[:_SHOWN])}"


def _why_none(
    holdings: tuple[Holding, ...], ways: tuple[_Way, ...], target: RecoveryTarget, wanted: Wanted
) -> tuple[Refusal, ...]:
    if wanted.backup is not None:
        return tuple(_why_not_this(holdings, ways, target, wanted.backup))
    if not ways:
        return (_no_way(holdings, target, wanted),)
    if target.lsn is not None:
        return (_lsn_outside(ways, target),)
    return (_outside(ways, target.time),) if target.time is not None else (_no_way(holdings, target, wanted),)


def _no_way(holdings: tuple[Holding, ...], target: RecoveryTarget, wanted: Wanted) -> Refusal:
    whole = tuple(stretch for one in _of_engine(holdings, wanted) for stretch in stretches(one.observation))
    if target.timeline is not None and whole:
        known = sorted({piece.timeline for stretch in whole for piece in stretch.run})
        return Refusal(
            code=RefusalCode.TIMELINE_UNKNOWN,
            message=f"no whole backup leads along timeline {target.timeline}",
            hint=f"timelines with a way from a backup: {', '.join(map(str, known))}",
        )
    reasons = tuple(dict.fromkeys(_reasons(_of_engine(holdings, wanted), wanted)))[-_SHOWN:]
    return Refusal(
        code=RefusalCode.NO_BACKUP,
        message="there is no backup that can be restored" + (f" ({'; '.join(reasons)})" if reasons else ""),
        hint="see why with `pgwrap status`, and what there is with `pgwrap list`",
    )


def _reasons(holdings: Iterable[Holding], wanted: Wanted) -> Iterator[str]:
    for holding in holdings:
        observation = holding.observation
        for backup, verdict in zip(observation.backups, assess_backups(observation), strict=True):
            if verdict.restorable is not True and wanted.repository in (None, backup.repository):
                yield f"{backup.id}: {verdict.reason}"


def _why_not_this(
    holdings: tuple[Holding, ...], ways: tuple[_Way, ...], target: RecoveryTarget, wanted: str
) -> Iterator[Refusal]:
    on_the_way = next((one for way in ways for one in way.stretch.backups if one.id == wanted), None)
    if on_the_way is None:
        reason = next((r for r in _reasons(holdings, Wanted()) if r.startswith(f"{wanted}: ")), None)
        yield Refusal(
            code=RefusalCode.BACKUP_NOT_RESTORABLE,
            message=reason or f"{wanted}: no unbroken WAL leads from it along the timeline that was asked for",
            hint="leave --backup out to have the best one chosen, or see `pgwrap list`",
        )
        return
    ended = on_the_way.stopped_at
    if (target.time is not None and ended is not None and ended > target.time) or target.lsn is not None:
        where = moment(ended) if target.time is not None else str(on_the_way.lsn_stop or "?")
        yield Refusal(
            code=RefusalCode.BACKUP_AFTER_TARGET,
            message=f"{wanted} ended at {where}: the target {target.value} cannot be reached from it",
            hint="leave --backup out to have the newest that ended before the target chosen",
        )
        return
    yield _outside(ways, target.time or ways[0].interval.to)


def _lsn_outside(ways: tuple[_Way, ...], target: RecoveryTarget) -> Refusal:
    ends = [(_first_stop(way), Segment(way.stretch.timeline, way.stretch.last.number + 1)) for way in ways]
    size = ways[0].stretch.segment_size
    spans = ", ".join(dict.fromkeys(f"{first} to {end.start(size)}" for first, end in ends if first is not None))
    return Refusal(
        code=RefusalCode.TARGET_IN_GAP,
        message=f"the target lsn {target.value} is in no stretch of archived WAL that begins with a whole backup",
        hint=f"positions that can be reached: {spans}",
    )


def _first_stop(way: _Way) -> str | None:
    stops = [needed.stop for one in way.stretch.backups if (needed := needed_wal(one, way.stretch.segment_size))]
    return str(min(stops)) if stops else None


def _outside(ways: tuple[_Way, ...], time: datetime) -> Refusal:
    """Why no interval holds a moment: before all, after all, or between two."""
    before = max((way for way in ways if way.interval.to < time), key=lambda way: way.interval.to, default=None)
    after = min((way for way in ways if way.interval.from_ > time), key=lambda way: way.interval.from_, default=None)
    if before is None and after is not None:
        return Refusal(
            code=RefusalCode.TARGET_TOO_EARLY,
            message=f"the target {postgres_time(time)} is before {postgres_time(after.interval.from_)}, the oldest "
            "moment that can be restored",
            hint="older backups are gone; name a moment from there on",
        )
    if before is not None and after is not None:
        return Refusal(
            code=RefusalCode.TARGET_IN_GAP,
            message=f"the target {postgres_time(time)} cannot be restored: {_missing(before)}",
            hint=f"the nearest moments that can: {postgres_time(before.interval.to)} before it, and "
            f"{postgres_time(after.interval.from_)} after it",
        )
    newest = ways[0].interval.to if before is None else before.interval.to
    return Refusal(
        code=RefusalCode.TARGET_NOT_ARCHIVED,
        message=f"the target {postgres_time(time)} is after {postgres_time(newest)}, the newest moment that the "
        "archived WAL holds",
        hint="leave the target out for the end of the WAL, or have the server close a segment: select pg_switch_wal()",
    )


def _missing(way: _Way) -> str:
    last = way.stretch.last.name(way.stretch.segment_size)
    lost = [
        gap
        for gap in gaps(way.holding.observation)
        if gap.repository == way.stretch.repository and gap.from_[8:] > last[8:]
    ]
    if not lost:
        return "no whole backup with unbroken WAL leads there"
    first = min(lost, key=lambda gap: gap.from_[8:])
    span = first.from_ if first.segments == 1 else f"{first.from_} to {first.to}"
    return f"WAL is missing from the archive ({span})"
