"""Backups as data, PostgreSQL's settings, and the rest of the port, on recorded output."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.model import EngineKind, PostgresTarget, RemoteHost, Repository
from pgwrap.engines import ENGINES
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.pgbackrest.postgres import archive_command
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, Engine, EngineVersion, NotHere
from pgwrap.errors import Busy, EngineFailed, EngineMissing, EngineTimeout, EngineUnsupported, OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_estates import BILLING, ESTATES, SPLIT
from tests.unit.engines.pgbackrest.pgbackrest_fleet import (
    INSTANCE,
    LOCAL,
    OFFSITE,
    VERSIONS,
    cluster,
    drive,
    failed,
    outcome,
    recorded,
    stream,
)

VERSION = EngineVersion((2, 60, 0))
REQUEST = BackupRequest(cluster=cluster(), type="full", version=VERSION, run_as="postgres", deadline=5)


def concluded(job: BackupJob, ended: Outcome) -> BackupResult:
    """What the end means, without a further question."""
    result, rounds = drive(job.conclude(ended), lambda _: ended)
    assert () == rounds
    assert isinstance(result, BackupResult)
    return result


def test_the_registry_has_it() -> None:
    """It is an Engine in the eyes of the type checker, too."""
    engine: Engine = ENGINES[EngineKind.PGBACKREST]()
    assert (EngineKind.PGBACKREST, "2.45", "2.60.0") == (engine.kind, str(engine.oldest), str(engine.newest))


def test_a_backup_names_its_repository() -> None:
    """Without `--repo` every repository would be expired and locked."""
    command = PgBackRest().backup(REQUEST).command
    assert ("pgbackrest", "--config=/etc/pgbackrest/pgbackrest.conf", "--stanza=main", "--repo=1") == command.argv[:4]
    assert ("postgres", 5) == (command.run_as, command.deadline)


def test_the_lowest_repository_is_the_default() -> None:
    """Not the first that is listed."""
    keyed = cluster(repositories=(replace(LOCAL, key=7), replace(OFFSITE, key=3)))
    assert "--repo=3" in PgBackRest().backup(replace(REQUEST, cluster=keyed)).command.argv


@pytest.mark.parametrize(("type_", "native"), [("full", "full"), ("differential", "diff"), ("incremental", "incr")])
def test_types_are_pgbackrests(type_: str, native: str) -> None:
    """Its own words on the command line."""
    job = PgBackRest().backup(replace(REQUEST, type=type_, repository=(2, OFFSITE)))  # type: ignore[arg-type]
    assert {f"--type={native}", "--repo=2"} <= {*job.command.argv}


def test_a_cluster_without_a_repository_cannot_be_backed_up() -> None:
    """pgBackRest would use /var/lib/pgbackrest unasked."""
    with pytest.raises(EngineUnsupported):
        PgBackRest().backup(replace(REQUEST, cluster=cluster(repositories=())))


@pytest.mark.parametrize(("version", "label"), [("2.45", "20261123-080020F"), ("2.55.1", "20261123-075921F")])
def test_the_result_is_the_new_backup(version: str, label: str) -> None:
    """Its label and type come from the output."""
    job = PgBackRest().backup(REQUEST)
    result = concluded(job, outcome(job.command, recorded(version, "backup_full_detail.out")))
    assert (label, "full", "done") == (result.id, result.type, result.state)


def test_the_type_is_the_one_that_was_taken() -> None:
    """An incremental one without a full one before becomes full; the label tells."""
    job = PgBackRest().backup(replace(REQUEST, type="incremental"))
    text = b"2026-11-22 11:19:53.000 P00   WARN: no prior backup exists, incr backup has been changed to full\n"
    result = concluded(job, outcome(job.command, text + recorded("2.60.0", "backup_full_detail.out")))
    assert ("full", ("no prior backup exists, incr backup has been changed to full",)) == (result.type, result.messages)


@pytest.mark.parametrize("version", VERSIONS)
def test_progress_is_told_line_by_line(version: str) -> None:
    """Fractions never go back, and steps have names."""
    job = PgBackRest().backup(REQUEST)
    lines = recorded(version, "backup_full_detail.out").decode().splitlines()
    told = [progress for line in lines if (progress := job.progress(line)) is not None]
    fractions = [progress.fraction for progress in told if progress.fraction is not None]
    assert sorted(fractions) == fractions
    assert any(progress.message.startswith("backup start archive") for progress in told)
    assert not any("--" in progress.message for progress in told)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lock_is_busy(version: str) -> None:
    """Another backup runs: exit code 7, not 5."""
    job = PgBackRest().backup(REQUEST)
    locked = outcome(job.command, stream(version, "backup_locked"), exit_code=50)
    with pytest.raises(Busy) as caught:
        concluded(job, locked)
    assert "main" == caught.value.cluster
    assert "unable to acquire lock" in caught.value.message


@pytest.mark.parametrize("version", VERSIONS)
def test_another_error_keeps_the_engines_code_and_words(version: str) -> None:
    """With what usually helps."""
    job = PgBackRest().backup(REQUEST)
    stem = "info_no_config"
    ended = outcome(job.command, stream(version, stem), stderr=stream(version, stem, error=True), exit_code=55)
    with pytest.raises(EngineFailed) as caught:
        concluded(job, ended)
    assert (55, True) == (caught.value.engine_exit, bool(caught.value.hint))
    assert "unable to open missing file" in caught.value.message


def test_a_warning_before_the_error_is_told_with_it() -> None:
    """The words "no primary found" do not say that ssh was refused."""
    job = PgBackRest().backup(REQUEST)
    text = (
        b"2026-11-23 08:29:46.1 P00   WARN: unable to check pg1: [UnknownError] Permission denied (publickey).\n"
        b"2026-11-23 08:29:46.2 P00  ERROR: [056]: unable to find primary cluster - cannot proceed\n"
    )
    with pytest.raises(EngineFailed) as caught:
        concluded(job, outcome(job.command, text, exit_code=56))
    assert "(it warned: unable to check pg1: [UnknownError] Permission denied (publickey).)" in caught.value.message


def test_no_primary_though_all_answered_is_another_node() -> None:
    """A standby's node is not where backups are taken; nothing failed."""
    job = PgBackRest().backup(REQUEST)
    text = (
        b"2026-11-23 08:29:46.2 P00  ERROR: [056]: unable to find primary cluster - cannot proceed\n"
        b"                                    HINT: are all available clusters in recovery?\n"
    )
    result, _ = drive(job.conclude(outcome(job.command, text, exit_code=56)), lambda _: outcome(job.command, b""))
    assert isinstance(result, NotHere)
    assert "in recovery" in result.reason


