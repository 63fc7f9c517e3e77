"""Holding a backup with `barman keep`: the command lines, and what each kind of answer means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.facts import Backup, Held
from pgwrap.domain.model import Cluster
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import HoldJob, HoldRequest
from pgwrap.errors import Busy, EngineFailed, EngineMissing, EngineTimeout, EngineUnsupported, OutputNotUnderstood

Clusters = Callable[..., Cluster]
Recording = Callable[[str], str]
ID = "20261122T112534"
VERSIONS = ("3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1")


def backup(**changes: Any) -> Backup:
    """A backup that can be held."""
    values: dict[str, Any] = {
        "engine": "barman", "engine_name": "s1", "id": ID, "repository": "vault", "type": "full", "state": "done",
    }  # fmt: skip
    return Backup(**(values | changes))


def job(cluster: Cluster, target: Held = "full", policy: str | None = "REDUNDANCY 2", **changes: Any) -> HoldJob:
    """The job for a backup."""
    request = HoldRequest(cluster=cluster, backup=backup(**changes), target=target, policy=policy, run_as="barman")
    return Barman().hold(request)


def said(made: HoldJob, stdout: str, exit_code: int = 0) -> Outcome:
    """An answer to the question."""
    return Outcome(command=made.question, exit_code=exit_code, stdout=stdout.encode())


@pytest.mark.parametrize(
    ("target", "words"),
    [("full", ("--target", "full")), ("standalone", ("--target", "standalone")), (False, ("--release",))],
)
def test_the_command_line_follows_the_target(cluster: Clusters, target: Held, words: tuple[str, ...]) -> None:
    """And the question is the same for all."""
    made = job(cluster("s1"), target)

    head = ("barman", "-c", "/etc/barman.conf", "-f", "json", "keep")
    assert ((*head, *words, "s1", ID), "barman") == (made.command.argv, made.command.run_as)
    assert (*head, "--status", "s1", ID) == made.question.argv


@pytest.mark.parametrize("version", VERSIONS)
def test_what_holds_is_read_in_every_version(cluster: Clusters, recording: Recording, version: str) -> None:
    """`keep` itself says nothing."""
    made = job(cluster("s1"))

    made.check(said(made, recording(f"{version}/10_keep.out")))
    assert "standalone" == made.answer(said(made, recording(f"{version}/11_keep_status.out")))
    assert False is made.answer(said(made, recording(f"{version}/12_keep_status_none.out")))


def test_a_backup_that_is_gone_is_a_failure_in_barmans_words(cluster: Clusters, recording: Recording) -> None:
    """Retention may have been quicker."""
    made = job(cluster("billing"))

    with pytest.raises(EngineFailed, match="Unknown backup '20200101T000000' for server 'billing'") as failure:
        made.answer(said(made, recording("3.4.0/13_keep_unknown.out"), 1))
    assert (1, "billing") == (failure.value.engine_exit, failure.value.cluster)


@pytest.mark.parametrize(
    ("changes", "words", "hint"),
    [
        ({"state": "waiting_for_wal"}, "is waiting for wal", "pgwrap status s1"),
        ({"state": "running"}, "is running", "wait for its end"),
        ({"state": "failed"}, "is failed", "pgwrap list s1 --state done"),
        ({"parent": "20261101T000000", "needs": ("20261101T000000",)}, "incremental", "pgwrap hold s1 20261101T000000"),
    ],
)
def test_what_cannot_be_held_is_refused_before_anything_runs(
    cluster: Clusters, changes: dict[str, Any], words: str, hint: str
) -> None:
    """With the way out; a release needs no such thing."""
    with pytest.raises(EngineUnsupported, match=words) as refusal:
        job(cluster("s1"), **changes)

    assert hint in refusal.value.hint
    job(cluster("s1"), target=False, **changes)


@pytest.mark.parametrize(
    ("policy", "target", "words"),
    [
        ("REDUNDANCY 2", "full", "takes up a slot of REDUNDANCY 2"),
        ("REDUNDANCY 2, minimum redundancy 1", "standalone", "takes up a slot"),
        ("RECOVERY WINDOW OF 7 DAYS", False, "the next barman cron deletes it if it is obsolete"),
        (None, "full", "applies no retention policy"),
    ],
)
def test_the_consequences_are_told(cluster: Clusters, policy: str | None, target: Held, words: str) -> None:
    """A held backup counts among the newest n."""
    (note,) = job(cluster("s1"), target, policy).notes

    assert words in note


@pytest.mark.parametrize(("policy", "target"), [("RECOVERY WINDOW OF 7 DAYS", "full"), (None, False)])
def test_nothing_is_told_without_need(cluster: Clusters, policy: str | None, target: Held) -> None:
    """A window counts nothing."""
    assert () == job(cluster("s1"), target, policy).notes


@pytest.mark.parametrize(
    "message", ["Another process in running on server s1", "/srv/barman/.s1-xyz.lock\nSee log file for more details."]
)
def test_a_lock_is_busy(cluster: Clusters, message: str) -> None:
    """Named in words or by its file (barman/lockfile.py)."""
    made = job(cluster("s1"))

    with pytest.raises(Busy):
        made.check(said(made, f'{{"_EXCEPTION": [{message!r}]}}'.replace("'", '"'), 1))


def test_an_inactive_server_is_a_failure_although_barman_returns_zero(cluster: Clusters, recording: Recording) -> None:
    """It says that it skips it, and nothing of the backup."""
    made = job(cluster("s3"))

    with pytest.raises(EngineFailed, match="Skipping inactive server"):
        made.answer(said(made, recording("3.4.0/53_backup_inactive.out")))


@pytest.mark.parametrize(
    "text", ["", "all fine", '{"s1": {"keep_status": {"description": "Keep", "message": "maybe"}}}']
)
def test_what_no_version_says_is_not_understood(cluster: Clusters, text: str) -> None:
    """Whether something holds is never guessed."""
    made = job(cluster("s1"))

    with pytest.raises(OutputNotUnderstood):
        made.answer(said(made, text))


@pytest.mark.parametrize(("failure", "error"), [(Failure.MISSING, EngineMissing), (Failure.TIMEOUT, EngineTimeout)])
def test_a_command_that_did_not_run_raises_its_own_error(
    cluster: Clusters, failure: Failure, error: type[Exception]
) -> None:
    """Asked or told."""
    made = job(cluster("s1"))
    outcome = Outcome(command=made.command, failure=failure, message="no")

    with pytest.raises(error):
        made.check(outcome)
    with pytest.raises(error):
        made.answer(outcome)
