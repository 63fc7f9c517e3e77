"""What is in a restored copy, table by table and sequence by sequence, so that two copies can be compared."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.errors import EngineFailed
from pgwrap.ops.drill_probes import Looker
from pgwrap.system.port import SqlResult

_DATABASES = "select datname from pg_catalog.pg_database where datallowconn and not datistemplate order by 1"
_SETTINGS = (
    "set datestyle = 'ISO, YMD'",
    "set intervalstyle = 'iso_8601'",
    "set timezone = 'UTC'",
    "set extra_float_digits = 3",
    "set bytea_output = 'hex'",
)
_USER_SPACE = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'"
_TABLES = f"""
select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and {_USER_SPACE} order by 1
"""  # noqa: S608 - no input
_SEQUENCES = f"""
select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'S' and c.relpersistence = 'p' and {_USER_SPACE} order by 1
"""  # noqa: S608 - no input

_ROWS = "select count(*) || ' rows, sum ' || coalesce(sum(hashtext(t::text)), 0) from {} t"
_POSITION = "select 'at ' || last_value || case when is_called then '' else ' (unused)' end from {}"
"""Of a name that quote_ident has quoted."""


def fingerprint(looker: Looker) -> dict[str, str]:
    """Row count and sum of hashes of each table, the value of each sequence; EngineFailed when one cannot be read."""
    login = looker.login()
    if login.error:
        raise EngineFailed(f"the restored copy takes no connection: {login.error}")
    found: dict[str, str] = {}
    for database in _column(_ask(looker, login.role, looker.cluster.postgres.connection_database, (_DATABASES,))[0]):
        found |= dict(_of_database(looker, login.role, database))
    return found


def _of_database(looker: Looker, role: str, database: str) -> Iterator[tuple[str, str]]:
    tables, sequences = (_column(one) for one in _ask(looker, role, database, (_TABLES, _SEQUENCES)))
    statements = (*map(_ROWS.format, tables), *map(_POSITION.format, sequences))
    if not statements:
        return
    answers = _ask(looker, role, database, (*_SETTINGS, *statements))[len(_SETTINGS) :]
    for name, answer in zip((*tables, *sequences), answers, strict=True):
        yield f"{database}: {name}", _column(answer)[0]


def _ask(looker: Looker, role: str, database: str, statements: tuple[str, ...]) -> tuple[SqlResult, ...]:
    results = looker.sql.run(looker.server.question(role, database), statements, looker.deadline, read_only=True)
    for statement, result in zip(statements, results, strict=True):
        if result.error:
            raise EngineFailed(f"the restored copy cannot be read ({' '.join(statement.split())[:80]}): {result.error}")
    return results


def _column(result: SqlResult) -> tuple[str, ...]:
    return tuple(row[0] or "" for row in result.rows)
