"""What ops asks of the world: run commands, write files, ask PostgreSQL, read secrets. No implementation lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Secret
from pgwrap.domain.plan import WriteFile
from pgwrap.records import dataclass


class Runner(Protocol):
    """The process door."""

    def run(self, command: Command, on_line: Callable[[str], None] | None = None) -> Outcome:
        """Run one command to its end or its deadline; `on_line` gets each line of stdout as it comes. Never raises
        for what the command does; failures are in the Outcome."""

    def run_all(self, commands: tuple[Command, ...]) -> tuple[Outcome, ...]:
        """Run commands side by side, a bounded number at a time; outcomes in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who owns a file and who may use it; None where an id has no name."""

    mode: int
    owner: str | None
    group: str | None


class Files(Protocol):
    """The file door."""

    def read(self, path: str) -> str | None:
        """The text of a file, None when it does not exist; raises PgwrapError when it cannot be read."""

    def read_bytes(self, path: str, limit: int) -> bytes | None:
        """What a regular file of at most `limit` bytes holds, None when it does not exist; raises PgwrapError when it
        cannot be read, is no file, or is larger."""

    def entries(self, directory: str) -> tuple[str, ...]:
        """The names in a directory, sorted; none when it does not exist. Raises PgwrapError when it cannot be read."""

    def write(self, file: WriteFile) -> None:
        """Put a file in place atomically (fsync, mode, owner), the old one kept beside it as `.old`."""

    def access(self, path: str) -> Access | None:
        """A file's mode and owner; None when it does not exist or cannot be seen."""

    def retire(self, path: str) -> None:
        """Rename a file to NAME.old; an older one of that name gives way. Nothing happens when it is gone already."""

    def put_back(self, path: str) -> None:
        """Rename NAME.old back to NAME, over what is there now."""

    def withdraw(self, path: str) -> None:
        """Remove a file that this very run made, and that replaced none."""

    def switch(self, file: WriteFile, retired: tuple[str, ...]) -> None:
        """Put a file in place and retire others at one moment: a reader finds all of the old or all of the new."""

    def sweep(self, directory: str) -> None:
        """Remove what a killed run left half-written in a directory, and end a switch that it had begun."""

    def exclusive(self, path: str) -> AbstractContextManager[None]:
        """Hold the lock file `path`, made where it is missing; Busy when another process holds it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlResult:
    """What a statement gave: its rows as PostgreSQL's text (booleans as true and false), or why it gave none."""

    rows: tuple[tuple[str | None, ...], ...] = ()
    error: str | None = None
    refused: bool = False
    """Whether the server answered, and its answer was the error."""
    seconds: float | None = None


class SqlDoor(Protocol):
    """The psycopg door, for statements."""

    def run(
        self, question: PostgresQuestion, statements: tuple[str, ...], deadline: float, *, read_only: bool
    ) -> tuple[SqlResult, ...]:
        """Run each statement by itself, within `deadline` seconds together; a result for each, in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillEntry:
    """A drill in the journal: what it is found by, and its report as JSON data. `ended_at` None: it did not end."""

    id: str
    cluster: str
    started_at: datetime
    ended_at: datetime | None
    severity: str | None
    control: bool
    aim: str
    repository: str | None
    backup: str | None
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationEntry:
    """A migration in the journal: what it is found by, and all of it as JSON data."""

    id: str
    cluster: str
    began_at: datetime
    report: Mapping[str, Any]


MARK_VARIABLE = "PGWRAP_DRILL"
"""The environment variable by which the processes of a drill are known; its value is the claim's token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchClaim:
    """A scratch directory of a drill; `token` stands in its mark too, so that no other directory is taken for it."""

    path: str
    token: str
    drill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCanary:
    """A canary row, by the server's clock; `confirmed_at` is a moment after its commit."""

    id: int
    written_at: datetime
    confirmed_at: datetime
    lsn: str


class Journal(Protocol):
    """What pgwrap remembers of its drills. Each call is one transaction; UsageError when it cannot be kept or read."""

    def prepare(self) -> None:
        """Make it, or bring it to this version."""

    def exists(self) -> bool:
        """Whether anything was ever kept."""

    def put_drill(self, entry: DrillEntry) -> None:
        """Keep a drill, in the place of what was kept under its id."""

    def drills(self, cluster: str | None = None, limit: int | None = None) -> tuple[DrillEntry, ...]:
        """The drills of a cluster, or of all, newest first."""

    def put_migration(self, entry: MigrationEntry) -> None:
        """Keep a migration, in the place of what was kept under its id."""

    def migrations(self, cluster: str | None = None) -> tuple[MigrationEntry, ...]:
        """The migrations towards a cluster of the spec, or all, newest first."""

    def claim(self, claim: ScratchClaim) -> None:
        """Remember a scratch directory before it is made."""

    def claims(self) -> tuple[ScratchClaim, ...]:
        """The scratch directories that were not released."""

    def release(self, claim: ScratchClaim) -> None:
        """Forget a scratch directory."""

    def put_canary(self, cluster: str, canary: WrittenCanary) -> None:
        """Remember a canary row that was written."""

    def canaries(self, cluster: str) -> tuple[WrittenCanary, ...]:
        """The canary rows that are remembered, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchPlace:
    """A private directory of a drill, for one operating system user; nobody else can enter what lies in it."""

    path: str
    data: str
    tablespaces: str
    sockets: str
    spool: str
    log: str
    """The server's log file."""
    settings: str
    """A directory for generated configuration, which the user reads and does not own."""


