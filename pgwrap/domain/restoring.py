"""What a restore is asked for, and what stands against one: targets, refusals, the plan. It chooses and does nothing.

Times are aware UTC, sizes bytes, durations seconds; None is "not known", never 0 or a guess.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from pgwrap.domain.facts import BackupType, EngineName
from pgwrap.domain.moments import postgres_time
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.records import dataclass

TargetKind: TypeAlias = Literal["latest", "immediate", "time", "lsn", "xid", "name"]
TargetAction: TypeAlias = Literal["pause", "promote", "shutdown"]
Along: TypeAlias = "Timeline | Literal['current']"
"""The timeline of a recovery; `current` is the backup's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTarget:
    """How far recovery goes. `latest`: to the end of the archived WAL; `immediate`: until the backup is consistent."""

    kind: TargetKind = "latest"
    time: datetime | None = None
    lsn: Lsn | None = None
    xid: int | None = None
    name: str | None = None
    exclusive: bool = False
    """Whether to stop just before the target (time, lsn, xid)."""
    timeline: Timeline | None = None
    """Along which timeline; None: the newest that holds the target."""
    action: TargetAction = "pause"
    """What PostgreSQL does when it has reached the target; at the end of the WAL (`latest`) it always promotes."""

    @property
    def value(self) -> str:
        """The target as PostgreSQL writes it; empty for the kinds that have none."""
        if self.time is not None:
            return postgres_time(self.time)
        if self.lsn is not None:
            return str(self.lsn)
        return str(self.xid) if self.xid is not None else self.name or ""

    @property
    def stops(self) -> bool:
        """Whether recovery stops at it rather than at the end of the WAL."""
        return self.kind != "latest"

    def settings(self, timeline: Along) -> tuple[tuple[str, str], ...]:
        """As PostgreSQL's own settings, for a recovery along `timeline`."""
        found: list[tuple[str, str]] = []
        if self.kind == "immediate":
            found.append(("recovery_target", "immediate"))
        elif self.value:
            found.append((f"recovery_target_{self.kind}", self.value))
        if self.exclusive:
            found.append(("recovery_target_inclusive", "false"))
        if self.kind != "immediate":
            found.append(("recovery_target_timeline", str(timeline)))
        if self.stops:
            found.append(("recovery_target_action", self.action))
        return tuple(found)

    def in_words(self) -> str:
        """Such as `time 2026-11-25 10:00:00+00, exclusive, on timeline 2`."""
        words = {"latest": "the end of the archived WAL", "immediate": "the end of the backup"}
        parts = [words.get(self.kind, f"{self.kind} {self.value}")]
        parts += ["exclusive"] if self.exclusive else []
        parts += [f"on timeline {self.timeline}"] if self.timeline is not None else []
        return ", ".join(parts)


class RefusalCode(StrEnum):
    """Stable slugs of what stands against a restore; those that may be accepted are named to `--accept`."""

    NO_BACKUP = "no-backup"
    BACKUP_NOT_RESTORABLE = "backup-not-restorable"
    BACKUP_AFTER_TARGET = "backup-after-target"
    PAGE_ERRORS = "page-errors"
    FUTURE_TARGET = "future-target"
    TARGET_TOO_EARLY = "target-too-early"
    TARGET_IN_GAP = "target-in-gap"
    TARGET_NOT_ARCHIVED = "target-not-archived"
    TARGET_NOT_PROVEN = "target-not-proven"
    TIMELINE_UNKNOWN = "timeline-unknown"
    RUNNING_SERVER = "running-server"
    STALE_PID_FILE = "stale-pid-file"
    ORIGINAL_DIRECTORY = "original-directory"
    NOT_EMPTY = "not-empty"
    NO_CLUSTER_THERE = "no-cluster-there"
    INTERRUPTED_RESTORE = "interrupted-restore"
    OTHER_SYSTEM = "other-system"
    SYSTEM_UNKNOWN = "system-unknown"
    NOT_A_DIRECTORY = "not-a-directory"
    NO_SPACE = "no-space"
    NOT_WRITABLE = "not-writable"
    WRONG_USER = "wrong-user"
    TABLESPACE_IN_USE = "tablespace-in-use"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing that stands against the restore, and the way out."""

    code: RefusalCode
    message: str
    hint: str
    acceptable: bool = False
    """Whether `--accept CODE` goes on all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedTablespace:
    """A tablespace and where it goes."""

    name: str
    oid: int
    original: str
    directory: str

    @property
    def moved(self) -> bool:
        """Whether it goes to another place than its original."""
        return self.directory != self.original


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededSegments:
    """The archived WAL that the restore replays, both ends included; all of it is there."""

    from_: str
    to: str
    segments: int
    bytes: int
    exact: bool
    """Whether the target's own segment is known: else replay may end before `to`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What one file system has for what goes there."""

    path: str
    mount: str | None
    needed_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSetting:
    """A setting that the restore writes, and who writes it."""

    file: str
    name: str
    value: str
    by: Literal["engine", "pgwrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What a restore would do, as `pgwrap restore --dry-run` prints it. Nothing has been done."""

    cluster: str
    """As it was asked for."""
    source: str
    """The cluster of the spec whose engine holds the backup: the same, or one of the same PostgreSQL system."""
    engine: EngineName
    engine_version: str
    engine_name: str
    repository: str | None
    backup: str
    backup_type: BackupType
    backup_stopped_at: datetime | None
    bytes: int | None
    """What it holds once restored, without WAL; where the engine does not tell, what a full backup takes."""
    reason: str
    """Why this backup."""
    target: RecoveryTarget
    target_text: str
    timeline: Timeline
    """Along which recovery goes."""
    proven: bool | None
    """Whether archived WAL reaches the target; None: it cannot be known beforehand."""
    wal: NeededSegments
    directory: str
    host: str | None
    user: str | None
    """Who the engine runs as; None: whoever runs pgwrap."""
    owner: str | None
    """To whom the restored files belong at the end."""
    standby: bool
    delta: bool
    tablespaces: tuple[PlacedTablespace, ...]
    space: tuple[Space, ...]
    expected_seconds: float | None
    expected_from: str
    """What the expectation stands on."""
    settings: tuple[PlannedSetting, ...]
    commands: tuple[str, ...]
    """Everything that would be run, in this order, as it can be typed."""
    refusals: tuple[Refusal, ...]
    accepted: tuple[Refusal, ...]
    """What stood against it and was accepted by name."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """A restore that was done: the plan, what it took, and what to type next."""

    plan: RestorePlan
    seconds: float
    bytes: int | None
    system_identifier: str | None
    messages: tuple[str, ...]
    """What the engine warned of."""
    start: tuple[str, ...] = ()
    """How to start it."""
    check: tuple[str, ...] = ()
    """What to look at then."""
    undo: tuple[str, ...] = field(default=())
    """How to be rid of it."""
