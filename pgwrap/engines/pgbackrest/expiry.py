"""What `pgbackrest expire` does to one repository: the backups and the WAL it deletes, and why. It deletes nothing.

Source: src/command/expire/expire.c and src/config/load.c of 2.45 to 2.60. Time is compared in whole seconds; labels and
WAL names as text. Fulls of all PostgreSQL versions of the stanza are counted together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal

from pgwrap.domain.archived import segment_of
from pgwrap.domain.facts import ArchiveContents, Backup, BackupRetention
from pgwrap.domain.retention import Keep, WalFate, all_wal, dependents_of, earlier, later, plural, wal_fates
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

_ARCHIVE_WITHOUT_EXPIRY = EngineVersion((2, 47))
"""From here on a window sets the WAL retention also when no backup has expired (numFullExpired > 0 before)."""
_REFUSES_PAGE_ERRORS = EngineVersion((2, 60))
KEEP_ALL = 9_999_999
"""The greatest number pgBackRest takes; what people write to keep everything."""
_SECOND = timedelta(seconds=1)
_COUNTED: Mapping[str, frozenset[str]] = {
    "full": frozenset({"full"}),
    "diff": frozenset({"full", "differential"}),
    "incr": frozenset({"full", "differential", "incremental"}),
}
_TYPE_WORDS = {"full": "full", "diff": "full or differential", "incr": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The `repoN-retention-*` options of one repository; None: not set."""

    full: int | None = None
    by_time: bool = False
    differential: int | None = None
    archive: int | None = None
    archive_type: Literal["full", "diff", "incr"] = "full"
    checks_pages: bool = True
    """Whether `checksum-page-error` is left on (2.60+)."""

    def words(self) -> str | None:
        """In a line; None when no backup ever expires."""
        parts = []
        if self.full is not None and self.full < KEEP_ALL:
            parts.append(
                f"a window of {plural(self.full, 'day')}" if self.by_time else plural(self.full, "full backup")
            )
        if self.differential is not None:
            parts.append(plural(self.differential, "full or differential backup"))
        if parts and self.archive is not None:
            parts.append(
                f"WAL of the newest {plural(self.archive, f'{_TYPE_WORDS[self.archive_type]} backup'.strip())}"
            )
        return ", ".join(parts) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What one run of expire does."""

    backups: Mapping[str, BackupRetention]
    wal: tuple[WalFate, ...] | None
    refuses: str | None = None


def expiry(
    backups: tuple[Backup, ...],
    archives: tuple[tuple[ArchiveContents, int], ...] | None,
    policy: Policy,
    *,
    now: datetime,
    version: EngineVersion,
) -> Expiry:
    """What the next `expire` deletes of one repository; `backups` in any order, `archives` with their segment size."""
    ordered = tuple(sorted(backups, key=lambda backup: backup.id))
    going, keeper = _going(ordered, policy, now)
    left = tuple(backup for backup in ordered if backup.id not in going)
    refusal = _refusal(ordered, going, keeper, policy, version)
    if refusal is not None:
        stays = BackupRetention(kept=True, reason=f"pgBackRest refuses to expire anything: {refusal}")
        wal = None if archives is None else tuple(all_wal(archives, kept=True, reason=stays.reason))
        return Expiry(backups=dict.fromkeys((backup.id for backup in ordered), stays), wal=wal, refuses=refusal)
    verdicts = {id_: BackupRetention(kept=False, reason=reason) for id_, reason in going.items()}
    verdicts |= _staying(left, policy, keeper, now)
    amount = _archive_amount(ordered, keeper, policy, version)
    wal = None if archives is None else tuple(_wal(left, archives, policy, amount))
    return Expiry(backups=verdicts, wal=wal)


# Which backups go


class _Expiring:
    """The backups that go while one rule after the other is applied, each with its reason (expireBackup)."""

    def __init__(self, ordered: tuple[Backup, ...]) -> None:
        self.going: dict[str, str] = {}
        self._ordered = ordered
        self._below = dependents_of(ordered)

    def left(self, *types: str) -> list[Backup]:
        """Those of the types that no rule has taken yet, oldest first."""
        return [backup for backup in self._ordered if backup.type in types and backup.id not in self.going]

    def take(self, backups: Iterable[Backup], reason: str) -> None:
        """These go, with all that builds on them."""
        for backup in backups:
            if backup.id in self.going:  # and so is all that builds on it
                continue
            for id_ in self._below(backup.id):
                self.going.setdefault(id_, f"it builds on {backup.id}, which goes")
            self.going[backup.id] = reason


def _going(ordered: tuple[Backup, ...], policy: Policy, now: datetime) -> tuple[dict[str, str], Backup | None]:
    """The reason for each backup that goes, and the full one that a window must keep (None: none is older)."""
    expiring = _Expiring(ordered)
    keeper = _by_time(expiring, policy, now) if policy.by_time else None
    if policy.full and not policy.by_time:
        fulls = expiring.left("full")
        older = fulls[: max(len(fulls) - policy.full, 0)]
        expiring.take(older, f"older than the newest {plural(policy.full, 'full backup')}")
    if policy.differential:
        counted = expiring.left("full", "differential")
        older = counted[: max(len(counted) - policy.differential, 0)]
        reason = f"older than the newest {plural(policy.differential, 'full or differential backup')}"
        expiring.take((backup for backup in older if backup.type == "differential"), reason)
    return expiring.going, keeper


def _by_time(expiring: _Expiring, policy: Policy, now: datetime) -> Backup | None:
    """Take all that is older than the newest full backup that ended before the window, and give that one."""
    if not policy.full:
        return None
    edge = _edge(policy, now)
    keeper = next((full for full in reversed(expiring.left("full")) if _stop(full) < edge), None)
    if keeper is not None:
        older = (full for full in expiring.left(*_COUNTED["incr"]) if full.id < keeper.id)
        expiring.take(older, f"older than {keeper.id}, from which the start of the window can be reached")
    return keeper


def _edge(policy: Policy, now: datetime) -> datetime:
    """The start of the window; pgBackRest's clock counts whole seconds."""
    return earlier(now.replace(microsecond=0), policy.full or 0)


