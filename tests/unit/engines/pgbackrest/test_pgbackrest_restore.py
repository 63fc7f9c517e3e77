"""A restore by pgBackRest: the command, the end, the tablespaces of a backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.command import Failure
from pgwrap.domain.facts import Backup
from pgwrap.domain.model import PostgresTarget, RemoteHost, WalPolicy
from pgwrap.domain.restoring import PlacedTablespace, RecoveryTarget
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import EngineVersion, RestoreRequest
from pgwrap.errors import Busy, EngineFailed, EngineMissing, EngineUnsupported, OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import cluster, drive, failed, outcome, recorded

LABEL = "20261122-111950F"
BACKUP = Backup(engine="pgbackrest", engine_name="main", id=LABEL, repository="offsite", type="full", state="done")
NOON = RecoveryTarget(kind="time", time=datetime(2026, 11, 25, 12, tzinfo=UTC))
REQUEST = RestoreRequest(
    cluster=cluster(), backup=BACKUP, target=RecoveryTarget(), timeline=Timeline(2), directory="/srv/copy",
    run_as="postgres", version=EngineVersion((2, 45)),
)  # fmt: skip
RESTORED = f"2026-11-25 12:00:00.000 P00   INFO: restore backup set {LABEL}, recovery will start at 2026-11-25\n"


def argv(**changes: Any) -> tuple[str, ...]:
    """The command line of a request."""
    return PgBackRest().restore(replace(REQUEST, **changes)).command.argv


def test_the_backups_own_timeline_needs_no_history_file() -> None:
    """An archive that began on timeline 2 does not have the file that PostgreSQL would ask for by the number."""
    own = replace(BACKUP, timeline=Timeline(2))
    job = PgBackRest().restore(replace(REQUEST, backup=own))
    assert "--target-timeline=current" in job.command.argv
    assert {one.value for one in job.written if one.name == "recovery_target_timeline"} == {"current"}


def test_nothing_is_left_to_pgbackrest() -> None:
    """Configuration, stanza, repository, backup, place and timeline are named; a copy does not archive."""
    command = PgBackRest().restore(REQUEST).command
    assert command.argv == (
        "pgbackrest",
        "--config=/etc/pgbackrest/pgbackrest.conf",
        "--stanza=main",
        "--repo=2",
        f"--set={LABEL}",
        "--pg1-path=/srv/copy",
        "--type=default",
        "--target-timeline=2",
        "--archive-mode=off",
        "--log-level-console=detail",
        "--log-level-stderr=off",
        "restore",
    )
    assert command.run_as == "postgres"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (NOON, ("--type=time", "--target=2026-11-25 12:00:00+00", "--target-timeline=2", "--target-action=pause")),
        (
            replace(NOON, exclusive=True, action="promote"),
            (
                "--type=time", "--target=2026-11-25 12:00:00+00", "--target-timeline=2", "--target-exclusive",
                "--target-action=promote",
            ),
        ),
        (
            RecoveryTarget(kind="lsn", lsn=Lsn(0x5000028)),
            ("--type=lsn", "--target=0/5000028", "--target-timeline=2", "--target-action=pause"),
        ),
        (
            RecoveryTarget(kind="xid", xid=1007),
            ("--type=xid", "--target=1007", "--target-timeline=2", "--target-action=pause"),
        ),
        (
            RecoveryTarget(kind="name", name="before it"),
            ("--type=name", "--target=before it", "--target-timeline=2", "--target-action=pause"),
        ),
        (RecoveryTarget(kind="immediate"), ("--type=immediate", "--target-action=pause")),
    ],
)  # fmt: skip
def test_targets_are_pgbackrests(target: RecoveryTarget, expected: tuple[str, ...]) -> None:
    """No option that the type does not take ([031])."""
    assert argv(target=target)[6 : 6 + len(expected)] == expected


def test_a_standby_follows_the_newest_timeline() -> None:
    """And knows its primary; no target."""
    words = argv(standby=True, connection="host=/run user=replicator")
    assert {"--type=standby", "--target-timeline=latest"} < {*words}
    assert "--recovery-option=primary_conninfo=host=/run user=replicator" in words


def test_what_moves_is_mapped_and_the_rest_is_not() -> None:
    """Tablespaces, links and delta."""
    placed = (
        PlacedTablespace(name="fast", oid=1, original="/a", directory="/b"),
        PlacedTablespace(name="slow", oid=2, original="/c", directory="/c"),
    )
    words = argv(tablespaces=placed, links=(("pg_wal", "/wal"),), link_all=True, delta=True, archive=True)
    assert {"--tablespace-map=fast=/b", "--link-map=pg_wal=/wal", "--link-all", "--delta"} < {*words}
    assert not [word for word in words if "slow" in word or "archive-mode" in word]


@pytest.mark.parametrize(("version", "there"), [((2, 45), False), ((2, 60), True)])
def test_accepted_page_errors_are_told_to_those_who_stop_at_them(version: tuple[int, ...], there: bool) -> None:
    """2.60 came with the option and the refusal."""
    words = argv(page_errors=True, version=EngineVersion(version))
    assert ("--no-checksum-page-error" in words) is there


def test_a_restore_on_the_repository_host_forgets_the_database_host() -> None:
    """Otherwise it would be refused ([072])."""
    remote = replace(cluster(), postgres=PostgresTarget(ssh=RemoteHost(address="db1")))
    assert "--reset-pg1-host" in argv(cluster=remote)


@pytest.mark.parametrize("changes", [{"destination": "postgres@db2"}, {"fetch_wal": True}, {"staging": "/tmp/s"}])
def test_what_is_barmans_is_refused(changes: dict[str, Any]) -> None:
    """With what to do instead."""
    with pytest.raises(EngineUnsupported) as caught:
        argv(**changes)
    assert caught.value.hint


def test_the_spool_is_spoken_of_where_there_is_one() -> None:
    """pgBackRest empties it."""
    busy = replace(cluster(), wal=WalPolicy(asynchronous=True))
    assert len(PgBackRest().restore(replace(REQUEST, cluster=busy)).notes) == 1
    assert PgBackRest().restore(REQUEST).notes == ()


def test_progress_is_read_from_restored_files() -> None:
    """A percentage, a step, or nothing."""
    job = PgBackRest().restore(REQUEST)
    line = "P01 DETAIL: restore file /srv/copy/base/1/1255 (bundle 1/2, 8KB, 12.50%) checksum abc"
    fraction, step = job.progress(line), job.progress(RESTORED)
    assert fraction is not None
    assert fraction.fraction == 0.125
    assert step is not None
    assert step.message.startswith("restore backup set")
    assert job.progress("P00   INFO: restore command begin 2.45") is None


def test_it_must_name_the_backup_that_was_asked_for() -> None:
    """Another one, or none, is no success."""
    job = PgBackRest().restore(REQUEST)
    warned = f"{RESTORED}P00   WARN: unknown user\n"
    assert job.check(outcome(job.command, warned.encode())) == ("unknown user",)
    for said in (b"", RESTORED.replace(LABEL, "20261101-000000F").encode()):
        with pytest.raises(OutputNotUnderstood):
            job.check(outcome(job.command, said))


def test_its_failures_are_its_own() -> None:
    """[040], a lock, a missing program."""
    job = PgBackRest().restore(REQUEST)
    full = b"ERROR: [040]: unable to restore to path '/srv/copy' because it contains files"
    with pytest.raises(EngineFailed, match="contains files"):
        job.check(outcome(job.command, full, exit_code=40))
    with pytest.raises(Busy):
        job.check(outcome(job.command, b"ERROR: [050]: unable to acquire lock", exit_code=50))
    with pytest.raises(EngineMissing):
        job.check(failed(job.command, Failure.MISSING))


@pytest.mark.parametrize("version", ["2.45", "2.55.1", "2.60.0"])
def test_no_tablespaces_are_null(version: str) -> None:
    """As recorded from every version."""
    said = recorded(version, "matrix/12_info_set.out")
    label = said.split(b'"label":"')[1].split(b'"')[0].decode()
    found, ((asked,),) = drive(
        PgBackRest().tablespaces(cluster(), replace(BACKUP, id=label), "postgres"),
        lambda command: outcome(command, said),
    )
    assert found == ()
    assert {f"--set={label}", "--repo=2", "--stanza=main", "--output=json"} < {*asked.argv}


def test_tablespaces_are_read_and_their_absence_is_not_assumed() -> None:
    """A backup that is not told of, or told of without them, is not understood."""
    said = recorded("2.45", "info_set.json").replace(
        b'"tablespace":null', b'"tablespace":[{"destination":"/srv/fast","name":"fast","oid":16384}]'
    )
    conversation = PgBackRest().tablespaces(cluster(), BACKUP, None)
    (found,), _ = drive(conversation, lambda command: outcome(command, said))
    assert (found.name, found.oid, found.location) == ("fast", 16384, "/srv/fast")
    for wrong in (said.replace(b'"tablespace"', b'"other"'), said.replace(LABEL.encode(), b"20261101-000000F")):
        with pytest.raises(OutputNotUnderstood):
            drive(
                PgBackRest().tablespaces(cluster(), BACKUP, None), lambda command, wrong=wrong: outcome(command, wrong)
            )
