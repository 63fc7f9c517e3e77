"""Carried backups beside a cluster's own: observed, restored, copied, verified, as recorded from real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup, FindingCode, ImportedFrom, Observation, Severity, Tablespace
from pgwrap.domain.model import Cluster, PostgresTarget
from pgwrap.domain.objectives import newest_done
from pgwrap.domain.recovery import recoverable, stretches
from pgwrap.domain.restoring import PlacedTablespace, RecoveryTarget
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.domain.wholeness import assess_backups
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import CopyRequest, EngineVersion, ObserveRequest, RestoreRequest, VerifyRequest
from tests.unit.engines.pgbackrest.pgbackrest_fleet import INSTANCE, LOCAL, cluster, drive, outcome, recorded

OLD = "2.45"
HISTORY = "orders-history"
FULL, INCREMENTAL, OWN = "20261126-120254F", "20261126-120254F_20261126-120303I", "20261126-120308F"
ARCHIVE = f"{HISTORY}/15-1"
ORDERS = replace(
    cluster("orders", (LOCAL,)), history=HISTORY, postgres=PostgresTarget(data_directory="/var/lib/postgresql/15/main")
)
VERSION = EngineVersion((2, 45))
World = Callable[[Command], Outcome]


def a_world(
    *, carried: bytes | None = None, carried_wal: bytes | None = None, common: bytes | None = None, exit_code: int = 0
) -> World:
    """A pgBackRest that answers as recorded, or so of the history."""

    def answer(command: Command) -> Outcome:
        words = set(command.argv)
        if "version" in words:
            return outcome(command, recorded(OLD, "version.out"))
        if f"--stanza={HISTORY}" in words:
            if exit_code:
                return outcome(command, stderr=b"ERROR: [041]: unable to open file", exit_code=exit_code)
            told = recorded(OLD, "info_carried_alone.json") if carried is None else carried
            listed = recorded(OLD, "repo_ls_carried.json") if carried_wal is None else carried_wal
            return outcome(command, told if "info" in words else listed)
        if "info" in words:
            return outcome(command, common or recorded(OLD, "common_info_carried.json"))
        own = "repo_ls_carried_own.json" if f"archive/{ORDERS.engine_name}" in words else "repo_ls_carried_all.json"
        return outcome(command, recorded(OLD, own))

    return answer


def look(world: World, *others: Cluster) -> tuple[Observation, tuple[tuple[Command, ...], ...]]:
    """What is observed of the cluster, and the commands of each round."""
    request = ObserveRequest(instance=INSTANCE, clusters=(ORDERS, *others))
    observations, rounds = drive(PgBackRest().observe(request), world)
    return observations[0], rounds


def changed(change: Callable[[dict[str, str]], None]) -> bytes:
    """The history's `info` with other annotations of the incremental backup."""
    told = json.loads(recorded(OLD, "info_carried_alone.json"))
    change(told[0]["backup"][1]["annotation"])
    return json.dumps(told).encode()


def of(observation: Observation, label: str) -> Backup:
    """A backup by its label."""
    return next(backup for backup in observation.backups if backup.id == label)


def test_a_carried_backup_is_told_as_it_was() -> None:
    """When it ended, its positions and its WAL are the original's; what it takes and needs is pgBackRest's."""
    observation, _ = look(a_world())
    backup = of(observation, INCREMENTAL)
    stopped = datetime(2026, 11, 26, 12, 2, 43, 843011, tzinfo=UTC)
    assert (backup.engine, backup.engine_name, backup.archive) == ("pgbackrest", HISTORY, ARCHIVE)
    assert backup.imported_from == ImportedFrom(engine="barman", id="20261126T120241", stopped_at=stopped)
    assert backup.stopped_at == stopped
    assert backup.duration_seconds == pytest.approx(2.466305)
    assert (backup.wal_start, backup.wal_stop) == ("000000010000000000000006",) * 2
    assert (backup.lsn_start, backup.lsn_stop) == (Lsn.parse("0/6000028"), Lsn.parse("0/7000000"))
    assert (backup.timeline, backup.stored_bytes, backup.needs) == (Timeline(1), 63461, (FULL,))
    assert observation.findings == ()


def test_the_history_is_an_archive_of_its_own() -> None:
    """Its name is told from that of the cluster's own archive, and nothing archives there."""
    observation, _ = look(a_world())
    archives = {archive.archive: archive for archive in observation.archives}
    assert list(archives) == ["15-1", ARCHIVE]
    assert [archive.current for archive in archives.values()] == [True, False]
    assert archives[ARCHIVE].minimum == "000000010000000000000003"
    told = [(one.archive, one.engine_name, one.from_) for one in recoverable(stretches(observation), {})]
    assert told == [
        ("15-1", "orders", datetime(2026, 11, 26, 12, 3, 13, tzinfo=UTC)),
        (ARCHIVE, HISTORY, datetime(2026, 11, 26, 12, 2, 30, 543858, tzinfo=UTC)),
    ]
    assert all(one.restorable for one in assess_backups(observation))