def test_a_lock_that_may_not_be_taken_is_no_busy_one() -> None:
    """Waiting would not help: another user ran pgBackRest before."""
    job = PgBackRest().backup(REQUEST)
    text = b"P00  ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main-backup.lock': Permission denied\n"
    with pytest.raises(EngineFailed, match="Permission denied"):
        concluded(job, outcome(job.command, text, exit_code=50))


def test_annotations_go_with_the_backup_and_a_name_does_not() -> None:
    """pgBackRest has labels and annotations, no names."""
    job = PgBackRest().backup(replace(REQUEST, annotations=(("ticket", "OPS-42"),)))
    assert "--annotation=ticket=OPS-42" in job.command.argv
    with pytest.raises(EngineUnsupported, match="no name besides its label") as caught:
        PgBackRest().backup(replace(REQUEST, name="x"))
    assert "annotate it instead: --annotation name=x" == caught.value.hint


def test_what_was_copied_is_added_up() -> None:
    """Bytes, and what they are of, from sizes that pgBackRest rounds."""
    read = PgBackRest().backup(REQUEST).progress
    read("P01 DETAIL: backup file /data/base/1/1 (1MB, 50.00%) checksum a")
    told = read("P01 DETAIL: backup file /data/base/1/2 (1MB, 100.00%) checksum b")
    assert told is not None
    assert (1.0, 2 << 20, 2 << 20) == (told.fraction, told.done_bytes, told.total_bytes)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure.MISSING, EngineMissing),
        (Failure.TIMEOUT, EngineTimeout),
        (Failure.TOO_MUCH_OUTPUT, OutputNotUnderstood),
        (Failure.UNREACHABLE, EngineFailed),
        (Failure.DENIED, EngineFailed),
    ],
)
def test_a_backup_that_could_not_run_is_told_apart(failure: Failure, error: type[Exception]) -> None:
    """Each has an exit code of its own."""
    job = PgBackRest().backup(REQUEST)
    with pytest.raises(error):
        concluded(job, failed(job.command, failure))


