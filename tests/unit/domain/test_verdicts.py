"""What is said of a cluster: each finding provoked, and nothing said without reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.facts import (
    Archiver,
    Backup,
    BackupRetention,
    ClusterStatus,
    DrillReport,
    Finding,
    FindingCode,
    Observation,
    PostgresView,
    ReplicationSlot,
    RepositoryState,
    RunningOperation,
    Severity,
    worst,
)
from pgwrap.domain.model import (
    Cluster,
    EngineKind,
    NativeOption,
    Objectives,
    PostgresTarget,
    RemoteHost,
    Repository,
    RetentionPolicy,
    Schedule,
    WalPolicy,
)
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.recovery import ProofKey
from pgwrap.domain.settings import same_archiving
from pgwrap.domain.verdicts import assess, fleet_status
from pgwrap.domain.verdicts.promises import described
from pgwrap.domain.verdicts.versions import major_version

if TYPE_CHECKING:
    from tests.unit.domain.conftest import Build

C = FindingCode
OK, WARNING, UNKNOWN, CRITICAL = Severity.OK, Severity.WARNING, Severity.UNKNOWN, Severity.CRITICAL
EXPECTED = (
    PostgresSetting(name="wal_level", value="replica", restart=True, reason="", minimum=True),
    PostgresSetting(name="archive_mode", value="on", restart=True, reason=""),
    PostgresSetting(name="archive_command", value="pgbackrest archive-push %p", restart=False, reason=""),
)


@dataclass
class Case:
    """A healthy cluster eleven minutes into its WAL, to be made ill in one place."""

    build: Build
    cluster: Cluster
    observation: Observation
    postgres: PostgresView | None
    minute: float = 11
    commits: Mapping[ProofKey, datetime | None] = field(default_factory=dict)
    drill: DrillReport | None = None

    def status(self) -> ClusterStatus:
        """The verdict."""
        return assess(
            self.cluster,
            self.observation,
            postgres=self.postgres,
            commits=self.commits,
            expected=EXPECTED,
            now=self.build.at(self.minute),
            last_drill=self.drill,
        )

    def findings(self) -> dict[FindingCode, Severity]:
        """The worst severity by code."""
        found: dict[FindingCode, Severity] = {}
        for finding in self.status().findings:
            found[finding.code] = worst((finding.severity, found.get(finding.code, OK)))
        return found

    def settings(self, **changes: str) -> None:
        """Change settings of the server."""
        assert self.postgres is not None
        known = dict(self.postgres.settings) | changes
        self.postgres = replace(self.postgres, settings=tuple(known.items()))

    def server(self, **changes: object) -> None:
        """Change what the server says."""
        assert self.postgres is not None
        self.postgres = replace(self.postgres, **changes)  # type: ignore[arg-type]

    def observed(self, *backups: Backup, **changes: object) -> None:
        """Change what the engine says; the WAL of segments 1 to 10 stays."""
        changes = {"backups": backups} | changes if backups else changes
        self.observation = replace(self.observation, **changes)  # type: ignore[arg-type]

    def desire(self, **changes: object) -> None:
        """Change what is desired."""
        self.cluster = replace(self.cluster, **changes)  # type: ignore[arg-type]


@pytest.fixture
def case(build: Build) -> Case:
    """pgBackRest: one full backup, its WAL, a server that has archived everything."""
    observation = build.observation(build.backup(9, 10), archives=(build.archive(build.span(8, 10)),))
    return Case(build=build, cluster=build.cluster(), observation=observation, postgres=build.postgres())


@pytest.fixture
def barman(case: Case, build: Build) -> Case:
    """The same through Barman, streaming."""
    slot = ReplicationSlot(name="barman", active=True, restart_lsn=None)
    return replace(
        case,
        cluster=build.cluster(EngineKind.BARMAN, wal=WalPolicy(delivery="stream", slot="barman")),
        observation=replace(
            build.barman(case.observation), slots=(slot,), policy="REDUNDANCY 2", enforced_by="barman cron"
        ),
        postgres=build.postgres(slots=(slot,), settings=(("wal_level", "replica"), ("archive_mode", "off"))),
    )


def notes_only(findings: tuple[Finding, ...]) -> bool:
    """Whether every finding is a note."""
    return all(finding.severity is OK for finding in findings)


# Healthy


@pytest.mark.parametrize("engine", ["case", "barman"])
@pytest.mark.parametrize("archived_tail", [0.0, 0.0001])
def test_idle_healthy_cluster_is_ok(engine: str, archived_tail: float, request: pytest.FixtureRequest) -> None:
    """A fresh full backup with its WAL: only notes."""
    healthy: Case = request.getfixturevalue(engine)
    healthy.desire(objectives=Objectives(rpo=300, backup_age=3600, full_age=3600))
    healthy.postgres = healthy.build.postgres(
        11 + archived_tail,
        slots=healthy.postgres.slots if healthy.postgres else (),
        settings=healthy.postgres.settings if healthy.postgres else (),
    )
    healthy.minute = 12

    status = healthy.status()

    assert notes_only(status.findings), status.findings
    assert OK == status.severity
    assert [True] == [backup.restorable for backup in status.backups]
    assert 1 == len(status.recoverable)
    assert (True, healthy.observation.engine) == (status.retention.satisfied, status.engine)


def test_server_that_is_not_asked_changes_nothing(case: Case) -> None:
    """PostgreSQL's view is optional."""
    case.postgres = None

    assert OK == case.status().severity
    assert case.status().postgres is None


