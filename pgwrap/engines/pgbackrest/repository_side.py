"""Where a command runs that only the repository's host may run: `backup` and `expire` before 2.55 ([072] elsewhere).

pgwrap starts it there through ssh, by the way that pgBackRest itself goes; what its repository is, that host's own
configuration says. Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pgwrap.domain.model import Cluster, RemoteHost
from pgwrap.engines.pgbackrest.commands import configuration_arguments
from pgwrap.engines.pgbackrest.document import is_split
from pgwrap.engines.pgbackrest.repository import host_config
from pgwrap.engines.port import EngineVersion
from pgwrap.records import dataclass

ON_EITHER_SIDE: Final = EngineVersion.parse("2.55")
"""From here on both commands run on the database's side as well."""
_USER: Final = "pgbackrest"
"""repoN-host-user's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where pgBackRest runs, and as whom."""

    program: tuple[str, ...]
    """It, and its configuration."""
    host: str | None
    """For ssh; None: here."""
    run_as: str | None


def place_for(cluster: Cluster, key: int, version: EngineVersion, run_as: str | None) -> Place:
    """For `backup` and `expire` of repository `key`."""
    engine = cluster.engine
    host = repository_host(cluster, key, version)
    if host is None:
        return Place(program=(engine.command, *configuration_arguments(engine)), host=engine.host, run_as=run_as)
    config = host_config(host, engine)
    program = (host.command or "pgbackrest", *(() if config is None else (f"--config={config}",)))
    return Place(program=program, host=destination(host), run_as=None)


def repository_host(cluster: Cluster, key: int, version: EngineVersion) -> RemoteHost | None:
    """The host that alone may run them; None: they may run where the engine is, or it cannot be reached by ssh."""
    if cluster.engine.host is not None or version >= ON_EITHER_SIDE:
        return None
    host = remote_hosts(cluster).get(key)
    return host if host is not None and host.transport == "ssh" else None


def remote_hosts(cluster: Cluster) -> Mapping[int, RemoteHost]:
    """By number, the hosts of the repositories that are not where the engine runs.

    An engine that reaches its database by ssh runs on the repositories' own host: `host:` is the database's way there.
    """
    if is_split(cluster):
        return {}
    keyed = cluster.keyed_repositories()
    return {key: repository.host for key, repository in keyed if repository.host is not None}


def destination(host: RemoteHost) -> str:
    """As ssh takes it."""
    user, address = host.user or _USER, host.address
    if host.port is None:
        return f"{user}@{address}"
    return f"ssh://{user}@{f'[{address}]' if ':' in address else address}:{host.port}"
