"""A restore as data: Barman's command by version, what it means that it ends, and what it leaves undone. It runs
nothing.

Sources: barman/cli.py (recover, restore), barman/recovery_executor.py and barman/server.py (get_required_xlog_files)
of 3.4, 3.13 and 3.20.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from functools import partial
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.model import Cluster
from pgwrap.domain.restoring import PlannedSetting
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import console_messages, read_object, redacted
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.barman.records import Record
from pgwrap.engines.port import EngineVersion, Progress, RestoreJob, RestoreRequest
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood

_AUTO: Final = "postgresql.auto.conf"
_WAL: Final = "barman_wal"
RENAMED: Final = EngineVersion((3, 12))
"""`recover` is called `restore` from here on."""
_ONE_STAGING: Final = EngineVersion((3, 15))
"""`--staging-path` takes the place of two options from here on."""
_NEEDS_EMPTY: Final = EngineVersion((3, 15))
_DELTA: Final = EngineVersion((3, 17))
"""`--delta-restore` came with 3.16 and worked from 3.17 on."""
NOT_VALID: Final = "IS NOT VALID"
"""Barman restores a backup whose WAL is not complete with this warning and exit code 0."""
_DEADLINE: Final = 60.0


def restore_job(request: RestoreRequest) -> RestoreJob:
    """`barman recover` or `restore`; raises EngineUnsupported for what this version, or this backup, cannot."""
    _check_possible(request)
    cluster = request.cluster
    native = barman(
        cluster.engine,
        "recover" if request.version < RENAMED else "restore",
        *_options(request),
        *(cluster.engine_name, request.backup.id, request.directory),
        run_as=request.run_as,
        deadline=request.deadline,
    )
    return RestoreJob(
        command=_in_universal_time(native, request),
        progress=progress,
        check=partial(check, request),
        written=tuple(_written(request)),
        settings=tuple(_settings(request)),
        unless_signalled=_unless_signalled(request),
        directories=("pg_wal", "pg_tblspc"),
        copied_wal=None if request.fetch_wal or request.target.time is None else _WAL,
        notes=tuple(_notes(request)),
    )


def _in_universal_time(command: Command, request: RestoreRequest) -> Command:
    """Barman 3.4 takes the clock time of the target for one of its own zone when it selects WAL, whatever the zone that
    is said with it (recovery_executor.py, time.mktime)."""
    if request.target.time is None:
        return command
    return Command(
        argv=("env", "TZ=UTC", *command.argv), run_as=command.run_as, host=command.host, deadline=command.deadline
    )


def _check_possible(request: RestoreRequest) -> None:
    name, version = request.cluster.name, request.version
    if request.links or request.link_all:
        raise EngineUnsupported("Barman restores no symbolic links of the data directory but tablespaces", cluster=name)
    if request.backup.type == "snapshot":
        raise EngineUnsupported(
            f"{request.backup.id} is a disk snapshot: pgwrap does not attach its disks",
            hint="attach disks made from it to an instance, then see `barman help restore`",
            cluster=name,
        )
    if not request.delta:
        return
    if _NEEDS_EMPTY <= version < _DELTA:
        raise EngineUnsupported(
            f"Barman {version} restores into empty directories alone",
            hint=f"empty the directory, or upgrade Barman to {_DELTA}",
            cluster=name,
        )
    if version >= _DELTA and request.destination is None and _is_staged(request):
        raise EngineUnsupported(
            "Barman cannot restore a compressed, encrypted or incremental backup over what is there",
            hint="restore into an empty directory",
            cluster=name,
        )


def _options(request: RestoreRequest) -> Iterator[str]:
    yield from _target(request)
    yield "--get-wal" if request.fetch_wal else "--no-get-wal"
    for tablespace in request.tablespaces:
        if tablespace.moved:
            yield from ("--tablespace", f"{tablespace.name}:{tablespace.directory}")
    if request.destination is not None:
        yield from ("--remote-ssh-command", shlex.join(("ssh", "-o", "BatchMode=yes", request.destination)))
    if request.staging is not None:
        yield from _staging(request, request.staging)
    if request.delta and request.version >= _DELTA:
        yield "--delta-restore"


def _target(request: RestoreRequest) -> Iterator[str]:
    target = request.target
    if request.standby:
        yield "--standby-mode"
        return
    if target.kind == "immediate":
        yield "--target-immediate"
    elif target.value:
        yield from (f"--target-{target.kind}", target.value)
    if target.kind != "immediate":
        yield from ("--target-tli", str(request.timeline))
    if target.exclusive:
        yield "--exclusive"
    if target.stops:
        yield from ("--target-action", target.action)


def _is_staged(request: RestoreRequest) -> bool:
    """Whether Barman unpacks or combines the backup before it puts it in place, as far as the spec tells."""
    backup = request.cluster.backup
    compressed = backup.compression not in (None, "none") and backup.method in (None, "postgres")
    encrypted = any(one.encryption is not None for one in request.cluster.repositories)
    return request.backup.type == "incremental" or compressed or encrypted


def _staging(request: RestoreRequest, path: str) -> Iterator[str]:
    if request.version >= _ONE_STAGING:
        yield from ("--staging-path", path, "--staging-location", "local")
        return
    yield from ("--recovery-staging-path", path)
    if request.backup.type == "incremental":
        yield from ("--local-staging-path", path)


def _written(request: RestoreRequest) -> Iterator[PlannedSetting]:
    setting = partial(PlannedSetting, file=_AUTO, by="engine")
    signal = "standby.signal" if request.standby else "recovery.signal"
    yield PlannedSetting(file=signal, name="", value="", by="engine")
    yield setting(name="restore_command", value="barman get-wal" if request.fetch_wal else f"cp {_WAL}/%f %p")
    if not request.standby:
        yield from (setting(name=name, value=value) for name, value in request.target.settings(request.timeline))
    yield PlannedSetting(file="postgresql.conf", name="archive_command", value="false", by="engine")


def _settings(request: RestoreRequest) -> Iterator[tuple[str, str]]:
    """Barman's `archive_command = false` would have a promoted copy keep its WAL for ever."""
    if not request.archive:
        yield "archive_mode", "off"
    if request.connection is not None:
        yield "primary_conninfo", request.connection


