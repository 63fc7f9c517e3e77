"""Which backup to take, where it is taken, and what came of it. It takes none and reads no clock."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

from pgwrap.domain.amounts import duration
from pgwrap.domain.facts import Backup, BackupType, EngineName, Observation, PostgresView
from pgwrap.domain.model import Cluster, EngineKind
from pgwrap.domain.objectives import newest_done
from pgwrap.domain.wholeness import assess_backups
from pgwrap.records import dataclass

Kind: TypeAlias = Literal["full", "differential", "incremental"]
Taken: TypeAlias = Literal["done", "waiting_for_wal", "skipped", "failed"]

DAY: Final = 86400.0
WEEK: Final = 7 * DAY
"""How old the newest full backup may become where the spec names no `full_age`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The type of the backup to take, and why it is that."""

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBackup:
    """What came of one cluster's backup in one repository; `id` None: none was taken."""

    cluster: str
    engine: EngineName
    engine_name: str
    repository: str | None
    state: Taken
    id: str | None = None
    type: BackupType | None = None
    reason: str = ""
    """Why it is of this type, why there is none, or what went wrong."""
    started_at: datetime
    seconds: float
    notes: tuple[str, ...] = ()
    """What the engine warned of, and what the operator should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTaken:
    """`result` of `pgwrap backup`: cluster by cluster in the order of the spec, repository by repository."""

    backups: tuple[TakenBackup, ...]


def not_here(cluster: Cluster, view: PostgresView | None) -> str | None:
    """Why the cluster's backup is not to be taken from this node; None: it is, or that could not be established.

    pgBackRest needs the primary and finds it itself among several servers. Barman backs up a standby as well as a
    primary, so only the spec's word keeps it from doing so.
    """
    if not cluster.active:
        return "the spec calls it inactive"
    if view is None or view.in_recovery is not True:
        return None
    if cluster.engine.kind is EngineKind.BARMAN:
        wanted = cluster.backup.source == "primary"
        return "PostgreSQL here is a standby, and the spec says from: primary" if wanted else None
    if cluster.standbys:
        return None
    return "PostgreSQL here is a standby: pgBackRest takes the backup on the primary's node"


def choose(cluster: Cluster, observation: Observation, repository: str | None, now: datetime) -> Choice:
    """A full backup where there is none to build on or it is about to be too old, else what the schedule asks for.

    `repository` None: the only one. A full backup counts if it is done, whole, without page errors, and of the
    database that the engine backs up now.
    """
    full = newest_done(_foundations(observation, repository), full=True)
    if full is None or full.stopped_at is None:
        return Choice(kind="full", reason=f"there is no full backup to build on{_within(repository)}")
    age = (now - full.stopped_at).total_seconds()
    limit, source = _full_limit(cluster)
    pause = min(float(cluster.objectives.backup_age or DAY), limit / 2)
    if age + pause > limit:
        reason = f"the newest full backup is {duration(age)} old, and {source} would be over before the next backup"
        return Choice(kind="full", reason=reason)
    return _scheduled(cluster, full)


def _within(repository: str | None) -> str:
    return f" in {repository}" if repository else ""


def _full_limit(cluster: Cluster) -> tuple[float, str]:
    """Seconds, and where they come from."""
    asked = cluster.objectives.full_age
    return (float(asked), f"full_age ({duration(asked)})") if asked else (WEEK, "a week")


def _scheduled(cluster: Cluster, full: Backup) -> Choice:
    actions = {action for action, _ in cluster.schedule.entries}
    built = f"the full backup {full.id} is young enough to build on"
    if "differential" in actions and "incremental" not in actions:
        return Choice(kind="differential", reason=f"{built}, and the schedule names differential ones")
    if "full" in actions and "incremental" not in actions:
        return Choice(kind="full", reason="the schedule names full backups only")
    return Choice(kind="incremental", reason=built)


def _foundations(observation: Observation, repository: str | None) -> tuple[Backup, ...]:
    """The backups of this repository that a new one could build on."""
    return tuple(
        backup
        for backup, assessed in zip(observation.backups, assess_backups(observation), strict=True)
        if backup.repository == (repository or backup.repository)
        and assessed.restorable is not False
        and backup.page_errors is not True
        and observation.system_identifier in (None, backup.system_identifier or observation.system_identifier)
        and observation.postgres_version in (None, backup.postgres_version or observation.postgres_version)
    )
