"""From Barman's catalog words to pgwrap's facts: state, type, retention and chain of each backup. It reads no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from pgwrap.domain.facts import Backup, BackupRetention, BackupState, BackupType, RunningOperation
from pgwrap.engines.barman.catalog import CatalogBackup, ListedBackup
from pgwrap.records import dataclass

_STATES: Final[dict[str, BackupState]] = {
    "EMPTY": "running",
    "STARTED": "running",
    "SYNCING": "running",
    "WAITING_FOR_WALS": "waiting_for_wal",
    "DONE": "done",
    "FAILED": "failed",
}
_UNFINISHED: Final = frozenset({"EMPTY", "STARTED"})
_HELD: Final[dict[str, Literal["full", "standalone"]]] = {"KEEP:FULL": "full", "KEEP:STANDALONE": "standalone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How Barman judges the backups of one server."""

    policy: str | None
    """As `policy.understood` spells it; None: nothing expires."""
    enforced: bool
    """Whether `barman cron` acts on the server: it skips inactive and disabled ones."""
    listed: Mapping[str, ListedBackup] | None
    """The lines of `list-backups` by id; None: they could not be had."""


def facts_of(
    backups: tuple[CatalogBackup, ...], judging: Judging, *, engine_name: str, repository: str
) -> tuple[Backup, ...]:
    """Every backup as facts, oldest first."""
    ordered = sorted(backups, key=lambda backup: backup.id)
    parents = {backup.id: backup.parent for backup in ordered}
    newest = ordered[-1].id if ordered else None
    return tuple(
        replace(
            _facts(_settled(backup, newest), judging, engine_name, repository), needs=_chain(backup.parent, parents)
        )
        for backup in ordered
    )


def running_of(backups: tuple[CatalogBackup, ...]) -> tuple[RunningOperation, ...]:
    """The backup in progress: the newest one, as long as Barman has not written its end."""
    newest = max(backups, key=lambda backup: backup.id, default=None)
    if newest is None or newest.status not in _UNFINISHED:
        return ()
    return (RunningOperation(operation="backup", started_at=newest.started_at, total_bytes=newest.cluster_size),)


def type_of(backup: CatalogBackup) -> BackupType:
    """rsync with hard links is a full one: each is a whole directory of its own, whatever was copied for it."""
    if backup.snapshot:
        return "snapshot"
    return "full" if backup.parent is None else "incremental"


def postgres_version(number: int | None) -> str | None:
    """150018 → "15", 90624 → "9.6"."""
    if number is None:
        return None
    return str(number // 10000) if number >= 100000 else f"{number // 10000}.{number // 100 % 100}"


def _settled(backup: CatalogBackup, newest: str | None) -> CatalogBackup:
    """A backup without an end that has a newer one is dead: two never run at a time (the server's backup lock)."""
    if backup.status in _UNFINISHED and backup.id != newest:
        return replace(backup, status="FAILED", error=backup.error or "it was interrupted before it ended")
    return backup


def _facts(backup: CatalogBackup, judging: Judging, engine_name: str, repository: str) -> Backup:
    listed = None if judging.listed is None else judging.listed.get(backup.id)
    stopped_at = backup.stopped_at or (listed.ended_at if listed is not None else None)
    return Backup(
        engine="barman",
        engine_name=engine_name,
        id=backup.id,
        repository=repository,
        name=backup.name,
        type=type_of(backup),
        state=_STATES.get(backup.status, "invalid"),
        started_at=backup.started_at,
        stopped_at=stopped_at,
        duration_seconds=_duration(backup),
        cluster_bytes=backup.cluster_size,
        copied_bytes=backup.deduplicated_size,
        stored_bytes=backup.size,
        wal_start=backup.begin_wal,
        wal_stop=backup.end_wal,
        lsn_start=backup.begin_lsn,
        lsn_stop=backup.end_lsn,
        timeline=backup.timeline,
        postgres_version=postgres_version(backup.version),
        system_identifier=backup.system_identifier,
        parent=backup.parent,
        tablespaces=backup.tablespaces,
        held=_HELD.get(listed.retention, False) if listed is not None else False,
        restorable=False if backup.status == "FAILED" else None,
        retention=_retention(backup, listed, judging),
        error=backup.error,
    )


def _duration(backup: CatalogBackup) -> float | None:
    if backup.seconds is not None:
        return backup.seconds
    if backup.started_at is None or backup.stopped_at is None:
        return None
    return (backup.stopped_at - backup.started_at).total_seconds()


def _retention(backup: CatalogBackup, listed: ListedBackup | None, judging: Judging) -> BackupRetention:
    """`list-backups` prints "-" for a valid backup and for one it does not judge alike (barman/server.py)."""
    if backup.status != "DONE":
        return BackupRetention(kept=True, reason=f"never expires: Barman judges only DONE backups, not {backup.status}")
    if judging.policy is None:
        return BackupRetention(kept=True, reason="no retention policy is applied")
    if not judging.enforced:
        return BackupRetention(kept=True, reason="barman cron skips this server, so nothing expires")
    if listed is None:
        return BackupRetention(kept=None, reason="Barman did not tell its retention status")
    return _judged(listed.retention, judging.policy)


def _judged(status: str, policy: str) -> BackupRetention:
    match status:
        case "OBSOLETE":
            return BackupRetention(kept=False, reason=f"obsolete by {policy}: the next barman cron deletes it")
        case "OBSOLETE*":
            return BackupRetention(kept=True, reason=f"obsolete by {policy}, kept by the minimum redundancy")
        case "-" | "VALID":
            return BackupRetention(kept=True, reason=f"kept by {policy}")
        case "KEEP:FULL" | "KEEP:STANDALONE":
            return BackupRetention(kept=True, reason=f"held by barman keep ({_HELD[status]})")
    return BackupRetention(kept=None, reason=f"Barman says {status}, which pgwrap does not know")


def _chain(parent: str | None, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """The backups that an incremental builds upon, the full one first."""
    chain: list[str] = []
    while parent is not None and parent not in chain:
        chain.append(parent)
        parent = parents.get(parent)
    return tuple(reversed(chain))
