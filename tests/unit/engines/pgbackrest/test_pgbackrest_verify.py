"""What pgBackRest's verification says, in three versions: its exit code is 0 whatever it finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgwrap.domain.command import Command
from pgwrap.domain.facts import Backup
from pgwrap.domain.verification import Examined
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.port import EngineVersion, VerifyRequest, VerifyStep
from pgwrap.errors import EngineFailed, OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import LOCAL, OFFSITE, VERSIONS, cluster, outcome, recorded

FULL = "20261125-183608F"
BACKUP = Backup(
    engine="pgbackrest", engine_name="main", id=FULL, repository="local", type="full", state="done"
)  # fmt: skip
REQUEST = VerifyRequest(
    cluster=cluster(repositories=(LOCAL,)),
    backups=(BACKUP,),
    known=(BACKUP,),
    run_as="postgres",
    version=EngineVersion((2, 60, 0)),
    deadline=5,
)


def step() -> VerifyStep:
    """The only one."""
    (only,) = PgBackRest().verification(REQUEST)
    return only


def examined(text: bytes, exit_code: int = 0) -> tuple[Examined, ...]:
    """What a text means."""
    return step().read((outcome(step().commands[0], text, exit_code=exit_code),))


def argv(**changes: object) -> list[tuple[str, ...]]:
    """The command lines for another request."""
    request = replace(REQUEST, **changes)  # type: ignore[arg-type]
    return [command.argv for one in PgBackRest().verification(request) for command in one.commands]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_whole_repository(version: str) -> None:
    """Every backup and the WAL."""
    reports = examined(recorded(version, "verify_whole.out"))
    assert {report.state for report in reports} == {"whole"}
    (archive,) = (report for report in reports if report.backup is None)
    assert (archive.checked, archive.valid) == (13, 13)
    assert next(report.backup for report in reports if report.backup) == FULL


@pytest.mark.parametrize("version", VERSIONS)
def test_damage_is_named_file_by_file(version: str) -> None:
    """A file that is gone, one that was changed, a segment that cannot be unpacked."""
    archive, backup = examined(recorded(version, "verify_damaged.out"))
    assert (archive.state, archive.checked, archive.valid) == ("damaged", 3, 2)
    assert "000000010000000000000004" in archive.problems[0]
    assert (backup.backup, backup.state, backup.checked, backup.valid) == (FULL, "damaged", 965, 963)
    assert backup.problems[0] == "2 of 965 files are not valid"
    assert {problem.partition(f" {FULL}")[0] for problem in backup.problems[1:]} == {"file missing", "invalid checksum"}


UNREADABLE = f"""\
2026-11-25 18:40:05.019 P01   INFO: invalid result {FULL}/pg_data/global/1213.gz: [41] raised from local-1 protocol: \
unable to open file '/r/1213.gz' for read: [13] Permission denied
stanza: orders
status: error
  backup: {FULL}, status: invalid, total files checked: 965, total valid files: 964
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
"""


def test_what_may_not_be_read_is_not_known() -> None:
    """It is neither whole nor damaged."""
    (backup,) = examined(UNREADABLE.encode())
    assert backup.state == "unknown"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("  No usable backup.info file", "damaged"),
        ("    no archives or backups exist in the repo", None),
        (
            "  backup: 20261125-183608F, status: manifest missing, total files checked: 0, total valid files: 0",
            "unknown",
        ),
        ("  backup: 20261125-183608F, status: in-progress, total files checked: 0, total valid files: 0", "unknown"),
        ("  backup set 20200101-000000F is not valid", "damaged"),
    ],
)
def test_other_words_of_a_repository(said: str, state: str | None) -> None:
    """Seen on real repositories, or in its source."""
    reports = examined(f"stanza: orders\nstatus: ok\n{said}\n".encode())
    assert [report.state for report in reports] == ([] if state is None else [state])


def test_an_error_without_a_reason_is_still_an_error() -> None:
    """The status counts when no line explains it."""
    text = b"stanza: o\nstatus: error\n  archiveId: 15-1, total WAL checked: 4, total valid WAL: 4\n"
    assert [report.state for report in examined(text)] == ["whole", "damaged"]


def test_wal_that_is_not_valid_without_a_reason_is_unknown() -> None:
    """Nothing says why, so nobody calls it whole."""
    text = b"stanza: o\nstatus: ok\n  archiveId: 15-1, total WAL checked: 4, total valid WAL: 3\n"
    assert [report.state for report in examined(text)] == ["unknown"]


def test_silence_is_not_understood_and_failures_are_failures() -> None:
    """Nothing is whole by default."""
    with pytest.raises(OutputNotUnderstood):
        examined(b"")
    with pytest.raises(EngineFailed, match="greeting key"):
        examined(b"P00  ERROR: [039]: expected value '2.55.1' for greeting key 'version' but got '2.45'\n", 39)


def test_each_repository_is_a_step_and_one_backup_can_be_alone() -> None:
    """`--set` came with 2.55; before, all of it is read."""
    two = cluster(repositories=(LOCAL, OFFSITE))
    assert ["--repo=1" in line for line in argv(cluster=two)] == [True, False]
    assert len(argv(cluster=two, repository="offsite")) == 1
    assert f"--set={FULL}" in argv(only=True)[0]
    assert f"--set={FULL}" not in argv(only=True, version=EngineVersion((2, 54)))[0]
    assert f"--set={FULL}" not in argv()[0]
    assert isinstance(step().commands[0], Command)
