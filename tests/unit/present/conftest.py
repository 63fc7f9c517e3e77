"""A rich fleet to present: one cluster that is well, one with findings, one that cannot be read, one with odd names."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st

from pgwrap.domain.facts import (
    Archiver,
    Backup,
    BackupRetention,
    ClusterStatus,
    DrillReport,
    Finding,
    FindingCode,
    FleetStatus,
    ImportedFrom,
    ObjectiveStatus,
    PostgresView,
    RecoverableInterval,
    ReplicationSlot,
    RepositoryState,
    RetentionStatus,
    RunningOperation,
    ScheduleEntry,
    Severity,
    Source,
    WalArchiveRow,
    WalGap,
    WalStatus,
)
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.present.presentation import Presentation

NOW = datetime(2026, 11, 22, 11, 13, 36, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden" / "present"

st.register_type_strategy(datetime, st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)))  # noqa: DTZ001
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Lsn, st.integers(0, 2**64 - 1).map(Lsn))


def ago(**span: float) -> datetime:
    """A moment so long before now."""
    return NOW - timedelta(**span)


@pytest.fixture
def now() -> datetime:
    """The moment that ages count from."""
    return NOW


@pytest.fixture
def presentation() -> Presentation:
    """A terminal of 100 columns without colour."""
    return Presentation(now=NOW)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares text with a golden file; with PGWRAP_WRITE_GOLDEN=1 writes it instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("PGWRAP_WRITE_GOLDEN") == "1":
            path.write_bytes(text.encode())
        assert path.read_bytes().decode() == text

    return check


@pytest.fixture
def fleet() -> FleetStatus:
    """The example fleet."""
    return FleetStatus(
        severity=Severity.CRITICAL,
        clusters=(orders(), billing(), ledger(), oddities()),
        left_out=("elsewhere",),
    )


def orders() -> ClusterStatus:
    """A pgBackRest cluster that is well."""
    full = backup_of_orders("20261115-010002F", "full", ago(days=7, hours=10), needs=())
    incremental = backup_of_orders(
        "20261115-010002F_20261122-080103I", "incremental", ago(hours=3, minutes=12), needs=("20261115-010002F",)
    )
    return ClusterStatus(
        name="orders",
        engine="pgbackrest",
        engine_version="2.55.1",
        engine_name="orders",
        severity=Severity.OK,
        sources=(Source(engine="pgbackrest", engine_version="2.55.1", engine_name="orders"),),
        findings=(
            Finding(
                code=FindingCode.DRILL_NEVER,
                severity=Severity.OK,
                message="no restore of this cluster was ever tried",
                hint="pgwrap drill orders",
            ),
        ),
        postgres=orders_server(),
        running=(
            RunningOperation(operation="backup", started_at=ago(minutes=4), done_bytes=12 << 20, total_bytes=40055603),
        ),
        repositories=(
            RepositoryState(name="local", key=1, kind="posix", encryption=None, severity=Severity.OK, message="ok"),
            RepositoryState(name="offsite", key=2, kind="s3", encryption="aes-256-cbc", severity=Severity.OK),
        ),
        backups=(full, incremental),
        wal=WalStatus(
            archives=(
                WalArchiveRow(
                    repository="local",
                    archive="17-1",
                    engine="pgbackrest",
                    engine_name="orders",
                    system_identifier="7311111111111111111",
                    timeline=Timeline(1),
                    min="000000010000000000000004",
                    max="00000001000000000000002A",
                ),
            ),
            last_archived_at=ago(minutes=3),
            lag_bytes=5 << 20,
            lag_seconds=180.0,
        ),
        recoverable=(
            RecoverableInterval(
                repository="local",
                archive="17-1",
                engine="pgbackrest",
                engine_name="orders",
                timeline=Timeline(1),
                from_=ago(days=7, hours=10),
                to=ago(minutes=3, microseconds=250000),
                to_proof="commit",
                open_ended=True,
            ),
        ),
        retention=RetentionStatus(policy="14 days", enforced_by="pgbackrest expire", satisfied=True, next=None),
        objectives=(
            ObjectiveStatus(name="rpo", limit_seconds=300.0, observed_seconds=180.0, severity=Severity.OK),
            ObjectiveStatus(name="backup_age", limit_seconds=93600.0, observed_seconds=11520.0, severity=Severity.OK),
        ),
        schedule=(ScheduleEntry(action="full", calendar="Sun 01:00", next_at=ago(days=-7, hours=10)),),
        last_drill=DrillReport(at=ago(days=20), severity=Severity.OK, message="restored to 2026-11-02 11:00Z in 4m"),
    )


def orders_server() -> PostgresView:
    """What PostgreSQL says of the cluster that is well."""
    return PostgresView(
        reachable=True,
        version="17.2",
        version_number=170002,
        system_identifier="7311111111111111111",
        in_recovery=False,
        timeline=Timeline(1),
        data_checksums=True,
        archiver=Archiver(
            last_archived_wal="00000001000000000000002A",
            last_archived_at=ago(minutes=3),
            last_failed_wal=None,
            last_failed_at=None,
            failed_count=0,
        ),
        current_lsn=Lsn.parse("0/2B500000"),
        wal_segment_size=16 << 20,
        ready_segments=0,
        clock=NOW,
        settings=(("archive_mode", "on"), ("wal_level", "replica")),
        slots=(ReplicationSlot(name="standby1", active=True, restart_lsn=Lsn.parse("0/2B000000")),),
    )


def backup_of_orders(identifier: str, kind: str, stopped: datetime, needs: tuple[str, ...]) -> Backup:
    """A backup that pgBackRest took."""
    return Backup(
        engine="pgbackrest",
        engine_name="orders",
        id=identifier,
        repository="local",
        archive="17-1",
        type=kind,  # type: ignore[arg-type]
        state="done",
        started_at=stopped - timedelta(seconds=95),
        stopped_at=stopped,
        duration_seconds=95.0,
        cluster_bytes=40055603,
        copied_bytes=8192,
        stored_bytes=5033164,
        wal_start="000000010000000000000029",
        wal_stop="00000001000000000000002A",
        lsn_start=Lsn.parse("0/29000028"),
        lsn_stop=Lsn.parse("0/2A000100"),
        timeline=Timeline(1),
        postgres_version="17",
        system_identifier="7311111111111111111",
        parent=needs[-1] if needs else None,
        needs=needs,
        page_errors=False,
        annotations=(("ticket", "OPS-7"),),
        restorable=True,
        retention=BackupRetention(kept=True, reason="inside the window of 14 days"),
    )


def billing() -> ClusterStatus:
    """A Barman cluster with a gap, an old backup, and a backup that failed."""
    return ClusterStatus(
        name="billing",
        engine="barman",
        engine_version="3.13.3",
        engine_name="billing-prod",
        severity=Severity.CRITICAL,
        sources=(
            Source(engine="barman", engine_version="3.13.3", engine_name="billing-prod"),
            Source(engine="pgbackrest", engine_version="2.55.1", engine_name="billing", role="previous"),
        ),
        findings=(
            Finding(
                code=FindingCode.BACKUP_TOO_OLD,
                severity=Severity.WARNING,
                message="the newest backup is 3d2h old, and the spec asks for one every 1d2h",
                hint="pgwrap backup billing",
                backup="20261119T090000",
            ),
            Finding(
                code=FindingCode.WAL_GAP,
                severity=Severity.CRITICAL,
                message="3 WAL segments are missing on timeline 1, from 000000010000000000000031 to "
                "000000010000000000000033: no moment after 2026-11-20 04:00:00Z can be restored until the next backup",
                hint="take a full backup now, then find out why they were lost: pgwrap backup billing --type full",
                repository="vault",
            ),
        ),
        postgres=PostgresView(
            reachable=False, error='connection to server at "db2", port 5432 failed:\n\tConnection refused'
        ),
        repositories=(
            RepositoryState(name="vault", key=None, kind="posix", encryption=None, severity=Severity.OK, message=""),
        ),
        backups=billing_backups(),
        wal=WalStatus(
            archives=(
                WalArchiveRow(
                    repository="vault",
                    archive=None,
                    engine="barman",
                    engine_name="billing-prod",
                    system_identifier=None,
                    timeline=Timeline(1),
                    min="000000010000000000000002",
                    max="000000010000000000000040",
                ),
            ),
            gaps=(
                WalGap(
                    repository="vault",
                    archive=None,
                    engine="barman",
                    engine_name="billing-prod",
                    timeline=Timeline(1),
                    from_="000000010000000000000031",
                    to="000000010000000000000033",
                    segments=3,
                ),
            ),
            last_archived_at=ago(minutes=41),
        ),
        recoverable=(
            RecoverableInterval(
                repository="vault",
                archive=None,
                engine="barman",
                engine_name="billing-prod",
                timeline=Timeline(1),
                from_=ago(days=3, hours=2),
                to=ago(days=2, hours=7),
                to_proof="backup",
                open_ended=False,
            ),
        ),
        retention=RetentionStatus(
            policy="REDUNDANCY 2", enforced_by="barman cron", satisfied=False, next="20261119T090000 goes next"
        ),
        objectives=(
            ObjectiveStatus(
                name="backup_age", limit_seconds=93600.0, observed_seconds=266400.0, severity=Severity.WARNING
            ),
            ObjectiveStatus(name="rpo", limit_seconds=300.0, observed_seconds=None, severity=Severity.UNKNOWN),
        ),
    )


def billing_backups() -> tuple[Backup, ...]:
    """Three of Barman's backups: imported and kept, failed, running."""
    return (
        Backup(
            engine="barman",
            engine_name="billing-prod",
            id="20261119T090000",
            repository="vault",
            name="before the move",
            type="full",
            state="done",
            started_at=ago(days=3, hours=2, minutes=13),
            stopped_at=ago(days=3, hours=2),
            duration_seconds=780.0,
            cluster_bytes=123456789012,
            wal_start="000000010000000000000010",
            wal_stop="000000010000000000000011",
            timeline=Timeline(1),
            held="full",
            imported_from=ImportedFrom(engine="pgbackrest", id="20261101-000000F", stopped_at=ago(days=21)),
            restorable=None,
        ),
        Backup(
            engine="barman",
            engine_name="billing-prod",
            id="20261121T090000",
            repository="vault",
            type="incremental",
            state="failed",
            started_at=ago(days=1, hours=2),
            stopped_at=ago(days=1, hours=1),
            restorable=False,
            retention=BackupRetention(kept=False, reason="it failed", expires=ago(hours=-20)),
            error="failure in pg_basebackup (exit code 1)\nNo space left on device",
        ),
        Backup(
            engine="barman",
            engine_name="billing-prod",
            id="20261122T110000",
            repository="vault",
            type="full",
            state="running",
            started_at=ago(minutes=13, seconds=36),
        ),
    )