def test_backups_are_told_oldest_first(case: Case, build: Build) -> None:
    """Whatever the engine's order."""
    case.observed(build.backup(10), build.backup(8), build.backup(9))

    assert ["b8", "b9", "b10"] == [backup.id for backup in case.status().backups]


def test_schedule_is_told(case: Case) -> None:
    """What the spec schedules is part of the answer."""
    case.desire(schedule=Schedule(entries=(("full", "Sun 01:00"),)))

    assert ["Sun 01:00"] == [entry.calendar for entry in case.status().schedule]


# What was not read


def test_unread_cluster_is_unknown_and_claims_nothing(case: Case) -> None:
    """Whatever an engine left behind, nothing of it is told; PostgreSQL's view still is."""
    case.observed(read=False)
    case.desire(objectives=Objectives(rpo=60, backup_age=60))

    status = case.status()

    assert (UNKNOWN, False) == (status.severity, status.read)
    assert ((), (), (), ()) == (status.backups, status.recoverable, status.wal.archives, status.wal.gaps)
    assert {UNKNOWN} == {objective.severity for objective in status.objectives}
    assert status.retention.satisfied is None
    assert case.postgres == status.postgres
    assert C.ENGINE_FAILED in {finding.code for finding in status.findings}


def test_a_cluster_that_was_read_in_part_was_read(case: Case) -> None:
    """A doubt about one thing does not take back the backups that were told."""
    doubt = Finding(code=C.OUTPUT_NOT_UNDERSTOOD, severity=UNKNOWN, message="one line was not understood")
    case.observed(findings=(doubt,))

    assert case.status().read


def test_repositories_that_cannot_be_read_are_not_an_answer(case: Case) -> None:
    """That they are there says nothing of what is in them."""
    case.observed(read=False)

    assert case.status().repositories
    assert not case.status().read


def test_critical_finding_outranks_unknown(case: Case) -> None:
    """A known catastrophe is said even where the engine is silent."""
    case.observed(read=False)
    case.settings(wal_level="minimal")

    assert CRITICAL == case.status().severity


@given(st.lists(st.sampled_from(list(Severity))))
def test_unread_is_never_ok(build: Build, severities: list[Severity]) -> None:
    """Whatever findings come with it."""
    findings = tuple(Finding(code=C.CONFIG_WARNING, severity=s, message=str(n)) for n, s in enumerate(severities))
    case = Case(build, build.cluster(), build.observation(read=False, findings=findings), None)

    status = case.status()

    assert worst((*severities, UNKNOWN)) == status.severity
    assert status.findings[: len(findings)] == findings


def test_severities_are_ordered() -> None:
    """Critical, unknown, warning, ok; nothing at all is ok."""
    assert [OK, WARNING, UNKNOWN, CRITICAL] == sorted(Severity, key=lambda severity: severity.rank)
    assert OK == worst(())


def test_repository_severity_counts(case: Case) -> None:
    """A repository in trouble is the cluster's trouble."""
    broken = RepositoryState(name="local", key=1, kind="posix", encryption=None, severity=UNKNOWN)
    case.observed(repositories=(broken,))

    assert UNKNOWN == case.status().severity


