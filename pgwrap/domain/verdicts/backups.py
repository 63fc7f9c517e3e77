"""Findings about backups: whether there are any, how old, how whole. It takes and removes none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from pgwrap.domain.amounts import duration
from pgwrap.domain.facts import Backup, BackupRetention, Finding, FindingCode, Severity
from pgwrap.domain.objectives import FULL_TYPES, newest_done
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.evidence import Evidence
from pgwrap.domain.verdicts.versions import major_version

_WAITING_WARNING = 3600.0
"""Seconds after which a backup that still waits for WAL is not just finishing."""


def judged(evidence: Evidence) -> tuple[Backup, ...]:
    """The backups with `restorable` filled in, oldest first."""
    pairs = zip(evidence.observation.backups, evidence.assessments, strict=True)
    filled = (replace(backup, restorable=verdict.restorable) for backup, verdict in pairs)
    return tuple(sorted(filled, key=lambda backup: (_time(backup), backup.repository or "", backup.id)))


def backup_findings(evidence: Evidence) -> Iterator[Finding]:
    """Every finding about the backups of one cluster."""
    yield from _none(evidence)
    yield from _empty_repositories(evidence)
    yield from _none_for_this_version(evidence)
    yield from _ages(evidence)
    yield from _failed(evidence)
    yield from _waiting(evidence)
    yield from _broken(evidence)
    yield from _page_errors(evidence)
    yield from _offline(evidence)
    yield from _too_few(evidence)


def _time(backup: Backup) -> datetime:
    return backup.stopped_at or backup.started_at or datetime.max.replace(tzinfo=UTC)


def _fulls(backups: tuple[Backup, ...]) -> tuple[Backup, ...]:
    return tuple(backup for backup in backups if backup.type in FULL_TYPES)


def _none(evidence: Evidence) -> Iterator[Finding]:
    backups = evidence.observation.backups
    if evidence.done() or any(backup.state == "waiting_for_wal" for backup in backups):
        return
    running = any(backup.state == "running" for backup in backups) or bool(evidence.observation.running)
    message = "there is no backup: nothing can be restored" + ("; the first one is running" if running else "")
    yield Finding(
        code=FindingCode.NO_BACKUP,
        severity=Severity.CRITICAL,
        message=message,
        hint=words.take_backup(evidence.cluster),
    )


def _empty_repositories(evidence: Evidence) -> Iterator[Finding]:
    holding = {backup.repository for backup in evidence.done()}
    if not holding:
        return
    for repository in evidence.observation.repositories:
        if repository.name not in holding and repository.severity is Severity.OK:
            number = "" if repository.key is None else f" --repository {repository.name}"
            yield Finding(
                code=FindingCode.NO_BACKUP,
                severity=Severity.WARNING,
                message=f"repository {repository.name} holds no backup of this cluster",
                hint=words.take_backup(evidence.cluster) + number,
                repository=repository.name,
            )


def _none_for_this_version(evidence: Evidence) -> Iterator[Finding]:
    done = evidence.done()
    version, system = evidence.observation.postgres_version, evidence.observation.system_identifier
    server = major_version(evidence.server)
    current = version if server is None else server
    if not done or any(_fits(backup, current, system) for backup in done):
        return
    yield Finding(
        code=FindingCode.NO_BACKUP_FOR_CURRENT_POSTGRES_VERSION,
        severity=Severity.CRITICAL,
        message=f"none of the {len(done)} backups is of the cluster as it is now (PostgreSQL {current or 'unknown'}, "
        f"system identifier {system or 'unknown'}): they restore the one before pg_upgrade or initdb",
        hint=words.take_backup(evidence.cluster),
    )


def _fits(backup: Backup, version: str | None, system: str | None) -> bool:
    pairs = ((backup.postgres_version, version), (backup.system_identifier, system))
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def _ages(evidence: Evidence) -> Iterator[Finding]:
    backups = evidence.observation.backups
    ages = (
        ("backup_age", FindingCode.BACKUP_TOO_OLD, newest_done(backups), "backup", "incremental"),
        ("full_age", FindingCode.FULL_TOO_OLD, newest_done(backups, full=True), "full backup", "full"),
    )
    for name, code, newest, noun, kind in ages:
        objective = evidence.objective(name)
        if objective is None or objective.severity in (Severity.OK, Severity.UNKNOWN) or newest is None:
            continue
        yield Finding(
            code=code,
            severity=objective.severity,
            message=f"the newest {noun} {newest.id} ended at {words.moment(newest.stopped_at)}, "
            f"{duration(objective.observed_seconds or 0)} ago; "
            f"the limit is {duration(objective.limit_seconds)}",
            hint=words.take_backup(evidence.cluster, kind),
            backup=newest.id,
            repository=newest.repository,
        )


def _failed(evidence: Evidence) -> Iterator[Finding]:
    attempts = [backup for backup in evidence.observation.backups if backup.state in ("failed", "invalid")]
    newest = max(attempts, key=_started, default=None)
    if newest is None or any(_started(backup) > _started(newest) for backup in evidence.done()):
        return
    said = f": {newest.error}" if newest.error else ""
    yield Finding(
        code=FindingCode.BACKUP_FAILED,
        severity=Severity.WARNING,
        message=f"the newest attempt {newest.id}, begun at {words.moment(newest.started_at)}, {newest.state}{said}",
        hint=words.take_backup(evidence.cluster),
        backup=newest.id,
        repository=newest.repository,
    )


def _started(backup: Backup) -> tuple[datetime, str]:
    """A failed backup may not tell when it began; both engines' ids begin with a time and sort by it."""
    known = backup.started_at or backup.stopped_at
    return known or datetime.min.replace(tzinfo=UTC), backup.id


