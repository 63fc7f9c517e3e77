"""Asks the PostgreSQL of each cluster what it says of itself. It changes no setting and judges no answer."""

from __future__ import annotations

from typing import Final

from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster
from pgwrap.errors import PgwrapError
from pgwrap.ops.world import World
from pgwrap.system.port import PostgresQuestion

POSTGRES_DEADLINE: Final = 5.0


def ask_postgres(clusters: tuple[Cluster, ...], world: World, deadline: float) -> dict[str, PostgresView]:
    """The own view of each server whose spec says how to connect, by cluster; the others have none."""
    answers: dict[str, PostgresView] = {}
    questions = []
    for cluster in clusters:
        if not cluster.postgres.connects:
            continue
        try:
            questions.append(question_for(cluster, world))
        except PgwrapError as error:
            answers[cluster.name] = PostgresView(reachable=False, error=error.message)
    if questions:
        answers.update(world.postgres.look(tuple(questions), deadline))
    return answers


def connecting_user(cluster: Cluster, world: World) -> str | None:
    """The operating system user that connects: the engine's, where the engine is on this host."""
    return world.user_for(cluster) if cluster.engine.host is None else None


def look_at(cluster: Cluster, world: World) -> PostgresView | None:
    """What one server says of itself; None where the spec gives no connection."""
    return ask_postgres((cluster,), world, POSTGRES_DEADLINE).get(cluster.name)


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
        run_as=connecting_user(cluster, world),
    )
