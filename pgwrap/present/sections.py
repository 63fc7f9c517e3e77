"""One cluster at length, as titled rows of text. It neither escapes nor lays out: that is the format's part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from pgwrap.domain.amounts import NOT_KNOWN, age, duration, moment, size
from pgwrap.domain.facts import Archiver, Backup, ClusterStatus, PostgresView, RunningOperation
from pgwrap.records import dataclass

_ORIGIN = "carried-"
"""How annotations begin that say what a carried backup was: it is told as that already."""

Row: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with a title; the first columns are the ones to keep where there is little room."""

    title: str
    headers: Row
    rows: tuple[Row, ...]


def facts_of(cluster: ClusterStatus, now: datetime) -> tuple[tuple[str, str], ...]:
    """What is said of a cluster in a line each: a name and its value."""
    facts = [
        ("engine", f"{cluster.engine} {cluster.engine_version or NOT_KNOWN}, name there: {cluster.engine_name}"),
        ("PostgreSQL", _postgres(cluster.postgres)),
        (
            "archiver",
            _archiver(cluster.postgres.archiver, now) if cluster.postgres and cluster.postgres.archiver else "",
        ),
        ("WAL", _wal(cluster, now)),
        ("retention", _retention(cluster)),
        ("last drill", _last_drill(cluster, now)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _postgres(view: PostgresView | None) -> str:
    if view is None:
        return "not asked"
    if not view.reachable:
        return f"not reachable: {view.error or 'no reason given'}"
    return ", ".join(
        (
            view.version or NOT_KNOWN,
            _choice(view.in_recovery, "standby", "primary", "primary or standby not known"),
            f"timeline {_known(view.timeline)}",
            f"system identifier {_known(view.system_identifier)}",
            f"data checksums {_choice(view.data_checksums, 'on', 'off', NOT_KNOWN)}",
        )
    )


def _archiver(archiver: Archiver, now: datetime) -> str:
    told = [_archived("last archived", archiver.last_archived_wal, archiver.last_archived_at, now)]
    if archiver.last_failed_wal:
        told.append(_archived("last failed", archiver.last_failed_wal, archiver.last_failed_at, now))
    return "; ".join((*told, f"failures: {archiver.failed_count}"))


def _archived(what: str, name: str | None, time: datetime | None, now: datetime) -> str:
    if name is None:
        return f"{what}: none"
    return f"{what} {name}" if time is None else f"{what} {name}, {age(time, now)} ago"


def _wal(cluster: ClusterStatus, now: datetime) -> str:
    wal = cluster.wal
    told = []
    if wal.last_archived_at is not None:
        told.append(f"newest archived {moment(wal.last_archived_at)} ({age(wal.last_archived_at, now)} ago)")
    if wal.lag_seconds is not None:
        told.append(f"lag {duration(wal.lag_seconds)}")
    if wal.lag_bytes is not None:
        told.append(f"lag {size(wal.lag_bytes)}")
    return ", ".join(told) or "not known"


def _retention(cluster: ClusterStatus) -> str:
    retention = cluster.retention
    satisfied = _choice(retention.satisfied, "satisfied", "not satisfied", "not known whether satisfied")
    told = f"{_known(retention.policy)}; enforced by {_known(retention.enforced_by)}; {satisfied}"
    return f"{told}; next: {retention.next}" if retention.next else told


def _last_drill(cluster: ClusterStatus, now: datetime) -> str:
    drill = cluster.last_drill
    return f"{drill.severity}, {moment(drill.at)} ({age(drill.at, now)} ago): {drill.message}" if drill else "never"


def sections_of(cluster: ClusterStatus, now: datetime) -> tuple[Section, ...]:
    """The cluster's tables that have rows, in the order an operator asks for them."""
    sections = (build(cluster, now) for build in _SECTIONS)
    return tuple(section for section in sections if section.rows)


def _running(cluster: ClusterStatus, now: datetime) -> Section:
    return Section(
        title="running now",
        headers=("operation", "for", "done"),
        rows=tuple((run.operation, age(run.started_at, now), _done(run)) for run in cluster.running),
    )


def _done(run: RunningOperation) -> str:
    if run.done_bytes is None:
        return NOT_KNOWN
    return f"{size(run.done_bytes)} of {size(run.total_bytes)}"


def _backups(cluster: ClusterStatus, now: datetime) -> Section:
    return Section(
        title="backups, newest first (UTC)",
        headers=(
            "backup", "type", "state", "stopped", "restorable", "size", "stored", "took",
            "repository", "WAL", "needs", "retention", "remarks",
        ),
        rows=tuple(_backup(backup, now) for backup in reversed(cluster.backups)),
    )  # fmt: skip


def _backup(backup: Backup, now: datetime) -> Row:
    return (
        backup.id,
        backup.type,
        backup.state.replace("_", " "),
        "" if backup.state == "running" else moment(backup.stopped_at),
        _choice(backup.restorable, "yes", "no", NOT_KNOWN),
        size(backup.cluster_bytes),
        size(backup.stored_bytes),
        duration(backup.duration_seconds),
        _known(backup.repository),
        f"{backup.wal_start} → {_known(backup.wal_stop)}" if backup.wal_start else NOT_KNOWN,
        ", ".join(backup.needs),
        _kept(backup),
        "; ".join(_remarks(backup, now)),
    )


def _kept(backup: Backup) -> str:
    if backup.retention is None:
        return NOT_KNOWN
    verdict = _choice(backup.retention.kept, "kept", "goes", NOT_KNOWN)
    told = f"{verdict}: {backup.retention.reason}" if backup.retention.reason else verdict
    return f"{told}, until {moment(backup.retention.expires)}" if backup.retention.expires else told


def _remarks(backup: Backup, now: datetime) -> list[str]:
    origin = backup.imported_from
    remarks = {
        f"called {backup.name}": bool(backup.name),
        f"held ({backup.held})": bool(backup.held),
        "page errors": backup.page_errors is True,
        f"from {origin.engine} {origin.id}" if origin else "": origin is not None,
        f"running for {age(backup.started_at, now)}": backup.state == "running",
        f"error: {backup.error}": bool(backup.error),
        **{f"{key}: {value}": origin is None or not key.startswith(_ORIGIN) for key, value in backup.annotations},
    }
    return [text for text, applies in remarks.items() if applies]


def _intervals(cluster: ClusterStatus, now: datetime) -> Section:
    proofs = {"commit": "a commit in the archive", "backup": "the newest backup's end"}
    return Section(
        title="recoverable to any moment (UTC)",
        headers=("from", "to", "proven by", "reaches newest WAL", "timeline", "repository", "archive", "engine"),
        rows=tuple(
            (
                moment(interval.from_),
                f"{moment(interval.to)} ({age(interval.to, now)} ago)",
                proofs[interval.to_proof],
                "yes" if interval.open_ended else "no",
                str(interval.timeline),
                _known(interval.repository),
                interval.archive or "",
                _engine(interval.engine, interval.engine_name),
            )
            for interval in cluster.recoverable
        ),
    )


def _gaps(cluster: ClusterStatus, _now: datetime) -> Section:
    return Section(
        title="gaps in the WAL",
        headers=("first missing", "last missing", "segments", "timeline", "repository", "archive", "engine"),
        rows=tuple(
            (
                gap.from_,
                gap.to,
                str(gap.segments),
                str(gap.timeline),
                _known(gap.repository),
                gap.archive or "",
                _engine(gap.engine, gap.engine_name),
            )
            for gap in cluster.wal.gaps
        ),
    )


def _archives(cluster: ClusterStatus, _now: datetime) -> Section:
    return Section(
        title="WAL archives",
        headers=("oldest", "newest", "timeline", "repository", "archive", "system identifier", "engine"),
        rows=tuple(
            (
                _known(row.min),
                _known(row.max),
                _known(row.timeline),
                _known(row.repository),
                row.archive or "",
                _known(row.system_identifier),
                _engine(row.engine, row.engine_name),
            )
            for row in cluster.wal.archives
        ),
    )


def _repositories(cluster: ClusterStatus, _now: datetime) -> Section:
    return Section(
        title="repositories",
        headers=("repository", "number", "kind", "encryption", "state", "message"),
        rows=tuple(
            (
                repository.name,
                "" if repository.key is None else str(repository.key),
                repository.kind,
                _known(repository.encryption),
                repository.severity.value,
                repository.message,
            )
            for repository in cluster.repositories
        ),
    )


def _objectives(cluster: ClusterStatus, _now: datetime) -> Section:
    return Section(
        title="objectives",
        headers=("objective", "limit", "observed", "verdict"),
        rows=tuple(
            (
                objective.name.replace("_", " "),
                duration(objective.limit_seconds),
                duration(objective.observed_seconds),
                objective.severity.value,
            )
            for objective in cluster.objectives
        ),
    )


def _schedule(cluster: ClusterStatus, _now: datetime) -> Section:
    return Section(
        title="schedule",
        headers=("action", "calendar", "next"),
        rows=tuple((entry.action, entry.calendar, moment(entry.next_at)) for entry in cluster.schedule),
    )


def _slots(cluster: ClusterStatus, _now: datetime) -> Section:
    slots = cluster.postgres.slots if cluster.postgres else ()
    return Section(
        title="replication slots",
        headers=("slot", "active", "keeps WAL from"),
        rows=tuple((slot.name, "yes" if slot.active else "no", _known(slot.restart_lsn)) for slot in slots),
    )


def _sources(cluster: ClusterStatus, _now: datetime) -> Section:
    several = cluster.sources if len(cluster.sources) > 1 else ()
    return Section(
        title="engines that hold backups of it",
        headers=("engine", "version", "name there", "role"),
        rows=tuple(
            (source.engine, _known(source.engine_version), source.engine_name, source.role) for source in several
        ),
    )


_SECTIONS: tuple[Callable[[ClusterStatus, datetime], Section], ...] = (
    _running,
    _backups,
    _intervals,
    _gaps,
    _archives,
    _repositories,
    _objectives,
    _schedule,
    _slots,
    _sources,
)


def _engine(engine: str, name: str) -> str:
    return f"{engine} ({name})"


def _known(value: object | None) -> str:
    return NOT_KNOWN if value is None else str(value)


def _choice(claim: bool | None, yes: str, no: str, unknown: str) -> str:  # noqa: FBT001 - the claim is the subject
    return unknown if claim is None else yes if claim else no
