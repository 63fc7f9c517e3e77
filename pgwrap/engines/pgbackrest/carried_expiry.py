"""What `pgwrap expire` does to carried backups by the spec's policy, and why. It deletes nothing.

pgBackRest itself never expires them: a command of its own for each, on the history's stanza. They are judged by when
they ended in the engine they came from, beside the cluster's own backups in the same repository.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from pgwrap.domain.facts import Backup, BackupRetention
from pgwrap.domain.retention import earlier, later, plural
from pgwrap.engines.pgbackrest.expiry import KEEP_ALL, Policy
from pgwrap.records import dataclass

ENFORCED_BY: Final = "pgwrap expire"
_BY_HAND: Final = f"; only `{ENFORCED_BY}` deletes it"
_SECOND: Final = timedelta(seconds=1)
WAL_STAYS: Final = "the WAL of a carried history goes only with its whole stanza"
LAST: Final = "pgBackRest keeps the last full backup of a stanza, which goes only with the whole stanza"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    """The backups of one repository, carried and own; `own` without those that are about to go."""

    carried: tuple[Backup, ...]
    own: tuple[Backup, ...]
    whole: frozenset[str]
    """The ids of those from which the way on is open: no other takes an older one's place."""
    minimum_full: int = 0

    def counted(self, *, full: bool = False) -> tuple[Backup, ...]:
        """Whole ones whose end is known, carried and own, oldest first."""
        found = (
            backup
            for backup in (*self.carried, *self.own)
            if backup.id in self.whole and backup.stopped_at is not None and (not full or backup.type == "full")
        )
        return tuple(sorted(found, key=_stop))


def carried_expiry(shelves: Shelves, policy: Policy, now: datetime) -> dict[str, BackupRetention]:
    """The fate of each carried backup."""
    if not policy.full or policy.full >= KEEP_ALL:
        reason = "retention: none keeps everything" if policy.full else "no retention of full backups is set"
        return {backup.id: BackupRetention(kept=True, reason=reason) for backup in shelves.carried}
    judge = _Window(shelves, policy.full, now) if policy.by_time else _Number(shelves, policy.full)
    verdicts = {backup.id: judge.verdict(backup) for backup in shelves.carried}
    verdicts |= _with_fulls(shelves.carried, verdicts) if not policy.by_time else {}
    verdicts |= _needed(shelves.carried, verdicts)
    return verdicts | _last(shelves.carried, verdicts)


class _Rules(ABC):
    """What holds for both kinds of policy."""

    def __init__(self, shelves: Shelves) -> None:
        self.shelves = shelves
        self._fulls = shelves.counted(full=True)

    def newer_fulls(self, backup: Backup) -> int:
        """How many full backups, carried and own, ended later."""
        return sum(_stop(full) > _stop(backup) for full in self._fulls)

    def verdict(self, backup: Backup) -> BackupRetention:
        """By the end of the backup; what builds on another is brought in line with that later."""
        if backup.stopped_at is None:
            return BackupRetention(kept=True, reason="when it ended before it was carried over is not known")
        minimum = self.shelves.minimum_full
        newer = self.newer_fulls(backup)
        if backup.type == "full" and newer < minimum:
            reason = f"one of the newest {plural(minimum, 'full backup')} that minimum_full keeps"
            return BackupRetention(kept=True, reason=reason, event=_after(minimum - newer))
        return self.by_rule(backup)

    @abstractmethod
    def by_rule(self, backup: Backup) -> BackupRetention:
        """By the policy alone; its end is known."""


class _Number(_Rules):
    """So many of the newest full backups."""

    def __init__(self, shelves: Shelves, amount: int) -> None:
        super().__init__(shelves)
        self._amount = amount

    def by_rule(self, backup: Backup) -> BackupRetention:
        counted = f"the newest {plural(self._amount, 'full backup')}, carried ones among them"
        missing = self._amount - self.newer_fulls(backup)
        if missing > 0:
            return BackupRetention(kept=True, reason=f"one of {counted}", event=_after(missing))
        return BackupRetention(kept=False, reason=f"older than {counted}{_BY_HAND}")