def _stop(backup: Backup) -> datetime:
    if backup.stopped_at is None:
        raise ValueError(f"pgBackRest's backup {backup.id} has no stop time")
    return backup.stopped_at


def _refusal(
    ordered: tuple[Backup, ...], going: Mapping[str, str], keeper: Backup | None, policy: Policy, version: EngineVersion
) -> str | None:
    """Since 2.60 (found by experiment): the full backup that would be the oldest must have no page errors.

    With a window that is the one that reaches its start, whether or not anything goes; with a number it is looked at
    only when a full backup goes. Differentials alone, and no retention of full backups, don't make it look.
    """
    fulls = [backup for backup in ordered if backup.type == "full"]
    left = [backup for backup in fulls if backup.id not in going]
    by_number = next(iter(left), None) if policy.full and len(left) < len(fulls) else None
    oldest = keeper if policy.by_time else by_number
    if version < _REFUSES_PAGE_ERRORS or not policy.checks_pages or oldest is None or not oldest.page_errors:
        return None
    return f"the oldest backup that would be left, {oldest.id}, has page checksum errors"


# Why the others stay, and for how long


def _staying(
    left: tuple[Backup, ...], policy: Policy, keeper: Backup | None, now: datetime
) -> dict[str, BackupRetention]:
    """A verdict for each backup that is left, the full ones first: what builds on them goes with them."""
    fulls = tuple(backup for backup in left if backup.type == "full")
    verdicts = dict(_fulls(fulls, policy, keeper, now))
    counted = tuple(backup for backup in left if backup.type != "incremental")
    after = {backup.id: len(counted) - place - 1 for place, backup in enumerate(counted)}
    for backup in left:
        if backup.type == "differential":
            verdicts[backup.id] = _differential(backup, after[backup.id], policy, verdicts)
        elif backup.type != "full":
            verdicts[backup.id] = _incremental(backup, verdicts)
    return verdicts


def _fulls(
    fulls: tuple[Backup, ...], policy: Policy, keeper: Backup | None, now: datetime
) -> Iterator[tuple[str, BackupRetention]]:
    """With what lets each go: for a window, that the first newer full backup has become older than it."""
    first_newer: datetime | None = None
    edge = _edge(policy, now)
    for newer, full in enumerate(reversed(fulls)):
        yield full.id, _full(newer, policy, first_newer, is_keeper=full is keeper, inside=_stop(full) >= edge)
        first_newer = _stop(full) if first_newer is None else min(first_newer, _stop(full))


def _full(
    newer: int, policy: Policy, first_newer: datetime | None, *, is_keeper: bool, inside: bool
) -> BackupRetention:
    if not policy.full or policy.full >= KEEP_ALL:
        reason = "retention: none keeps everything" if policy.full else "no retention of full backups is set"
        return BackupRetention(kept=True, reason=reason)
    if not policy.by_time:
        missing = policy.full - newer
        reason = f"one of the newest {plural(policy.full, 'full backup')}"
        return BackupRetention(kept=True, reason=reason, event=f"after {plural(missing, 'more full backup')}")
    days = plural(policy.full, "day")
    if is_keeper:
        reason = f"the newest full backup older than the window of {days}: needed to reach its start"
    elif inside:
        reason = f"inside the window of {days}"
    else:
        reason = f"newer than the full backup that reaches the start of the window of {days}"
    if first_newer is None:
        return BackupRetention(kept=True, reason=reason, event=f"{days} after the next full backup has ended")
    return BackupRetention(kept=True, reason=reason, expires=later(first_newer, policy.full, _SECOND))


