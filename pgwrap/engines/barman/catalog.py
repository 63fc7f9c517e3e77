"""What Barman's catalog says, as types: its words are kept as they are, verdicts are made in observe.py."""

from __future__ import annotations

from datetime import datetime

from pgwrap.domain.facts import ReplicationSlot, Tablespace
from pgwrap.domain.wal import Lsn, SegmentRange, Timeline
from pgwrap.engines.barman.envelope import Messages
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogBackup:
    """A backup.info as `diagnose` and `sync-info` show it; sizes in bytes, duration in seconds."""

    id: str
    status: str
    """EMPTY, STARTED, WAITING_FOR_WALS, DONE, SYNCING or FAILED."""
    name: str | None = None
    snapshot: bool = False
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    seconds: float | None = None
    size: int | None = None
    deduplicated_size: int | None = None
    cluster_size: int | None = None
    """Since 3.11."""
    begin_wal: str | None = None
    end_wal: str | None = None
    begin_lsn: Lsn | None = None
    end_lsn: Lsn | None = None
    timeline: Timeline | None = None
    version: int | None = None
    """PostgreSQL's version number (150018)."""
    system_identifier: str | None = None
    parent: str | None = None
    """What an incremental builds upon (3.11+)."""
    segment_size: int | None = None
    tablespaces: tuple[Tablespace, ...] | None = None
    """None where not all of them are told."""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestWal:
    """The newest segment that Barman archived on a timeline."""

    timeline: Timeline
    name: str
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The effective options pgwrap looks at, after inheritance, override files and models."""

    active: bool
    disabled: bool
    passive: bool
    retention_policy: str | None
    """The policy as Barman wrote it, also one that it does not understand and so does not apply."""
    minimum_redundancy: int
    encryption: str | None
    wals_directory: str | None
    xlogdb_directory: str | None
    """None before 3.13.0, which made it an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """What Barman learnt from the server just now; all None when it could not connect."""

    connection_error: str | None = None
    position: Lsn | None = None
    system_identifier: str | None = None
    version: str | None = None
    """PostgreSQL's version as text ("15.18")."""
    segment_size: int | None = None
    slot: ReplicationSlot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """One server of a diagnosis."""

    name: str
    settings: ServerSettings
    status: ServerStatus
    backups: tuple[CatalogBackup, ...]
    newest_wal: tuple[NewestWal, ...] = ()
    active_model: str | None = None
    problems: tuple[str, ...] = ()
    """What Barman found wrong with the server's configuration."""

    @property
    def newest_timeline(self) -> Timeline | None:
        """The highest timeline of its WAL and backups."""
        timelines = {wal.timeline for wal in self.newest_wal} | {backup.timeline for backup in self.backups}
        return max((timeline for timeline in timelines if timeline is not None), default=None)

    @property
    def segment_size(self) -> int | None:
        """In bytes, as the server says, else as its newest backup recorded."""
        recorded = [backup.segment_size for backup in sorted(self.backups, key=lambda backup: backup.id)]
        return self.status.segment_size or next((size for size in reversed(recorded) if size), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A configuration model (3.10+) and the options that it overrides."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """`barman diagnose`: every server of one configuration."""

    version: str | None
    home: str | None
    servers: tuple[ServerReport, ...]
    models: tuple[Model, ...] = ()
    problems: tuple[str, ...] = ()
    """Errors of the configuration as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBackup:
    """A line of `list-backups`: the only place where retention shows for all backups at once."""

    id: str
    status: str
    retention: str
    """"-" when valid or not judged, OBSOLETE, OBSOLETE*, KEEP:FULL, KEEP:STANDALONE."""
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`barman list-backups all`: servers by name, each with its backups, newest first."""

    servers: dict[str, tuple[ListedBackup, ...]]
    messages: Messages


@dataclass(frozen=True, slots=True, kw_only=True)
class WalList:
    """The WAL archived since the oldest whole backup, as Barman lists it."""

    ranges: tuple[SegmentRange, ...]
    minimum: str | None
    maximum: str | None
    newest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncInfo(WalList):
    """`barman sync-info`: the WAL list, and beside it what Barman knows of the server."""

    version: str | None
    settings: ServerSettings
    backups: tuple[CatalogBackup, ...]
    """Only those that are DONE; times are None before 3.12.1, which wrote them without a zone."""
