"""`barman check`, and whether PostgreSQL's client programs are of the server's version or newer. Nothing is run here.

`check` may take WAL into the archive and, on an empty archive, force a WAL switch (barman/server.py, check_archive).
"""

from __future__ import annotations

import posixpath
import re
from functools import partial
from typing import Final

from pgwrap.domain.checking import Check, Place
from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Severity
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman.checks import BarmanCheck, checks_in
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.failures import check_ran, reason
from pgwrap.engines.barman.words import DEFAULT_HOME, backup_directory, method
from pgwrap.engines.port import CheckRequest, CheckStep
from pgwrap.errors import EngineFailed, OutputNotUnderstood

_MAJOR = re.compile(r"\(PostgreSQL\) (\d+)")
_DEFAULT_LOG: Final = "/var/log/barman"
_HINTS: Final = {
    "PostgreSQL": "try the conninfo by hand: psql 'CONNINFO' -c 'select 1'",
    "postgresql": "try the conninfo by hand: psql 'CONNINFO' -c 'select 1'",
    "postgresql streaming": "the streaming role must be allowed to replicate, in pg_hba.conf and by its attribute",
    "replication slot": "barman receive-wal --create-slot {server}",
    "receive wal running": "barman cron",
    "wal archive": "barman switch-wal --force --archive {server}",
    "wal level": "alter system set wal_level = 'replica' and restart PostgreSQL",
    "ssh": "ssh-copy-id to the server, as Barman's user",
    "retention policy settings": "the spec's retention is not what Barman has read: pgwrap render",
    "failed backups": "barman list-backups {server}, then barman delete {server} FAILED-ID",
    "backup maximum age": "pgwrap backup",
    "minimum redundancy requirements": "pgwrap backup",
    "directories": "barman check {server} makes them when its user may write barman_home",
    "archiver errors": "look into the errors directory of the server in barman_home",
}
"""What mends a check that fails, where Barman's own words do not say it."""


def check_steps(request: CheckRequest) -> tuple[CheckStep, ...]:
    """The client programs' version, and without `passive` Barman's own check."""
    own = () if request.passive else (_own(request),)
    return (*_clients(request), *own)


def _own(request: CheckRequest) -> CheckStep:
    cluster = request.cluster
    command = barman(
        cluster.engine, "-f", "json", "check", cluster.engine_name, run_as=request.run_as, deadline=request.deadline
    )
    return CheckStep(name="engine-check", command=command, read=partial(_read_own, cluster))


def _read_own(cluster: Cluster, outcome: Outcome) -> tuple[Check, ...]:
    check_ran(outcome)
    try:
        found = checks_in(outcome.text(), cluster.engine_name)
    except OutputNotUnderstood:
        if outcome.succeeded:
            raise
        raise EngineFailed(f"barman check failed: {reason(outcome)}", engine_exit=outcome.exit_code) from None
    failed = tuple(_failed(cluster, one) for one in found if not one.passed)
    passed = sum(1 for one in found if one.passed)
    severity = Severity.WARNING if failed else Severity.OK
    return (
        Check(name="engine-check", severity=severity, message=f"barman check: {passed} of {len(found)} checks passed"),
        *failed,
    )


def _failed(cluster: Cluster, one: BarmanCheck) -> Check:
    hint = _HINTS.get(one.name, "barman check {server}").format(server=cluster.engine_name)
    slug = re.sub(r"\W+", "-", one.name.lower()).strip("-")
    return Check(name=f"barman-{slug}", severity=Severity.CRITICAL, message=f"barman check: {one}", hint=hint)


def _clients(request: CheckRequest) -> tuple[CheckStep, ...]:
    """pg_basebackup and pg_receivewal work with servers of their own version and older."""
    cluster = request.cluster
    if cluster.passive is not None or (method(cluster) != "postgres" and cluster.wal.delivery == "archive"):
        return ()
    program = "pg_basebackup" if method(cluster) == "postgres" else "pg_receivewal"
    prefix = next((option.values[0] for option in cluster.options if option.key == "path_prefix"), "").split(":")[0]
    command = Command(
        argv=(posixpath.join(prefix, program), "--version"),
        run_as=request.run_as,
        host=cluster.engine.host,
        deadline=request.deadline,
    )
    return (CheckStep(name="versions", command=command, read=partial(_read_client, program, request.server_major)),)


def _read_client(program: str, server: int | None, outcome: Outcome) -> tuple[Check, ...]:
    match = _MAJOR.search(outcome.text())
    if match is None:
        said = outcome.message or " ".join(outcome.error_text().split()) or f"exit code {outcome.exit_code}"
        message = f"{program} on Barman's host could not be asked for its version: {said}"
        hint = "install PostgreSQL's client programs, or say where they are: options: {barman: {path_prefix: DIR}}"
        return (Check(name="versions", severity=Severity.WARNING, message=message, hint=hint),)
    client = int(match[1])
    if server is None:
        message = f"{program} is {client}; the server's version is not known"
        return (Check(name="versions", severity=Severity.UNKNOWN, message=message),)
    if client < server:
        message = f"{program} is {client}, older than the server, which is {server}"
        hint = f"install postgresql-client-{server}, and point path_prefix at it"
        return (Check(name="versions", severity=Severity.CRITICAL, message=message, hint=hint),)
    return (Check(name="versions", severity=Severity.OK, message=f"{program} {client} suits the server, {server}"),)


def places(cluster: Cluster) -> tuple[Place, ...]:
    """The directories on Barman's host."""
    home = cluster.engine.home or DEFAULT_HOME
    locks = cluster.engine.lock_directory
    return (
        Place(path=home, purpose="barman home"),
        Place(path=backup_directory(cluster), purpose="backup directory", required=False, holds_backups=True),
        *((Place(path=locks, purpose="lock directory"),) if locks not in (None, home) else ()),
        Place(path=cluster.engine.log_directory or _DEFAULT_LOG, purpose="log directory", required=False),
    )
