"""A restore as data: the command, how its lines tell its progress, and what its end means. Nothing is run here.

Which backup, repository and timeline are always named, so that pgBackRest never chooses (src/command/restore).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.model import Cluster
from pgwrap.domain.restoring import Along, PlannedSetting
from pgwrap.engines.pgbackrest.carried import provenance
from pgwrap.engines.pgbackrest.commands import configuration_arguments, info_command
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.history import is_history, of_backup
from pgwrap.engines.pgbackrest.info import parse_tablespaces
from pgwrap.engines.pgbackrest.output import copied, log_line, warnings_in
from pgwrap.engines.port import EngineVersion, Progress, RestoreJob, RestoreRequest
from pgwrap.errors import EngineUnsupported, OutputNotUnderstood

_AUTO: Final = "postgresql.auto.conf"
_TYPES: Final = {"latest": "default"}
_PAGE_ERRORS_STOP: Final = EngineVersion((2, 60))
_RESTORED: Final = re.compile(r"restore backup set (\S+?)(?:,|$)", re.MULTILINE)
_STEPS: Final = ("restore backup set", "remap data directory", "map tablespace", "write updated", "restore global/pg_")
_DEADLINE: Final = 60.0


def restore(request: RestoreRequest) -> RestoreJob:
    """How to restore; raises EngineUnsupported for a copy that pgBackRest would have to send to another host."""
    _check_possible(request)
    cluster = request.cluster
    command = Command(
        argv=(cluster.engine.command, *configuration_arguments(cluster.engine), *_arguments(request), "restore"),
        run_as=request.run_as,
        host=cluster.engine.host,
        deadline=request.deadline,
    )
    return RestoreJob(
        command=command,
        progress=progress,
        check=partial(check, request),
        written=tuple(_written(request)),
        notes=tuple(_notes(request)),
    )


def _check_possible(request: RestoreRequest) -> None:
    name = request.cluster.name
    if request.destination is not None:
        raise EngineUnsupported(
            "pgBackRest restores on the host where it runs, never to another",
            hint="run pgwrap on the host of the copy, with a spec that names the repository's host there",
            cluster=name,
        )
    if request.fetch_wal:
        raise EngineUnsupported(
            "pgBackRest always has PostgreSQL fetch WAL itself", hint="leave out --fetch-wal", cluster=name
        )
    if request.staging is not None:
        raise EngineUnsupported("pgBackRest unpacks nothing beside", hint="leave out --staging", cluster=name)


def _arguments(request: RestoreRequest) -> Iterator[str]:
    cluster, stanza = request.cluster, of_backup(request.cluster, request.backup)
    yield f"--stanza={stanza.engine_name}"
    yield f"--repo={_key(cluster, request.backup)}"
    yield f"--set={request.backup.id}"
    yield f"--pg1-path={request.directory}"
    if cluster.postgres.ssh is not None and not is_history(stanza):
        yield "--reset-pg1-host"
    yield from _recovery(request)
    yield from _placement(request)
    if not request.archive:
        yield "--archive-mode=off"
    if request.connection is not None:
        yield f"--recovery-option=primary_conninfo={request.connection}"
    if request.page_errors and request.version >= _PAGE_ERRORS_STOP:
        yield "--no-checksum-page-error"
    yield "--log-level-console=detail"
    yield "--log-level-stderr=off"


def _placement(request: RestoreRequest) -> Iterator[str]:
    """Of a carried backup pgBackRest knows neither the tablespaces' names nor where they were."""
    carried = is_history(of_backup(request.cluster, request.backup))
    for tablespace in request.tablespaces:
        if tablespace.moved or carried:
            word = tablespace.oid if carried else tablespace.name
            yield f"--tablespace-map={word}={tablespace.directory}"
    yield from (f"--link-map={name}={directory}" for name, directory in request.links)
    if request.link_all:
        yield "--link-all"
    if request.delta:
        yield "--delta"


def _recovery(request: RestoreRequest) -> Iterator[str]:
    target = request.target
    if request.standby:
        yield "--type=standby"
        yield f"--target-timeline={_followed(request)}"
        return
    yield f"--type={_TYPES.get(target.kind, target.kind)}"
    if target.value:
        yield f"--target={target.value}"
    if target.kind != "immediate":
        yield f"--target-timeline={_along(request)}"
    if target.exclusive:
        yield "--target-exclusive"
    if target.stops:
        yield f"--target-action={target.action}"