def _differential(
    backup: Backup, newer: int, policy: Policy, verdicts: Mapping[str, BackupRetention]
) -> BackupRetention:
    root, with_root = _anchor(backup, verdicts)
    if not policy.differential:
        return with_root
    missing = policy.differential - newer
    own = f"after {plural(missing, 'more full or differential backup')}"
    return BackupRetention(
        kept=True,
        reason=f"one of the newest {plural(policy.differential, 'full or differential backup')}; {with_root.reason}",
        expires=with_root.expires,
        event=f"{own}, or with {root}",
    )


def _incremental(backup: Backup, verdicts: Mapping[str, BackupRetention]) -> BackupRetention:
    return _anchor(backup, verdicts)[1]


def _anchor(backup: Backup, verdicts: Mapping[str, BackupRetention]) -> tuple[str | None, BackupRetention]:
    """What it builds on, and the verdict that it shares with that."""
    below = verdicts.get(backup.parent or "")
    if below is None:
        reason = "what it builds on is not in the catalog, so no rule reaches it"
        return backup.parent, BackupRetention(kept=True, reason=reason)
    reason = f"kept as long as {backup.parent}, on which it builds"
    return backup.parent, BackupRetention(kept=True, reason=reason, expires=below.expires, event=below.event)


# Which WAL goes


def _archive_amount(
    ordered: tuple[Backup, ...], keeper: Backup | None, policy: Policy, version: EngineVersion
) -> int | None:
    """For how many backups continuous WAL is kept; None: WAL is not expired (config/load.c, expireTimeBasedBackup)."""
    if policy.archive is not None:
        return policy.archive
    if policy.archive_type == "diff":
        return policy.differential
    if policy.archive_type == "incr" or not policy.full:
        return None
    if not policy.by_time:
        return policy.full
    fulls = [backup for backup in ordered if backup.type == "full"]
    if keeper is None:
        return None
    expired = sum(backup.id < keeper.id for backup in fulls)
    return len(fulls) - expired if expired or version >= _ARCHIVE_WITHOUT_EXPIRY else None


def _wal(
    left: tuple[Backup, ...],
    archives: tuple[tuple[ArchiveContents, int], ...],
    policy: Policy,
    amount: int | None,
) -> Iterator[WalFate]:
    counted = [backup for backup in reversed(left) if backup.type in _COUNTED[policy.archive_type]]
    if not amount or not counted or amount > len(counted):
        yield from all_wal(archives, kept=True, reason=_no_wal_expiry(policy, amount, len(counted)))
        return
    newest = frozenset(backup.id for backup in counted[:amount])
    for archive, size in archives:
        yield from _of_archive(archive, size, left, counted, newest)


def _no_wal_expiry(policy: Policy, amount: int | None, there: int) -> str:
    kind = f"{_TYPE_WORDS[policy.archive_type]} backup".strip()
    if amount:
        return f"WAL expires only once {plural(amount, kind)} are there; there {'is' if there == 1 else 'are'} {there}"
    if policy.by_time and policy.full and policy.archive_type == "full":
        return "WAL expires only once a full backup is older than the window"
    return "WAL is not expired: no retention of it is set"


def _of_archive(
    archive: ArchiveContents, size: int, left: tuple[Backup, ...], counted: list[Backup], newest: frozenset[str]
) -> tuple[WalFate, ...]:
    """One archive-id: WAL begins at the oldest of the newest so many backups that is its own, else at its newest."""
    own = [backup for backup in counted if backup.archive == archive.archive]
    if not own:
        reason = (
            "where the cluster archives now, which is never deleted as a whole"
            if archive.current
            else f"no backup of {archive.archive} is left"
        )
        return tuple(all_wal([(archive, size)], kept=archive.current, reason=reason))
    begins = next((backup for backup in reversed(own) if backup.id in newest), own[0])
    if begins.wal_start is None:
        reason = f"WAL is not expired: {begins.id}, at which it would begin, was taken offline and names no WAL"
        return tuple(all_wal([(archive, size)], kept=True, reason=reason))
    mine = (backup for backup in left if backup.archive == archive.archive and backup.id <= begins.id)
    return wal_fates(
        archive,
        size,
        tuple(_keeps(mine, begins, size)),
        f"before the start of {begins.id}, where continuous WAL begins, and part of no backup",
    )


def _keeps(backups: Iterable[Backup], begins: Backup, size: int) -> Iterator[Keep]:
    for backup in backups:
        if backup.wal_start is None:
            continue
        first = segment_of(backup.wal_start, size)
        last = segment_of(backup.wal_stop, size) if backup.wal_stop is not None else None
        if first is None:
            continue
        if backup is begins:
            yield Keep(first=first, last=None, reason=f"from the start of {backup.id} on WAL is kept without a gap")
        elif last is not None and first <= last:
            yield Keep(first=first, last=last, reason="an older backup needs it to become consistent")
