"""Times and commands as the findings say them. It judges nothing."""

from __future__ import annotations

import shlex
from datetime import datetime

from pgwrap.domain import amounts
from pgwrap.domain.model import Cluster, EngineKind


def moment(time: datetime | None) -> str:
    """An absolute time, to the second."""
    return "an unknown time" if time is None else amounts.moment(time)


def take_backup(cluster: Cluster, kind: str = "full") -> str:
    """The command that takes a backup."""
    return f"pgwrap backup {shlex.quote(cluster.name)} --type {kind}"


def pgwrap(cluster: Cluster, verb: str) -> str:
    """A command of pgwrap on this cluster."""
    return f"pgwrap {verb} {shlex.quote(cluster.name)}"


def is_barman(cluster: Cluster) -> bool:
    """Whether the cluster's engine is Barman."""
    return cluster.engine.kind is EngineKind.BARMAN


def native(cluster: Cluster, *, pgbackrest: tuple[str, ...], barman: tuple[str, ...]) -> str:
    """The engine's own command on this cluster; in `barman`, `{}` stands for the server's name."""
    engine = cluster.engine
    if is_barman(cluster):
        words = [cluster.engine_name if word == "{}" else word for word in barman]
        return shlex.join((engine.command, "-c", engine.config, *words))
    return shlex.join((engine.command, f"--config={engine.config}", f"--stanza={cluster.engine_name}", *pgbackrest))


def psql(cluster: Cluster, sql: str) -> str:
    """The same SQL by hand, on the server that the spec names."""
    target = cluster.postgres
    argv = ["psql", "-p", str(target.port)]
    host = target.host or target.socket_directory
    argv += ["-h", host] if host else []
    argv += ["-U", target.user] if target.user else []
    return shlex.join((*argv, "-d", target.connection_database, "-c", sql))
