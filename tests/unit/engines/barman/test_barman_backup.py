"""Taking a backup: the command line, and what each kind of end means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.model import BackupPolicy, Cluster, PostgresTarget, RemoteHost
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import BackupRequest, EngineVersion
from pgwrap.errors import Busy, EngineFailed, EngineMissing, EngineTimeout, EngineUnsupported, OutputNotUnderstood
from tests.unit.engines.barman.conftest import Replay

Clusters = Callable[..., Cluster]
Recording = Callable[[str], str]
NEW = EngineVersion((3, 20, 1))
LOCKS = "lslocks --noheadings --raw --output PATH"


def request(cluster: Cluster, kind: Any = "full", version: EngineVersion = NEW) -> BackupRequest:
    """An ordinary request."""
    return BackupRequest(cluster=cluster, type=kind, run_as="barman", version=version)


def end(
    cluster: Cluster, stdout: str, exit_code: int = 0, stderr: str = "", further: dict[str, Any] | None = None
) -> Any:
    """The result for what Barman printed."""
    job = Barman().backup(request(cluster))
    ended = Outcome(command=job.command, exit_code=exit_code, stdout=stdout.encode(), stderr=stderr.encode())
    return Replay(further or {}).hold(job.conclude(ended))


@pytest.mark.parametrize(
    ("kind", "more"),
    [("full", ()), ("incremental", ("--incremental", "latest")), ("differential", ("--incremental", "latest-full"))],
)
def test_the_command_line_follows_the_type(cluster: Clusters, kind: str, more: tuple[str, ...]) -> None:
    """JSON, and never `--wait`."""
    job = Barman().backup(request(cluster("a"), kind))

    assert ("barman", "-c", "/etc/barman.conf", "-f", "json", "backup", "a", *more) == job.command.argv
    assert ("barman", 86400.0) == (job.command.run_as, job.command.deadline)
    assert None is job.progress("anything")


@pytest.mark.parametrize(
    ("words", "kind", "version"),
    [
        ({}, "incremental", EngineVersion((3, 10, 1))),
        ({"postgres": PostgresTarget(version=16)}, "differential", NEW),
        ({"backup": BackupPolicy(method="rsync")}, "incremental", NEW),
        ({"backup": BackupPolicy(method="snapshot")}, "incremental", NEW),
        ({"passive": RemoteHost(address="h")}, "full", NEW),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_runs(
    cluster: Clusters, words: dict[str, Any], kind: str, version: EngineVersion
) -> None:
    """With a reason."""
    with pytest.raises(EngineUnsupported) as refusal:
        Barman().backup(request(cluster("a", **words), kind, version))

    assert "a" == refusal.value.cluster


@pytest.mark.parametrize("version", ["3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1"])
def test_a_backup_that_waited_is_done(cluster: Clusters, recording: Recording, version: str) -> None:
    """The recorded one was taken with `--wait`."""
    result = end(cluster("s1"), recording(f"{version}/05_backup.out"))

    assert ("full", "done", 15) == (result.type, result.state, len(result.id))
    assert result.backup is not None
    assert (result.id, "15") == (result.backup.id, result.backup.postgres_version)


def test_a_backup_that_did_not_wait_says_so(cluster: Clusters, recording: Recording) -> None:
    """Cron makes it DONE later."""
    result = end(cluster("s1"), recording("3.4.0/06_backup_nowait.out"))

    assert "waiting_for_wal" == result.state
    assert "IMPORTANT: this backup is classified as WAITING_FOR_WALS" in result.messages[0]


def test_an_error_after_a_whole_backup_leaves_the_backup(cluster: Clusters, recording: Recording) -> None:
    """Barman then ends with 1; the message comes with the result."""
    result = end(cluster("m"), recording("pg17-incremental/out19-inc1.json"), 1)

    assert ("incremental", "waiting_for_wal") == (result.type, result.state)
    assert "Permission denied: 'file'" in result.messages[0]


def test_a_check_that_fails_points_to_barman_check(cluster: Clusters, recording: Recording) -> None:
    """Barman says nothing more itself; asked again, it names the checks."""
    check = {"s4": {"postgresql": {"status": "FAILED", "hint": "down"}, "directories": {"status": "OK", "hint": ""}}}
    further = {LOCKS: (0, b"/x/.other-backup.lock\n", b""), "-f json check s4": (1, json.dumps(check).encode(), b"")}
    with pytest.raises(EngineFailed) as failure:
        end(cluster("s4"), recording("3.19.1/52_backup_down.out"), 1, further=further)

    assert failure.value.engine_exit == 1
    assert failure.value.message == "Barman refuses to start: one of its checks fails: postgresql (down)"
    assert "see what Barman finds: sudo -u barman barman -c /etc/barman.conf check s4" == failure.value.hint


def test_a_refusal_while_the_lock_is_held_is_busy(cluster: Clusters, recording: Recording) -> None:
    """Barman says the same as for a check that fails; the lock tells."""
    locks = b"/run/lock\n/var/lib/barman/.s4-backup.lock\n"
    further = {LOCKS: (0, locks, b""), "-f json check s4": (1, b"", b"")}
    with pytest.raises(Busy):
        end(cluster("s4"), recording("3.19.1/52_backup_down.out"), 1, further=further)


def test_without_an_answer_about_locks_it_is_a_failure(cluster: Clusters, recording: Recording) -> None:
    """`lslocks` may be missing; then nobody says that it is busy."""
    further = {LOCKS: Failure.MISSING, "-f json check s4": (1, b"", b"")}
    with pytest.raises(EngineFailed, match="one of its checks fails"):
        end(cluster("s4"), recording("3.19.1/52_backup_down.out"), 1, further=further)


def test_it_takes_a_name_and_no_annotation(cluster: Clusters) -> None:
    """Each engine says what it can."""
    job = Barman().backup(replace(request(cluster("a")), name="before upgrade"))
    assert ("backup", "--name", "before upgrade", "a") == job.command.argv[5:]
    with pytest.raises(EngineUnsupported, match="no annotations"):
        Barman().backup(replace(request(cluster("a")), annotations=(("k", "v"),)))


@pytest.mark.parametrize(("status", "settled"), [("WAITING_FOR_WALS", False), ("DONE", True)])
def test_settling_takes_wal_in_judges_and_asks(cluster: Clusters, status: str, settled: bool) -> None:
    """What cron does, for one backup."""
    settle = Barman().backup(request(cluster("a"))).settle
    assert settle is not None
    settling = settle("20260101T000000")
    said = [" ".join(command.argv[3:]) for command in settling.commands]
    assert said == [
        "archive-wal a", "check-backup a 20260101T000000", "-f json show-backup a 20260101T000000",
    ]  # fmt: skip
    text = json.dumps({"a": {"backup_id": "20260101T000000", "status": status}})
    asked = Outcome(command=settling.commands[-1], exit_code=0, stdout=text.encode())
    assert settling.settled(asked) is settled


def test_a_backup_that_fails_while_it_waits_is_a_failure(cluster: Clusters) -> None:
    """Barman 3.20 finds out that the timeline changed meanwhile."""
    settle = Barman().backup(request(cluster("a"))).settle
    assert settle is not None
    settling = settle("20260101T000000")
    asked = Outcome(command=settling.commands[-1], exit_code=0, stdout=b'{"a": {"status": "FAILED"}}')
    with pytest.raises(EngineFailed, match="failed while it waited"):
        settling.settled(asked)


def test_an_inactive_server_is_a_failure_although_barman_returns_zero(cluster: Clusters, recording: Recording) -> None:
    """No backup was taken."""
    with pytest.raises(EngineFailed, match="Skipping inactive server 's3'"):
        end(cluster("s3"), recording("3.4.0/53_backup_inactive.out"))


def test_a_second_backup_is_busy(cluster: Clusters) -> None:
    """Seen on 3.4.0 and 3.19.1 while the server's backup lock was held."""
    with pytest.raises(Busy):
        end(cluster("one"), '{"_ERROR": ["Another backup process is running"]}', 1)


