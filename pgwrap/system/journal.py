"""The SQLite door: the journal of drills, canaries and migrations, a file in the state directory. It judges nothing.

Every change is one transaction, so a journal whose writer was killed holds whole entries only. Several pgwrap write in
turn. Only its owner can read it (0600): it names tables and rows of the clusters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pgwrap.errors import PgwrapError, UsageError
from pgwrap.records import dataclass
from pgwrap.system.port import DrillEntry, MigrationEntry, ScratchClaim, WrittenCanary

if TYPE_CHECKING:
    import sqlite3

NAME: Final = "journal.sqlite"
PATIENCE: Final = 10.0
"""Seconds to wait while another pgwrap writes."""
CANARIES_KEPT: Final = 1000
"""Remembered of each cluster; a drill needs those around its target."""

_STEPS: Final = (
    """
    create table drill (
        id text primary key,
        cluster text not null,
        started_at text not null,
        ended_at text,
        severity text,
        control integer not null,
        aim text not null,
        repository text,
        backup text,
        report text not null
    ) strict;
    create index drill_by_cluster on drill (cluster, started_at);
    create table scratch (path text primary key, token text not null, drill text not null) strict;
    create table canary (
        cluster text not null,
        id integer not null,
        written_at text not null,
        confirmed_at text not null,
        lsn text not null,
        primary key (cluster, written_at, id)
    ) strict;
    """,
    """
    create table migration (
        id text primary key,
        cluster text not null,
        began_at text not null,
        report text not null
    ) strict;
    create index migration_by_cluster on migration (cluster, began_at);
    """,
)
"""How each version of the schema is made from the one before; a step that was released is never changed."""
_MIGRATIONS_SINCE: Final = 2
"""The version of the schema that has migrations; an older journal is read all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteJournal:
    """The journal of one state directory; see `pgwrap.system.port.Journal`."""

    state: str

    @property
    def path(self) -> str:
        """Where it is kept."""
        return str(Path(self.state) / NAME)

    def prepare(self) -> None:
        """Make it, or bring it to this version; UsageError when the directory cannot be written."""
        with self._open(write=True):
            pass

    def exists(self) -> bool:
        """Whether anything may have been kept here: also where that may not be seen."""
        try:
            os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def put_drill(self, entry: DrillEntry) -> None:
        """Keep a drill, in the place of what was kept under its id."""
        values = (
            entry.id,
            entry.cluster,
            _text(entry.started_at),
            _text(entry.ended_at) if entry.ended_at else None,
            entry.severity,
            int(entry.control),
            entry.aim,
            entry.repository,
            entry.backup,
            json.dumps(entry.report),
        )
        with self._open(write=True) as database:
            database.execute("insert or replace into drill values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def drills(self, cluster: str | None = None, limit: int | None = None) -> tuple[DrillEntry, ...]:
        """The drills of a cluster, or of all, newest first."""
        with self._open(write=False) as database:
            rows = database.execute(
                "select * from drill where ?1 is null or cluster = ?1 order by started_at desc, id limit ?2",
                (cluster, -1 if limit is None else limit),
            ).fetchall()
        return tuple(_entry(row) for row in rows)

    def put_migration(self, entry: MigrationEntry) -> None:
        """Keep a migration, in the place of what was kept under its id."""
        values = (entry.id, entry.cluster, _text(entry.began_at), json.dumps(entry.report))
        with self._open(write=True) as database:
            database.execute("insert or replace into migration values (?, ?, ?, ?)", values)

    def migrations(self, cluster: str | None = None) -> tuple[MigrationEntry, ...]:
        """The migrations towards a cluster of the spec, or all, newest first."""
        with self._open(write=False) as database:
            if _version(database) < _MIGRATIONS_SINCE:
                return ()
            rows = database.execute(
                "select id, cluster, began_at, report from migration where ?1 is null or cluster = ?1 "
                "order by began_at desc, id",
                (cluster,),
            ).fetchall()
        return tuple(
            MigrationEntry(id=id_, cluster=name, began_at=_moment(began), report=json.loads(report))
            for id_, name, began, report in rows
        )

    def claim(self, claim: ScratchClaim) -> None:
        """Remember a scratch directory before it is made."""
        with self._open(write=True) as database:
            database.execute("insert into scratch values (?, ?, ?)", (claim.path, claim.token, claim.drill))

    def claims(self) -> tuple[ScratchClaim, ...]:
        """The scratch directories that were not released."""
        with self._open(write=False) as database:
            rows = database.execute("select path, token, drill from scratch order by path").fetchall()
        return tuple(ScratchClaim(path=path, token=token, drill=drill) for path, token, drill in rows)

    def release(self, claim: ScratchClaim) -> None:
        """Forget a scratch directory that is gone, or that is left to its owner."""
        with self._open(write=True) as database:
            database.execute("delete from scratch where path = ? and token = ?", (claim.path, claim.token))

    def put_canary(self, cluster: str, canary: WrittenCanary) -> None:
        """Remember a row that was written; the oldest ones go."""
        row = (cluster, canary.id, _text(canary.written_at), _text(canary.confirmed_at), canary.lsn)
        with self._open(write=True) as database:
            database.execute("insert or replace into canary values (?, ?, ?, ?, ?)", row)
            database.execute(
                "delete from canary where cluster = ?1 and rowid not in "
                "(select rowid from canary where cluster = ?1 order by written_at desc limit ?2)",
                (cluster, CANARIES_KEPT),
            )

    def canaries(self, cluster: str) -> tuple[WrittenCanary, ...]:
        """The rows that are remembered, oldest first."""
        with self._open(write=False) as database:
            rows = database.execute(
                "select id, written_at, confirmed_at, lsn from canary where cluster = ? order by written_at, id",
                (cluster,),
            ).fetchall()
        return tuple(
            WrittenCanary(id=id_, written_at=_moment(written), confirmed_at=_moment(confirmed), lsn=lsn)
            for id_, written, confirmed, lsn in rows
        )

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """One transaction; what goes wrong is a UsageError that names the file."""
        import sqlite3  # noqa: PLC0415 - a status of clusters that were never drilled does without

        try:
            if write:
                self._make_place()
            connection = sqlite3.connect(f"file:{_quoted(self.path)}?mode=rw", uri=True, timeout=PATIENCE)
            try:
                connection.isolation_level = None
                connection.execute("begin immediate" if write else "begin")
                self._migrate(connection, write=write)
                yield connection
                connection.execute("commit")
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _make_place(self) -> None:
        """The file itself, so that it is private from its first byte on."""
        Path(self.state).mkdir(mode=0o750, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))

    def _migrate(self, connection: sqlite3.Connection, *, write: bool) -> None:
        version = _version(connection)
        if version > len(_STEPS):
            raise UsageError(
                f"the journal {self.path} was written by a newer pgwrap (its version is {version}, "
                f"this one knows {len(_STEPS)})",
                hint="upgrade pgwrap on this host, or name another `state:` directory",
            )
        if version == len(_STEPS) or (version and not write):
            return
        if not write:
            raise UsageError(f"the journal {self.path} is empty", hint="`pgwrap drill CLUSTER` renews it")
        for step in _STEPS[version:]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(statement)
        connection.execute(f"pragma user_version = {len(_STEPS)}")

    def _unusable(self, error: Exception) -> PgwrapError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return UsageError(
            f"the journal {self.path} cannot be used: {reason}",
            hint="run pgwrap as the owner of the state directory, or name another one in the spec (`state:`)",
        )


def _version(database: sqlite3.Connection) -> int:
    """Of its schema; 0 for an empty file."""
    (version,) = database.execute("pragma user_version").fetchone()
    return int(version)


def _quoted(path: str) -> str:
    """A path in a file: URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _text(moment: datetime) -> str:
    """So that the order of texts is the order of moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _entry(row: tuple[str, str, str, str | None, str | None, int, str, str | None, str | None, str]) -> DrillEntry:
    id_, cluster, started_at, ended_at, severity, control, aim, repository, backup, report = row
    return DrillEntry(
        id=id_,
        cluster=cluster,
        started_at=_moment(started_at),
        ended_at=_moment(ended_at) if ended_at else None,
        severity=severity,
        control=bool(control),
        aim=aim,
        repository=repository,
        backup=backup,
        report=json.loads(report),
    )
