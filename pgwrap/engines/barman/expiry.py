"""What `barman cron` does to the backups and WAL of one server by its retention policy, and why. It deletes nothing.

Source: barman/retention_policies.py; backup.py (cron_retention_policy, delete_backup, should_remove_wals,
get_timelines_to_protect, remove_wal_before_backup) of 3.4 to 3.20. Barman removes WAL only together with a backup.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from pgwrap.domain.archived import segment_of
from pgwrap.domain.facts import ArchiveContents, Backup, BackupRetention
from pgwrap.domain.lineage import united
from pgwrap.domain.retention import WalFate, dependents_of, earlier, later, plural, wal_fate
from pgwrap.domain.wal import Segment, SegmentRange, Timeline, without
from pgwrap.engines.barman.policy import understood
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

_STANDALONE_DROPS_CHILDREN: Final = EngineVersion((3, 12))
"""From here on incrementals of a standalone-held backup go once the policy would let that backup go."""
_TICK: Final = timedelta(microseconds=1)
_DAYS: Final = {"DAYS": 1, "WEEKS": 7, "MONTHS": 31}
_WINDOW: Final = re.compile(r"RECOVERY WINDOW OF (\d+) (DAYS|WEEKS|MONTHS)")
_COPIED: Final = frozenset({"done", "waiting_for_wal"})
"""BackupInfo.STATUS_COPY_DONE: what counts as the backup before or after another."""
_ARCHIVING: Final = _COPIED | {"running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A server's `retention_policy` and `minimum_redundancy`; neither rule set: nothing expires."""

    redundancy: int | None = None
    window: int | None = None
    """In days."""
    text: str | None = None
    """As `policy.understood` spells it."""
    minimum: int = 0

    @classmethod
    def parse(cls, text: str | None, minimum: int) -> Policy:
        """The policy that Barman makes of a text; a text that it ignores is no policy."""
        spelled = understood(text)
        if spelled is None:
            return cls(minimum=minimum)
        window = _WINDOW.fullmatch(spelled)
        if window is not None:
            return cls(window=int(window[1]) * _DAYS[window[2]], text=spelled, minimum=minimum)
        return cls(redundancy=int(spelled.rpartition(" ")[2]), text=spelled, minimum=minimum)

    @property
    def floor(self) -> int:
        """How many of the newest backups no rule takes."""
        return max(self.redundancy or 0, self.minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What one run of cron does."""

    backups: Mapping[str, BackupRetention]
    wal: tuple[WalFate, ...] | None


def expiry(
    backups: tuple[Backup, ...],
    archives: tuple[tuple[ArchiveContents, int], ...] | None,
    policy: Policy,
    *,
    now: datetime,
    version: EngineVersion,
    by_hand: bool = False,
) -> Expiry:
    """What the next `barman cron` deletes of one server; `backups` oldest first, `now` in the zone of its host.

    A window's days are those of the wall clock: across a change of daylight saving time they have 23 or 25 hours
    (retention_policies.py, _point_of_recoverability: a difference of local times).

    `by_hand`: what `barman delete` of the same backups does instead, which leaves the WAL alone while every older
    backup is held as standalone (skip_wal_cleanup_if_standalone).
    """
    verdicts = _verdicts(backups, policy, now, version)
    going = tuple(backup for backup in backups if verdicts[backup.id].kept is False)
    if archives is None:
        return Expiry(backups=verdicts, wal=None)
    purges = tuple(_purges(backups, going, by_hand=by_hand))
    wal = tuple(fate for archive, size in archives for fate in _wal(archive, size, purges, any_goes=bool(going)))
    return Expiry(backups=verdicts, wal=wal)


# Which backups go


def _verdicts(
    backups: tuple[Backup, ...], policy: Policy, now: datetime, version: EngineVersion
) -> dict[str, BackupRetention]:
    if policy.text is None:
        stays = BackupRetention(kept=True, reason="no retention policy is applied")
        return dict.fromkeys((backup.id for backup in backups), stays)
    below = dependents_of(backups)
    roots = [backup for backup in reversed(backups) if backup.parent is None]
    judge = _by_window if policy.window is not None else _by_number
    verdicts: dict[str, BackupRetention] = {}
    for judged in judge(roots, policy, now):
        verdicts[judged.root.id] = judged.verdict
        verdicts |= dict.fromkeys(below(judged.root.id), _of_child(judged, version))
    orphan = BackupRetention(
        kept=True, reason="never expires: the backup it builds on is gone, so Barman judges it not"
    )
    return {backup.id: verdicts.get(backup.id, orphan) for backup in backups}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A backup that builds on none, with its verdict."""

    root: Backup
    verdict: BackupRetention
    without_it: BackupRetention | None = None
    """What becomes of the backups that build on one held as standalone: Barman 3.12+ judges them by the policy."""


def _by_number(roots: list[Backup], policy: Policy, _now: datetime) -> Iterator[_Judged]:
    """Newest first; a held backup takes up a place, too."""
    newer = 0
    for root in roots:
        if root.state != "done":
            yield _Judged(root=root, verdict=_unjudged(root))
            continue
        inside = newer < policy.floor
        event = f"after {plural(policy.floor - newer, 'more full backup')}"
        alone = _beside_standalone(root, inside=inside, event=event)
        yield _Judged(root=root, verdict=_numbered(root, newer, policy, inside=inside), without_it=alone)
        newer += 1


def _beside_standalone(
    root: Backup, *, inside: bool, expires: datetime | None = None, event: str | None = None
) -> BackupRetention:
    if inside:
        reason = f"the policy still covers its root {root.id}, which is held as standalone"
        return BackupRetention(kept=True, reason=reason, expires=expires, event=event)
    return BackupRetention(
        kept=False, reason=f"its root {root.id} is held as standalone and past the policy, which does not hold it"
    )


def _numbered(root: Backup, newer: int, policy: Policy, *, inside: bool) -> BackupRetention:
    if root.held:
        return _held(root)
    if not inside:
        reason = f"older than the newest {plural(policy.floor, 'backup')}" if policy.floor else "nothing is to be kept"
        return BackupRetention(kept=False, reason=f"{reason} ({policy.text})")
    event = f"after {plural(policy.floor - newer, 'more full backup')}"
    what = "one of the newest " + plural(policy.floor, "backup")
    by = policy.text if newer < (policy.redundancy or 0) else f"minimum_redundancy {policy.minimum}"
    return BackupRetention(kept=True, reason=f"{what} ({by})", event=event)


def _by_window(roots: list[Backup], policy: Policy, now: datetime) -> Iterator[_Judged]:
    """Newest first: all up to the first that ended before the window, then as many as the minimum asks for.

    The place in the row counts held backups, too. What builds on a standalone one is judged after it (Barman's
    `found`): the backup that reaches the start of the window is then past it already.
    """
    window = policy.window or 0
    edge = earlier(now, window)
    newer, found = 0, False
    first_newer: datetime | None = None
    for root in roots:
        if root.state != "done" or root.stopped_at is None:
            yield _Judged(root=root, verdict=_unjudged(root))
            continue
        local = first_newer.astimezone(now.tzinfo) if first_newer is not None else None
        verdict = _windowed(root, newer, policy, found=found, edge=edge, first_newer=local)
        found = found or root.stopped_at < edge
        first_newer = root.stopped_at if first_newer is None else min(first_newer, root.stopped_at)
        alone = _beside_standalone(
            root, inside=not found, expires=later(first_newer.astimezone(now.tzinfo), window, _TICK)
        )
        yield _Judged(root=root, verdict=verdict, without_it=alone)
        newer += 1


def _windowed(
    root: Backup, newer: int, policy: Policy, *, found: bool, edge: datetime, first_newer: datetime | None
) -> BackupRetention:
    if root.held:
        return _held(root)
    if not found:
        return _inside(root, newer, policy, edge=edge, first_newer=first_newer)
    if newer < policy.minimum:
        event = f"after {plural(policy.minimum - newer, 'more full backup')}"
        reason = f"past {policy.text}, kept by minimum_redundancy {policy.minimum}"
        return BackupRetention(kept=True, reason=reason, event=event)
    return BackupRetention(
        kept=False, reason=f"older than the backup that reaches the start of the window ({policy.text})"
    )


def _inside(
    root: Backup, newer: int, policy: Policy, *, edge: datetime, first_newer: datetime | None
) -> BackupRetention:
    assert root.stopped_at is not None and policy.window is not None  # noqa: S101, PT018 - see _by_window
    if root.stopped_at < edge:
        reason = f"the newest backup older than the window: needed to reach its start ({policy.text})"
    else:
        reason = f"inside the window ({policy.text})"
    if newer < policy.minimum:
        event = f"after {plural(policy.minimum - newer, 'more full backup')}, once the window has passed it"
        return BackupRetention(kept=True, reason=reason, event=event)
    if first_newer is None:
        event = f"{plural(policy.window, 'day')} after the next full backup has ended"
        return BackupRetention(kept=True, reason=reason, event=event)
    return BackupRetention(kept=True, reason=reason, expires=later(first_newer, policy.window, _TICK))


def _held(root: Backup) -> BackupRetention:
    return BackupRetention(kept=True, reason=f"held by barman keep ({root.held})", event="once it is released")


def _unjudged(root: Backup) -> BackupRetention:
    words = root.state.replace("_", " ")
    return BackupRetention(kept=True, reason=f"never expires: Barman judges only DONE backups, and it is {words}")


def _of_child(judged: _Judged, version: EngineVersion) -> BackupRetention:
    """What an incremental shares of the fate of its root, on whatever level it stands."""
    root, verdict = judged.root, judged.verdict
    if root.held == "standalone" and judged.without_it is not None and version >= _STANDALONE_DROPS_CHILDREN:
        return judged.without_it
    if verdict.kept is False:
        return BackupRetention(kept=False, reason=f"it builds on {root.id}, which goes")
    reason = f"kept as long as {root.id}, on which it builds"
    return BackupRetention(kept=True, reason=reason, expires=verdict.expires, event=verdict.event)


# Which WAL goes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purge:
    """The removal of WAL that comes with the deletion of one backup."""

    until: Backup
    """WAL before its first segment goes."""
    protected: frozenset[Timeline | None]
    """Timelines of other backups: nothing of them goes."""
    standalone: tuple[Backup, ...] = ()
    """Older backups that keep their own WAL."""


class _Catalog:
    """The backups that are left while cron deletes one after the other; a step costs no pass over all of them."""

    def __init__(self, backups: tuple[Backup, ...]) -> None:
        self._place = {backup.id: place for place, backup in enumerate(backups)}
        self._left: list[Backup | None] = list(backups)
        self._timelines = Counter(backup.timeline for backup in backups if backup.state in _ARCHIVING)

    def before(self, backup: Backup) -> Iterator[Backup]:
        """The backups before it whose copy is done, the nearest first."""
        return self._copied(range(self._place[backup.id] - 1, -1, -1))

    def after(self, backup: Backup) -> Backup | None:
        """The nearest one after it whose copy is done."""
        return next(self._copied(range(self._place[backup.id] + 1, len(self._left))), None)

    def remove(self, backup: Backup) -> None:
        """It is deleted."""
        self._left[self._place[backup.id]] = None
        self._timelines -= self._own(backup)

    def timelines(self, besides: Backup) -> frozenset[Timeline | None]:
        """Those of all the others that are archived or were (BackupInfo.STATUS_ARCHIVING)."""
        return frozenset(self._timelines - self._own(besides))

    def _copied(self, places: range) -> Iterator[Backup]:
        return (one for place in places if (one := self._left[place]) is not None and one.state in _COPIED)

    @staticmethod
    def _own(backup: Backup) -> Counter[Timeline | None]:
        return Counter((backup.timeline,) if backup.state in _ARCHIVING else ())


def _purges(backups: tuple[Backup, ...], going: tuple[Backup, ...], *, by_hand: bool) -> Iterator[_Purge]:
    """What cron does about WAL while it deletes `going`, in the order of their ids."""
    catalog = _Catalog(backups)
    for backup in going:
        standalone = _only_standalone(catalog, backup)
        if standalone is not None and not (by_hand and standalone):
            until = catalog.after(backup) or backup
            protected = catalog.timelines(besides=backup) - {until.timeline}
            yield _Purge(until=until, protected=protected, standalone=standalone)
        catalog.remove(backup)


def _only_standalone(catalog: _Catalog, backup: Backup) -> tuple[Backup, ...] | None:
    """The backups before it when all of them are held as standalone; None when one may need the WAL that follows."""
    standalone: list[Backup] = []
    for other in catalog.before(backup):
        if other.held != "standalone":
            return None
        standalone.append(other)
    return tuple(standalone)


def _wal(archive: ArchiveContents, size: int, purges: tuple[_Purge, ...], *, any_goes: bool) -> Iterator[WalFate]:
    ranges = archive.ranges or ()
    gone: list[tuple[SegmentRange, str]] = []
    left = ranges
    for purge in purges:
        removed = tuple(_removed(left, purge, size))
        gone.extend((part, f"before {purge.until.id}, when the backups before that are gone") for part in removed)
        left = tuple(without(left, removed))
    kept = _kept_reason(any_goes=any_goes, purged=bool(purges))
    fates = [wal_fate(archive, size, part, kept=False, reason=reason) for part, reason in gone]
    fates += [wal_fate(archive, size, part, kept=True, reason=kept) for part in left]
    yield from sorted(fates, key=lambda fate: fate.from_)


def _kept_reason(*, any_goes: bool, purged: bool) -> str:
    if not any_goes:
        return "no backup goes, and Barman removes WAL only together with one"
    if not purged:
        return "an older backup stays, which needs it"
    return "a backup that stays needs it, or it is on a timeline that has one"


def _removed(ranges: tuple[SegmentRange, ...], purge: _Purge, size: int) -> Iterator[SegmentRange]:
    """remove_wal_before_backup: names are compared as text, so by timeline, then by place."""
    begin = segment_of(purge.until.wal_start, size) if purge.until.wal_start is not None else None
    if begin is None:
        return
    keeps = [
        (first, last)
        for backup in purge.standalone
        if (first := segment_of(backup.wal_start or "", size)) is not None
        and (last := segment_of(backup.wal_stop or "", size)) is not None
    ]
    for span in ranges:
        if span.timeline in purge.protected or Segment(span.timeline, span.first) >= begin:
            continue
        end = span.last if span.timeline < begin.timeline else min(span.last, begin.number - 1)
        yield from without((SegmentRange(span.timeline, span.first, end),), _within(span.timeline, keeps, end))


def _within(timeline: Timeline, keeps: list[tuple[Segment, Segment]], end: int) -> tuple[SegmentRange, ...]:
    """The parts of `keeps`, which are ranges of names, on one timeline up to segment number `end`."""
    found = []
    for first, last in keeps:
        if first.timeline <= timeline <= last.timeline:
            low = first.number if first.timeline == timeline else 0
            high = last.number if last.timeline == timeline else end
            if low <= high:
                found.append(SegmentRange(timeline, low, high))
    return united(found)
