"""What pgwrap asks of engines to carry a history as files, out of one's repository and into the other's catalog.

As ever, an engine runs nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pgwrap.records import dataclass

if TYPE_CHECKING:
    from pgwrap.domain.command import Command, Outcome
    from pgwrap.domain.facts import Backup, Tablespace
    from pgwrap.domain.model import Cluster, Repository
    from pgwrap.domain.native import NativeFile
    from pgwrap.domain.plan import WriteFile
    from pgwrap.engines.port import EngineVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """A file of a WAL archive by its PostgreSQL name: a segment, or a `.history`, `.backup` or `.partial` beside it."""

    name: str
    written_at: int
    """Seconds since 1970, by the repository's clock."""
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """A history that is to leave its engine: one archive of one repository, and how the commands are run."""

    cluster: Cluster
    repository: tuple[int, Repository] | None
    archive: str
    """The WAL archive's own name ("15-1")."""
    run_as: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    processes: int = 2
    deadline: float = 86400.0
    """Seconds for each command."""


class Outgoing(Protocol):
    """How an engine gives a history away. It writes nothing but what it is asked to fetch."""

    def listing(self) -> Command:
        """Every file of the archive."""

    def listed(self, outcome: Outcome) -> tuple[ArchivedFile, ...]:
        """What the listing tells, sorted by name; raises EngineMissing, EngineTimeout, EngineFailed, Busy or
        OutputNotUnderstood."""

    def unpack(self, backup: Backup, data: str, tablespaces: tuple[tuple[int, str], ...], spool: str) -> Command:
        """Put the files of a backup into empty directories, as they were copied: not to be recovered, no link followed.

        `tablespaces`: where the one of each OID goes. `spool`: an empty directory for locks and queues.
        """

    def ahead(self, spool: str) -> str:
        """The directory below `spool` into which `fetch_ahead` puts segments; it has to be there."""

    def fetch_ahead(self, segments: tuple[str, ...], data: str, spool: str) -> Command:
        """Fetch many segments at once, as many as come: what is there afterwards has to be looked at.

        `data`: a data directory of the same PostgreSQL, running or not, or a copy of one.
        """

    def fetch(self, name: str, target: str, data: str, spool: str) -> Command:
        """Fetch one file, of any kind, to `target`."""

    def check(self, outcome: Outcome) -> None:
        """Raises EngineMissing, EngineTimeout, EngineFailed or Busy when a command did not succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRequest:
    """A server that is to take in a history, and how its engine's commands are run."""

    cluster: Cluster
    version: EngineVersion
    planned: bool = False
    """Whether it is not configured yet, so that only the spec can tell where things will lie."""
    run_as: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    deadline: float = 86400.0
    """Seconds for each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A backup of another engine whose files are there, and what is to be written of it."""

    id: str
    backup: Backup
    data_directory: str
    """Where the original lies."""
    tablespaces: tuple[Tablespace, ...]
    label: str
    """The text of its backup_label."""
    segment_size: int
    size: int
    """Bytes of its files."""
    checksums: bool | None = None
    """Whether the pages carry checksums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """Private directories through which WAL is taken in, apart from what arrives there by itself."""

    configuration: str
    incoming: str
    errors: str
    """What the engine does not take it puts here."""


class Incoming(Protocol):
    """How an engine takes in a history, as its server is configured: where things go, and by which commands."""

    @property
    def bases(self) -> str:
        """The directory of the base backups."""

    @property
    def wals(self) -> str:
        """The directory of the WAL archive."""

    @property
    def compresses(self) -> bool:
        """Whether WAL is kept compressed."""

    @property
    def plain(self) -> bool:
        """Whether WAL is kept just as it comes, and nothing else is done with it: then it may be put to its place."""

    @property
    def system_identifier(self) -> str | None:
        """Of the PostgreSQL that the server is configured for; None where it did not answer."""

    def directories(self) -> tuple[str, ...]:
        """What has to be there before anything comes."""

    def id_of(self, backup: Backup) -> str | None:
        """Under which id a backup is taken in; None where its own tells no moment."""

    def wal_path(self, name: str) -> str:
        """Where a file of the WAL archive lies once it is taken in."""

    def record(self, arrived: Arrived) -> WriteFile:
        """The file that makes a backup one of the catalog; it is written last."""

    def reception(self, files: tuple[NativeFile, ...], reception: Reception) -> tuple[WriteFile, ...]:
        """A private copy of the configuration, by which WAL is taken in from `reception` and from nowhere else."""

    def take_in(self, reception: Reception) -> Command:
        """Take in what lies in `reception`; what is left there and what is not at its place was not taken."""

    def reindex(self) -> Command:
        """Make the list of the WAL archive anew from its files; what is not in it is not restored."""

    def settle(self, backup_id: str) -> Command:
        """Have the engine look whether a backup has the WAL it needs."""

    def check(self, outcome: Outcome) -> None:
        """Raises EngineMissing, EngineTimeout, EngineFailed or Busy when a command did not succeed."""