def _unless_signalled(request: RestoreRequest) -> tuple[tuple[str, str], ...]:
    """Without a target Barman 3.4 puts the WAL into pg_wal and leaves PostgreSQL to crash recovery: the copy would then
    go on along the original's own timeline."""
    if request.target.kind != "latest" or request.standby:
        return ()
    return (("restore_command", "false"), ("recovery_target_timeline", str(request.timeline)))


def _notes(request: RestoreRequest) -> Iterator[str]:
    if request.archive:
        yield "Barman sets archive_command to false: set it before the copy is to archive"
    if request.version < _ONE_STAGING and _is_staged(request) and request.staging is None:
        yield "a compressed or incremental backup needs --staging DIR, unless Barman's configuration names a directory"


def progress(line: str) -> Progress | None:
    """A line of Barman's talk as it is: it tells no bytes."""
    text = redacted(line.strip())
    return Progress(message=text) if text else None


def check(request: RestoreRequest, outcome: Outcome) -> tuple[str, ...]:
    """What Barman warned of; a copy that lacks WAL ends with a warning and exit code 0, which is a failure here."""
    check_ran(outcome)
    messages = console_messages(outcome.error_text())
    name = request.cluster.name
    invalid = next((text for text in messages.warnings if NOT_VALID in text), None)
    if outcome.succeeded and invalid is None and not messages.errors:
        return messages.warnings
    cause = invalid or next(iter(messages.errors), None) or reason(outcome)
    if is_busy(cause):
        raise Busy(cause, hint="try again when the other command has ended", cluster=name)
    raise EngineFailed(
        f"Barman did not restore {request.backup.id}: {cause}",
        hint=f"try by hand: {outcome.command.quoted()}",
        cluster=name,
        engine_exit=outcome.exit_code,
    )


def tablespaces(
    cluster: Cluster, backup: Backup, run_as: str | None
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], tuple[Tablespace, ...]]:
    """As the look told them; else ask `show-backup`."""
    if backup.tablespaces is not None:
        return backup.tablespaces
    command = barman(
        cluster.engine, "-f", "json", "show-backup", cluster.engine_name, backup.id, run_as=run_as, deadline=_DEADLINE
    )
    (outcome,) = yield (command,)
    check_ran(outcome)
    try:
        shown = read_object(outcome.text()).record(cluster.engine_name)
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        shown = Record()
    if shown.text("backup_id") != backup.id:
        if outcome.succeeded:
            raise OutputNotUnderstood(f"Barman tells nothing of backup {backup.id}", cluster=cluster.name)
        raise EngineFailed(
            f"Barman does not show backup {backup.id}: {reason(outcome)}",
            hint=f"try by hand: {outcome.command.quoted()}",
            cluster=cluster.name,
            engine_exit=outcome.exit_code,
        )
    return tuple(_tablespace(one) for one in shown.records("tablespaces"))


def _tablespace(record: Record) -> Tablespace:
    name, oid, location = record.text("name"), record.integer("oid"), record.text("location")
    if name is None or oid is None or location is None:
        raise OutputNotUnderstood("Barman shows a tablespace without a name, number or place")
    return Tablespace(name=name, oid=oid, location=location)
