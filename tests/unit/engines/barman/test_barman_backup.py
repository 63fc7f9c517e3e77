"""Taking a backup: the command line, and what each kind of end means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.model import BackupPolicy, Cluster, PostgresTarget, RemoteHost
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import BackupRequest, EngineVersion
from pgwrap.errors import Busy, EngineFailed, EngineMissing, EngineTimeout, EngineUnsupported, OutputNotUnderstood

Clusters = Callable[..., Cluster]
Recording = Callable[[str], str]
NEW = EngineVersion((3, 20, 1))


def request(cluster: Cluster, kind: Any = "full", version: EngineVersion = NEW) -> BackupRequest:
    """An ordinary request."""
    return BackupRequest(cluster=cluster, type=kind, run_as="barman", version=version)


def end(cluster: Cluster, stdout: str, exit_code: int = 0, stderr: str = "") -> Any:
    """The result for what Barman printed."""
    job = Barman().backup(request(cluster))
    return job.result(Outcome(command=job.command, exit_code=exit_code, stdout=stdout.encode(), stderr=stderr.encode()))


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
    """Barman says nothing more itself."""
    with pytest.raises(EngineFailed) as failure:
        end(cluster("s4"), recording("3.19.1/52_backup_down.out"), 1)

    assert (1, "Barman refuses to start: one of its checks fails") == (failure.value.engine_exit, failure.value.message)
    assert "see what Barman finds: sudo -u barman barman -c /etc/barman.conf check s4" == failure.value.hint


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
        job.result(Outcome(command=job.command, failure=failure, message="no"))