class _Window(_Rules):
    """What a restore to any moment of the last so many days needs."""

    def __init__(self, shelves: Shelves, days: int, now: datetime) -> None:
        super().__init__(shelves)
        self._days = days
        self._edge = earlier(now.replace(microsecond=0), days)
        self._ends = shelves.counted()
        before = [backup for backup in self._ends if _stop(backup) <= self._edge]
        self._reaching = before[-1] if before else None
        """The newest from which the start of the window can be reached, be it carried or the cluster's own."""

    def by_rule(self, backup: Backup) -> BackupRetention:
        days, reaching = plural(self._days, "day"), self._reaching
        if _stop(backup) > self._edge:
            return self._kept(backup, f"inside the window of {days}, by when it ended before it was carried over")
        if reaching is None:
            return self._kept(backup, f"no whole backup reaches the start of the window of {days}")
        if backup.id == reaching.id:
            reason = f"the newest backup older than the window of {days}: needed to reach its start"
            return self._kept(backup, reason)
        if _stop(backup) >= _stop(reaching):
            return self._kept(backup, f"newer than {reaching.id}, which reaches the start of the window of {days}")
        reason = f"older than {reaching.id}, from which the start of the window of {days} can be reached{_BY_HAND}"
        return BackupRetention(kept=False, reason=reason)

    def _kept(self, backup: Backup, reason: str) -> BackupRetention:
        """It goes once the next one that is whole has become older than the window."""
        following = next((one for one in self._ends if _stop(one) > _stop(backup)), None)
        if following is None:
            event = f"{plural(self._days, 'day')} after the next backup has ended"
            return BackupRetention(kept=True, reason=reason, event=event)
        return BackupRetention(kept=True, reason=reason, expires=later(_stop(following), self._days, _SECOND))


def _after(fulls: int) -> str:
    return f"after {plural(fulls, 'more full backup')}"


def _stop(backup: Backup) -> datetime:
    if backup.stopped_at is None:
        raise ValueError(f"backup {backup.id} has no stop time")
    return backup.stopped_at


# What backups are to one another


def _with_fulls(carried: Iterable[Backup], verdicts: Mapping[str, BackupRetention]) -> dict[str, BackupRetention]:
    """A number counts full backups; what builds on one shares its fate."""
    known = {backup.id: backup for backup in carried}
    return {
        backup.id: _shared(root, verdicts[root])
        for backup in known.values()
        if backup.type != "full" and backup.stopped_at is not None
        for root in _bases(backup, known)
        if known[root].type == "full"
    }


def _shared(root: str, verdict: BackupRetention) -> BackupRetention:
    reason = f"kept as long as {root}" if verdict.kept else f"it goes with {root}"
    by_hand = "" if verdict.kept else _BY_HAND
    return BackupRetention(
        kept=verdict.kept,
        reason=f"{reason}, on which it builds{by_hand}",
        expires=verdict.expires,
        event=verdict.event,
    )


def _bases(backup: Backup, known: Mapping[str, Backup]) -> tuple[str, ...]:
    """All those of the catalog that it builds on, directly or not."""
    found: dict[str, None] = {}
    waiting = [backup]
    while waiting:
        one = waiting.pop()
        for base in (*one.needs, *((one.parent,) if one.parent is not None else ())):
            if base in known and base not in found:
                found[base] = None
                waiting.append(known[base])
    return tuple(found)


def _needed(carried: Iterable[Backup], verdicts: Mapping[str, BackupRetention]) -> dict[str, BackupRetention]:
    """What would go, and does not: a backup that stays builds on it."""
    found: dict[str, BackupRetention] = {}
    for base, needing in _kept_above(carried, verdicts):
        before = found.get(base)
        if before is None or _longer(verdicts[needing.id], before):
            found[base] = BackupRetention(
                kept=True,
                reason=f"kept as long as {needing.id}, which builds on it",
                expires=verdicts[needing.id].expires,
                event=verdicts[needing.id].event,
            )
    return {id_: verdict for id_, verdict in found.items() if not verdicts[id_].kept or _longer(verdict, verdicts[id_])}


def _kept_above(carried: Iterable[Backup], verdicts: Mapping[str, BackupRetention]) -> Iterator[tuple[str, Backup]]:
    known = {backup.id: backup for backup in carried}
    for backup in known.values():
        if verdicts[backup.id].kept:
            yield from ((base, backup) for base in _bases(backup, known))


def _longer(one: BackupRetention, other: BackupRetention) -> bool:
    """Whether time lets the other go first."""
    if other.expires is None:
        return False
    return one.expires is None or one.expires > other.expires


def _last(carried: Iterable[Backup], verdicts: Mapping[str, BackupRetention]) -> dict[str, BackupRetention]:
    """pgBackRest refuses to delete the only full backup that is left (expireAdhocBackup)."""
    fulls = sorted(backup.id for backup in carried if backup.type == "full")
    if not fulls or any(verdicts[id_].kept for id_ in fulls):
        return {}
    reason = verdicts[fulls[-1]].reason.removesuffix(_BY_HAND)
    return {fulls[-1]: BackupRetention(kept=True, reason=f"{reason}; yet {LAST}")}