def _waiting(evidence: Evidence) -> Iterator[Finding]:
    for backup in evidence.observation.backups:
        if backup.state == "waiting_for_wal":
            yield _waits(backup, evidence)


def _waits(backup: Backup, evidence: Evidence) -> Finding:
    ended = backup.stopped_at or backup.started_at
    waited = None if ended is None else (evidence.now - ended).total_seconds()
    late = waited is None or waited > _WAITING_WARNING
    alone = not any(verdict.restorable for verdict in evidence.assessments)
    ranks = {(False, False): Severity.OK, (True, True): Severity.CRITICAL}
    since = "for an unknown time" if waited is None else f"for {duration(max(0.0, waited))}"
    return Finding(
        code=FindingCode.BACKUP_WAITING_FOR_WAL,
        severity=ranks.get((late, alone), Severity.WARNING),
        message=f"backup {backup.id} has been waiting {since} for WAL up to {backup.wal_stop or 'its end'}"
        + ("; no other backup can be restored" if alone else ""),
        hint=words.native(evidence.cluster, pgbackrest=("check",), barman=("switch-wal", "--force", "--archive", "{}")),
        backup=backup.id,
        repository=backup.repository,
    )


def _broken(evidence: Evidence) -> Iterator[Finding]:
    newest = newest_done(evidence.observation.backups)
    newest_full = newest_done(evidence.observation.backups, full=True)
    for backup, verdict in zip(evidence.observation.backups, evidence.assessments, strict=True):
        if backup.state != "done" or verdict.restorable is not False:
            continue
        yield Finding(
            code=FindingCode.BACKUP_NOT_RESTORABLE,
            severity=Severity.CRITICAL if backup in (newest, newest_full) else Severity.WARNING,
            message=f"backup {backup.id} of {words.moment(backup.stopped_at)} cannot be restored: {verdict.reason}",
            hint=words.take_backup(evidence.cluster),
            backup=backup.id,
            repository=backup.repository,
        )


def _page_errors(evidence: Evidence) -> Iterator[Finding]:
    newest_full = newest_done(evidence.observation.backups, full=True)
    for backup in evidence.done():
        if not backup.page_errors:
            continue
        matters = backup == newest_full or _kept(backup.retention) or bool(backup.held)
        yield Finding(
            code=FindingCode.BACKUP_PAGE_ERRORS,
            severity=Severity.CRITICAL if matters else Severity.WARNING,
            message=f"backup {backup.id} holds pages whose checksum is wrong: the data directory was damaged "
            f"when it was taken ({words.moment(backup.stopped_at)})",
            hint=words.native(
                evidence.cluster,
                pgbackrest=("info", f"--set={backup.id}"),
                barman=("show-backup", "{}", backup.id),
            ),
            backup=backup.id,
            repository=backup.repository,
        )


def _kept(retention: BackupRetention | None) -> bool:
    """Whether retention keeps the backup; where nobody says, it stays."""
    return retention is None or retention.kept is not False


def _offline(evidence: Evidence) -> Iterator[Finding]:
    """Barman has no offline backups; one without WAL names is one whose details it did not tell.

    One that was carried over is stored offline, and was none.
    """
    done = evidence.done()
    newest = newest_done(done)
    for backup in done:
        if backup.wal_start is not None or backup.imported_from is not None or backup.engine != "pgbackrest":
            continue
        yield Finding(
            code=FindingCode.OFFLINE_BACKUP_WITHOUT_WAL,
            severity=Severity.WARNING if backup == newest else Severity.OK,
            message=f"backup {backup.id} of {words.moment(backup.stopped_at)} was taken offline: no WAL makes it "
            "consistent or carries it further, and it is whole only if PostgreSQL had been shut down cleanly",
            hint=words.take_backup(evidence.cluster),
            backup=backup.id,
            repository=backup.repository,
        )


def _too_few(evidence: Evidence) -> Iterator[Finding]:
    fulls = _fulls(evidence.done())
    own = {repository.name: repository.retention for repository in evidence.cluster.repositories}
    for repository in dict.fromkeys(backup.repository for backup in fulls):
        policy = own.get(repository or "") or evidence.cluster.retention
        count = sum(backup.repository == repository for backup in fulls)
        if policy.minimum_full is not None and count < policy.minimum_full:
            yield Finding(
                code=FindingCode.TOO_FEW_BACKUPS,
                severity=Severity.WARNING,
                message=f"{count} full backups are there; the policy asks for at least {policy.minimum_full}",
                hint=words.take_backup(evidence.cluster),
                repository=repository,
            )