def ledger() -> ClusterStatus:
    """A cluster whose engine did not answer."""
    return ClusterStatus(
        name="ledger",
        engine="pgbackrest",
        engine_version=None,
        engine_name="ledger",
        severity=Severity.UNKNOWN,
        read=False,
        sources=(Source(engine="pgbackrest", engine_version=None, engine_name="ledger"),),
        findings=(
            Finding(
                code=FindingCode.ENGINE_TIMEOUT,
                severity=Severity.UNKNOWN,
                message="pgbackrest info did not answer in 30 seconds",
                hint="try it by hand: sudo -u postgres pgbackrest --output=json info",
            ),
        ),
        retention=RetentionStatus(policy=None, enforced_by=None, satisfied=None),
    )


def oddities() -> ClusterStatus:
    """A cluster whose name and messages try to leave their place."""
    return ClusterStatus(
        name="=cmd|' /C calc'!A0 日本語 \x1b[31mred\u202e",
        engine="barman",
        engine_version="3.4.0",
        engine_name='odd "name"\\with\nlines',
        severity=Severity.WARNING,
        sources=(Source(engine="barman", engine_version="3.4.0", engine_name='odd "name"\\with\nlines'),),
        findings=(
            Finding(
                code=FindingCode.CONFIG_WARNING,
                severity=Severity.WARNING,
                message="the engine says:\r\n\x1b]0;title\x07 **bold** | <script> & [link](http://x) \udcff",
                hint="`rm -rf` is *not* needed; a_b_c",
                repository="repo|one",
            ),
        ),
        retention=RetentionStatus(policy=None, enforced_by=None, satisfied=None),
    )
