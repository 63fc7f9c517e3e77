"""Which backup a drill restores, and to which moment: from the same facts as status. It knows no clock and no chance.

Where chance has a say it is a parameter, a number from 0 up to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from pgwrap.domain.amounts import moment as shown
from pgwrap.domain.drill import COVERED, Aim
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.recovery import ProofKey, Stretch, recoverable, stretches
from pgwrap.domain.wal import Segment, Timeline
from pgwrap.domain.wholeness import assess_backups
from pgwrap.records import dataclass

AFTER_STOP = timedelta(seconds=1)
"""Engines tell a backup's end in whole seconds; PostgreSQL refuses a target before the true one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A whole backup, and the WAL that replays from it."""

    backup: Backup
    timeline: Timeline
    """The one that its recovery ends on."""
    segment_size: int
    last: Segment
    """The last segment that replay reaches."""
    open_ended: bool
    """Whether no later WAL is archived behind a gap."""
    stop: datetime
    to: datetime
    """The newest moment that is known to be restorable."""

    def moment(self, aim: Aim, chance: float) -> datetime | None:
        """The moment of an aim that is one; None where it is none, or the window is too short for it."""
        first = self.stop + AFTER_STOP
        if aim not in (Aim.MIDDLE, Aim.RANDOM) or first >= self.to:
            return None
        return first + (self.to - first) * (0.5 if aim is Aim.MIDDLE else chance)

    def takes(self, aim: Aim) -> bool:
        """Whether the aim can be tried with it."""
        return aim in (Aim.OLDEST, Aim.NEWEST) or self.moment(aim, 0.5) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is restored, to where, and why."""

    candidate: Candidate
    aim: Aim
    target: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Why there is nothing to restore."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for; None leaves it open."""

    aim: Aim = Aim.NEWEST
    moment: datetime | None = None
    backup: str | None = None
    repository: str | None = None

    @property
    def is_a_moment(self) -> bool:
        """Whether it matters how far the WAL is known to reach in time."""
        return self.moment is not None or self.aim in (Aim.MIDDLE, Aim.RANDOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A drill that took place."""

    backup: str | None
    repository: str | None
    aim: Aim
    at: datetime


def candidates(observation: Observation, known: Mapping[ProofKey, datetime | None]) -> tuple[Candidate, ...]:
    """Each whole backup once for each repository, with the WAL that leads furthest; newest first."""
    found: dict[tuple[str | None, str], Candidate] = {}
    for stretch in stretches(observation):
        for candidate in _of_stretch(stretch, known):
            key = (candidate.backup.repository, candidate.backup.id)
            if key not in found or _reach(found[key]) < _reach(candidate):
                found[key] = candidate
    return tuple(sorted(found.values(), key=lambda one: (one.stop, one.backup.id), reverse=True))


def _of_stretch(stretch: Stretch, known: Mapping[ProofKey, datetime | None]) -> Iterator[Candidate]:
    (interval,) = recoverable((stretch,), known)
    for backup in stretch.backups:
        if backup.stopped_at is not None:
            yield Candidate(
                backup=backup,
                timeline=stretch.timeline,
                segment_size=stretch.segment_size,
                last=stretch.last,
                open_ended=stretch.open_ended,
                stop=backup.stopped_at,
                to=interval.to,
            )


def _reach(candidate: Candidate) -> tuple[Timeline, int]:
    return candidate.timeline, candidate.last.number


def choose(found: tuple[Candidate, ...], observation: Observation, wish: Wish, chance: float) -> Choice | Nothing:
    """The newest backup that serves the wish; else why none does."""
    fitting = tuple(one for one in found if _fits(one, wish))
    if not fitting:
        return Nothing(reason=_why_none(observation, wish))
    if wish.moment is not None:
        return _at_moment(fitting, wish.moment)
    able = [one for one in fitting if one.takes(wish.aim)]
    if not able:
        return Nothing(reason=f"no commit is known after a backup: there is no moment to choose for {wish.aim.value}")
    chosen = able[int(chance * len(able))] if wish.aim is Aim.RANDOM else able[0]
    return Choice(
        candidate=chosen,
        aim=wish.aim,
        target=chosen.moment(wish.aim, chance),
        reason="the backup that was named" if wish.backup else _REASONS[wish.aim],
    )


_REASONS = {
    Aim.NEWEST: "the newest whole backup: what a restore would take now",
    Aim.OLDEST: "the newest whole backup, recovered to its own end",
    Aim.MIDDLE: "the newest whole backup with commits after it, recovered to the middle of its window",
    Aim.RANDOM: "a backup and a moment by chance",
}


def _fits(candidate: Candidate, wish: Wish) -> bool:
    return wish.backup in (None, candidate.backup.id) and wish.repository in (None, candidate.backup.repository)


def _at_moment(fitting: tuple[Candidate, ...], wanted: datetime) -> Choice | Nothing:
    for candidate in fitting:
        if candidate.stop <= wanted <= candidate.to:
            reason = "the newest whole backup before the target"
            return Choice(candidate=candidate, aim=Aim.MOMENT, target=wanted, reason=reason)
    spans = sorted({(min(one.stop for one in fitting if one.to == to), to) for to in {one.to for one in fitting}})
    told = ", ".join(f"{shown(start)} to {shown(end)}" for start, end in spans)
    return Nothing(reason=f"{shown(wanted)} cannot be restored any more, or not yet; these moments can: {told}")


def _why_none(observation: Observation, wish: Wish) -> str:
    """The first reason that the facts give."""
    if not observation.read:
        said = next((finding.message for finding in observation.findings), "the engine told nothing")
        return f"the backups are not known: {said}"
    pairs = tuple(
        (backup, assessment)
        for backup, assessment in zip(observation.backups, assess_backups(observation), strict=True)
        if wish.backup in (None, backup.id) and wish.repository in (None, backup.repository)
    )
    if not pairs:
        named = f" {wish.backup}" if wish.backup else ""
        where = f" in repository {wish.repository}" if wish.repository else ""
        said = "".join(f" ({finding.message})" for finding in observation.findings[:1])
        return f"there is no backup{named}{where}{said}"
    backup, assessment = pairs[-1]
    return f"no backup is whole; {backup.id}: {assessment.reason or backup.error or backup.state}"


def least_tested(found: tuple[Candidate, ...], history: Iterable[Tried], chance: float) -> Choice | Nothing:
    """The backup, repository and aim whose turn it is: what was never tried first, then what was tried longest ago.

    Among equals the aim that waits longest, then the backup that waits longest, then the newest backup, so that a few
    drills have already seen oldest, newest and mid-window of several backups.
    """
    tried = tuple(history)
    pairs = [(one, aim) for one in found for aim in COVERED if one.takes(aim)]
    if not pairs:
        return Nothing(reason="there is no whole backup")

    def turn(pair: tuple[Candidate, Aim]) -> tuple[datetime, datetime, datetime]:
        key = pair[0].backup.repository, pair[0].backup.id
        same = [one for one in tried if (one.repository, one.backup) == key]
        return (
            _last(one for one in same if one.aim is pair[1]),
            _last(one for one in tried if one.aim is pair[1]),
            _last(same),
        )

    candidate, aim = min(pairs, key=turn)
    last = turn((candidate, aim))[0]
    since = "was never tried" if last == _NEVER else f"was tried last at {shown(last)}, longer ago than any other"
    reason = f"coverage: {aim.value} of this backup {since}"
    return Choice(candidate=candidate, aim=aim, target=candidate.moment(aim, chance), reason=reason)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _last(drills: Iterable[Tried]) -> datetime:
    return max((one.at for one in drills), default=_NEVER)
