"""What is observed: backups, WAL, repositories, findings and the status of a cluster, as docs/reference/status.md
prints them. Field names are the JSON contract's; nothing desired lives here.

Times are aware UTC, sizes bytes, durations seconds; None is "the engine does not tell", never 0 or a guess.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from pgwrap.domain.wal import Ancestry, Lsn, SegmentRange, Timeline
from pgwrap.records import dataclass

EngineName: TypeAlias = Literal["pgbackrest", "barman"]
BackupType: TypeAlias = Literal["full", "differential", "incremental", "snapshot", "logical"]
BackupState: TypeAlias = Literal["done", "waiting_for_wal", "running", "failed", "invalid"]
Held: TypeAlias = Literal[False, "full", "standalone"]
"""Whether retention may not take a backup, and what of its WAL stays: all from it on, or its own alone."""


INTERNAL: Final = {"internal": True}
"""Marks a field that verdicts need and the contract does not show: it would differ from one look to the next."""


class Severity(StrEnum):
    """How bad it is. `unknown` stands beside the scale: it is never ok, and a known catastrophe outranks it."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for ok; the worst is highest: critical, unknown, warning, ok."""
        return _RANKS[self]


_RANKS = {Severity.OK: 0, Severity.WARNING: 1, Severity.UNKNOWN: 2, Severity.CRITICAL: 3}


def worst(severities: tuple[Severity, ...]) -> Severity:
    """The worst of them; ok when there is none."""
    return max(severities, key=lambda severity: severity.rank, default=Severity.OK)