def test_fleet_is_as_bad_as_its_worst(case: Case) -> None:
    """The clusters keep their order."""
    good = case.status()
    bad = replace(good, name="billing", severity=CRITICAL)

    assert (CRITICAL, ("orders", "billing")) == (
        fleet_status((good, bad)).severity,
        tuple(cluster.name for cluster in fleet_status((good, bad)).clusters),
    )
    assert OK == fleet_status(()).severity


def test_engines_word_comes_first_and_is_not_repeated(case: Case) -> None:
    """What the engine already said is not said again."""
    said = Finding(code=C.STANZA_MISSING, severity=CRITICAL, message="no such stanza")
    unknown = Finding(code=C.WAL_UNKNOWN, severity=UNKNOWN, message="not listed", repository="local")
    case.observed(findings=(said, unknown), archives=(case.build.archive(ranges=None),))
    case.observation = replace(case.observation, backups=())

    codes = [finding.code for finding in case.status().findings]

    assert [C.STANZA_MISSING, C.WAL_UNKNOWN] == codes[:2]
    assert C.NO_BACKUP not in codes
    assert 1 == codes.count(C.WAL_UNKNOWN)


# Backups


def test_no_backup(case: Case) -> None:
    """Nothing can be restored: critical, with the command that changes it."""
    case.observation = replace(case.observation, backups=())

    (finding,) = [finding for finding in case.status().findings if finding.code is C.NO_BACKUP]

    assert (CRITICAL, "pgwrap backup orders --type full") == (finding.severity, finding.hint)


def test_repository_without_backup(case: Case) -> None:
    """A second repository that holds nothing is worth a warning."""
    second = RepositoryState(name="offsite", key=2, kind="s3", encryption=None, severity=OK)
    case.observed(repositories=(*case.observation.repositories, second))

    assert WARNING == case.findings()[C.NO_BACKUP]


def test_no_backup_for_current_postgres_version(case: Case) -> None:
    """After pg_upgrade the old backups restore the old cluster."""
    case.observed(postgres_version="16", system_identifier="8")
    case.server(version_number=160004, system_identifier="8")

    assert CRITICAL == case.findings()[C.NO_BACKUP_FOR_CURRENT_POSTGRES_VERSION]


def test_backup_too_old(case: Case) -> None:
    """Past the limit: critical for any backup, a warning for the full one."""
    case.desire(objectives=Objectives(backup_age=10, full_age=10))

    found = case.findings()

    assert (CRITICAL, WARNING) == (found[C.BACKUP_TOO_OLD], found[C.FULL_TOO_OLD])
    assert C.OBJECTIVE_MISSED not in found


@pytest.mark.parametrize(("started", "expected"), [(10.7, WARNING), (8, None)])
def test_backup_failed(case: Case, build: Build, started: float, expected: Severity | None) -> None:
    """Only the newest attempt counts."""
    failed = build.backup(9, id="bad", state="failed", started_at=build.at(started), stopped_at=None, error="no space")
    case.observed(build.backup(9, 10), failed)

    assert expected == case.findings().get(C.BACKUP_FAILED)


def test_failed_backup_without_times_is_placed_by_its_id(case: Case, build: Build) -> None:
    """A done backup with a known time is not outranked by a failure nobody dated."""
    failed = build.backup(9, id="bad", state="failed", started_at=None, stopped_at=None)
    case.observed(build.backup(9, 10), failed)

    assert C.BACKUP_FAILED not in case.findings()


@pytest.mark.parametrize(
    ("retention", "held", "type_", "expected"),
    [
        (None, False, "full", CRITICAL),
        (BackupRetention(kept=False, reason="past"), False, "incremental", WARNING),
        (BackupRetention(kept=False, reason="past"), "full", "incremental", CRITICAL),
        (BackupRetention(kept=False, reason="past"), False, "full", CRITICAL),
    ],
)
def test_backup_page_errors(
    case: Case, build: Build, retention: BackupRetention | None, held: object, type_: str, expected: Severity
) -> None:
    """Critical where the damage stays or is in the newest full backup; the backup still counts as whole."""
    case.observed(build.backup(9, 10, page_errors=True, retention=retention, held=held, type=type_))

    assert expected == case.findings()[C.BACKUP_PAGE_ERRORS]
    assert case.status().backups[0].restorable is True