def test_a_history_costs_no_round_and_two_processes() -> None:
    """It is asked for and listed beside the cluster's own stanza."""
    _, rounds = look(a_world())
    assert [len(commands) for commands in rounds] == [5]


def test_a_common_info_tells_of_it_too() -> None:
    """Then it costs no process: the common listing has it as well."""
    billing = replace(cluster("billing", (LOCAL,)), history=None)
    observation, rounds = look(a_world(), billing)
    assert len(observation.backups) == 3
    assert not [command for command in rounds[0] if f"--stanza={HISTORY}" in command.argv]


def test_a_history_that_is_not_there_yet_is_no_finding() -> None:
    """The word is in the spec before anything is carried over."""
    nothing = recorded(OLD, "info_missing_stanza.json").replace(b'"none","repo"', f'"{HISTORY}","repo"'.encode())
    observation, rounds = look(a_world(carried=nothing, carried_wal=b'{".":{"type":"path"}}'))
    assert (observation.findings, [backup.id for backup in observation.backups]) == ((), [OWN])
    assert len(rounds) == 1
    own = json.dumps(json.loads(recorded(OLD, "common_info_carried.json"))[:1]).encode()
    observation, rounds = look(a_world(common=own), cluster("billing", (LOCAL,)))
    assert [backup.id for backup in observation.backups] == [OWN]
    assert not [command for commands in rounds for command in commands if f"--stanza={HISTORY}" in command.argv]


def test_a_history_that_cannot_be_read_is_said_so() -> None:
    """It is unknown what is in it; what is known of the cluster's own backups stays."""
    observation, _ = look(a_world(exit_code=41))
    assert [backup.id for backup in observation.backups] == [OWN]
    (finding,) = observation.findings
    assert (finding.code, finding.severity) == (FindingCode.ENGINE_FAILED, Severity.UNKNOWN)
    assert finding.message.startswith(f"carried history {HISTORY}: ")


def test_an_old_backup_does_not_look_new() -> None:
    """Ages count from when it ended, not from when it was stored."""
    observation, _ = look(a_world())
    stored_later = replace(observation, backups=tuple(reversed(observation.backups)))
    newest = newest_done(stored_later.backups)
    assert newest is not None
    assert newest.id == OWN


def test_a_backup_of_unknown_origin_claims_no_moment() -> None:
    """It may be restored as any offline backup; when its content is of, nobody knows."""
    observation, _ = look(a_world(carried=changed(lambda notes: notes.clear())))
    backup = of(observation, INCREMENTAL)
    assert (backup.imported_from, backup.stopped_at, backup.wal_start) == (None, None, None)
    assert not [one for one in stretches(observation) if backup in one.backups]


def test_damaged_provenance_is_unknown_and_said_so() -> None:
    """What remains counts; what was lost is named."""
    observation, _ = look(a_world(carried=changed(lambda notes: notes.update({"carried-stop": "yesterday"}))))
    (finding,) = observation.findings
    assert (finding.code, finding.severity) == (FindingCode.OUTPUT_NOT_UNDERSTOOD, Severity.UNKNOWN)
    assert (finding.backup, "carried-stop" in finding.message) == (INCREMENTAL, True)
    assert of(observation, INCREMENTAL).stopped_at is None


def test_without_its_wal_a_carried_backup_leads_nowhere() -> None:
    """It is judged by the history's own archive, as others are by theirs."""
    listing = json.loads(recorded(OLD, "repo_ls_carried.json"))
    left = {path: entry for path, entry in listing.items() if "000000010000000000000006-" not in path}
    observation, _ = look(a_world(carried_wal=json.dumps(left).encode()))
    verdicts = dict(zip((one.id for one in observation.backups), assess_backups(observation), strict=True))
    assert verdicts[FULL].restorable
    assert verdicts[INCREMENTAL].restorable is False
    assert "000000010000000000000006; the set itself holds" in verdicts[INCREMENTAL].reason


def test_the_segment_size_follows_from_the_positions_before() -> None:
    """Segments of 64 MB have names that 16 MB allow as well; offline sets tell no position."""

    def larger(notes: dict[str, str]) -> None:
        notes |= {"carried-lsn-start": "0/18000028", "carried-lsn-stop": "0/1C000000"}

    observation, _ = look(a_world(carried=changed(larger)))
    sizes = {archive.archive: archive.segment_size for archive in observation.archives}
    assert sizes == {"15-1": 16 << 20, ARCHIVE: 64 << 20}


