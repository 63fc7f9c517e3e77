"""What a line about one cluster is made of: newest backup, best window, sums. It judges nothing and asks no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pgwrap.domain.facts import (
    Backup,
    BackupType,
    ClusterStatus,
    FindingCode,
    FleetStatus,
    ObjectiveStatus,
    RecoverableInterval,
    Severity,
)

WORST_FIRST = tuple(sorted(Severity, key=lambda severity: -severity.rank))


def worst_first(fleet: FleetStatus) -> tuple[ClusterStatus, ...]:
    """The clusters by severity, the worst first, and by name within one."""
    return tuple(sorted(fleet.clusters, key=lambda cluster: (-cluster.severity.rank, cluster.name)))


def severity_counts(severities: Iterable[Severity]) -> str:
    """How many there are of each severity, the worst first: `1 critical, 2 ok`."""
    counts = Counter(severities)
    return ", ".join(f"{counts[severity]} {severity}" for severity in WORST_FIRST if counts[severity])


def newest_backup(backups: Iterable[Backup], kind: BackupType | None = None) -> Backup | None:
    """The backup taken last among those that are done, of one type or of any."""
    taken = [
        backup
        for backup in backups
        if backup.stopped_at is not None and backup.state == "done" and kind in (None, backup.type)
    ]
    return max(taken, key=lambda backup: (backup.stopped_at, backup.id), default=None)


def best_interval(intervals: Iterable[RecoverableInterval]) -> RecoverableInterval | None:
    """The interval that reaches furthest, and of those the longest."""
    return max(intervals, key=lambda interval: (interval.to, -interval.from_.timestamp()), default=None)


def wal_was_listed(cluster: ClusterStatus, repository: str | None = None) -> bool:
    """Whether somebody could look for gaps, in one repository or in all: without that, no gap means nothing."""
    return cluster.read and not any(
        finding.code is FindingCode.WAL_UNKNOWN and (repository is None or finding.repository in (None, repository))
        for finding in cluster.findings
    )


def gap_segments(cluster: ClusterStatus) -> int | None:
    """WAL segments known to be missing, over all repositories; None where no archive could be listed."""
    missing = sum(gap.segments for gap in cluster.wal.gaps)
    return missing if missing or (cluster.wal.archives and wal_was_listed(cluster)) else None


def stored_bytes(backups: Iterable[Backup]) -> int | None:
    """What the backups take in their repositories; None when the engine does not tell of each."""
    sizes = [backup.stored_bytes for backup in backups]
    told = [size for size in sizes if size is not None]
    return sum(told) if told and len(told) == len(sizes) else None


def objective(cluster: ClusterStatus, name: str) -> ObjectiveStatus | None:
    """The cluster's objective of that name, where the spec sets one."""
    return next((objective for objective in cluster.objectives if objective.name == name), None)


def finding_counts(cluster: ClusterStatus) -> dict[Severity, int]:
    """How many findings there are of each severity, none left out; those of severity ok are notes."""
    counts = Counter(finding.severity for finding in cluster.findings)
    return {severity: counts[severity] for severity in WORST_FIRST}
