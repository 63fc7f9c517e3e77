"""pgBackRest's own check, and the versions that must be the same everywhere. Nothing is run here.

`check` forces a WAL switch on the primary and waits until the segment is in every repository (src/command/check).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Final

from pgwrap.domain.checking import Check, Place
from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Severity
from pgwrap.domain.model import Cluster, RemoteHost
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.failures import raise_for
from pgwrap.engines.pgbackrest.output import version_from
from pgwrap.engines.port import CheckRequest, CheckStep, EngineVersion
from pgwrap.errors import OutputNotUnderstood

_DEFAULT_LOCK: Final = "/tmp/pgbackrest"  # noqa: S108 - pgBackRest's own default
_DEFAULT_LOG: Final = "/var/log/pgbackrest"
_DEFAULT_SPOOL: Final = "/var/spool/pgbackrest"
_ARCHIVED = re.compile(r"WAL segment (\S+) successfully archived to '.*' on (repo\d+)")


def check_steps(request: CheckRequest) -> tuple[CheckStep, ...]:
    """The version of each other host, and without `passive` pgBackRest's own check."""
    own = () if request.passive else (_own(request),)
    return (*_versions(request), *own)


def _own(request: CheckRequest) -> CheckStep:
    cluster = request.cluster
    command = Command(
        argv=(
            cluster.engine.command,
            *configuration_arguments(cluster.engine),
            f"--stanza={cluster.engine_name}",
            "--log-level-console=info",
            "--log-level-stderr=off",
            "check",
        ),
        run_as=request.run_as,
        host=cluster.engine.host,
        deadline=request.deadline,
    )
    return CheckStep(name="engine-check", command=command, read=_read_own)


def _read_own(outcome: Outcome) -> tuple[Check, ...]:
    raise_for(outcome)
    archived = [f"{match[1]} reached {match[2]}" for match in _ARCHIVED.finditer(outcome.text())]
    said = f": WAL segment {', '.join(archived)}" if archived else ""
    return (Check(name="engine-check", severity=Severity.OK, message=f"pgbackrest check passed{said}"),)


def _versions(request: CheckRequest) -> Iterator[CheckStep]:
    """pgBackRest of one version refuses to talk with another one's, whatever they differ in ([039])."""
    for host in _hosts(request.cluster):
        if host.transport == "ssh":
            yield CheckStep(
                name="versions",
                command=_ask(request, host),
                read=partial(_read_version, request.version, host.address, host.command or "pgbackrest"),
            )


def _hosts(cluster: Cluster) -> Iterator[RemoteHost]:
    found = (cluster.postgres.ssh, *(one.ssh for one in cluster.standbys), *(one.host for one in cluster.repositories))
    yield from dict.fromkeys(host for host in found if host is not None)


def _ask(request: CheckRequest, host: RemoteHost) -> Command:
    port = () if host.port is None else ("-p", str(host.port))
    destination = host.address if host.user is None else f"{host.user}@{host.address}"
    program = shlex.quote(host.command or "pgbackrest")
    return Command(
        argv=("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *port, "--", destination, f"{program} version"),
        run_as=request.run_as,
        host=request.cluster.engine.host,
        deadline=request.deadline,
    )


def _read_version(here: EngineVersion, address: str, program: str, outcome: Outcome) -> tuple[Check, ...]:
    if not outcome.succeeded:
        said = outcome.message or " ".join(outcome.error_text().split())[-300:] or f"exit code {outcome.exit_code}"
        message = f"{program} on {address} could not be asked for its version: {said}"
        hint = f"try by hand: {outcome.command.quoted()}"
        return (Check(name="versions", severity=Severity.UNKNOWN, message=message, hint=hint),)
    try:
        there = version_from(outcome.text())
    except OutputNotUnderstood as error:
        return (Check(name="versions", severity=Severity.UNKNOWN, message=f"{address}: {error.message}"),)
    if there != here:
        message = f"pgBackRest is {here} here and {there} on {address}: they refuse to work together"
        hint = f"install the same version on both, {max(here, there)}"
        return (Check(name="versions", severity=Severity.CRITICAL, message=message, hint=hint),)
    return (Check(name="versions", severity=Severity.OK, message=f"pgBackRest is {here} here and on {address}"),)


def places(cluster: Cluster) -> tuple[Place, ...]:
    """The directories on the engine's own host."""
    repositories = tuple(
        Place(path=repository.path, purpose=f"repository {repository.name}", holds_backups=True)
        for repository in cluster.repositories
        if repository.type in {"posix", "cifs"} and repository.host is None and repository.path is not None
    )
    data = cluster.postgres.data_directory if cluster.postgres.ssh is None else None
    spool = cluster.wal.spool or _DEFAULT_SPOOL
    return (
        *repositories,
        Place(path=cluster.engine.lock_directory or _DEFAULT_LOCK, purpose="lock directory", required=False),
        Place(path=cluster.engine.log_directory or _DEFAULT_LOG, purpose="log directory", required=False),
        *(
            (Place(path=spool, purpose="spool directory", required=False, grows=True),)
            if cluster.wal.asynchronous
            else ()
        ),
        *((Place(path=data, purpose="data directory", written=False, grows=True),) if data is not None else ()),
    )