class FindingCode(StrEnum):
    """Stable slugs; each has an entry in docs/reference/findings.md."""

    POSTGRES_UNREACHABLE = "postgres-unreachable"
    ENGINE_MISSING = "engine-missing"
    ENGINE_FAILED = "engine-failed"
    ENGINE_TIMEOUT = "engine-timeout"
    ENGINE_UNKNOWN_VERSION = "engine-unknown-version"
    OUTPUT_NOT_UNDERSTOOD = "output-not-understood"
    NOT_ASKED = "not-asked"
    CONFIG_DRIFT = "config-drift"
    CONFIG_WARNING = "config-warning"
    STANZA_MISSING = "stanza-missing"
    NO_BACKUP = "no-backup"
    NO_BACKUP_FOR_CURRENT_POSTGRES_VERSION = "no-backup-for-current-postgres-version"
    BACKUP_TOO_OLD = "backup-too-old"
    FULL_TOO_OLD = "full-too-old"
    BACKUP_FAILED = "backup-failed"
    BACKUP_PAGE_ERRORS = "backup-page-errors"
    BACKUP_WAITING_FOR_WAL = "backup-waiting-for-wal"
    BACKUP_NOT_RESTORABLE = "backup-not-restorable"
    OFFLINE_BACKUP_WITHOUT_WAL = "offline-backup-without-wal"
    TOO_FEW_BACKUPS = "too-few-backups"
    WAL_GAP = "wal-gap"
    WAL_STALE = "wal-stale"
    WAL_UNKNOWN = "wal-unknown"
    ARCHIVER_FAILING = "archiver-failing"
    ARCHIVER_QUEUE = "archiver-queue"
    REPLICATION_SLOT_INACTIVE = "replication-slot-inactive"
    REPOSITORY_ERROR = "repository-error"
    REPOSITORY_MISMATCH = "repository-mismatch"
    SYSTEM_IDENTIFIER_MISMATCH = "system-identifier-mismatch"
    ENCRYPTION_MIXED = "encryption-mixed"
    CHECKSUMS_DISABLED = "checksums-disabled"
    HELD_BY_OTHER_NODE = "held-by-other-node"
    WAL_LEVEL_TOO_LOW = "wal-level-too-low"
    ARCHIVE_MODE_OFF = "archive-mode-off"
    ARCHIVE_COMMAND_DIFFERS = "archive-command-differs"
    RETENTION_UNSET = "retention-unset"
    RETENTION_NOT_ENFORCED = "retention-not-enforced"
    DRILL_NEVER = "drill-never"
    DRILL_TOO_OLD = "drill-too-old"
    DRILL_FAILED = "drill-failed"
    OBJECTIVE_MISSED = "objective-missed"
    CLOCK_SKEW = "clock-skew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict with its reason and what to type next."""

    code: FindingCode
    severity: Severity
    message: str
    hint: str = ""
    backup: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An engine that holds backups of the cluster."""

    engine: EngineName
    engine_version: str | None
    engine_name: str
    role: Literal["current", "previous", "history"] = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFrom:
    """The backup in another engine that this one was carried from; its times, positions and WAL are that one's."""

    engine: EngineName
    id: str
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRetention:
    """What the policy does to a backup."""

    kept: bool | None
    """False: the engine's next expiry deletes it."""
    reason: str
    expires: datetime | None = None
    """From when on it goes though nothing else happens."""
    event: str | None = None
    """What lets it go, where that is not time alone: "after 2 more full backups"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tablespace:
    """A tablespace in a backup, and where it was."""

    name: str
    oid: int
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup as its engine tells it."""

    engine: EngineName
    engine_name: str
    id: str
    repository: str | None
    """The spec's name of the repository (`repoN` where the spec does not know it)."""
    archive: str | None = None
    """The WAL archive that belongs to it: pgBackRest's "17-2", in the stanza of a carried history "STANZA/17-2", so
    that repository and archive name one place; None for Barman."""
    name: str | None = None
    type: BackupType
    state: BackupState
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    duration_seconds: float | None = None
    cluster_bytes: int | None = None
    copied_bytes: int | None = None
    stored_bytes: int | None = None
    wal_start: str | None = None
    wal_stop: str | None = None
    lsn_start: Lsn | None = None
    lsn_stop: Lsn | None = None
    timeline: Timeline | None = None
    postgres_version: str | None = None
    """The major version as PostgreSQL writes it ("15", "9.6")."""
    system_identifier: str | None = None
    """Decimal text: it does not fit a JSON number."""
    parent: str | None = None
    needs: tuple[str, ...] = ()
    tablespaces: tuple[Tablespace, ...] | None = field(default=None, metadata=INTERNAL)
    """None where a restore has to ask for them."""
    page_errors: bool | None = None
    held: Held = False
    annotations: tuple[tuple[str, str], ...] = ()
    imported_from: ImportedFrom | None = None
    restorable: bool | None = None
    retention: BackupRetention | None = None
    error: str | None = None
    """What the engine says went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveContents:
    """The WAL in one archive of one repository, as far as the engine tells; `ranges` None: it could not be listed."""

    repository: str | None
    archive: str | None
    """Named as in `Backup`."""
    engine_name: str | None = None
    """The stanza it is in, where that is not the observation's own."""
    system_identifier: str | None = None
    postgres_version: str | None = None
    current: bool = True
    """Whether this is where the cluster archives now (not a version that was upgraded from, nor carried history)."""
    segment_size: int | None = None
    minimum: str | None = None
    maximum: str | None = None
    ranges: tuple[SegmentRange, ...] | None = None
    newest_at: datetime | None = None
    """When the newest file was written, by the repository's clock."""
    ancestries: tuple[Ancestry, ...] = ()
    """The history of each timeline whose history file was read."""
    directory: str | None = field(default=None, metadata=INTERNAL)
    """Where its files lie, or their prefix in a bucket (Barman)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryState:
    """One repository as the engine sees it."""

    name: str
    key: int | None
    kind: str
    encryption: str | None
    severity: Severity
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOperation:
    """A backup or restore in progress."""

    operation: str
    started_at: datetime | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationSlot:
    """A slot that the engine's WAL streaming uses, as Barman or PostgreSQL shows it."""

    name: str
    active: bool
    restart_lsn: Lsn | None = None
    written_lsn: Lsn | None = None
    """How far the receiver says it has written (pg_stat_replication); it need not have flushed a whole segment."""
    write_lag_seconds: float | None = None
    """The time between a change here and its writing there; None when all is written or nothing is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything one engine said about one cluster. `read` False: nothing could be established; `findings` say why."""

    engine: EngineName
    engine_name: str
    engine_version: str | None = None
    read: bool = True
    findings: tuple[Finding, ...] = ()
    repositories: tuple[RepositoryState, ...] = ()
    backups: tuple[Backup, ...] = ()
    archives: tuple[ArchiveContents, ...] = ()
    running: tuple[RunningOperation, ...] = ()
    system_identifier: str | None = None
    postgres_version: str | None = None
    """Of the newest database the engine knows."""
    wal_position: Lsn | None = None
    """The server's current position when the engine asked it (Barman)."""
    slots: tuple[ReplicationSlot, ...] = ()
    policy: str | None = None
    """The retention the engine itself says it applies."""
    retention_options: tuple[tuple[str, str], ...] | None = None
    """The engine's own settings of retention, as it says them itself; None: it does not tell (pgBackRest)."""
    enforced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archiver:
    """pg_stat_archiver."""

    last_archived_wal: str | None
    last_archived_at: datetime | None
    last_failed_wal: str | None
    last_failed_at: datetime | None
    failed_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresView:
    """What PostgreSQL says of itself; with `reachable` False only `error` is set."""

    reachable: bool
    error: str | None = None
    version: str | None = None
    version_number: int | None = None
    system_identifier: str | None = None
    in_recovery: bool | None = None
    timeline: Timeline | None = None
    data_checksums: bool | None = None
    archiver: Archiver | None = None
    current_lsn: Lsn | None = None
    """Of the last byte written, or replayed on a standby."""
    wal_segment_size: int | None = None
    ready_segments: int | None = None
    """Segments waiting to be archived (needs pg_monitor)."""
    clock: datetime | None = field(default=None, metadata=INTERNAL)
    settings: tuple[tuple[str, str], ...] = ()
    """archive_mode, archive_command, wal_level … as pg_settings shows them."""
    pending: tuple[str, ...] = field(default=(), metadata=INTERNAL)
    """Those whose value in the server's files is another one, which counts after a restart."""
    slots: tuple[ReplicationSlot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WalArchiveRow:
    """A line of `wal.archives`: one timeline in one archive."""

    repository: str | None
    archive: str | None
    engine: EngineName
    engine_name: str
    system_identifier: str | None
    timeline: Timeline | None
    min: str | None
    max: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalGap:
    """Segments missing from an archive; `from_` and `to` are the first and last missing names."""

    repository: str | None
    archive: str | None
    engine: EngineName
    engine_name: str
    timeline: Timeline
    from_: str
    to: str
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WalStatus:
    """The WAL of all repositories."""

    archives: tuple[WalArchiveRow, ...] = ()
    gaps: tuple[WalGap, ...] = ()
    last_archived_at: datetime | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverableInterval:
    """An unbroken stretch of moments that can be restored. `to` is a proven lower bound."""

    repository: str | None
    archive: str | None
    engine: EngineName
    engine_name: str
    timeline: Timeline
    from_: datetime
    to: datetime
    to_proof: Literal["commit", "backup"]
    open_ended: bool
    """Whether it reaches the newest archived WAL of the timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitedInterval:
    """An unbroken stretch of moments that one engine or the other can restore."""

    from_: datetime
    to: datetime
    engines: tuple[EngineName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """A migration that the cluster is in, and what both engines together can restore."""

    migration: str
    old: str
    new: str
    state: Literal["running", "paused"]
    step: str | None
    in_charge: str
    """The entry whose findings count: the old one until the cut-over, then the new one."""
    recoverable: tuple[UnitedInterval, ...] | None
    """None where one of the two could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionStatus:
    """The policy, who applies it, and whether the catalog satisfies it."""

    policy: str | None
    enforced_by: str | None
    satisfied: bool | None
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """One promise and how it is kept; `observed_seconds` None: not established."""

    name: Literal["rpo", "rto", "backup_age", "full_age", "drill_age"]
    limit_seconds: float
    observed_seconds: float | None
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEntry:
    """One scheduled action."""

    action: str
    calendar: str
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """The newest drill of the cluster, and when one passed last."""

    at: datetime
    severity: Severity
    message: str
    passed_at: datetime | None = None
    """When the newest drill that passed began; None: none ever did."""
    rto_seconds: float | None = None
    """What its restore, replay and start took together."""
    rpo_seconds: float | None = None
    """By its canary, at most so much would have been lost."""
    backup: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The answer for one cluster."""

    name: str
    engine: EngineName
    engine_version: str | None
    engine_name: str
    severity: Severity
    read: bool = True
    """Whether the engine told of it, be it in part. False: an empty list of backups means nothing."""
    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]
    postgres: PostgresView | None = None
    running: tuple[RunningOperation, ...] = ()
    repositories: tuple[RepositoryState, ...] = ()
    backups: tuple[Backup, ...] = ()
    """Oldest first."""
    wal: WalStatus = field(default_factory=WalStatus)
    recoverable: tuple[RecoverableInterval, ...] = ()
    retention: RetentionStatus
    objectives: tuple[ObjectiveStatus, ...] = ()
    schedule: tuple[ScheduleEntry, ...] = ()
    last_drill: DrillReport | None = None
    moving: Moving | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatus:
    """`result` of `pgwrap status`."""

    severity: Severity
    clusters: tuple[ClusterStatus, ...]
    left_out: tuple[str, ...] = ()
    """Clusters that were not looked at because their engine runs on another host (`--local`)."""
