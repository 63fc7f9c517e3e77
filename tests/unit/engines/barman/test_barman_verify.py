"""What `barman verify-backup` says: damage only where pg_verifybackup names some."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pgwrap.domain.command import Failure, Outcome
from pgwrap.domain.facts import Backup
from pgwrap.domain.model import Cluster
from pgwrap.domain.verification import Examined
from pgwrap.engines.barman.adapter import Barman
from pgwrap.engines.port import EngineVersion, VerifyRequest
from pgwrap.errors import EngineMissing, OutputNotUnderstood

Clusters = Callable[..., Cluster]
Recording = Callable[[str], str]


def backup(id_: str, *needs: str) -> Backup:
    """A backup that is done."""
    return Backup(
        engine="barman", engine_name="s1", id=id_, repository="repo1", type="full", state="done", needs=needs
    )  # fmt: skip


KNOWN = (backup("A"), backup("B", "A"), backup("C"))


def request(cluster: Cluster, wanted: tuple[Backup, ...] = KNOWN[:1], *, generate: bool = False) -> VerifyRequest:
    """A verification."""
    return VerifyRequest(
        cluster=cluster,
        backups=wanted,
        known=KNOWN,
        generate_manifest=generate,
        run_as="barman",
        version=EngineVersion((3, 20, 1)),
    )


def read(cluster: Cluster, *said: tuple[int, Any]) -> Examined:
    """The verdict from what the commands said."""
    (step,) = Barman().verification(request(cluster, generate=len(said) > 1))
    outcomes = tuple(
        Outcome(command=command, exit_code=code, stdout=(text if isinstance(text, str) else json.dumps(text)).encode())
        for command, (code, text) in zip(step.commands, said, strict=True)
    )
    (examined,) = step.read(outcomes)
    return examined


def errors(*lines: str) -> dict[str, list[str]]:
    """Barman's JSON around pg_verifybackup's errors."""
    return {
        "_ERROR": ["verify backup failure on directory '/x'", "\n".join(f"pg_verifybackup: error: {x}" for x in lines)]
    }


@pytest.mark.parametrize("version", ["3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1"])
def test_a_whole_backup(cluster: Clusters, recording: Recording, version: str) -> None:
    """As recorded from six versions."""
    assert read(cluster("s1"), (0, recording(f"{version}/36_verify_backup.out"))).state == "whole"


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ('checksum mismatch for file "PG_VERSION"', "damaged"),
        ('"base/extra" is present on disk but not in the manifest', "damaged"),
        ('"global/pg_filenode.map" is present in the manifest but not on disk', "damaged"),
        ('"base/1/2" has size 8192 on disk but size 16384 in the manifest', "damaged"),
        ('could not open file "/b/data/backup_manifest": No such file or directory', "unknown"),
        ('"base.tar.gz" is present on disk but not in the manifest', "unknown"),
        ('could not open file "/b/data/base/1/2": Permission denied', "unknown"),
    ],
)
def test_only_damage_is_damage(cluster: Clusters, line: str, state: str) -> None:
    """What could not be read or compared is not known."""
    assert read(cluster("s1"), (1, errors(line))).state == state


def test_long_lists_are_cut(cluster: Clusters) -> None:
    """Ten are named, the others counted."""
    told = read(cluster("s1"), (1, errors(*(f'checksum mismatch for file "{n}"' for n in range(25)))))
    assert (len(told.problems), told.problems[-1]) == (11, "and 15 more")


def test_an_answer_that_says_neither_is_not_understood(cluster: Clusters) -> None:
    """Exit code 0 alone is no proof."""
    with pytest.raises(OutputNotUnderstood):
        read(cluster("s1"), (0, {"_INFO": ["Skipping inactive server"]}))


def test_a_manifest_made_now_proves_nothing_yet(cluster: Clusters) -> None:
    """It is compared with itself; the next time it tells."""
    verified = {"_INFO": ["backup successfully verified"]}
    assert read(cluster("s1"), (0, {}), (0, verified)).state == "unknown"
    assert read(cluster("s1"), (1, {"_ERROR": ["already exists"]}), (0, verified)).state == "whole"


def test_what_a_backup_builds_on_is_examined_too(cluster: Clusters) -> None:
    """Oldest first, each once."""
    steps = Barman().verification(request(cluster("s1"), (KNOWN[1],)))
    assert [step.commands[-1].argv[-1] for step in steps] == ["A", "B"]


def test_a_missing_engine_is_its_own_error(cluster: Clusters) -> None:
    """Exit 4, not a damaged backup."""
    (step,) = Barman().verification(request(cluster("s1")))
    with pytest.raises(EngineMissing):
        step.read((Outcome(command=step.commands[0], failure=Failure.MISSING, message="no"),))