@pytest.mark.parametrize(
    ("minute", "alone", "expected"), [(12, False, OK), (90, False, WARNING), (12, True, WARNING), (90, True, CRITICAL)]
)
def test_backup_waiting_for_wal(case: Case, build: Build, minute: float, alone: bool, expected: Severity) -> None:
    """A note while it is fresh and another backup stands in for it."""
    waiting = build.backup(10, 11, state="waiting_for_wal")
    case.observed(*(() if alone else (build.backup(9),)), waiting)
    case.minute = minute

    assert expected == case.findings()[C.BACKUP_WAITING_FOR_WAL]
    assert C.NO_BACKUP not in case.findings()


@pytest.mark.parametrize(("start", "expected"), [(8, WARNING), (11, CRITICAL)])
def test_backup_not_restorable(case: Case, build: Build, start: int, expected: Severity) -> None:
    """Critical when it is the newest one."""
    broken = build.backup(start, id="broken", needs=("gone",), stopped_at=build.at(start + 0.2))
    case.observed(build.backup(9, 10), broken)

    assert expected == case.findings()[C.BACKUP_NOT_RESTORABLE]
    assert {"broken": False, "b9": True} == {backup.id: backup.restorable for backup in case.status().backups}


@pytest.mark.parametrize(("minute", "expected"), [(10.9, WARNING), (8, OK)])
def test_offline_backup(case: Case, build: Build, minute: float, expected: Severity) -> None:
    """It carries no further than its own moment: a warning while it is the newest."""
    names = {"wal_start": None, "wal_stop": None, "lsn_start": None, "lsn_stop": None}
    offline = build.backup(8, id="offline", stopped_at=build.at(minute), **names)
    case.observed(build.backup(9, 10), offline)

    assert expected == case.findings()[C.OFFLINE_BACKUP_WITHOUT_WAL]


@pytest.mark.parametrize("where", ["cluster", "repository"])
def test_too_few_backups(case: Case, where: str) -> None:
    """Fewer full backups than the floor, be it the cluster's or the repository's."""
    policy = RetentionPolicy(window_days=7, minimum_full=2)
    if where == "cluster":
        case.desire(retention=policy)
    else:
        case.desire(repositories=(Repository(name="local", retention=policy),))

    assert WARNING == case.findings()[C.TOO_FEW_BACKUPS]
    assert case.status().retention.satisfied is False


# WAL


def test_wal_gap(case: Case, build: Build) -> None:
    """A hole after the newest backup, or between two, is critical."""
    case.observed(archives=(build.archive(build.span(9, 10), build.span(12, 14)),))

    assert CRITICAL == case.findings()[C.WAL_GAP]


def test_wal_gap_in_an_old_version_is_a_warning(case: Case, build: Build) -> None:
    """The archive of the version that was upgraded from is history."""
    old = build.archive(build.span(1, 2), build.span(5, 6), archive="14-1", current=False)
    before = build.backup(1, archive="14-1", postgres_version="14", system_identifier="6")
    case.observed(before, *case.observation.backups, archives=(old, *case.observation.archives))

    assert WARNING == case.findings()[C.WAL_GAP]


@pytest.mark.parametrize(
    "desired",
    [
        {"retention": RetentionPolicy(full=2, wal=1)},
        {"options": (NativeOption(key="repo1-retention-archive", values=("1",)),)},
        {"repositories": (Repository(name="local", retention=RetentionPolicy(full=2, wal=1)),)},
    ],
)
def test_wal_gap_of_retention_is_a_note(case: Case, build: Build, desired: dict[str, object]) -> None:
    """What the policy removed is listed, and nothing to act on."""
    case.observed(
        build.backup(2, 3), build.backup(9, 10), archives=(build.archive(build.span(2, 3), build.span(9, 10)),)
    )
    assert CRITICAL == case.findings()[C.WAL_GAP]

    case.desire(**desired)

    assert OK == case.findings()[C.WAL_GAP]
    assert 1 == len(case.status().wal.gaps)


