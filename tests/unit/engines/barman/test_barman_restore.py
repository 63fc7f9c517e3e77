"""A restore by Barman: the command by version, what its end means, the tablespaces of a backup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwrap.domain.command import Outcome
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.model import BackupPolicy, Cluster
from pgwrap.domain.restoring import PlacedTablespace, RecoveryTarget
from pgwrap.domain.wal import Lsn, Timeline
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import EngineVersion, RestoreJob, RestoreRequest
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported, OutputNotUnderstood
from tests.unit.engines.barman.conftest import Replay, recorded

Clusters = Callable[..., Cluster]
ID = "20261123T080155"
BACKUP = Backup(engine="barman", engine_name="a", id=ID, repository="repo1", type="full", state="done")
NOON = RecoveryTarget(kind="time", time=datetime(2026, 11, 25, 12, tzinfo=UTC))
OLD, MIDDLE, NEW = EngineVersion((3, 4, 0)), EngineVersion((3, 13, 3)), EngineVersion((3, 20, 1))


def job(cluster: Cluster, **changes: Any) -> RestoreJob:
    """The job of a request."""
    values: dict[str, Any] = {
        "cluster": cluster, "backup": BACKUP, "target": RecoveryTarget(), "timeline": Timeline(2),
        "directory": "/srv/copy", "run_as": "barman", "version": NEW,
    }  # fmt: skip
    return Barman().restore(RestoreRequest(**(values | changes)))


@pytest.mark.parametrize(("version", "verb"), [(OLD, "recover"), (EngineVersion((3, 12)), "restore"), (NEW, "restore")])
def test_the_verb_is_the_versions(cluster: Clusters, version: EngineVersion, verb: str) -> None:
    """WAL is copied unless asked otherwise, and the timeline is named."""
    found = job(cluster("a"), version=version)
    expected = ("barman", "-c", "/etc/barman.conf", verb, "--target-tli", "2", "--no-get-wal", "a", ID, "/srv/copy")
    assert found.command.argv == expected
    assert found.command.run_as == "barman"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            RecoveryTarget(kind="lsn", lsn=Lsn(0x5000028)),
            ("--target-lsn", "0/5000028", "--target-tli", "2", "--target-action", "pause"),
        ),
        (
            RecoveryTarget(kind="xid", xid=1007, exclusive=True, action="shutdown"),
            ("--target-xid", "1007", "--target-tli", "2", "--exclusive", "--target-action", "shutdown"),
        ),
        (
            RecoveryTarget(kind="name", name="before it"),
            ("--target-name", "before it", "--target-tli", "2", "--target-action", "pause"),
        ),
        (RecoveryTarget(kind="immediate"), ("--target-immediate", "--target-action", "pause")),
    ],
)
def test_targets_are_barmans(cluster: Clusters, target: RecoveryTarget, expected: tuple[str, ...]) -> None:
    """One target, its timeline and its action."""
    assert job(cluster("a"), target=target).command.argv[4 : 4 + len(expected)] == expected


def test_a_time_is_taken_in_universal_time(cluster: Clusters) -> None:
    """Barman 3.4 mistakes the clock time for one of its own zone; what is typed must do the same."""
    found = job(cluster("a"), target=NOON, version=OLD)
    assert found.command.argv[:3] == ("env", "TZ=UTC", "barman")
    assert found.command.quoted().startswith("sudo -u barman env TZ=UTC barman")
    assert "2026-11-25 12:00:00+00" in found.command.argv
    assert found.copied_wal == "barman_wal"


def test_without_a_target_recovery_is_made_sure_of(cluster: Clusters) -> None:
    """Barman 3.4 leaves PostgreSQL to crash recovery, which stays on the original's timeline."""
    found = job(cluster("a"), version=OLD)
    assert dict(found.unless_signalled) == {"restore_command": "false", "recovery_target_timeline": "2"}
    assert job(cluster("a"), target=NOON).unless_signalled == ()
    assert job(cluster("a"), standby=True).unless_signalled == ()


def test_a_copy_does_not_archive_unless_asked(cluster: Clusters) -> None:
    """Barman's `archive_command = false` would keep its WAL for ever."""
    assert dict(job(cluster("a")).settings) == {"archive_mode": "off"}
    asked = job(cluster("a"), archive=True)
    assert asked.settings == ()
    assert "archive_command" in asked.notes[0]


def test_a_standby_knows_its_primary(cluster: Clusters) -> None:
    """Barman writes no primary_conninfo."""
    found = job(cluster("a"), standby=True, connection="host=/run")
    assert "--standby-mode" in found.command.argv
    assert "--target-tli" not in found.command.argv
    assert dict(found.settings)["primary_conninfo"] == "host=/run"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (MIDDLE, ("--recovery-staging-path", "/s", "--local-staging-path", "/s")),
        (NEW, ("--staging-path", "/s", "--staging-location", "local")),
    ],
)
def test_staging_options_are_the_versions(cluster: Clusters, version: EngineVersion, expected: tuple[str, ...]) -> None:
    """3.15 made one of two."""
    incremental = replace(BACKUP, type="incremental")
    argv = job(cluster("a"), backup=incremental, staging="/s", version=version).command.argv
    place = argv.index(expected[0])
    assert argv[place : place + len(expected)] == expected


