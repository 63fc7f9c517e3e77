"""Which metrics there are of a cluster, and what each is read from. No label ever holds a backup id or a WAL name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from pgwrap.domain.facts import Backup, ClusterStatus, ObjectiveStatus, PostgresView, RecoverableInterval
from pgwrap.present.summary import best_interval, finding_counts, newest_backup, wal_was_listed
from pgwrap.records import dataclass

Number: TypeAlias = int | float
Labels: TypeAlias = tuple[tuple[str, str], ...]
Samples: TypeAlias = Iterable[tuple[Labels, Number | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: what it is called, what it means, and its samples of a cluster; a sample of None is left out."""

    name: str
    help: str
    samples: Callable[[ClusterStatus, datetime], Samples]
    kind: str = "gauge"


def _engine(cluster: ClusterStatus) -> Labels:
    return (("engine", cluster.engine),)


def _place(engine: str, repository: str | None) -> Labels:
    return (("engine", engine), ("repository", repository or ""))


def _of_cluster(read: Callable[[ClusterStatus], Number | None]) -> Callable[[ClusterStatus, datetime], Samples]:
    def samples(cluster: ClusterStatus, _now: datetime) -> Samples:
        yield _engine(cluster), read(cluster)

    return samples


def _info(cluster: ClusterStatus, _now: datetime) -> Samples:
    labels = (("engine_name", cluster.engine_name), ("engine_version", cluster.engine_version or ""))
    yield (*_engine(cluster), *labels), 1


def _findings(cluster: ClusterStatus, _now: datetime) -> Samples:
    for severity, count in finding_counts(cluster).items():
        yield (*_engine(cluster), ("severity", severity.value)), count


def _finding_codes(cluster: ClusterStatus, _now: datetime) -> Samples:
    counts = Counter((finding.code.value, finding.severity.value) for finding in cluster.findings)
    for (code, severity), count in counts.items():
        yield (*_engine(cluster), ("code", code), ("severity", severity)), count


def _backup_counts(cluster: ClusterStatus, _now: datetime) -> Samples:
    counts = Counter((backup.engine, backup.repository or "", backup.type, backup.state) for backup in cluster.backups)
    for (engine, repository, kind, state), count in counts.items():
        yield (*_place(engine, repository), ("type", kind), ("state", state)), count


def _last_backups(read: Callable[[Backup, datetime], Number | None]) -> Callable[[ClusterStatus, datetime], Samples]:
    """Of the newest done backup of each type in each repository."""

    def samples(cluster: ClusterStatus, now: datetime) -> Samples:
        groups: dict[Labels, list[Backup]] = {}
        for backup in cluster.backups:
            groups.setdefault((*_place(backup.engine, backup.repository), ("type", backup.type)), []).append(backup)
        for labels, backups in groups.items():
            newest = newest_backup(backups)
            if newest is not None:
                yield labels, read(newest, now)

    return samples


def _best_intervals(
    read: Callable[[RecoverableInterval, datetime], Number],
) -> Callable[[ClusterStatus, datetime], Samples]:
    """Of the interval that reaches furthest in each repository."""

    def samples(cluster: ClusterStatus, now: datetime) -> Samples:
        groups: dict[Labels, list[RecoverableInterval]] = {}
        for interval in cluster.recoverable:
            groups.setdefault(_place(interval.engine, interval.repository), []).append(interval)
        for labels, intervals in groups.items():
            best = best_interval(intervals)
            if best is not None:
                yield labels, read(best, now)

    return samples


def _intervals(cluster: ClusterStatus, _now: datetime) -> Samples:
    return Counter(_place(interval.engine, interval.repository) for interval in cluster.recoverable).items()


def _gaps(cluster: ClusterStatus, _now: datetime) -> Samples:
    missing = Counter({_place(row.engine, row.repository): 0 for row in cluster.wal.archives})
    for gap in cluster.wal.gaps:
        missing[_place(gap.engine, gap.repository)] += gap.segments
    for labels, segments in missing.items():
        listed = wal_was_listed(cluster, dict(labels)["repository"] or None)
        yield labels, segments if segments or listed else None


