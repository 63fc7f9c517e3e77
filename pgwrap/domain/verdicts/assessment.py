"""One cluster's status from everything that is known of it, and the fleet's from its clusters. It has no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.facts import (
    ClusterStatus,
    DrillReport,
    Finding,
    FindingCode,
    FleetStatus,
    Observation,
    PostgresView,
    ScheduleEntry,
    Severity,
    Source,
    WalStatus,
    worst,
)
from pgwrap.domain.model import Cluster
from pgwrap.domain.objectives import Grounds, objective_statuses
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.recovery import ProofKey, recoverable, stretches
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.backups import backup_findings, judged
from pgwrap.domain.verdicts.evidence import Evidence
from pgwrap.domain.verdicts.postgres import postgres_findings
from pgwrap.domain.verdicts.promises import promise_findings, retention_status
from pgwrap.domain.verdicts.wal import wal_findings
from pgwrap.domain.wal_status import wal_status
from pgwrap.domain.wholeness import assess_backups


def assess(  # noqa: PLR0913 - everything that is known of a cluster meets here, and only here
    cluster: Cluster,
    observation: Observation,
    *,
    postgres: PostgresView | None,
    commits: Mapping[ProofKey, datetime | None],
    expected: tuple[PostgresSetting, ...],
    now: datetime,
    notes: tuple[Finding, ...] = (),
    last_drill: DrillReport | None = None,
) -> ClusterStatus:
    """The status of one cluster; `notes` are findings made elsewhere, such as about the engine's version.

    Nothing is claimed of a cluster that could not be read: it is unknown, whatever an engine left behind.
    """
    observation = observation if observation.read else _nothing(observation)
    evidence = _evidence(cluster, observation, postgres, commits, now=now, expected=expected, last_drill=last_drill)
    findings = _distinct((*observation.findings, *notes), _own_findings(evidence))
    return ClusterStatus(
        name=cluster.name,
        engine=observation.engine,
        engine_version=observation.engine_version,
        engine_name=observation.engine_name,
        severity=_severity(findings, evidence),
        read=observation.read,
        sources=tuple(_sources(observation)),
        findings=findings,
        postgres=postgres,
        running=observation.running,
        repositories=observation.repositories,
        backups=judged(evidence),
        wal=evidence.wal,
        recoverable=evidence.recoverable,
        retention=retention_status(evidence),
        objectives=evidence.objectives,
        schedule=tuple(ScheduleEntry(action=action, calendar=text) for action, text in cluster.schedule.entries),
        last_drill=last_drill,
    )


def fleet_status(clusters: Iterable[ClusterStatus]) -> FleetStatus:
    """The clusters in the order given, and the worst of them."""
    known = tuple(clusters)
    return FleetStatus(severity=worst(tuple(cluster.severity for cluster in known)), clusters=known)


def _nothing(observation: Observation) -> Observation:
    return replace(observation, backups=(), archives=(), running=(), slots=(), wal_position=None)


def _evidence(  # noqa: PLR0913 - see assess
    cluster: Cluster,
    observation: Observation,
    postgres: PostgresView | None,
    commits: Mapping[ProofKey, datetime | None],
    *,
    now: datetime,
    expected: tuple[PostgresSetting, ...],
    last_drill: DrillReport | None,
) -> Evidence:
    intervals = recoverable(stretches(observation), commits)
    server = postgres if postgres is not None and postgres.reachable else None
    wal = WalStatus()
    if observation.read:
        wal = wal_status(observation, server, intervals, slot=cluster.wal.slot, now=now)
    grounds = Grounds(observation=observation, wal=wal, last_drill=last_drill, now=now)
    return Evidence(
        cluster=cluster,
        observation=observation,
        postgres=postgres,
        expected=expected,
        now=now,
        assessments=assess_backups(observation),
        recoverable=intervals,
        wal=wal,
        objectives=objective_statuses(cluster.objectives, grounds),
        last_drill=last_drill,
    )


def _own_findings(evidence: Evidence) -> Iterator[Finding]:
    """Of a cluster that was not read, only what PostgreSQL itself shows is said."""
    if not evidence.observation.read:
        if not evidence.observation.findings:
            yield _silent(evidence)
        yield from postgres_findings(evidence)
        return
    yield from backup_findings(evidence)
    yield from wal_findings(evidence)
    yield from postgres_findings(evidence)
    yield from promise_findings(evidence)


def _silent(evidence: Evidence) -> Finding:
    return Finding(
        code=FindingCode.ENGINE_FAILED,
        severity=Severity.UNKNOWN,
        message=f"{evidence.observation.engine} told nothing of {evidence.observation.engine_name}",
        hint=words.native(evidence.cluster, pgbackrest=("info",), barman=("status", "{}")),
    )


def _distinct(given: tuple[Finding, ...], own: Iterable[Finding]) -> tuple[Finding, ...]:
    """The engine's findings first, then those of ours that say something the engine did not."""
    kept = list(given)
    for finding in own:
        if not any(_same(finding, other) for other in given) and finding not in kept:
            kept.append(finding)
    return tuple(kept)


_INSTEAD = {FindingCode.NO_BACKUP: (FindingCode.NO_BACKUP, FindingCode.STANZA_MISSING)}
"""What the engine may have said that makes a finding of ours superfluous, where it is not the same code."""


def _same(own: Finding, given: Finding) -> bool:
    codes = _INSTEAD.get(own.code, (own.code,))
    return given.code in codes and given.backup in (None, own.backup) and given.repository in (None, own.repository)


def _severity(findings: tuple[Finding, ...], evidence: Evidence) -> Severity:
    unread = () if evidence.observation.read else (Severity.UNKNOWN,)
    return worst(
        (
            *(finding.severity for finding in findings),
            *(repository.severity for repository in evidence.observation.repositories),
            *(objective.severity for objective in evidence.objectives),
            *unread,
        )
    )


def _sources(observation: Observation) -> Iterator[Source]:
    """The engine's name for the cluster, then that of what was carried over to it."""
    engine, version, own = observation.engine, observation.engine_version, observation.engine_name
    yield Source(engine=engine, engine_version=version, engine_name=own)
    for name in dict.fromkeys(backup.engine_name for backup in observation.backups):
        if name != own:
            yield Source(engine=engine, engine_version=version, engine_name=name, role="history")