def test_tablespaces_that_move_and_another_host(cluster: Clusters) -> None:
    """Each as Barman writes it."""
    placed = (
        PlacedTablespace(name="fast", oid=1, original="/a", directory="/b"),
        PlacedTablespace(name="slow", oid=2, original="/c", directory="/c"),
    )
    argv = job(cluster("a"), tablespaces=placed, destination="postgres@db2").command.argv
    assert argv[argv.index("--tablespace") + 1] == "fast:/b"
    assert "slow" not in " ".join(argv)
    assert argv[argv.index("--remote-ssh-command") + 1] == "ssh -o BatchMode=yes postgres@db2"


@pytest.mark.parametrize(
    ("version", "changes", "possible"),
    [
        (OLD, {}, True),
        (EngineVersion((3, 15)), {}, False),
        (EngineVersion((3, 16, 2)), {}, False),
        (EngineVersion((3, 17)), {}, True),
        (NEW, {"cluster": {"backup": BackupPolicy(method="postgres", compression="gz")}}, False),
        (NEW, {"backup": replace(BACKUP, type="incremental")}, False),
    ],
)
def test_delta_is_what_the_version_can(
    cluster: Clusters, version: EngineVersion, changes: dict[str, Any], possible: bool
) -> None:
    """Before 3.15 it was the way; then there was none; from 3.17 there is an option, for plain backups."""
    words = changes.pop("cluster", {})
    if possible:
        argv = job(cluster("a", **words), version=version, delta=True, **changes).command.argv
        assert ("--delta-restore" in argv) is (version >= EngineVersion((3, 17)))
        return
    with pytest.raises(EngineUnsupported, match=r"empty directories|over what is there"):
        job(cluster("a", **words), version=version, delta=True, **changes)


@pytest.mark.parametrize("changes", [{"link_all": True}, {"backup": replace(BACKUP, type="snapshot")}])
def test_what_it_cannot_is_refused(cluster: Clusters, changes: dict[str, Any]) -> None:
    """Before anything runs."""
    with pytest.raises(EngineUnsupported):
        job(cluster("a"), **changes)


def end(found: RestoreJob, stderr: str, exit_code: int = 0) -> tuple[str, ...]:
    """What is made of an end."""
    return found.check(Outcome(command=found.command, exit_code=exit_code, stderr=stderr.encode()))


def test_a_copy_that_lacks_wal_is_no_success(cluster: Clusters) -> None:
    """Barman ends with 0 and a warning."""
    found = job(cluster("a"))
    invalid = "WARNING: IMPORTANT: The backup we have recovered IS NOT VALID. Required WAL files are missing.\n"
    with pytest.raises(EngineFailed, match="IS NOT VALID"):
        end(found, invalid)
    assert end(found, "WARNING: review it\n") == ("review it",)


def test_its_errors_are_told_in_its_words(cluster: Clusters) -> None:
    """Also one that comes with exit code 0; a lock is another matter."""
    found = job(cluster("a"))
    with pytest.raises(EngineFailed, match="Failure copying WAL files"):
        end(found, "ERROR: Failure copying WAL files: no\n", 0)
    with pytest.raises(EngineFailed) as caught:
        end(found, "", 1)
    assert caught.value.engine_exit == 1
    with pytest.raises(Busy):
        end(found, "ERROR: Another action is in progress for the backup\n", 1)


@pytest.mark.parametrize("version", ["3.4.0", "3.13.3", "3.20.1"])
def test_tablespaces_are_asked_of_the_backup(cluster: Clusters, version: str) -> None:
    """As recorded from every generation; with one in it, and of another backup."""
    said = recorded(f"{version}/matrix/27_show_backup_first.out")
    identifier = said.split(b'"backup_id": "')[1].split(b'"')[0].decode()
    backup = replace(BACKUP, id=identifier)
    question = f"-f json show-backup billing {identifier}"
    world = Replay({question: (0, said, b"")})
    assert world.hold(Barman().tablespaces(cluster("billing"), backup, "barman")) == ()  # type: ignore[arg-type]
    one = said.replace(b'"tablespaces": []', b'"tablespaces": [{"location": "/srv/t", "name": "t", "oid": 16387}]')
    (found,) = Replay({question: (0, one, b"")}).hold(
        Barman().tablespaces(cluster("billing"), backup, "barman")  # type: ignore[arg-type]
    )
    assert (found.name, found.oid, found.location) == ("t", 16387, "/srv/t")
    other = Replay({question: (0, said.replace(identifier.encode(), b"20200101T000000"), b"")})
    with pytest.raises(OutputNotUnderstood):
        other.hold(Barman().tablespaces(cluster("billing"), backup, "barman"))  # type: ignore[arg-type]


@pytest.mark.parametrize("there", [(), (Tablespace(name="t", oid=16387, location="/srv/t"),)])
def test_tablespaces_that_the_look_told_are_not_asked_for(cluster: Clusters, there: tuple[Tablespace, ...]) -> None:
    """None of them is an answer as well."""
    backup = replace(BACKUP, tablespaces=there)
    world = Replay({})
    assert world.hold(Barman().tablespaces(cluster("billing"), backup, "barman")) == there  # type: ignore[arg-type]
    assert world.rounds == []
