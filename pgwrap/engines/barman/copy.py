"""Restoring a backup into a private place to try it out: the questions before it, the command, and what its end means.

Nothing runs here. Barman restores a tablespace to where the original's lies unless it is told otherwise, so their names
are asked for first, and without an answer nothing is restored.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Tablespace
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.barman.restore import NOT_VALID, RENAMED, tablespaces
from pgwrap.engines.port import CopyJob, CopyRequest, EngineVersion
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood

_LOCAL_STAGING_SINCE: Final = EngineVersion((3, 11))
_STAGING_SINCE: Final = EngineVersion((3, 15))
_ALL_IS_COPIED: Final = "false"
"""Without a target Barman copies the WAL into pg_wal itself: there is nowhere else to fetch any from."""


def copy(request: CopyRequest) -> Generator[tuple[Command, ...], tuple[Outcome, ...], CopyJob]:
    """`barman recover`, `restore` from 3.12 on, with every tablespace mapped."""
    command, _ = yield from restoring(request, ("--no-get-wal",), _timeline(request))
    return CopyJob(command=command, check=lambda ended: check(request, ended), unless_signalled=_ALL_IS_COPIED)


def restoring(
    request: CopyRequest, words: tuple[str, ...], more: tuple[str, ...] = ()
) -> Generator[tuple[Command, ...], tuple[Outcome, ...], tuple[Command, tuple[Tablespace, ...]]]:
    """The command with these words about WAL and targets, and the backup's tablespaces, each of which it maps."""
    cluster = request.cluster
    if request.backup.type == "snapshot":
        message = "a snapshot is restored by its cloud provider's means, not into a directory"
        raise EngineUnsupported(message, cluster=cluster.name)
    there = yield from tablespaces(cluster, request.backup, request.run_as)
    command = Command(
        argv=(
            *(cluster.engine.command, "-c", cluster.engine.config, "-f", "json"),
            "recover" if request.version < RENAMED else "restore",
            *words,
            *staging(request),
            *more,
            *(part for one in there for part in ("--tablespace", f"{one.name}:{request.tablespaces}/{one.oid}")),
            *(cluster.engine_name, request.backup.id, request.data),
        ),
        run_as=request.run_as,
        environment=request.environment,
        deadline=request.deadline,
    )
    return command, there


def _timeline(request: CopyRequest) -> tuple[str, ...]:
    """Barman before 3.19 copies the WAL of another timeline only where it is named."""
    return () if request.timeline == request.backup.timeline else ("--target-tli", str(request.timeline))


def staging(request: CopyRequest) -> tuple[str, ...]:
    """Where compressed and incremental backups are put together, under the name that each version has for it."""
    if request.version >= _STAGING_SINCE:
        return ("--staging-path", request.spool, "--staging-location", "local")
    local = ("--local-staging-path", request.spool) if request.version >= _LOCAL_STAGING_SINCE else ()
    return ("--recovery-staging-path", request.spool, *local)


def check(request: CopyRequest, outcome: Outcome) -> None:
    """Raise for a copy that was not made, or that Barman itself calls not valid."""
    check_ran(outcome)
    try:
        messages = messages_of(read_object(outcome.text()))
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        raise _failed(request, outcome, reason(outcome)) from None
    for text in messages.errors:
        if is_busy(text):
            raise Busy(text, hint="try again later", cluster=request.cluster.name)
    doubts = [text for text in messages.warnings if NOT_VALID in text]
    if not outcome.succeeded or messages.errors or doubts:
        raise _failed(request, outcome, next(iter((*messages.errors, *doubts)), reason(outcome)))


def _failed(request: CopyRequest, outcome: Outcome, said: str) -> EngineFailed:
    return EngineFailed(
        f"barman {outcome.command.argv[5]} failed: {' '.join(said.split())}",
        hint=f"try by hand: {outcome.command.quoted()}",
        cluster=request.cluster.name,
        engine_exit=outcome.exit_code,
    )