def _repository_severities(cluster: ClusterStatus, _now: datetime) -> Samples:
    for repository in cluster.repositories:
        yield _place(cluster.engine, repository.name), repository.severity.rank


def _objectives(read: Callable[[ObjectiveStatus], Number | None]) -> Callable[[ClusterStatus, datetime], Samples]:
    def samples(cluster: ClusterStatus, _now: datetime) -> Samples:
        for objective in cluster.objectives:
            yield (*_engine(cluster), ("objective", objective.name)), read(objective)

    return samples


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def _stamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _server(read: Callable[[PostgresView], Number | None]) -> Callable[[ClusterStatus, datetime], Samples]:
    return _of_cluster(lambda cluster: None if cluster.postgres is None else read(cluster.postgres))


def _running(cluster: ClusterStatus, _now: datetime) -> Samples:
    counts: Mapping[str, int] = Counter(run.operation for run in cluster.running)
    for operation, count in counts.items():
        yield (*_engine(cluster), ("operation", operation)), count


def _drill_age(cluster: ClusterStatus, now: datetime) -> Samples:
    yield _engine(cluster), _age(cluster.last_drill.at, now) if cluster.last_drill else None


def _archived_age(cluster: ClusterStatus, now: datetime) -> Samples:
    yield _engine(cluster), _age(cluster.wal.last_archived_at, now)


_SCALE = "0 ok, 1 warning, 2 unknown, 3 critical"

