"""Status as a table of any width: more columns than a terminal has room for, nothing cut. It adds no verdict."""

from __future__ import annotations

from pgwrap.domain.amounts import NOT_KNOWN, age, duration, moment, size
from pgwrap.domain.facts import ClusterStatus, FleetStatus, Severity
from pgwrap.present.colour import severity_word
from pgwrap.present.detail import cluster_detail
from pgwrap.present.harmless import harmless
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import best_interval, gap_segments, newest_backup, stored_bytes, worst_first
from pgwrap.present.table import finding_blocks, moving_lines, newest_backup_cell, recoverable_cell, summary_line
from pgwrap.text.tables import table

ENDLESS = 1_000_000
"""A width, in columns, that no line reaches: nothing is cut or folded."""
_HEADERS = (
    "severity", "cluster", "engine", "name there", "PostgreSQL", "backups", "newest backup", "backup id", "full",
    "recoverable (UTC)", "proven by", "last archived", "lag", "lag bytes", "gaps", "cluster size", "stored",
    "retention", "missed objectives", "findings",
)  # fmt: skip


def status_wide(fleet: FleetStatus, presentation: Presentation) -> str:
    """The overview with every column, or with `detail` each cluster's tables unfolded."""
    clusters = worst_first(fleet)
    if presentation.detail:
        blocks = [cluster_detail(cluster, presentation, ENDLESS) for cluster in clusters]
    else:
        rows = [_row(cluster, presentation) for cluster in clusters]
        blocks = [table(rows, _HEADERS)] if rows else []
        blocks += finding_blocks(clusters, presentation, ENDLESS)
    return "\n\n".join([*blocks, *moving_lines(clusters), summary_line(fleet)]) + "\n"


def _row(cluster: ClusterStatus, presentation: Presentation) -> tuple[str, ...]:
    return (
        severity_word(cluster.severity, colour=presentation.colour),
        *(harmless(cell) for cell in (*_identity(cluster), *_backups(cluster, presentation), *_recovery(cluster))),
        *(harmless(cell) for cell in _verdicts(cluster)),
    )


def _identity(cluster: ClusterStatus) -> tuple[str, ...]:
    return (
        cluster.name,
        f"{cluster.engine} {cluster.engine_version or NOT_KNOWN}",
        cluster.engine_name,
        postgres_version(cluster) or NOT_KNOWN,
    )


def postgres_version(cluster: ClusterStatus) -> str | None:
    """What the server says, else the version that the newest backup is of."""
    if cluster.postgres is not None and cluster.postgres.version is not None:
        return cluster.postgres.version
    newest = newest_backup(cluster.backups)
    return newest.postgres_version if newest else None


def _backups(cluster: ClusterStatus, presentation: Presentation) -> tuple[str, ...]:
    newest, full = newest_backup(cluster.backups), newest_backup(cluster.backups, "full")
    return (
        str(len(cluster.backups)) if cluster.read else NOT_KNOWN,
        newest_backup_cell(cluster, presentation),
        newest.id if newest else "",
        age(full.stopped_at, presentation.now) if full else "",
    )


def _recovery(cluster: ClusterStatus) -> tuple[str, ...]:
    interval, gaps = best_interval(cluster.recoverable), gap_segments(cluster)
    return (
        recoverable_cell(cluster),
        interval.to_proof if interval else "",
        moment(cluster.wal.last_archived_at),
        duration(cluster.wal.lag_seconds),
        size(cluster.wal.lag_bytes),
        NOT_KNOWN if gaps is None else str(gaps),
    )


def _verdicts(cluster: ClusterStatus) -> tuple[str, ...]:
    newest = newest_backup(cluster.backups)
    missed = [objective.name for objective in cluster.objectives if objective.severity is not Severity.OK]
    return (
        size(newest.cluster_bytes if newest else None),
        size(stored_bytes(cluster.backups)),
        {True: "satisfied", False: "not satisfied", None: NOT_KNOWN}[cluster.retention.satisfied],
        ", ".join(missed) or "none",
        str(sum(finding.severity is not Severity.OK for finding in cluster.findings)),
    )