def restoring(backup: Backup) -> RestoreRequest:
    """A restore of it to a moment."""
    return RestoreRequest(
        cluster=ORDERS,
        backup=backup,
        target=RecoveryTarget(kind="time", time=datetime(2026, 11, 26, 12, 2, 46, tzinfo=UTC)),
        timeline=Timeline(1),
        directory="/srv/copy",
        tablespaces=(
            PlacedTablespace(name="fast", oid=16389, original="/srv/lab/tablespaces/fast", directory="/srv/fast"),
        ),
        version=VERSION,
    )


def test_a_carried_backup_is_restored_from_its_stanza() -> None:
    """With its tablespaces by number: pgBackRest knows neither their names nor where they were."""
    observation, _ = look(a_world())
    job = PgBackRest().restore(restoring(of(observation, INCREMENTAL)))
    words = job.command.argv
    assert f"--stanza={HISTORY}" in words
    assert {f"--set={INCREMENTAL}", "--pg1-path=/srv/copy", "--type=time", "--tablespace-map=16389=/srv/fast"} < set(
        words
    )
    assert "barman backup 20261126T120241" in job.notes[0]
    said = f"P00   INFO: repo1: restore backup set {INCREMENTAL}\nP00   INFO: restore command end: completed\n"
    assert job.check(outcome(job.command, said.encode())) == ()
    own = PgBackRest().restore(restoring(of(observation, OWN)))
    assert {"--stanza=orders", "--tablespace-map=fast=/srv/fast"} < set(own.command.argv)
    assert own.notes == ()


def test_its_tablespaces_are_those_of_the_original() -> None:
    """By name and place; a note that says nothing leaves what pgBackRest stored."""

    def answer(command: Command) -> Outcome:
        assert f"--stanza={HISTORY}" in command.argv
        return outcome(command, recorded(OLD, "info_carried_set.json"))

    observation, _ = look(a_world())
    backup = of(observation, INCREMENTAL)
    found, _ = drive(PgBackRest().tablespaces(ORDERS, backup, None), answer)
    assert found == (Tablespace(name="fast", oid=16389, location="/srv/lab/tablespaces/fast"),)
    found, _ = drive(PgBackRest().tablespaces(ORDERS, replace(backup, annotations=()), None), answer)
    assert [(one.name, one.oid) for one in found] == [("ts16389", 16389)]


def test_a_copy_of_it_fetches_wal_from_its_stanza() -> None:
    """A drill restores and replays the history alone."""
    observation, _ = look(a_world())
    request = CopyRequest(
        cluster=ORDERS,
        backup=of(observation, FULL),
        repository=(1, LOCAL),
        data="/srv/drill/data",
        tablespaces="/srv/drill/tablespaces",
        spool="/srv/drill/spool",
        timeline=1,
        version=VERSION,
    )
    job, _ = drive(PgBackRest().copy(request), outcome)
    assert f"--stanza={HISTORY}" in job.command.argv
    assert job.restore_command is not None
    assert f"--stanza={HISTORY} --repo=1 --pg1-path=/srv/drill/data" in job.restore_command


def test_wal_of_a_history_needs_the_data_directory_named() -> None:
    """The stanza has no section that would name it."""
    fetch = PgBackRest().fetch_wal(ORDERS, "local", ARCHIVE, "000000010000000000000006", "/tmp/x", None)
    assert fetch is not None
    assert {f"--stanza={HISTORY}", "--pg1-path=/var/lib/postgresql/15/main"} < set(fetch.argv)
    own = PgBackRest().fetch_wal(ORDERS, "local", "15-1", "000000010000000000000006", "/tmp/x", None)
    assert own is not None
    assert not [word for word in own.argv if word.startswith("--pg1-path")]


@pytest.mark.parametrize(
    ("wanted", "only", "stanzas"),
    [
        ((OWN, FULL, INCREMENTAL), False, ["orders", HISTORY]),
        ((OWN,), False, ["orders"]),
        ((OWN,), True, ["orders"]),
        ((INCREMENTAL,), True, [HISTORY]),
    ],
)
def test_each_stanza_with_a_wanted_backup_is_verified(
    wanted: tuple[str, ...], *, only: bool, stanzas: list[str]
) -> None:
    """A verification of one carried backup reads no other stanza."""
    observation, _ = look(a_world())
    request = VerifyRequest(
        cluster=ORDERS,
        backups=tuple(of(observation, label) for label in wanted),
        known=observation.backups,
        only=only,
        version=VERSION,
    )
    steps = PgBackRest().verification(request)
    assert [step.commands[0].argv[2] for step in steps] == [f"--stanza={name}" for name in stanzas]
    assert {step.repository for step in steps} == {"local"}
