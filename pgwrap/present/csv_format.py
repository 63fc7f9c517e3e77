"""Status for spreadsheets: a line per cluster with stable columns (RFC 4180). No cell is ever taken for a formula."""

from __future__ import annotations

import csv
import io
from typing import TypeAlias

from pgwrap.domain.facts import ClusterStatus, FleetStatus, Severity
from pgwrap.present.encode import encode
from pgwrap.present.harmless import spreadsheet
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import (
    best_interval,
    finding_counts,
    gap_segments,
    newest_backup,
    stored_bytes,
    worst_first,
)
from pgwrap.present.wide import postgres_version

Cells: TypeAlias = dict[str, object]

COLUMNS = (
    "cluster", "severity", "engine", "engine_version", "engine_name", "postgres_version", "backups",
    "newest_backup_id", "newest_backup_type", "newest_backup_stopped_at", "newest_backup_age_seconds",
    "newest_full_stopped_at", "cluster_bytes", "stored_bytes", "recoverable_from", "recoverable_to",
    "recoverable_to_proof", "wal_last_archived_at", "wal_lag_seconds", "wal_lag_bytes", "wal_gap_segments",
    "retention_satisfied", "objectives_missed", "findings_critical", "findings_unknown", "findings_warning",
    "findings_ok", "finding_codes",
)  # fmt: skip
"""The header line. New columns are added at the end."""


def status_csv(fleet: FleetStatus, presentation: Presentation) -> str:
    """A header line and a line per cluster, the worst first; what is not known is empty. Lines end in CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for cluster in worst_first(fleet):
        cells = _cells(cluster, presentation)
        writer.writerow([cell(cells[column]) for column in COLUMNS])
    return text.getvalue()


def _cells(cluster: ClusterStatus, presentation: Presentation) -> Cells:
    return {
        "cluster": cluster.name,
        "severity": cluster.severity,
        "engine": cluster.engine,
        "engine_version": cluster.engine_version,
        "engine_name": cluster.engine_name,
        "postgres_version": postgres_version(cluster),
        **_backups(cluster, presentation),
        **_recovery(cluster),
        **_verdicts(cluster),
    }


def _backups(cluster: ClusterStatus, presentation: Presentation) -> Cells:
    newest, full = newest_backup(cluster.backups), newest_backup(cluster.backups, "full")
    stopped = newest.stopped_at if newest else None
    return {
        "backups": len(cluster.backups) if cluster.read else None,
        "newest_backup_id": newest.id if newest else None,
        "newest_backup_type": newest.type if newest else None,
        "newest_backup_stopped_at": stopped,
        "newest_backup_age_seconds": (presentation.now - stopped).total_seconds() if stopped else None,
        "newest_full_stopped_at": full.stopped_at if full else None,
        "cluster_bytes": newest.cluster_bytes if newest else None,
        "stored_bytes": stored_bytes(cluster.backups),
    }


def _recovery(cluster: ClusterStatus) -> Cells:
    interval, wal = best_interval(cluster.recoverable), cluster.wal
    return {
        "recoverable_from": interval.from_ if interval else None,
        "recoverable_to": interval.to if interval else None,
        "recoverable_to_proof": interval.to_proof if interval else None,
        "wal_last_archived_at": wal.last_archived_at,
        "wal_lag_seconds": wal.lag_seconds,
        "wal_lag_bytes": wal.lag_bytes,
        "wal_gap_segments": gap_segments(cluster),
    }


def _verdicts(cluster: ClusterStatus) -> Cells:
    counts = finding_counts(cluster)
    missed = [objective.name for objective in cluster.objectives if objective.severity is not Severity.OK]
    codes = {finding.code.value for finding in cluster.findings if finding.severity is not Severity.OK}
    return {
        "retention_satisfied": cluster.retention.satisfied,
        "objectives_missed": " ".join(missed),
        "findings_critical": counts[Severity.CRITICAL],
        "findings_unknown": counts[Severity.UNKNOWN],
        "findings_warning": counts[Severity.WARNING],
        "findings_ok": counts[Severity.OK],
        "finding_codes": " ".join(sorted(codes)),
    }


def cell(value: object) -> str:
    """A value as a cell: empty for what is not known, and never a formula."""
    data = encode(value)
    if isinstance(data, bool):
        return "true" if data else "false"
    if data is None:
        return ""
    return spreadsheet(data) if isinstance(data, str) else str(data)
