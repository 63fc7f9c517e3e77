"""How to ask a cluster's PostgreSQL: whom, as whom, with which password. It judges no answer."""

from __future__ import annotations

from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster
from pgwrap.errors import PgwrapError
from pgwrap.ops.world import World
from pgwrap.system.port import PostgresQuestion

POSTGRES_DEADLINE = 5.0


def look_at(cluster: Cluster, world: World) -> PostgresView | None:
    """What one server says of itself; None where the spec gives no connection."""
    if not cluster.postgres.connects:
        return None
    try:
        question = question_for(cluster, world)
    except PgwrapError as error:
        return PostgresView(reachable=False, error=error.message)
    return world.postgres.look((question,), POSTGRES_DEADLINE)[cluster.name]


def question_for(cluster: Cluster, world: World) -> PostgresQuestion:
    """The server that the spec names; raises SpecError when its password cannot be had."""
    server = cluster.postgres
    return PostgresQuestion(
        key=cluster.name,
        host=server.host or server.socket_directory,
        port=server.port,
        user=server.user,
        database=server.connection_database,
        sslmode=server.sslmode,
        password=world.secret(server.password) if server.password else None,
        run_as=world.user_for(cluster) if cluster.engine.host is None else None,
    )
