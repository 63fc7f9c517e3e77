"""A backup of Barman's and its WAL on their way out, by version."""

from __future__ import annotations

import json

import pytest

from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.engines.barman.outgoing import BarmanSource, parse_wal_files
from pgwrap.engines.port import CopyRequest, EngineVersion
from pgwrap.errors import EngineFailed, EngineUnsupported

INSTANCE = EngineInstance(name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf")
CLUSTER = Cluster(name="billing", engine=INSTANCE, engine_name="billing")
ID = "20261126T115018"
SHOWN = {
    "billing": {
        "backup_id": ID,
        "tablespaces": [{"name": "fast", "oid": 16389, "location": "/srv/fast"}],
    }
}


def request(version: tuple[int, ...], kind: str = "full") -> CopyRequest:
    """A backup to restore into /s."""
    backup = Backup(
        engine="barman", engine_name="billing", id=ID, repository=None, type=kind, state="done"  # type: ignore[arg-type]
    )  # fmt: skip
    return CopyRequest(
        cluster=CLUSTER, backup=backup, data="/s/data", tablespaces="/s/ts", spool="/s/spool", timeline=1,
        run_as="barman", version=EngineVersion(version), environment=(("PGWRAP_DRILL", "t0"),),
    )  # fmt: skip


def ended(command: Command, stdout: str, exit_code: int = 0) -> Outcome:
    """How a command ended."""
    return Outcome(command=command, exit_code=exit_code, stdout=stdout.encode())


@pytest.mark.parametrize(
    ("version", "verb", "staging"),
    [
        ((3, 4, 0), "recover", ("--recovery-staging-path", "/s/spool")),
        ((3, 13, 3), "restore", ("--recovery-staging-path", "/s/spool", "--local-staging-path", "/s/spool")),
        ((3, 20, 1), "restore", ("--staging-path", "/s/spool", "--staging-location", "local")),
    ],
)
def test_a_backup_is_restored_without_wal_to_where_it_is_consistent(
    version: tuple[int, ...], verb: str, staging: tuple[str, ...]
) -> None:
    """Every tablespace beside, WAL fetched by nobody: old versions would copy all that came later."""
    conversation = BarmanSource().depart(request(version))
    (question,) = next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.send((ended(question, json.dumps(SHOWN)),))
    departure = stop.value.value
    assert departure.command.argv == (
        *("barman", "-c", "/etc/barman.conf", "-f", "json", verb, "--get-wal"),
        *("--target-immediate", "--target-action", "shutdown", *staging),
        *("--tablespace", "fast:/s/ts/16389", "billing", ID, "/s/data"),
    )
    assert (departure.command.run_as, departure.command.environment) == ("barman", (("PGWRAP_DRILL", "t0"),))
    assert departure.tablespaces == (Tablespace(name="fast", oid=16389, location="/srv/fast"),)
    with pytest.raises(EngineFailed, match="no such backup"):
        departure.check(ended(departure.command, '{"_ERROR": ["no such backup"]}', 1))


def test_a_snapshot_is_no_files() -> None:
    """Refused before anything is asked."""
    with pytest.raises(EngineUnsupported, match="snapshot"):
        next(BarmanSource().depart(request((3, 20, 1), "snapshot")))


def test_only_wal_files_are_listed_histories_first() -> None:
    """Not the index, nor what is just being written."""
    text = "".join(
        f"{size} {path}\0"
        for size, path in (
            (120, "xlog.db"),
            (400, "0000000100000000/000000010000000000000004"),
            (300, "0000000100000000/000000010000000000000003"),
            (16, "0000000100000000/000000010000000000000003.00000028.backup"),
            (41, "00000002.history"),
            (9, "0000000100000000/.tmp.000000010000000000000005"),
        )
    )
    files = parse_wal_files(text, "/w")
    assert [(file.name, file.bytes) for file in files] == [
        ("00000002.history", 41),
        ("000000010000000000000003", 300),
        ("000000010000000000000003.00000028.backup", 16),
        ("000000010000000000000004", 400),
    ]
    assert files[1].path == "/w/0000000100000000/000000010000000000000003"


def test_what_cannot_be_listed_is_an_error() -> None:
    """Never an empty archive."""
    conversation = BarmanSource().wal_files(CLUSTER, "/w", "barman")
    (command,) = next(conversation)
    assert command.argv[:3] == ("find", "-H", "/w")
    failed = Outcome(command=command, exit_code=1, stderr=b"find: /w: Permission denied")
    with pytest.raises(EngineFailed, match="Permission denied"):
        conversation.send((failed,))