class WalSpool(Protocol):
    """The door to WAL files that are unpacked, one by one, into a private directory, to be read there by an engine."""

    def prepare(self, place: ScratchPlace) -> str:
        """The directory for them in a scratch place: everybody may look for a name in it, nobody else write."""

    def head(self, path: str, count: int) -> bytes:
        """The first bytes of a file; UsageError when it cannot be read."""

    def unpack(self, file: PackedFile, target: str, owner: str | None) -> int:
        """Unpack what needs no program (none, gzip, bzip2, xz) into a new file that `owner` alone reads; its size.

        UsageError when it cannot be: damaged, larger than its limit, or no room.
        """

    def put(self, content: bytes, target: str, owner: str | None) -> None:
        """Write a new file that `owner` alone reads; UsageError when it cannot be."""

    def discard(self, path: str) -> None:
        """Remove a file of the directory; nothing happens when it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """A file, how it is packed, and the bytes that it may have at most once it is unpacked."""

    path: str
    packing: str
    limit: int


class Scratch(Protocol):
    """The door to scratch directories and the processes in them."""

    def default_parent(self) -> str:
        """Where they are made unless somebody says otherwise."""

    def free_bytes(self, directory: str) -> int:
        """Room for an ordinary user on the file system of `directory`; UsageError when there is no such directory."""

    def make(self, claim: ScratchClaim, owner: str | None) -> ScratchPlace:
        """Make it, marked and locked for as long as this process lives."""

    def abandoned(self, claim: ScratchClaim) -> bool | None:
        """Whether it is there, provably the claimed one, and its maker dead; None: it is not there any more."""

    def remove(self, claim: ScratchClaim) -> tuple[str, ...]:
        """End every process in it and remove it; what is still there in spite of that, empty when nothing is."""

    def complete(self, place: ScratchPlace, owner: str | None, *, signal: bool) -> bool:
        """Make what an engine left out of a copy: pg_wal, and where `signal` recovery.signal; whether that was made."""

    def hand_over(self, place: ScratchPlace, owner: str | None) -> None:
        """Give all that lies in it to another user; where this is not run by root, it is theirs already."""

    def settle(self, place: ScratchPlace) -> None:
        """Take out of a recovered copy what its restore and recovery put there, and put the original files back."""

    def damage(self, path: str) -> None:
        """Spoil a page in the middle of a file of a scratch directory."""

    def server_status(self, place: ScratchPlace) -> str | None:
        """How its PostgreSQL says it is: starting, standby, ready or stopping; None when it does not run."""

    def tail(self, path: str) -> str:
        """The end of a server's log; empty when there is none."""

    def hold(self, claim: ScratchClaim) -> None:
        """Make the directory of a claim with nothing in it, marked and locked for as long as this process lives."""


class Store(Protocol):
    """The door to directories that pgwrap fills for an engine: what is whole is renamed into place. UsageError when
    something cannot be done; owners are given by root alone."""

    def free_bytes(self, path: str) -> int:
        """Room for an ordinary user where `path` is, or would be made."""

    def sizes(self, directory: str) -> dict[str, int]:
        """The regular files in a directory and their bytes; none when it does not exist."""

    def tree_bytes(self, directory: str) -> int:
        """The bytes of all files below a directory."""

    def ensure(self, directory: str, owner: str | None) -> None:
        """Make a directory and those above it, where they are missing, for `owner`."""

    def make(self, directory: str, owner: str | None) -> None:
        """Make a directory that only `owner` can enter, and that was not there."""

    def copy(self, source: str, target: str, owner: str | None) -> None:
        """Copy a file to where there is none, for `owner` alone."""

    def move(self, source: str, target: str) -> None:
        """Rename to a name that is free, else Refused."""

    def same(self, one: str, other: str) -> bool:
        """Whether both are there as files of the same content."""

    def flush(self, path: str) -> None:
        """See that what a file or a directory holds is on the disk."""

    def stamp(self, path: str, seconds: int) -> None:
        """Set the time of a file's last change, in seconds since 1970."""

    def give(self, path: str, owner: str | None) -> None:
        """Give a file, or a directory and all that is in it, to a user."""

    def remove(self, path: str) -> None:
        """Remove a file, a link or a directory with all that is in it; nothing happens when it is gone already."""