FAMILIES = (
    Family(
        name="pgwrap_up",
        help="Whether the engine could be asked about the cluster (1) or not (0).",
        samples=_of_cluster(lambda cluster: int(cluster.read)),
    ),
    Family(
        name="pgwrap_severity",
        help=f"The worst of the cluster's findings: {_SCALE}.",
        samples=_of_cluster(lambda cluster: cluster.severity.rank),
    ),
    Family(name="pgwrap_cluster_info", help="The engine's version and its name for the cluster.", samples=_info),
    Family(name="pgwrap_findings", help="Findings by severity; those of severity ok are notes.", samples=_findings),
    Family(name="pgwrap_finding", help="How often a finding was made, by its code.", samples=_finding_codes),
    Family(name="pgwrap_backups", help="Backups by repository, type and state.", samples=_backup_counts),
    Family(
        name="pgwrap_last_backup_timestamp_seconds",
        help="When the newest backup that is done stopped.",
        samples=_last_backups(lambda backup, _now: _stamp(backup.stopped_at)),
    ),
    Family(
        name="pgwrap_last_backup_age_seconds",
        help="How long ago the newest backup that is done stopped.",
        samples=_last_backups(lambda backup, now: _age(backup.stopped_at, now)),
    ),
    Family(
        name="pgwrap_last_backup_duration_seconds",
        help="How long the newest backup that is done took.",
        samples=_last_backups(lambda backup, _now: backup.duration_seconds),
    ),
    Family(
        name="pgwrap_last_backup_cluster_bytes",
        help="Size of the cluster at the newest backup that is done.",
        samples=_last_backups(lambda backup, _now: backup.cluster_bytes),
    ),
    Family(
        name="pgwrap_last_backup_copied_bytes",
        help="What the newest backup that is done read from the cluster.",
        samples=_last_backups(lambda backup, _now: backup.copied_bytes),
    ),
    Family(
        name="pgwrap_last_backup_stored_bytes",
        help="What the newest backup that is done added to the repository.",
        samples=_last_backups(lambda backup, _now: backup.stored_bytes),
    ),
    Family(
        name="pgwrap_recoverable_from_timestamp_seconds",
        help="First moment of the recoverable interval that reaches furthest.",
        samples=_best_intervals(lambda interval, _now: interval.from_.timestamp()),
    ),
    Family(
        name="pgwrap_recoverable_to_timestamp_seconds",
        help="Last proven moment of the recoverable interval that reaches furthest.",
        samples=_best_intervals(lambda interval, _now: interval.to.timestamp()),
    ),
    Family(
        name="pgwrap_recoverable_to_age_seconds",
        help="How long ago the last proven recoverable moment was.",
        samples=_best_intervals(lambda interval, now: (now - interval.to).total_seconds()),
    ),
    Family(
        name="pgwrap_recoverable_intervals",
        help="Unbroken recoverable intervals; more than one means gaps, timelines or archives apart.",
        samples=_intervals,
    ),
    Family(
        name="pgwrap_wal_gap_segments",
        help="WAL segments missing from the archive; absent where nobody could look.",
        samples=_gaps,
    ),
    Family(
        name="pgwrap_wal_last_archived_timestamp_seconds",
        help="When WAL was archived last.",
        samples=_of_cluster(lambda cluster: _stamp(cluster.wal.last_archived_at)),
    ),
    Family(
        name="pgwrap_wal_last_archived_age_seconds", help="How long ago WAL was archived last.", samples=_archived_age
    ),
    Family(
        name="pgwrap_wal_lag_seconds",
        help="How far the archive is behind the server, in time.",
        samples=_of_cluster(lambda cluster: cluster.wal.lag_seconds),
    ),
    Family(
        name="pgwrap_wal_lag_bytes",
        help="How far the archive is behind the server, in bytes.",
        samples=_of_cluster(lambda cluster: cluster.wal.lag_bytes),
    ),
    Family(
        name="pgwrap_repository_severity",
        help=f"What the engine says of the repository: {_SCALE}.",
        samples=_repository_severities,
    ),
    Family(
        name="pgwrap_retention_satisfied",
        help="Whether the backups satisfy the retention policy (1) or not (0); absent where it is not known.",
        samples=_of_cluster(lambda cluster: cluster.retention.satisfied),
    ),
    Family(
        name="pgwrap_objective_limit_seconds",
        help="The limit that the spec sets.",
        samples=_objectives(lambda objective: objective.limit_seconds),
    ),
    Family(
        name="pgwrap_objective_observed_seconds",
        help="What was observed for the objective; absent where it could not be established.",
        samples=_objectives(lambda objective: objective.observed_seconds),
    ),
    Family(
        name="pgwrap_objective_severity",
        help=f"How the objective is kept: {_SCALE}.",
        samples=_objectives(lambda objective: objective.severity.rank),
    ),
    Family(
        name="pgwrap_postgres_up",
        help="Whether PostgreSQL answered (1) or not (0); absent where it was not asked.",
        samples=_server(lambda view: view.reachable),
    ),
    Family(
        name="pgwrap_postgres_in_recovery",
        help="Whether the server is a standby (1) or a primary (0).",
        samples=_server(lambda view: view.in_recovery),
    ),
    Family(
        name="pgwrap_postgres_archiver_failed_total",
        help="Failed attempts of PostgreSQL to archive a segment.",
        kind="counter",
        samples=_server(lambda view: view.archiver.failed_count if view.archiver else None),
    ),
    Family(
        name="pgwrap_postgres_ready_segments",
        help="WAL segments waiting to be archived.",
        samples=_server(lambda view: view.ready_segments),
    ),
    Family(name="pgwrap_running_operations", help="Backups and restores in progress.", samples=_running),
    Family(
        name="pgwrap_last_drill_timestamp_seconds",
        help="When a restore was tried last.",
        samples=_of_cluster(lambda cluster: _stamp(cluster.last_drill.at if cluster.last_drill else None)),
    ),
    Family(name="pgwrap_last_drill_age_seconds", help="How long ago a restore was tried last.", samples=_drill_age),
    Family(
        name="pgwrap_last_drill_severity",
        help=f"How the last tried restore ended: {_SCALE}.",
        samples=_of_cluster(lambda cluster: cluster.last_drill.severity.rank if cluster.last_drill else None),
    ),
)
"""Every metric, in the order of the answer."""
