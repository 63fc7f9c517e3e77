"""Findings from PostgreSQL's own view: settings, archiver, slots, identity, clock. It changes no setting."""

from __future__ import annotations

from collections.abc import Iterator

from pgwrap.domain.amounts import duration
from pgwrap.domain.facts import Finding, FindingCode, PostgresView, Severity, worst
from pgwrap.domain.objectives import newest_done
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.settings import sql_literal, suffices
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.evidence import Evidence
from pgwrap.domain.wal_status import setting, slots_of

_QUEUE_WARNING = 16
_QUEUE_CRITICAL = 256
"""Segments that wait to be archived."""
_WAL_LEVEL = PostgresSetting(name="wal_level", value="replica", restart=True, reason="", minimum=True)
CLOCK_TOLERANCE = 60.0
"""Seconds."""


def postgres_findings(evidence: Evidence) -> Iterator[Finding]:
    """Every finding that PostgreSQL's answer, or its silence, gives rise to."""
    yield from _unreachable(evidence)
    yield from _slots(evidence)
    yield from _clock(evidence)
    server = evidence.server
    if server is None:
        return
    yield from _identity(server, evidence)
    yield from _checksums(server)
    yield from _wal_level(server, evidence)
    yield from _archiver(server, evidence)
    yield from _queue(server, evidence)
    if _archives(evidence):
        yield from _archive_mode(server, evidence)


def _archives(evidence: Evidence) -> bool:
    """Whether this server is the one that hands WAL to the engine by archive_command."""
    return evidence.cluster.wal.delivery != "stream" and evidence.cluster.passive is None


def _unreachable(evidence: Evidence) -> Iterator[Finding]:
    view = evidence.postgres
    if view is None or view.reachable:
        return
    fine = evidence.observation.read and worst(tuple(f.severity for f in evidence.observation.findings)) is Severity.OK
    engine = f"; {evidence.observation.engine} itself answered, so what is said of backups stands" if fine else ""
    yield Finding(
        code=FindingCode.POSTGRES_UNREACHABLE,
        severity=Severity.WARNING,
        message=f"PostgreSQL did not answer: {view.error or 'no reason given'}{engine}",
        hint=words.psql(evidence.cluster, "select 1"),
    )


