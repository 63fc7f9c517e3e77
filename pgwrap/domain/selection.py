"""Which part of a cluster is wanted: a database, a schema or a table, by PostgreSQL's own rules for names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pgwrap.records import dataclass

_PART: Final = r'("(?:[^"\0]|"")+"|[^".\0]+)'
_NAME: Final = re.compile(rf"{_PART}(?:\.{_PART})?(?:\.{_PART})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A database, or a schema of it, or a table of that; names as the catalog has them."""

    database: str
    schema: str | None = None
    table: str | None = None

    @classmethod
    def parse(cls, text: str) -> Selection:
        """`db`, `db.schema` or `db.schema.table`; quoted parts hold dots, capitals and "" for a quote. As in SQL, what
        stands without quotes is folded to lower case, save the database's name. ValueError for anything else."""
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not DATABASE, DATABASE.SCHEMA or DATABASE.SCHEMA.TABLE")
        database, schema, table = found.groups()
        return cls(
            database=_name(database, fold=False),
            schema=None if schema is None else _name(schema, fold=True),
            table=None if table is None else _name(table, fold=True),
        )

    def arguments(self) -> tuple[str, ...]:
        """How pg_dump is told, with every name meant to the letter (its patterns are psql's)."""
        if self.schema is None:
            return ()
        if self.table is None:
            return (f"--schema={_quoted(self.schema)}",)
        return (f"--table={_quoted(self.schema)}.{_quoted(self.table)}",)

    def __str__(self) -> str:
        """As it is typed."""
        parts = (self.database, self.schema, self.table)
        return ".".join(_shown(part) for part in parts if part is not None)


def one_database(selections: Iterable[Selection]) -> str:
    """The database of all of them; ValueError for none, for several, or for a part beside its whole."""
    wanted = tuple(selections)
    databases = {one.database for one in wanted}
    if len(databases) != 1:
        raise ValueError("one database at a time can be loaded" if databases else "nothing is selected")
    if len(wanted) > 1 and any(one.schema is None for one in wanted):
        raise ValueError("a whole database and a part of it")
    return databases.pop()


def _name(part: str, *, fold: bool) -> str:
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return part.lower() if fold else part


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else _quoted(name)
