"""What a cluster needs once before pgBackRest can back it up: its stanza, created or upgraded. Nothing is run here."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import Note, Run, Step
from pgwrap.engines.pgbackrest import commands
from pgwrap.engines.pgbackrest.failures import raise_for, trouble_in
from pgwrap.engines.pgbackrest.info import DatabaseInfo, StanzaInfo, stanzas_from
from pgwrap.engines.port import PreparationRequest
from pgwrap.errors import OutputNotUnderstood

Answer: TypeAlias = Generator[tuple[Command, ...], tuple[Outcome, ...], tuple[Step, ...]]
_ABSENT = frozenset({1, 3})
"""No path or no data of the stanza in a repository (src/command/info/info.c)."""
_BROKEN = 99


def preparations(request: PreparationRequest) -> Answer:
    """Ask `info`, and say whether the stanza must be created, upgraded, or looked at first."""
    cluster = request.cluster
    (outcome,) = yield (commands.info_command(request.config, cluster.engine_name, cluster.run_as, request.deadline),)
    trouble = trouble_in(outcome)
    if trouble is not None:
        return (_unknown(cluster, trouble.message),)
    try:
        found = [stanza for stanza in stanzas_from(outcome.stdout) if stanza.name == cluster.engine_name]
    except OutputNotUnderstood as error:
        return (_unknown(cluster, error.message),)
    return _steps(cluster, found[0], request.server) if found else (_create(cluster),)


def _steps(cluster: Cluster, stanza: StanzaInfo, server: PostgresView | None) -> tuple[Step, ...]:
    broken = next((one for one in stanza.repositories if one.code == _BROKEN), None)
    if broken is not None:
        return (_unknown(cluster, f"repository {broken.key}: {broken.message}"),)
    if any(repository.code in _ABSENT for repository in stanza.repositories):
        return (_create(cluster),)
    newest = max(stanza.databases, key=lambda database: database.id, default=None)
    if newest is None or server is None or not server.reachable or server.system_identifier is None:
        return ()
    return () if newest.system_identifier == server.system_identifier else (_another(cluster, newest, server),)


def _create(cluster: Cluster) -> Step:
    reason = "the stanza is not there in every repository"
    return _stanza(cluster, "stanza-create", reason, "`pgbackrest info` shows the stanza without an error")


def _another(cluster: Cluster, newest: DatabaseInfo, server: PostgresView) -> Step:
    """Another system identifier: pg_upgrade made it when the version changed, too; else it is another cluster."""
    if (server.version or "").split(".")[0] != newest.version.split(".")[0]:
        reason = f"the stanza knows PostgreSQL {newest.version}, the server is {server.version}"
        return _stanza(cluster, "stanza-upgrade", reason, "`pgbackrest info` shows the server's version")
    message = (
        f"the server's system identifier is {server.system_identifier}, the stanza's {newest.system_identifier}: "
        "another cluster runs there; look before its WAL is mixed with the old one's"
    )
    return Step(
        subject=cluster.name,
        effect=Note(message=message, by_hand=_command(cluster, "stanza-upgrade").quoted()),
        reason="what is archived must belong to one cluster",
    )


def _stanza(cluster: Cluster, verb: str, reason: str, done_when: str) -> Step:
    command = _command(cluster, verb)

    def check(outcome: Outcome) -> None:
        raise_for(outcome, cluster.name)

    return Step(subject=cluster.name, effect=Run(command=command, check=check), reason=reason, done_when=done_when)


def _command(cluster: Cluster, verb: str) -> Command:
    instance = cluster.engine
    return Command(
        argv=(
            instance.command,
            *commands.configuration_arguments(instance),
            f"--stanza={cluster.engine_name}",
            "--log-level-console=warn",
            "--log-level-stderr=off",
            verb,
        ),
        run_as=cluster.run_as,
        host=instance.host,
        deadline=300.0,
    )


def _unknown(cluster: Cluster, message: str) -> Step:
    by_hand = _command(cluster, "stanza-create").quoted()
    note = Note(message=f"whether the stanza is there could not be established: {message}", by_hand=by_hand)
    return Step(subject=cluster.name, effect=note, reason="a stanza must exist before anything is archived")
