"""What ops asks of the world: run commands, write files, ask PostgreSQL, read secrets. No implementation lives here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Secret
from pgwrap.domain.plan import WriteFile


class Runner(Protocol):
    """The process door."""

    def run(self, command: Command, on_line: Callable[[str], None] | None = None) -> Outcome:
        """Run one command to its end or its deadline; `on_line` gets each line of stdout as it comes. Never raises
        for what the command does; failures are in the Outcome."""

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        """Run commands side by side, a bounded number at a time; outcomes in the same order."""


class Files(Protocol):
    """The file door."""

    def read(self, path: str) -> str | None:
        """The text of a file, None when it does not exist; raises PgwrapError when it cannot be read."""

    def write(self, file: WriteFile) -> None:
        """Put a file in place atomically (fsync, mode, owner), the old one kept beside it as `.old`."""

    def owner(self, path: str) -> str | None:
        """The name of the user who owns `path`; None when it does not exist or has no name."""

    def private_directory(self, owner: str | None) -> AbstractContextManager[str]:
        """A scratch directory that only `owner` (None: whoever runs pgwrap) can enter, removed afterwards."""


class Programs(Protocol):
    """Finds PostgreSQL's own programs of one major version."""

    def postgres(self, program: str, major: str) -> str | None:
        """The path of `program` (such as pg_waldump) for PostgreSQL `major`; None when it is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresQuestion:
    """A server to look at; `key` comes back with the answer. The password never shows."""

    key: str
    host: str | None
    port: int
    user: str | None
    database: str | None
    sslmode: str | None = None
    password: str | None = field(default=None, repr=False)
    run_as: str | None = None
    """The operating system user that connects (peer authentication, its .pgpass)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalSwitch:
    """A WAL segment that was closed on request, or in `error` why it was not."""

    segment: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """How far a base backup is that PostgreSQL sends; `total_bytes` is its own estimate, None without one."""

    done_bytes: int
    total_bytes: int | None = None


class PostgresDoor(Protocol):
    """The psycopg door."""

    def switch_wal(self, question: PostgresQuestion, deadline: float) -> WalSwitch:
        """Close the current WAL segment, also of an idle server; the only thing this door ever changes."""

    def copying(self, question: PostgresQuestion, deadline: float) -> Copying | None:
        """The base backup that the server sends now; None for none, several, or where it does not tell."""

    def look(self, questions: tuple[PostgresQuestion, ...], deadline: float) -> dict[str, PostgresView]:
        """Ask every server side by side; one that does not answer in time is `reachable=False` with its error."""


class SecretReader(Protocol):
    """Resolves references; the values are masked in every log from then on."""

    def __call__(self, secret: Secret) -> str:
        """The secret's value; raises SpecError when it cannot be had."""
