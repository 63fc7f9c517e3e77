"""Taking a backup: the command, what its end means, and how it gets its last WAL. It runs nothing.

Without `--wait`: on an idle PostgreSQL 17 a Barman before 3.15 would wait for ever. Cron makes the backup DONE later,
and `Settling` does the same for one backup at once.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.engines.barman.backups import Judging, facts_of, type_of
from pgwrap.engines.barman.catalog import CatalogBackup
from pgwrap.engines.barman.checks import failed_checks
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import Messages, messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.barman.parse import parse_taken
from pgwrap.engines.barman.settings import BLOCK_INCREMENTAL
from pgwrap.engines.barman.words import RSYNC, method
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, Progress, Settling
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
    named = () if request.name is None else ("--name", request.name)
    command = barman(
        cluster.engine,
        *("-f", "json", "backup", *named, cluster.engine_name, *_INCREMENTAL.get(request.type, ())),
        run_as=request.run_as,
        deadline=request.deadline,
    )
    return BackupJob(
        command=command,
        progress=_no_progress,
        conclude=lambda outcome: _conclude(request, outcome),
        settle=lambda backup_id: _settling(request, backup_id),
        streamed=method(cluster) == "postgres",
    )


def _no_progress(_: str) -> Progress | None:
    """Barman prints its JSON in one piece, at the end."""
    return None


def _check_possible(request: BackupRequest) -> None:
    cluster, how = request.cluster, method(request.cluster)
    if cluster.passive is not None:
        message = f"{cluster.name} is a passive copy: its backups are taken by the Barman on {cluster.passive.address}"
        raise EngineUnsupported(message, cluster=cluster.name)
    if request.annotations:
        hint = "give it a name instead: --name NAME"
        raise EngineUnsupported("Barman keeps no annotations with a backup", hint=hint, cluster=cluster.name)
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


def _conclude(
    request: BackupRequest, outcome: Outcome
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], BackupResult]:
    check_ran(outcome)
    try:
        backup, envelope = parse_taken(outcome.text())
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        raise _failed(request, outcome, reason(outcome)) from None
    messages = messages_of(envelope)
    if backup is None and _REFUSED in " ".join(messages.errors):
        locks, check = yield (_locks(request), _check(request))
        raise _refused(request, outcome, locks, check)
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


def _locks(request: BackupRequest) -> Command:
    """Who holds which lock, without taking any."""
    engine = request.cluster.engine
    return Command(
        argv=("lslocks", "--noheadings", "--raw", "--output", "PATH"), run_as=request.run_as, host=engine.host
    )


def _check(request: BackupRequest) -> Command:
    """The checks that Barman has just made, this time with their answers."""
    cluster = request.cluster
    return barman(cluster.engine, "-f", "json", "check", cluster.engine_name, run_as=request.run_as, deadline=120.0)


def _refused(request: BackupRequest, outcome: Outcome, locks: Outcome, check: Outcome) -> Exception:
    """Barman refuses in the same words while another process is at work and when one of its checks fails."""
    cluster = request.cluster
    lock = f"/.{cluster.engine_name}-backup.lock"
    if any(path.endswith(lock) for path in locks.text().splitlines()):
        return _busy(cluster.name)
    failed = failed_checks(check, cluster.engine_name)
    which = f": {'; '.join(failed)}" if failed else ", and passes now" if check.succeeded else ""
    return _failed(request, outcome, f"Barman refuses to start: one of its checks fails{which}")


def _busy(cluster: str) -> Busy:
    return Busy(
        "another backup of this server, or a deletion, is running",
        hint="wait for it with --lock-wait SECONDS, or try again later",
        cluster=cluster,
    )


def _not_started(request: BackupRequest, outcome: Outcome, messages: Messages) -> Exception:
    if _BUSY in " ".join(messages.errors):
        return _busy(request.cluster.name)
    skipped = [text for text in messages.information if text.startswith(_SKIPPED)]
    return _failed(request, outcome, next(iter((*messages.errors, *skipped)), "Barman told of no backup"))


def _settling(request: BackupRequest, backup_id: str) -> Settling:
    """What cron would do for the whole installation, for this backup alone: take WAL in, judge the backup, ask."""
    cluster = request.cluster
    server = cluster.engine_name

    def command(*words: str) -> Command:
        return barman(cluster.engine, *words, run_as=request.run_as, deadline=300.0)

    def settled(outcome: Outcome) -> bool:
        check_ran(outcome)
        if not outcome.succeeded:
            raise _failed(request, outcome, f"the state of {backup_id} could not be asked: {reason(outcome)}")
        status = read_object(outcome.text()).record(server).text("status")
        if status == "FAILED":
            raise _failed(request, outcome, f"backup {backup_id} failed while it waited for its WAL")
        return status == "DONE"

    return Settling(
        commands=(
            command("archive-wal", server),
            command("check-backup", server, backup_id),
            command("-f", "json", "show-backup", server, backup_id),
        ),
        settled=settled,
    )


def _failed(request: BackupRequest, outcome: Outcome, message: str) -> EngineFailed:
    cluster = request.cluster
    check = barman(cluster.engine, "check", cluster.engine_name, run_as=request.run_as)
    return EngineFailed(
        message, hint=f"see what Barman finds: {check.quoted()}", cluster=cluster.name, engine_exit=outcome.exit_code
    )