def test_a_backup_that_failed_is_an_error_with_its_cause(cluster: Clusters) -> None:
    """The id is there, the backup is not."""
    text = '{"_EXCEPTION": [], "backup_id": "20260101T000000", "status": "FAILED", "error": "failure copying files"}'

    with pytest.raises(EngineFailed, match="backup 20260101T000000 failed: failure copying files"):
        end(cluster("a"), text, 1)


def test_text_on_stderr_alone_is_the_cause(cluster: Clusters) -> None:
    """Before Barman knows of JSON it complains in the console's way."""
    with pytest.raises(EngineFailed, match="Configuration file '/nope' does not exist"):
        end(cluster("a"), "", 1, "Configuration file '/nope' does not exist\n")


def test_nonsense_with_exit_code_zero_is_not_understood(cluster: Clusters) -> None:
    """A backup is claimed by no one."""
    with pytest.raises(OutputNotUnderstood):
        end(cluster("a"), "all fine")


@pytest.mark.parametrize(
    ("failure", "error"),
    [(Failure.MISSING, EngineMissing), (Failure.TIMEOUT, EngineTimeout), (Failure.DENIED, EngineFailed)],
)
def test_a_command_that_did_not_run_raises_its_own_error(
    cluster: Clusters, failure: Failure, error: type[Exception]
) -> None:
    """Each has its exit code."""
    job = Barman().backup(request(cluster("a")))

    with pytest.raises(error):
        Replay({}).hold(job.conclude(Outcome(command=job.command, failure=failure, message="no")))