def test_gaps_of_retention_are_one_note(case: Case, build: Build) -> None:
    """Retention leaves a gap before every older backup; saying so once is enough."""
    case.desire(retention=RetentionPolicy(full=3, wal=1))
    ranges = (build.span(2, 2), build.span(5, 5), build.span(9, 10))
    case.observed(build.backup(2), build.backup(5), build.backup(9), archives=(build.archive(*ranges),))

    (finding,) = [finding for finding in case.status().findings if finding.code is C.WAL_GAP]

    assert OK == finding.severity
    assert finding.message.startswith(f"5 WAL segments are missing in repository local (15-1): {build.name(3)} to ")
    assert 2 == len(case.status().wal.gaps)


@pytest.mark.parametrize(
    ("rpo", "position", "expected"),
    [(60, 11.5, CRITICAL), (600, 11.5, None), (None, 11.5, None), (None, 16, WARNING)],
)
def test_wal_stale(case: Case, build: Build, rpo: int | None, position: float, expected: Severity | None) -> None:
    """Critical past the rpo; without one, a warning when several segments wait."""
    case.desire(objectives=Objectives(rpo=rpo))
    case.postgres = build.postgres(position)
    case.minute = 15

    found = case.findings()

    assert expected == found.get(C.WAL_STALE)
    assert C.OBJECTIVE_MISSED not in found


@pytest.mark.parametrize("archives", [0, 1])
def test_wal_unknown(case: Case, build: Build, archives: int) -> None:
    """Backups whose WAL nobody listed are not ok."""
    case.observed(archives=(build.archive(ranges=None),) * archives)

    assert UNKNOWN == case.findings()[C.WAL_UNKNOWN]
    assert UNKNOWN == case.status().severity


# PostgreSQL


def test_postgres_unreachable(case: Case) -> None:
    """A warning that says the engine's own facts stand."""
    case.postgres = PostgresView(reachable=False, error="connection refused")

    (finding,) = [finding for finding in case.status().findings if finding.code is C.POSTGRES_UNREACHABLE]

    assert WARNING == finding.severity
    assert "what is said of backups stands" in finding.message


def test_system_identifier_mismatch(case: Case) -> None:
    """The server is not the one that is backed up."""
    case.server(system_identifier="9")

    assert CRITICAL == case.findings()[C.SYSTEM_IDENTIFIER_MISMATCH]


def test_checksums_disabled(case: Case) -> None:
    """A note."""
    case.server(data_checksums=False)

    assert OK == case.findings()[C.CHECKSUMS_DISABLED]


def test_wal_level_too_low(case: Case) -> None:
    """No backup can be taken at minimal; more than is needed is fine."""
    case.settings(wal_level="minimal")
    assert CRITICAL == case.findings()[C.WAL_LEVEL_TOO_LOW]

    case.settings(wal_level="logical")
    assert C.WAL_LEVEL_TOO_LOW not in case.findings()


def test_archive_mode_off(case: Case) -> None:
    """Nothing is archived; said once, not for the command too."""
    case.settings(archive_mode="off", archive_command="(disabled)")

    found = case.findings()

    assert CRITICAL == found[C.ARCHIVE_MODE_OFF]
    assert C.ARCHIVE_COMMAND_DIFFERS not in found


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pgbackrest  archive-push   '%p'", None),
        ("/usr/bin/pgbackrest archive-push %p", None),
        ("pgbackrest --stanza=other archive-push %p", WARNING),
        ("cp %p /elsewhere/%f", WARNING),
        ("", CRITICAL),
    ],
)
def test_archive_command_differs(case: Case, command: str, expected: Severity | None) -> None:
    """Spaces, quotes and the program's directory don't matter."""
    case.settings(archive_command=command)

    assert expected == case.findings().get(C.ARCHIVE_COMMAND_DIFFERS)


def test_archive_library_takes_the_place_of_the_command(case: Case) -> None:
    """PostgreSQL 15 can archive by a library."""
    case.settings(archive_command="", archive_library="basic_archive")

    assert WARNING == case.findings()[C.ARCHIVE_COMMAND_DIFFERS]


def archiver(build: Build, archived: float | None, failed: float | None) -> Archiver:
    """An archiver that succeeded and failed at these minutes."""
    return Archiver(
        last_archived_wal=None,
        last_archived_at=None if archived is None else build.at(archived),
        last_failed_wal=build.name(11),
        last_failed_at=None if failed is None else build.at(failed),
        failed_count=3,
    )