def _identity(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    theirs, ours = server.system_identifier, evidence.observation.system_identifier
    if theirs is None or ours is None or theirs == ours:
        return
    yield Finding(
        code=FindingCode.SYSTEM_IDENTIFIER_MISMATCH,
        severity=Severity.CRITICAL,
        message=f"the server's system identifier is {theirs}, the engine backs up {ours}: it is another cluster, "
        "or it went through pg_upgrade or initdb",
        hint=words.native(evidence.cluster, pgbackrest=("stanza-upgrade",), barman=("check", "{}")),
    )


def _checksums(server: PostgresView) -> Iterator[Finding]:
    if server.data_checksums is False:
        yield Finding(
            code=FindingCode.CHECKSUMS_DISABLED,
            severity=Severity.OK,
            message="data checksums are off: damaged pages are backed up unnoticed",
            hint="pg_checksums --enable (with the server shut down)",
        )


def _wal_level(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    actual = setting(server, "wal_level")
    wanted = _expected(evidence, "wal_level") or _WAL_LEVEL
    if actual is not None and not suffices(wanted, actual):
        yield Finding(
            code=FindingCode.WAL_LEVEL_TOO_LOW,
            severity=Severity.CRITICAL,
            message=f"wal_level is {actual}; a backup can be restored only with {wanted.value} or more",
            hint=words.psql(evidence.cluster, f"alter system set wal_level = '{wanted.value}'")
            + " and restart PostgreSQL",
        )


def _expected(evidence: Evidence, name: str) -> PostgresSetting | None:
    return next((wanted for wanted in evidence.expected if wanted.name == name), None)


def _archiver(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    archiver = server.archiver
    if archiver is None or archiver.last_failed_at is None or _stands_by(server):
        return
    if archiver.last_archived_at is not None and archiver.last_archived_at >= archiver.last_failed_at:
        return
    since = f"the last success was at {words.moment(archiver.last_archived_at)}"
    yield Finding(
        code=FindingCode.ARCHIVER_FAILING,
        severity=Severity.CRITICAL if _archives(evidence) else Severity.WARNING,
        message=f"archiving {archiver.last_failed_wal or 'WAL'} failed at {words.moment(archiver.last_failed_at)}, "
        f"{archiver.failed_count} failures in all; " + (since if archiver.last_archived_at else "it never succeeded"),
        hint=words.native(evidence.cluster, pgbackrest=("check",), barman=("check", "{}"))
        + " and read PostgreSQL's log",
    )


def _stands_by(server: PostgresView) -> bool:
    """A standby archives nothing, unless archive_mode is always."""
    return server.in_recovery is True and setting(server, "archive_mode") != "always"


def _queue(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    ready = server.ready_segments
    if ready is None or ready < _QUEUE_WARNING:
        return
    yield Finding(
        code=FindingCode.ARCHIVER_QUEUE,
        severity=Severity.CRITICAL if ready >= _QUEUE_CRITICAL else Severity.WARNING,
        message=f"{ready} WAL segments wait to be archived and fill pg_wal",
        hint=words.psql(evidence.cluster, "select * from pg_stat_archiver"),
    )


def _archive_mode(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    mode = setting(server, "archive_mode")
    if mode != "off":
        yield from _archive_command(server, evidence)
        return
    yield Finding(
        code=FindingCode.ARCHIVE_MODE_OFF,
        severity=Severity.CRITICAL if evidence.cluster.wal.delivery == "archive" else Severity.WARNING,
        message="archive_mode is off: PostgreSQL hands no WAL to the engine",
        hint=words.psql(evidence.cluster, "alter system set archive_mode = 'on'") + " and restart PostgreSQL",
    )


def _archive_command(server: PostgresView, evidence: Evidence) -> Iterator[Finding]:
    actual, wanted = setting(server, "archive_command"), _expected(evidence, "archive_command")
    library = setting(server, "archive_library")
    if actual is None or wanted is None or suffices(wanted, actual):
        return
    shown = f"archive_library is {library!r}" if library else f"archive_command is {actual!r}"
    yield Finding(
        code=FindingCode.ARCHIVE_COMMAND_DIFFERS,
        severity=Severity.CRITICAL if not actual.strip() and not library else Severity.WARNING,
        message=f"{shown}, not {wanted.value!r}{_likely(actual, evidence)}",
        hint=words.psql(evidence.cluster, f"alter system set archive_command = {sql_literal(wanted.value)}")
        + " and reload PostgreSQL",
    )


def _likely(actual: str, evidence: Evidence) -> str:
    if evidence.observation.engine in actual.lower():
        return f": it names {evidence.observation.engine}, but WAL may go to another place than the spec says"
    return f": it does not name {evidence.observation.engine}"


def _slots(evidence: Evidence) -> Iterator[Finding]:
    delivery, name = evidence.cluster.wal.delivery, evidence.cluster.wal.slot
    if delivery == "archive" or evidence.cluster.passive is not None:
        return
    severity = Severity.CRITICAL if delivery == "stream" else Severity.WARNING
    found = slots_of(evidence.observation, evidence.server, name)
    for slot in found:
        if not slot.active:
            message = (
                f"nothing streams from replication slot {slot.name}; PostgreSQL keeps WAL from {slot.restart_lsn} on"
            )
            yield _slot(message, severity, ("cron",), evidence)
    if not found and name is not None and _lists_slots(evidence):
        message = f"replication slot {name} does not exist"
        yield _slot(message, severity, ("receive-wal", "--create-slot", "{}"), evidence)


def _lists_slots(evidence: Evidence) -> bool:
    """Whether the primary was asked, so that a slot not shown is one that is not there."""
    return evidence.server is not None and evidence.server.in_recovery is False


def _slot(message: str, severity: Severity, barman: tuple[str, ...], evidence: Evidence) -> Finding:
    return Finding(
        code=FindingCode.REPLICATION_SLOT_INACTIVE,
        severity=severity,
        message=message,
        hint=words.native(evidence.cluster, pgbackrest=("check",), barman=barman),
    )


def _clock(evidence: Evidence) -> Iterator[Finding]:
    """Clocks that differ, as the server tells; without it, a backup that ends in the future gives it away."""
    newest = newest_done(evidence.observation.backups)
    server = evidence.server
    if server is not None and server.clock is not None:
        ahead = (server.clock - evidence.now).total_seconds()
        if abs(ahead) > CLOCK_TOLERANCE:
            yield _skew(f"PostgreSQL's clock says {words.moment(server.clock)}", ahead, evidence)
    elif newest is not None and newest.stopped_at is not None:
        ahead = (newest.stopped_at - evidence.now).total_seconds()
        if ahead > CLOCK_TOLERANCE:
            yield _skew(f"backup {newest.id} ended at {words.moment(newest.stopped_at)}", ahead, evidence)


def _skew(said: str, ahead: float, evidence: Evidence) -> Finding:
    return Finding(
        code=FindingCode.CLOCK_SKEW,
        severity=Severity.WARNING,
        message=f"{said}, this host's {words.moment(evidence.now)}: {duration(abs(ahead))} apart, "
        "so ages and restore targets are off by as much",
        hint="chronyc tracking",
    )
