"""Taking a backup: the command, and what its end means. It runs nothing and waits for no WAL.

Without `--wait`: on an idle PostgreSQL 17 a Barman before 3.15 would wait for ever. Cron makes the backup DONE later.
"""

from __future__ import annotations

from typing import Final

from pgwrap.domain.command import Outcome
from pgwrap.engines.barman.backups import Judging, facts_of, type_of
from pgwrap.engines.barman.catalog import CatalogBackup
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import Messages, messages_of
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.barman.parse import parse_taken
from pgwrap.engines.barman.settings import BLOCK_INCREMENTAL
from pgwrap.engines.barman.words import RSYNC, method
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, Progress
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood

_BUSY: Final = "Another backup process is running"
_REFUSED: Final = "Impossible to start the backup"
_SKIPPED: Final = "Skipping "
_POSTGRES_INCREMENTAL: Final = 17
_INCREMENTAL: Final = {"incremental": ("--incremental", "latest"), "differential": ("--incremental", "latest-full")}


def backup_job(request: BackupRequest) -> BackupJob:
    """`barman backup`, the result read from its JSON; EngineUnsupported for what this version or method cannot take."""
    _check_possible(request)
    cluster = request.cluster
    command = barman(
        cluster.engine,
        *("-f", "json", "backup", cluster.engine_name, *_INCREMENTAL.get(request.type, ())),
        run_as=request.run_as,
        deadline=request.deadline,
    )
    return BackupJob(command=command, progress=_no_progress, result=lambda outcome: _result(request, outcome))


def _no_progress(_: str) -> Progress | None:
    """Barman prints its JSON in one piece, at the end."""
    return None


def _check_possible(request: BackupRequest) -> None:
    cluster, how = request.cluster, method(request.cluster)
    if cluster.passive is not None:
        message = f"{cluster.name} is a passive copy: its backups are taken by the Barman on {cluster.passive.address}"
        raise EngineUnsupported(message, cluster=cluster.name)
    if request.type == "full":
        return
    if how in RSYNC:
        message = f"Barman's {how} backups are always full; with reuse: link they copy only what changed"
        raise EngineUnsupported(message, hint="take a full backup", cluster=cluster.name)
    if how != "postgres":
        message = f"Barman takes no {request.type} backup with the {how} method"
        raise EngineUnsupported(message, hint="take a full backup", cluster=cluster.name)
    if request.version < BLOCK_INCREMENTAL:
        message = f"Barman {request.version} takes no {request.type} backups, which came with {BLOCK_INCREMENTAL}"
        raise EngineUnsupported(message, hint="take a full backup, or upgrade Barman", cluster=cluster.name)
    if cluster.postgres.version is not None and cluster.postgres.version < _POSTGRES_INCREMENTAL:
        message = f"PostgreSQL {cluster.postgres.version} takes no {request.type} backups, which came with 17"
        raise EngineUnsupported(message, hint="take a full backup", cluster=cluster.name)


def _result(request: BackupRequest, outcome: Outcome) -> BackupResult:
    check_ran(outcome)
    try:
        backup, envelope = parse_taken(outcome.text())
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        raise _failed(request, outcome, reason(outcome)) from None
    messages = messages_of(envelope)
    if backup is None:
        raise _not_started(request, outcome, messages)
    if backup.status not in ("DONE", "WAITING_FOR_WALS"):
        cause = backup.error or next(iter(messages.errors), f"it ended as {backup.status}")
        raise _failed(request, outcome, f"backup {backup.id} failed: {cause}")
    return _taken(request, backup, messages)


def _taken(request: BackupRequest, backup: CatalogBackup, messages: Messages) -> BackupResult:
    """A whole backup, also when Barman met an error after it (its exit code is then 1)."""
    cluster = request.cluster
    repository = cluster.repositories[0].name if cluster.repositories else "repo1"
    judging = Judging(policy=None, enforced=False, listed=None)
    (facts,) = facts_of((backup,), judging, engine_name=cluster.engine_name, repository=repository)
    return BackupResult(
        id=backup.id,
        type=type_of(backup),
        state="done" if backup.status == "DONE" else "waiting_for_wal",
        messages=(*messages.errors, *messages.warnings),
        backup=facts,
    )


def _not_started(request: BackupRequest, outcome: Outcome, messages: Messages) -> Exception:
    said = " ".join(messages.errors)
    name = request.cluster.name
    if _BUSY in said:
        return Busy("another backup of this server, or a deletion, is running", hint="try again later", cluster=name)
    if _REFUSED in said:
        return _failed(request, outcome, "Barman refuses to start: one of its checks fails")
    skipped = [text for text in messages.information if text.startswith(_SKIPPED)]
    return _failed(request, outcome, next(iter((*messages.errors, *skipped)), "Barman told of no backup"))


def _failed(request: BackupRequest, outcome: Outcome, message: str) -> EngineFailed:
    cluster = request.cluster
    check = barman(cluster.engine, "check", cluster.engine_name, run_as=request.run_as)
    return EngineFailed(
        message, hint=f"see what Barman finds: {check.quoted()}", cluster=cluster.name, engine_exit=outcome.exit_code
    )