@pytest.mark.parametrize(
    ("archived", "failed", "expected"), [(9, 10, CRITICAL), (None, 10, CRITICAL), (10, 9, None), (10, None, None)]
)
def test_archiver_failing(
    case: Case, build: Build, archived: float | None, failed: float | None, expected: Severity | None
) -> None:
    """A failure that nothing succeeded after."""
    case.server(archiver=archiver(build, archived, failed))

    assert expected == case.findings().get(C.ARCHIVER_FAILING)


def test_standby_archives_nothing(case: Case, build: Build) -> None:
    """Its archiver's past is no news, unless archive_mode is always."""
    case.server(archiver=archiver(build, 9, 10), in_recovery=True)
    assert C.ARCHIVER_FAILING not in case.findings()

    case.settings(archive_mode="always")
    assert CRITICAL == case.findings()[C.ARCHIVER_FAILING]


@pytest.mark.parametrize(("ready", "expected"), [(None, None), (15, None), (16, WARNING), (256, CRITICAL)])
def test_archiver_queue(case: Case, ready: int | None, expected: Severity | None) -> None:
    """Segments that pile up."""
    case.server(ready_segments=ready)

    assert expected == case.findings().get(C.ARCHIVER_QUEUE)


@pytest.mark.parametrize(("delivery", "expected"), [("stream", CRITICAL), ("both", WARNING), ("archive", None)])
@pytest.mark.parametrize("slots", [(), (ReplicationSlot(name="barman", active=False),)])
def test_replication_slot_inactive(
    barman: Case, delivery: str, expected: Severity | None, slots: tuple[ReplicationSlot, ...]
) -> None:
    """An idle slot and a missing one stop streaming alike."""
    barman.desire(wal=WalPolicy(delivery=delivery, slot="barman"))  # type: ignore[arg-type]
    barman.observed(slots=())
    barman.server(slots=slots)

    assert expected == barman.findings().get(C.REPLICATION_SLOT_INACTIVE)


def test_passive_node_has_no_server_to_configure(barman: Case) -> None:
    """A copy of another Barman's catalog asks nothing of PostgreSQL."""
    barman.desire(wal=WalPolicy(delivery="both", slot="barman"), passive=RemoteHost(address="backup1"))
    barman.observed(slots=())
    barman.server(slots=())

    assert notes_only(barman.status().findings)


@pytest.mark.parametrize(("ahead", "expected"), [(0.5, None), (3, WARNING), (-3, WARNING)])
def test_clock_skew(case: Case, build: Build, ahead: float, expected: Severity | None) -> None:
    """More than a minute apart."""
    case.server(clock=build.at(case.minute + ahead))

    assert expected == case.findings().get(C.CLOCK_SKEW)


def test_backup_from_the_future_shows_skew(case: Case) -> None:
    """Where the server was not asked, its backup gives its clock away."""
    case.postgres = None
    case.minute = 2

    assert WARNING == case.findings()[C.CLOCK_SKEW]


# Promises


@pytest.mark.parametrize(
    ("policy", "engine_policy", "expected"),
    [
        (RetentionPolicy(deliberate=False), None, WARNING),
        (RetentionPolicy(deliberate=False), "REDUNDANCY 2", None),
        (RetentionPolicy(), None, OK),
        (RetentionPolicy(full=1), None, None),
    ],
)
def test_retention_unset(
    case: Case, policy: RetentionPolicy, engine_policy: str | None, expected: Severity | None
) -> None:
    """Forgotten is a warning, meant is a note."""
    case.desire(retention=policy)
    case.observed(policy=engine_policy)

    assert expected == case.findings().get(C.RETENTION_UNSET)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetentionPolicy(full=2), WARNING),
        (RetentionPolicy(full=4), None),
        (RetentionPolicy(full=1, minimum_full=4), None),
        (RetentionPolicy(window_days=1), WARNING),
        (RetentionPolicy(window_days=2), None),
        (RetentionPolicy(differential=1), None),
    ],
)
def test_retention_not_enforced(case: Case, build: Build, policy: RetentionPolicy, expected: Severity | None) -> None:
    """Full backups past the policy that are still there after it should have been applied."""
    day = 1440
    fulls = tuple(build.backup(9 + day * n, 10 + day * n) for n in range(4))
    case.observed(*fulls)
    case.minute = 3 * day + 11
    case.desire(retention=policy)

    assert expected == case.findings().get(C.RETENTION_NOT_ENFORCED)


