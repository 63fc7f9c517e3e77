"""How a history leaves pgBackRest: every file of one archive, and commands that touch nothing but private places."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgwrap.domain.facts import Backup
from pgwrap.domain.model import PostgresTarget, RemoteHost
from pgwrap.engines.catalog_port import Outgoing, OutgoingRequest
from pgwrap.engines.pgbackrest.adapter import PgBackRest
from pgwrap.engines.pgbackrest.listing import listings_from
from pgwrap.engines.pgbackrest.outgoing import archived_files
from pgwrap.errors import EngineFailed, OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import OFFSITE, VERSIONS, cluster, outcome, recorded

BACKUP = Backup(
    engine="pgbackrest", engine_name="main", id="20261122-111336F", repository="local", type="full", state="done"
)


def outgoing(postgres: PostgresTarget | None = None) -> Outgoing:
    """From the second repository."""
    source = replace(cluster(), postgres=postgres or PostgresTarget(data_directory="/pg"))
    request = OutgoingRequest(
        cluster=source, repository=(2, OFFSITE), archive="15-1", run_as="postgres", environment=(("MARK", "t"),)
    )
    return PgBackRest().outgoing(request)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_segments_are_those_of_the_status(version: str) -> None:
    """And every one has the time at which it was archived."""
    text = recorded(version, "repo_ls_archive_1.json")
    listing = listings_from(text)[0]
    files = archived_files(text.decode(), listing.archive)
    segments = tuple(file.name for file in files if len(file.name) == 24)
    assert segments == listing.segments
    assert all(file.written_at > 1_700_000_000 and file.stored_bytes for file in files)


def test_what_lies_beside_the_segments_is_there_too() -> None:
    """Histories, labels and the partial segment; nothing of another archive, nothing half-written."""
    segment, checksum = "00000001000000000000000A", "a" * 40
    kept = (
        f"15-1/0000000100000000/{segment}-{checksum}.gz",
        f"15-1/0000000100000000/{segment}.partial-{checksum}.zst",
        f"15-1/0000000100000000/{segment}.00000028.backup",
        "15-1/00000002.history",
    )
    other = (
        f"15-2/0000000100000000/00000001000000000000000B-{checksum}",
        f"15-1/0000000100000000/{segment}-{checksum}.gz.pgbackrest.tmp",
        f"15-1/0000000100000000/{segment}",
        "15-1/00000003.history-x",
    )
    text = json.dumps({path: {"type": "file", "size": 3, "time": 7} for path in (*kept, *other)})
    assert [file.name for file in archived_files(text, "15-1")] == [
        segment,
        f"{segment}.00000028.backup",
        f"{segment}.partial",
        "00000002.history",
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"15-1/00000002.history":{"type":"file"}}', '{"15-1/00000002.history":7}']
)
def test_an_answer_that_is_no_listing_is_not_understood(text: str) -> None:
    """Nor is one without times."""
    with pytest.raises(OutputNotUnderstood):
        archived_files(text, "15-1")


def test_a_backup_is_unpacked_and_nothing_else() -> None:
    """By its label, from its repository, not to be recovered, every tablespace where it was told to go."""
    argv = outgoing().unpack(BACKUP, "/work/data", ((16384, "/work/16384"),), "/work/spool").argv
    assert {
        "--repo=2",
        "--set=20261122-111336F",
        "--type=none",
        "--pg1-path=/work/data",
        "--tablespace-map=16384=/work/16384",
        "--lock-path=/work/spool",
        "--no-delta",
    } <= set(argv)
    assert "--reset-tablespace-map" not in argv
    assert argv[-1] == "restore"
    assert "--reset-tablespace-map" in outgoing().unpack(BACKUP, "/work/data", (), "/work/spool").argv


def test_where_the_original_lies_does_not_matter() -> None:
    """pgBackRest would look for the private directory on the original's host."""
    remote = PostgresTarget(data_directory="/pg", ssh=RemoteHost(address="db"))
    assert "--reset-pg1-host" in outgoing(remote).fetch("00000002.history", "/t", "/control", "/spool").argv
    assert "--reset-pg1-host" not in outgoing().fetch("00000002.history", "/t", "/control", "/spool").argv


def test_segments_are_fetched_into_a_private_queue() -> None:
    """Never into the one that the server's own recovery uses."""
    command = outgoing().fetch_ahead(("1" * 24, "2" * 24), "/control", "/spool")
    assert command.argv[-3:] == ("archive-get:async", "1" * 24, "2" * 24)
    assert {"--spool-path=/spool", "--archive-async", "--lock-path=/spool"} <= set(command.argv)
    assert outgoing().ahead("/spool") == "/spool/archive/main/in"
    assert (command.run_as, command.environment) == ("postgres", (("MARK", "t"),))


def test_a_failure_is_raised() -> None:
    """With pgBackRest's own words."""
    command = outgoing().listing()
    with pytest.raises(EngineFailed, match="no"):
        outgoing().listed(outcome(command, stderr=b"ERROR: [056]: no", exit_code=56))
