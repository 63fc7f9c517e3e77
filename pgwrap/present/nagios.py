"""Status as a monitoring plugin answers: one line, performance data, then details. It alone maps severities to 0-3.

Source: the Monitoring Plugins' development guidelines (plugin output, performance data, return codes).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pgwrap.domain.facts import ClusterStatus, FleetStatus, Severity
from pgwrap.errors import PgwrapError
from pgwrap.present.findings import sentence, shown_findings
from pgwrap.present.harmless import nagios
from pgwrap.present.presentation import Presentation
from pgwrap.present.summary import newest_backup, objective, severity_counts, worst_first
from pgwrap.present.table import newest_backup_cell, recoverable_cell

EXIT_UNKNOWN = 3
_EXITS = {Severity.OK: 0, Severity.WARNING: 1, Severity.CRITICAL: 2, Severity.UNKNOWN: EXIT_UNKNOWN}
_NOT_DETERMINED = "U"


def exit_status(fleet: FleetStatus) -> int:
    """What the plugin returns: 0 ok, 1 warning, 2 critical, 3 unknown; no cluster at all is unknown."""
    return _EXITS[_severity(fleet)]


def _severity(fleet: FleetStatus) -> Severity:
    return fleet.severity if fleet.clusters else Severity.UNKNOWN


def status_nagios(fleet: FleetStatus, presentation: Presentation) -> str:
    """The plugin's output: state and performance data in the first line, a line per cluster and finding after it."""
    clusters = worst_first(fleet)
    data = " ".join(item for cluster in clusters for item in _performance(cluster, presentation))
    first = f"PGWRAP {_severity(fleet).upper()} - {nagios(_headline(clusters))}"
    details = [line for cluster in clusters for line in _details(cluster, presentation)]
    if fleet.left_out:
        details.append(nagios(f"not looked at: {', '.join(fleet.left_out)}"))
    return "\n".join([f"{first} | {data}" if data else first, *details]) + "\n"


def nagios_failure(error: PgwrapError) -> str:
    """The plugin's output when pgwrap itself could not do its work; the return code is 3 then."""
    hint = f" ({error.hint})" if error.hint else ""
    return f"PGWRAP UNKNOWN - {nagios(error.message + hint)}\n"


def _headline(clusters: tuple[ClusterStatus, ...]) -> str:
    if not clusters:
        return "no clusters"
    if all(cluster.severity is Severity.OK for cluster in clusters):
        return f"{len(clusters)} cluster{'s' if len(clusters) > 1 else ''} ok"
    troubled = ", ".join(_trouble(cluster) for cluster in clusters if cluster.severity is not Severity.OK)
    return f"{severity_counts(cluster.severity for cluster in clusters)}: {troubled}"


def _trouble(cluster: ClusterStatus) -> str:
    codes = dict.fromkeys(
        finding.code.value for finding in shown_findings(cluster, notes=False) if finding.severity is cluster.severity
    )
    return f"{cluster.name} ({', '.join(codes)})" if codes else cluster.name


def _details(cluster: ClusterStatus, presentation: Presentation) -> Iterable[str]:
    facts = f"newest backup {newest_backup_cell(cluster, presentation)}, recoverable {recoverable_cell(cluster)}"
    yield nagios(f"{cluster.severity.upper()} {cluster.name}: {facts}")
    for finding in shown_findings(cluster, notes=presentation.verbose):
        hint = f" -> {finding.hint}" if finding.hint else ""
        yield "  " + nagios(f"{finding.severity} {finding.code}: {sentence(finding)}{hint}")


def _performance(cluster: ClusterStatus, presentation: Presentation) -> Iterable[str]:
    """Severity (0 ok, 1 warning, 2 unknown, 3 critical), backup age, WAL lag and number of backups of one cluster."""
    newest = newest_backup(cluster.backups)
    age = (presentation.now - newest.stopped_at).total_seconds() if newest and newest.stopped_at else None
    yield f"{_label(cluster, 'severity')}={cluster.severity.rank};0;2;0;3"
    yield f"{_label(cluster, 'backup_age')}={_seconds(age)}{_limit(cluster, 'backup_age')}"
    yield f"{_label(cluster, 'wal_lag')}={_seconds(cluster.wal.lag_seconds)}{_limit(cluster, 'rpo')}"
    if cluster.wal.lag_bytes is not None:
        yield f"{_label(cluster, 'wal_lag_bytes')}={cluster.wal.lag_bytes}B"
    yield f"{_label(cluster, 'backups')}={len(cluster.backups) if cluster.read else _NOT_DETERMINED};;;0"


def _label(cluster: ClusterStatus, what: str) -> str:
    """A quoted label: it may hold anything but an equals sign, and a quote is written twice."""
    name = nagios(cluster.name).replace("=", "_").replace("'", "''")
    return f"'{name} {what}'"


def _seconds(value: float | None) -> str:
    return f"{round(value)}s" if value is not None and math.isfinite(value) else _NOT_DETERMINED


def _limit(cluster: ClusterStatus, name: str) -> str:
    """The objective as the warning threshold: the verdict itself is the severity's."""
    promise = objective(cluster, name)
    return f";{round(promise.limit_seconds)}" if promise and math.isfinite(promise.limit_seconds) else ""
