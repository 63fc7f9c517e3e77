"""Writes a canary row on a cluster's primary and remembers it. It changes nothing outside its own small table."""

from __future__ import annotations

from datetime import datetime

from pgwrap.domain.canary import KEPT, Canary
from pgwrap.domain.model import Cluster
from pgwrap.errors import Refused, UsageError
from pgwrap.ops.world import World
from pgwrap.system.port import Journal, PostgresQuestion, SqlDoor, SqlResult, WrittenCanary

WRITE = "insert into pgwrap.canary default values returning id, written_at, lsn"
CONFIRM = "select clock_timestamp()"
PRUNE = (
    "with gone as (delete from pgwrap.canary where id <= (select max(id) - {kept} from pgwrap.canary) returning 1) "
    "select count(*) from gone"
)
NEWEST = "select max(id) from pgwrap.canary"
SCHEMA_THERE = "select to_regnamespace('pgwrap') is not null"
CREATE_SCHEMA = "create schema if not exists pgwrap"
CREATE_TABLE = """
create table if not exists pgwrap.canary (
    id bigint generated always as identity primary key,
    written_at timestamptz not null default clock_timestamp(),
    lsn pg_lsn not null default pg_current_wal_lsn()
)
"""
_MISSING = 'relation "pgwrap.canary" does not exist'
_GRANTS = "docs/howto/drill.md says which grants the role needs"


def write_canary(cluster: Cluster, world: World, sql: SqlDoor, journal: Journal, deadline: float) -> Canary:
    """A new row, after whose commit the journal knows it; raises UsageError or Refused."""
    journal.prepare()
    question = _question(cluster, world)
    statements = (WRITE, CONFIRM, PRUNE.format(kept=KEPT))
    written, confirmed, pruned = sql.run(question, statements, deadline, read_only=False)
    created = _MISSING in (written.error or "")
    if created:
        _create(cluster, question, sql, deadline)
        written, confirmed, pruned = sql.run(question, statements, deadline, read_only=False)
    for result in (written, confirmed, pruned):
        _require(result, cluster, "no canary can be written")
    row = _written(written, confirmed)
    journal.put_canary(cluster.name, row)
    return Canary(
        cluster=cluster.name,
        id=row.id,
        written_at=row.written_at,
        lsn=row.lsn,
        created=created,
        pruned=int(pruned.rows[0][0] or 0),
    )


def _create(cluster: Cluster, question: PostgresQuestion, sql: SqlDoor, deadline: float) -> None:
    """Schema and table; a schema that is there needs no right to make one."""
    (there,) = sql.run(question, (SCHEMA_THERE,), deadline, read_only=True)
    _require(there, cluster, "the server cannot be asked")
    wanted = (CREATE_TABLE,) if there.rows == (("true",),) else (CREATE_SCHEMA, CREATE_TABLE)
    for result in sql.run(question, wanted, deadline, read_only=False):
        _require(result, cluster, "its table cannot be made")


def prune_canaries(cluster: Cluster, world: World, sql: SqlDoor, deadline: float) -> Canary:
    """All rows but the newest go; raises UsageError or Refused."""
    results = sql.run(_question(cluster, world), (PRUNE.format(kept=1), NEWEST), deadline, read_only=False)
    for result in results:
        _require(result, cluster, "canaries cannot be pruned")
    pruned, newest = (result.rows[0][0] for result in results)
    return Canary(cluster=cluster.name, id=int(newest) if newest else None, pruned=int(pruned or 0))


def _question(cluster: Cluster, world: World) -> PostgresQuestion:
    server = cluster.postgres
    if server.host is None and server.socket_directory is None:
        message = f"the spec does not say how to connect to {cluster.name}"
        raise UsageError(message, hint=f"add postgres.host or postgres.socket_directory to cluster {cluster.name}")
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


def _require(result: SqlResult, cluster: Cluster, what: str) -> None:
    if result.error is None:
        return
    message = f"{cluster.name}: {what}: {result.error}"
    if "read-only" in result.error or "recovery is in progress" in result.error:
        raise Refused(
            message, hint="a canary is written on the primary: let postgres.host name it", cluster=cluster.name
        )
    raise UsageError(message, hint=_GRANTS, cluster=cluster.name)


def _written(written: SqlResult, confirmed: SqlResult) -> WrittenCanary:
    id_, at, lsn = (value or "" for value in written.rows[0])
    return WrittenCanary(
        id=int(id_),
        written_at=datetime.fromisoformat(at),
        confirmed_at=datetime.fromisoformat(confirmed.rows[0][0] or ""),
        lsn=lsn,
    )
