"""Looks at a restored copy: corruption, catalogs, the spec's assertions, canaries. It judges by pure functions only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.control_file import ControlFile
from pgwrap.domain.drill import Probe, ProbeName, ProbeVerdict
from pgwrap.domain.drill_verdicts import (
    AMCHECK_SINCE,
    CanaryRow,
    Value,
    judge_amcheck,
    judge_assertion,
    judge_checksums,
    judge_dump,
)
from pgwrap.domain.model import Cluster
from pgwrap.ops.scratch_server import ScratchServer
from pgwrap.records import dataclass
from pgwrap.system.port import SqlDoor, SqlResult

_SUPERUSER = "select rolname from pg_catalog.pg_roles where oid = 10"
"""The role that initdb made (BOOTSTRAP_SUPERUSERID); it may bear any name."""
_USUAL_ROLE = "postgres"
_ALWAYS_THERE = "template1"
CANARY_ROWS = "select id, written_at from pgwrap.canary order by id"
_CANARY_EXISTS = "select to_regclass('pgwrap.canary') is not null"
_VICTIM = "select pg_relation_filepath('pg_catalog.pg_proc')"
"""A table that every cluster has, with pages enough, and that every dump reads."""
JOBS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A role that may look at everything in the copy, or why there is none."""

    role: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """Looks at one copy that answers."""

    cluster: Cluster
    server: ScratchServer
    sql: SqlDoor
    deadline: float

    def login(self) -> Login:
        """The copy's superuser, whose name is asked as a role that is likely to be there."""
        database, error = self.cluster.postgres.connection_database, "no role is known to connect as"
        likely = dict.fromkeys((_USUAL_ROLE, self.cluster.postgres.user or _USUAL_ROLE, self.server.user))
        for role in likely:
            for place in (database, _ALWAYS_THERE):
                (result,) = self._ask((_SUPERUSER,), role, place)
                if result.rows and result.rows[0][0]:
                    return Login(role=result.rows[0][0])
                error = result.error or error
        return Login(error=error)

    def victim(self, login: Login) -> str | None:
        """The path of a file whose damage must be found out, below the data directory."""
        (result,) = self._ask((_VICTIM,), login.role, _ALWAYS_THERE)
        return result.rows[0][0] if result.rows else None

    def amcheck(self, login: Login) -> Probe:
        """Every table and B-tree of every database."""
        major = int(self.server.major)
        if major < AMCHECK_SINCE or self.server.program("pg_amcheck") is None:
            return judge_amcheck(None, major)
        return judge_amcheck(
            self.server.run(
                "pg_amcheck",
                *self.server.connection(),
                *(f"--username={login.role}", "--no-password", "--all", "--install-missing", "--heapallindexed"),
                f"--jobs={JOBS}",
            ),
            major,
        )

    def dump(self, login: Login) -> Probe:
        """The schema of every database, and what belongs to none."""
        if self.server.program("pg_dumpall") is None:
            return judge_dump(None)
        return judge_dump(
            self.server.run(
                "pg_dumpall",
                *self.server.connection(),
                *(f"--username={login.role}", "--no-password", "--schema-only", "--no-role-passwords"),
                "--no-sync",
                "--file=/dev/null",
            )
        )

    def assertions(self, login: Login, reference: datetime) -> Iterator[Probe]:
        """Each of the spec's, in a read-only transaction."""
        wanted = self.cluster.drill.assertions
        if not wanted:
            return
        database = self.cluster.postgres.connection_database
        results = self._ask(tuple(assertion.sql for assertion in wanted), login.role, database)
        for assertion, result in zip(wanted, results, strict=True):
            yield judge_assertion(assertion, _value(result), reference)

    def canary_rows(self, login: Login) -> tuple[CanaryRow, ...] | None:
        """What `pgwrap canary` wrote; None when its table is not there. ValueError when it is not its table."""
        database = self.cluster.postgres.connection_database
        there, result = self._ask((_CANARY_EXISTS, CANARY_ROWS), login.role, database)
        if there.error is not None:
            raise ValueError(there.error)
        if there.rows != (("true",),):
            return None
        if result.error is not None:
            raise ValueError(result.error)
        return tuple(
            CanaryRow(id=int(id_ or ""), written_at=datetime.fromisoformat(at or "")) for id_, at in result.rows
        )

    def _ask(self, statements: tuple[str, ...], role: str, database: str) -> tuple[SqlResult, ...]:
        return self.sql.run(self.server.question(role, database), statements, self.deadline, read_only=True)


def checksums(server: ScratchServer, control: ControlFile) -> Probe:
    """Every page of the stopped copy."""
    if control.data_checksums is not True or server.program("pg_checksums") is None:
        return judge_checksums(None, enabled=control.data_checksums)
    outcome = server.run("pg_checksums", "--check", f"--pgdata={server.place.data}")
    return judge_checksums(outcome, enabled=True)


def not_reached(cluster: Cluster, names: tuple[ProbeName, ...]) -> tuple[Probe, ...]:
    """The probes that could not take place: unknown, each of them."""
    wanted = (name for name in names if name is not ProbeName.ASSERTION or cluster.drill.assertions)
    return tuple(Probe(name=name, verdict=ProbeVerdict.UNKNOWN, message="not reached") for name in wanted)


def _value(result: SqlResult) -> Value:
    if result.error is not None:
        return Value(error=result.error, refused=result.refused, seconds=result.seconds)
    if len(result.rows) != 1 or len(result.rows[0]) != 1:
        shape = f"{len(result.rows)} rows" if len(result.rows) != 1 else f"{len(result.rows[0])} columns"
        return Value(error=f"it gave {shape}, not one value", refused=True, seconds=result.seconds)
    return Value(text=result.rows[0][0], seconds=result.seconds)