def _along(request: RestoreRequest) -> Along:
    """The backup's own timeline is not named by its number: PostgreSQL would ask for its history file, which an archive
    that began on it does not have (timeline.c, existsTimeLineHistory)."""
    return "current" if request.timeline == request.backup.timeline else request.timeline


def _followed(request: RestoreRequest) -> str:
    """Which timeline a standby follows: the newest there will be, unless one was named."""
    return "latest" if request.target.timeline is None else str(request.target.timeline)


def _key(cluster: Cluster, backup: Backup) -> int:
    """The repository's number: as the spec numbers it, or as `repoN` tells for one that the spec does not know."""
    keys = {repository.name: key for key, repository in cluster.keyed_repositories()}
    known = keys.get(backup.repository or "")
    return known if known is not None else int((backup.repository or "repo1").removeprefix("repo"))


def _written(request: RestoreRequest) -> Iterator[PlannedSetting]:
    setting = partial(PlannedSetting, file=_AUTO, by="engine")
    signal = "standby.signal" if request.standby else "recovery.signal"
    yield PlannedSetting(file=signal, name="", value="", by="engine")
    yield setting(name="restore_command", value="pgbackrest archive-get with the options of this restore")
    if request.standby:
        yield setting(name="recovery_target_timeline", value=_followed(request))
    else:
        yield from (setting(name=name, value=value) for name, value in request.target.settings(_along(request)))
    if request.connection is not None:
        yield setting(name="primary_conninfo", value=request.connection)
    if not request.archive:
        yield setting(name="archive_mode", value="off")


def _notes(request: RestoreRequest) -> Iterator[str]:
    was = request.backup.imported_from
    if was is not None:
        yield (
            f"this is {was.engine} backup {was.id}, carried over into stanza {request.backup.engine_name}: its times "
            "and positions are the original's, not those at which it was stored"
        )
    if request.cluster.wal.asynchronous:
        yield (
            "pgBackRest removes the spool directory of this stanza on the host where it restores: an original that "
            "archives asynchronously there sends what is in it once more"
        )


def progress(line: str) -> Progress | None:
    """What a line of output tells: a restored file's percentage, or a step that has begun."""
    file = copied(line)
    if file is not None:
        return Progress(fraction=file.fraction)
    read = log_line(line)
    if read is not None and read.level == "INFO" and read.text.startswith(_STEPS):
        return Progress(message=read.text)
    return None


def check(request: RestoreRequest, outcome: Outcome) -> tuple[str, ...]:
    """What pgBackRest warned of; OutputNotUnderstood when it does not say that it restored just this backup."""
    raise_for(outcome, request.cluster.name)
    said = _RESTORED.search(outcome.text())
    if said is None or said[1] != request.backup.id:
        restored = "no backup" if said is None else said[1]
        raise OutputNotUnderstood(
            f"pgBackRest ended well, yet names {restored} as restored instead of {request.backup.id}",
            hint="do not start what it restored; its log has more",
            cluster=request.cluster.name,
        )
    return tuple(" ".join(text.split()) for text in warnings_in(outcome))


def tablespaces(
    cluster: Cluster, backup: Backup, run_as: str | None
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], tuple[Tablespace, ...]]:
    """Ask `info --set`, which alone tells them; those of a carried backup are as its annotations say, if they do."""
    question = info_command(cluster.engine, backup.engine_name, run_as, _DEADLINE)
    narrowed = (f"--repo={_key(cluster, backup)}", f"--set={backup.id}")
    (outcome,) = yield (replace(question, argv=(*question.argv[:-1], *narrowed, question.argv[-1])),)
    raise_for(outcome, cluster.name)
    stored = parse_tablespaces(outcome.text(), backup.id)
    was = provenance(backup.annotations) if is_history(of_backup(cluster, backup)) else None
    before = {one.oid: one for one in was.tablespaces or ()} if was is not None else {}
    return tuple(before.get(one.oid, one) for one in stored)