def test_a_backup_without_a_label_is_not_believed() -> None:
    """Exit code 0 alone is no backup."""
    job = PgBackRest().backup(REQUEST)
    with pytest.raises(OutputNotUnderstood):
        concluded(job, outcome(job.command, b"hello"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_is_asked_for(version: str) -> None:
    """One command, one round."""
    found, rounds = drive(
        PgBackRest().version(INSTANCE, "postgres"), lambda command: outcome(command, recorded(version, "version.out"))
    )
    assert version == str(found)
    assert [("pgbackrest", "version")] == [command.argv for asked in rounds for command in asked]


def test_a_missing_program_raises() -> None:
    """Commands that act on one cluster exit with 4 then."""
    with pytest.raises(EngineMissing):
        drive(PgBackRest().version(INSTANCE, None), lambda command: failed(command, Failure.MISSING))


# What PostgreSQL needs


def test_postgres_is_told_to_archive() -> None:
    """Four settings, three of which need a restart."""
    settings = {one.name: one for one in PgBackRest().settings(BILLING, VERSION).settings}
    assert {"wal_level", "archive_mode", "archive_command", "max_wal_senders"} == {*settings}
    assert "pgbackrest --config=/etc/pgbackrest/pgbackrest.conf --stanza=billing archive-push %p" == (
        settings["archive_command"].value
    )
    assert settings["wal_level"].minimum


def test_the_database_hosts_own_program_and_file_are_called() -> None:
    """PostgreSQL runs archive_command on its own host."""
    server = PostgresTarget(data_directory="/d", ssh=RemoteHost(address="db1", command="/opt/pgbackrest", config="/c"))
    expected = "/opt/pgbackrest --config=/c --stanza=sales archive-push %p"
    assert expected == archive_command(replace(SPLIT, postgres=server))


def test_the_name_that_pgbackrest_looks_for_is_always_there() -> None:
    """A program of another name is called, and the name stands in a comment of the shell."""
    engine = replace(INSTANCE, command="/opt/push", config="/etc/push.conf")
    assert archive_command(replace(BILLING, engine=engine)).endswith("archive-push %p # pgbackrest")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_shell_reads_the_stanza_as_one_word(name: str) -> None:
    """Whatever its name holds; PostgreSQL turns %% into % before."""
    command = archive_command(replace(BILLING, engine_name=name)).replace("%p", "SEGMENT").replace("%%", "%")
    assert f"--stanza={name}" in shlex.split(command)


@pytest.mark.parametrize("name", ["it's", "a b", "$(touch /tmp/x)", "`x`", "a;b", 'q"', "100%", "é", "#x", "%p"])
def test_sh_itself_reads_the_stanza_as_one_word(name: str) -> None:
    """The real shell that PostgreSQL calls, after its own replacement of percent signs."""
    text = archive_command(replace(BILLING, engine=replace(INSTANCE, command="printf %s\\n"), engine_name=name))
    said = postgres_replaces(text.replace(shlex.quote("printf %%s\\n"), "printf '%%s\\n'"))
    done = subprocess.run(["/bin/sh", "-c", said], capture_output=True, text=True, check=True)
    assert f"--stanza={name}" in done.stdout.splitlines()


def postgres_replaces(command: str) -> str:
    """What PostgreSQL does to archive_command: %p becomes the path and %% a percent sign."""
    found, position = "", 0
    while position < len(command):
        pair = command[position : position + 2]
        found += {"%p": "pg_wal/0001", "%%": "%"}.get(pair, command[position])
        position += 2 if pair in {"%p", "%%"} else 1
    return found


def test_a_segment_is_fetched_to_a_file_of_its_name() -> None:
    """From the named repository, or from the first that has it."""
    command = PgBackRest().fetch_wal(cluster(), "offsite", "15-1", "000000010000000000000003", "/tmp/x", "pg")
    assert ("--repo=2", "--no-archive-async") == command.argv[3:5]
    assert ("archive-get", "000000010000000000000003", "/tmp/x/000000010000000000000003") == command.argv[-3:]
    anywhere = PgBackRest().fetch_wal(cluster(), None, None, "000000010000000000000003", "/tmp/x", "pg")
    assert not any(word.startswith("--repo") for word in anywhere.argv)


def test_it_runs_as_the_owner_of_the_repository() -> None:
    """Local repositories first, then the data directory; nothing that is on another host."""
    assert PgBackRest().default_user(BILLING) is None
    assert ("/var/lib/pgbackrest", "/var/lib/postgresql/15/billing") == PgBackRest().owned_paths(BILLING)
    assert () == PgBackRest().owned_paths(SPLIT)
    (stores,) = ESTATES["every_store"].clusters
    assert ("/mnt/nas", "/var/lib/postgresql/15/stores") == PgBackRest().owned_paths(stores)


def test_a_repository_by_its_number_owns_first() -> None:
    """The lowest number is the one that backups go to."""
    one, two = Repository(name="a", path="/a", key=5), Repository(name="b", path="/b", key=2)
    assert ("/b", "/a") == PgBackRest().owned_paths(cluster(repositories=(one, two)))
