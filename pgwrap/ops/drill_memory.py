"""What the journal remembers of drills, for status and reports, and how a drill is put there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.drill import Drill, DrillHistory, DrillMemory
from pgwrap.domain.drill_record import from_data, to_data
from pgwrap.domain.facts import DrillReport, Finding, FindingCode, Severity
from pgwrap.domain.model import Cluster
from pgwrap.errors import OutputNotUnderstood, PgwrapError
from pgwrap.system.port import DrillEntry, Journal


def memory_of(cluster: Cluster, journal: Journal) -> DrillMemory:
    """The newest drill that ended, and the newest that passed; a journal that cannot be read is said, never empty."""
    try:
        if not journal.exists():
            return DrillMemory()
        ended = tuple(drill for drill in _read(journal.drills(cluster.name)) if not drill.control and drill.ended_at)
    except PgwrapError as error:
        return DrillMemory(error=error.message)
    return DrillMemory(
        newest=ended[0] if ended else None,
        passed_at=next((drill.started_at for drill in ended if drill.passed), None),
    )


def report_of(memory: DrillMemory) -> DrillReport | None:
    """The newest drill as status shows it."""
    drill = memory.newest
    if drill is None:
        return None
    return DrillReport(
        at=drill.started_at,
        severity=drill.severity,
        message=drill.message,
        passed_at=memory.passed_at,
        rto_seconds=drill.rto_seconds,
        rpo_seconds=drill.rpo_seconds,
        backup=drill.backup,
        repository=drill.repository,
    )


def unread_finding(cluster: Cluster, memory: DrillMemory) -> tuple[Finding, ...]:
    """That it is not known whether restores were tried; no finding where it is."""
    if memory.error is None:
        return ()
    return (
        Finding(
            code=FindingCode.DRILL_NEVER,
            severity=Severity.OK if cluster.objectives.drill_age is None else Severity.UNKNOWN,
            message=f"whether restores of this cluster were tried out is not known: {memory.error}",
            hint="run status as the owner of the state directory",
        ),
    )


def history(journal: Journal, clusters: tuple[Cluster, ...], limit: int) -> DrillHistory:
    """Drills of the clusters, newest first, at most `limit` of each; UsageError for a journal that cannot be read."""
    if not journal.exists():
        return DrillHistory(drills=())
    found = [drill for cluster in clusters for drill in _read(journal.drills(cluster.name, limit))]
    return DrillHistory(drills=tuple(sorted(found, key=lambda drill: drill.started_at, reverse=True)))


def _read(entries: Iterable[DrillEntry]) -> Iterable[Drill]:
    for entry in entries:
        try:
            yield from_data(entry.report)
        except (KeyError, TypeError, ValueError) as error:
            raise OutputNotUnderstood(f"drill {entry.id} in the journal cannot be read: {error}") from error


def keep_drill(drill: Drill, journal: Journal) -> None:
    """Put it into the journal, in the place of what was kept under its id."""
    journal.put_drill(
        DrillEntry(
            id=drill.id,
            cluster=drill.cluster,
            started_at=drill.started_at,
            ended_at=drill.ended_at,
            severity=drill.severity.value,
            control=drill.control,
            aim=drill.aim.value,
            repository=drill.repository,
            backup=drill.backup,
            report=to_data(drill),
        )
    )


def end_killed(identifier: str, journal: Journal, now: datetime) -> None:
    """Say of a drill that was killed that it was."""
    for entry in journal.drills():
        if entry.id == identifier and entry.ended_at is None:
            killed = from_data(entry.report)
            keep_drill(replace(killed, ended_at=now, message="it was killed before its end"), journal)