def test_expire_may_still_be_running(case: Case, build: Build) -> None:
    """Between a backup's end and that of its expire nothing is overdue yet."""
    case.desire(retention=RetentionPolicy(full=1))
    case.observed(build.backup(8), build.backup(9, 10), running=(RunningOperation(operation="backup"),))

    assert C.RETENTION_NOT_ENFORCED not in case.findings()


def test_held_backup_is_not_overdue(barman: Case, build: Build) -> None:
    """What was asked to stay may stay."""
    old = build.backup(2, engine="barman", archive=None, held="standalone")
    barman.desire(retention=RetentionPolicy(full=1))
    barman.observed(old, *barman.observation.backups)

    assert C.RETENTION_NOT_ENFORCED not in barman.findings()


def test_drill_never(case: Case) -> None:
    """A note, and a warning where a drill age was promised."""
    assert OK == case.findings()[C.DRILL_NEVER]

    case.desire(objectives=Objectives(drill_age=60))
    assert WARNING == case.findings()[C.DRILL_NEVER]


def test_drill_too_old_and_failed(case: Case, build: Build) -> None:
    """An old drill and a failed one are two things."""
    case.desire(objectives=Objectives(drill_age=60))
    case.drill = DrillReport(at=build.at(1), severity=CRITICAL, message="it did not start")

    found = case.findings()

    assert (WARNING, CRITICAL) == (found[C.DRILL_TOO_OLD], found[C.DRILL_FAILED])
    assert C.DRILL_NEVER not in found


def test_objective_missed(case: Case, build: Build) -> None:
    """A restore time nobody measured, and an rpo nothing bounds, are unknown; one that is exceeded is critical."""
    case.desire(objectives=Objectives(rto=60))
    assert UNKNOWN == case.findings()[C.OBJECTIVE_MISSED]

    case.desire(objectives=Objectives(rpo=60))
    case.postgres = None
    case.minute = 20
    assert CRITICAL == case.findings()[C.OBJECTIVE_MISSED]

    case.observed(archives=(build.archive(newest_at=None),))
    assert UNKNOWN == case.findings()[C.OBJECTIVE_MISSED]


# Words


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RetentionPolicy(), "none: nothing is ever expired"),
        (RetentionPolicy(window_days=14, minimum_full=2), "a window of 14 days, at least 2 full backups"),
        (RetentionPolicy(full=4, wal=2), "4 full backups, WAL of the newest 2 full backups"),
    ],
)
def test_policy_in_words(policy: RetentionPolicy, expected: str) -> None:
    """As a person would say it."""
    assert expected == described(policy)


def test_retention_is_told_with_who_applies_it(case: Case, barman: Case) -> None:
    """Each engine applies its own; nothing applies none."""
    assert "pgbackrest expire, after each backup" == case.status().retention.enforced_by
    assert "barman cron" == barman.status().retention.enforced_by
    case.desire(retention=RetentionPolicy())
    assert (None, None) == (case.status().retention.enforced_by, case.status().retention.satisfied)


@pytest.mark.parametrize(("number", "expected"), [(150008, "15"), (90624, "9.6"), (100001, "10"), (None, None)])
def test_major_version(number: int | None, expected: str | None) -> None:
    """As the engines write it."""
    assert expected == major_version(PostgresView(reachable=True, version_number=number))


def test_command_that_no_shell_reads_is_compared_by_its_words() -> None:
    """An unbalanced quote is no reason to fail."""
    assert same_archiving("cp '%p", "cp  '%p")
    assert not same_archiving("", "cp %p")


def test_hints_name_the_cluster_safely(case: Case) -> None:
    """A name with odd characters cannot become another command."""
    case.desire(name="o; rm -rf /", postgres=PostgresTarget(host="h", user="u", database="d"))
    case.observation = replace(case.observation, backups=())

    hints = [finding.hint for finding in case.status().findings if finding.code is C.NO_BACKUP]

    assert ["pgwrap backup 'o; rm -rf /' --type full"] == hints
