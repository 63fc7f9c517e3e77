"""What is written of a carried backup, version by version, and how Barman is brought to take a history in."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.command import Outcome
from pgwrap.domain.facts import Backup, Tablespace
from pgwrap.domain.model import Cluster, EngineInstance, EngineKind
from pgwrap.domain.native import NativeFile
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Lsn, Timeline
from pgwrap.engines.barman.backup_info import info_path, info_text, version_number
from pgwrap.engines.barman.backups import postgres_version
from pgwrap.engines.barman.incoming import BarmanIncoming, incoming
from pgwrap.engines.catalog_port import Arrived, Incoming, IncomingRequest, Reception
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import Busy, EngineFailed, EngineUnsupported
from tests.unit.engines.barman.conftest import Replay

GOLDEN = Path(__file__).parents[3] / "golden" / "barman"
INSTANCE = EngineInstance(
    name="barman", kind=EngineKind.BARMAN, command="barman", config="/etc/barman.conf", run_as="barman"
)
CLUSTER = Cluster(name="fresh", engine=INSTANCE, engine_name="fresh server")
BACKUP = Backup(
    engine="pgbackrest",
    engine_name="orders",
    id="20261122-111336F_20261122-111340I",
    repository="local",
    archive="15-1",
    type="incremental",
    state="done",
    started_at=datetime(2026, 11, 22, 11, 13, 40, tzinfo=UTC),
    stopped_at=datetime(2026, 11, 22, 11, 13, 42, tzinfo=UTC),
    cluster_bytes=31_000_000,
    wal_start="000000020000000000000004",
    wal_stop="000000020000000000000005",
    lsn_start=Lsn.parse("0/4000028"),
    lsn_stop=Lsn.parse("0/5000050"),
    timeline=Timeline(2),
    postgres_version="15",
    system_identifier="7575757575757575757",
)
LABEL = 'START WAL LOCATION: 0/4000028 (file 000000020000000000000004)\nLABEL: it\'s "one"\nSTART TIMELINE: 2\n'
ARRIVED = Arrived(
    id="20261122T111340",
    backup=BACKUP,
    data_directory="/var/lib/postgresql/15/main",
    tablespaces=(Tablespace(name="it's", oid=16384, location="/srv/a b"),),
    label=LABEL,
    segment_size=DEFAULT_SEGMENT_SIZE,
    size=31_000_123,
    checksums=True,
)
SETTINGS = {
    "active": True,
    "disabled": False,
    "passive_node": False,
    "backup_directory": "/barman/fresh",
    "basebackups_directory": "/barman/fresh/base/",
    "wals_directory": "/barman/fresh/wals",
    "compression": None,
    "postgres_systemid": "7575757575757575757",
}
RECEPTION = Reception(configuration="/work/taking", incoming="/work/incoming", errors="/work/errors")
KEYS_OF_3_4 = """
backup_label backup_name begin_offset begin_time begin_wal begin_xlog compression config_file copy_stats
deduplicated_size end_offset end_time end_wal end_xlog error hba_file ident_file included_files mode pgdata
server_name size snapshots_info status systemid tablespaces timeline version xlog_segment_size
"""
"""The fields of 3.4.0's barman/infofile.py; any other key and it reads no backup of the server at all."""


def version(text: str) -> EngineVersion:
    """A version of Barman."""
    return EngineVersion.parse(text)


def values(text: str) -> dict[str, str]:
    """As Barman's FieldListFile.load reads them."""
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("number", ["3.4.0", "3.13.3", "3.20.1"])
def test_the_record_is_the_golden_one(number: str) -> None:
    """Set PGWRAP_WRITE_GOLDEN to write it anew, then read the difference."""
    text = info_text(ARRIVED, "fresh server", version(number))
    golden = GOLDEN / f"backup_info_{number}.txt"
    if os.environ.get("PGWRAP_WRITE_GOLDEN"):
        golden.write_text(text)
    assert golden.read_text() == text


def test_the_oldest_barman_gets_no_key_it_does_not_know() -> None:
    """One is enough to make it read no backup of the server."""
    assert values(info_text(ARRIVED, "x", version("3.4.0"))).keys() <= set(KEYS_OF_3_4.split())


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("3.4.0", "/s/base/20261122T111340/backup.info"),
        ("3.13.1", "/s/base/20261122T111340/backup.info"),
        ("3.13.2", "/s/meta/20261122T111340-backup.info"),
        ("3.20.1", "/s/meta/20261122T111340-backup.info"),
    ],
)
def test_it_lies_where_the_version_writes_it(number: str, place: str) -> None:
    """Beside the files, or in a directory for all of them."""
    assert info_path("/s", "/s/base", ARRIVED.id, version(number)) == place


@given(
    moment=st.integers(10**9, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    before=st.sampled_from(["", "20200101-000000F_"]),
    kind=st.sampled_from("FDI"),
)
def test_an_id_is_the_second_in_which_the_backup_began(moment: datetime, before: str, kind: str) -> None:
    """That of the last part, for the first is the full backup's."""
    found = made().id_of(replace(BACKUP, id=f"{before}{moment:%Y%m%d-%H%M%S}{kind}"))
    assert found is not None
    assert datetime.strptime(f"{found}+0000", "%Y%m%dT%H%M%S%z") == moment


@pytest.mark.parametrize("label", ["", "latest", "20261122T111340", "20261122-111336", "20261122-111336X"])
def test_another_label_tells_no_moment(label: str) -> None:
    """Nothing is made up for it."""
    assert made().id_of(replace(BACKUP, id=label)) is None


@given(
    start=st.integers(3 * 10**8, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    seconds=st.integers(0, 10**6),
    lsn=st.integers(0, 2**63),
    label=st.text(),
    location=st.text(),
)
def test_what_is_written_reads_back_as_it_was(
    start: datetime, seconds: int, lsn: int, label: str, location: str
) -> None:
    """Times, positions, and texts with any character, each on one line."""
    stop = start + timedelta(seconds=seconds)
    backup = replace(BACKUP, started_at=start, stopped_at=stop, lsn_start=Lsn(lsn))
    place = Tablespace(name="a", oid=1, location=location)
    arrived = replace(ARRIVED, backup=backup, label=label, tablespaces=(place,))
    read = values(info_text(arrived, "fresh", version("3.20.1")))
    assert datetime.fromisoformat(read["begin_time"]) == start
    assert datetime.fromisoformat(read["end_time"]) == stop
    assert Lsn.parse(read["begin_xlog"]) == lsn
    assert int(read["begin_offset"]) == lsn % DEFAULT_SEGMENT_SIZE
    assert ast.literal_eval(read["backup_label"]) == label
    assert ast.literal_eval(read["tablespaces"]) == [("a", 1, location)]


@pytest.mark.parametrize("major", ["9.6", "10", "15", "18"])
def test_a_version_is_written_as_barman_reads_it(major: str) -> None:
    """The number of the first release."""
    assert postgres_version(version_number(major)) == major


# Its server


def request(number: str = "3.4.0") -> IncomingRequest:
    """For the cluster."""
    return IncomingRequest(cluster=CLUSTER, version=version(number), run_as="barman")


def ask(settings: dict[str, object], number: str = "3.4.0") -> Incoming:
    """The answer to `show-servers`."""
    answer = json.dumps({"fresh server": settings}).encode()
    return Replay({"-f json show-servers fresh server": (0, answer, b"")}).hold(incoming(request(number)))


def made(number: str = "3.4.0") -> BarmanIncoming:
    """An ordinary server's."""
    found = ask(dict(SETTINGS), number)
    assert isinstance(found, BarmanIncoming)
    return found


def test_places_are_barmans_own() -> None:
    """As it tells them, whatever the spec leaves out; history files lie beside the directories of segments."""
    found = made("3.20.1")
    assert found.directories() == ("/barman/fresh/base", "/barman/fresh/wals", "/barman/fresh/meta")
    assert found.wal_path("00000002.history") == "/barman/fresh/wals/00000002.history"
    name = "000000010000000A000000FF"
    for suffix in ("", ".partial", ".00000028.backup"):
        assert found.wal_path(name + suffix) == f"/barman/fresh/wals/000000010000000A/{name}{suffix}"
    assert found.record(ARRIVED).owner == "barman"


@pytest.mark.parametrize("setting", ["compression", "encryption", "pre_archive_script", "post_archive_retry_script"])
def test_wal_is_plain_unless_something_is_done_with_it(setting: str) -> None:
    """Then it has to go through Barman."""
    assert made().plain
    assert not ask(SETTINGS | {setting: "gzip"}).plain


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"passive_node": True}, "passive"),
        ({"active": False}, "not active"),
        ({"disabled": True}, "not enabled"),
        ({"wals_directory": "s3://bucket/wals"}, "not on its own disk"),
    ],
)
def test_a_server_that_takes_nothing_in_is_refused(changes: dict[str, object], said: str) -> None:
    """Before anything is done."""
    with pytest.raises(EngineUnsupported, match=said):
        ask(SETTINGS | changes)


def test_a_server_that_barman_does_not_know_is_an_error() -> None:
    """Its configuration is not in place."""
    answer = json.dumps({"_ERROR": ["Unknown server 'fresh server'"]}).encode()
    with pytest.raises(EngineFailed, match="Unknown server"):
        Replay({"-f json show-servers fresh server": (1, answer, b"")}).hold(incoming(request()))


@pytest.mark.parametrize(
    "main",
    ["[barman]\nbarman_home = /b\nconfiguration_files_directory = /etc/barman.d\n", "[barman]\nbarman_home=/b\n"],
)
def test_the_private_configuration_wins(main: str) -> None:
    """The files in place, another directory of further ones, and last what makes it take WAL from the private place."""
    files = (
        NativeFile(path="/etc/barman.conf", content=main.encode(), role="main"),
        NativeFile(path="/etc/barman.d/zz.conf", content=b"[fresh server]\narchiver = off\n", role="include"),
    )
    written = made().reception(files, RECEPTION)
    assert {(file.mode, file.owner) for file in written} == {(0o600, "barman")}
    texts = {file.path: file.text for file in written}
    assert "configuration_files_directory = /work/taking/configuration.d\n" in texts["/work/taking/barman.conf"]
    assert "/etc/barman.d" not in texts["/work/taking/barman.conf"]
    last = max(path for path in texts if path.startswith("/work/taking/configuration.d/"))
    assert "[fresh server]\narchiver = on\n" in texts[last]
    assert "incoming_wals_directory = /work/incoming\nerrors_directory = /work/errors\n" in texts[last]
    assert made().take_in(RECEPTION).argv[:3] == ("barman", "-c", "/work/taking/barman.conf")


def ended(stdout: str, code: int = 0) -> Outcome:
    """An `archive-wal` that ended."""
    return Outcome(command=made().take_in(RECEPTION), exit_code=code, stdout=stdout.encode())


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (lambda: ended('{"_ERROR": ["Another process is holding the lock"]}'), Busy),
        (lambda: ended('{"_EXCEPTION": ["[Errno 28] No space left on device"]}'), EngineFailed),
        (lambda: ended("", 1), EngineFailed),
    ],
)
def test_errors_are_errors_whatever_the_exit_code(outcome: Callable[[], Outcome], error: type[Exception]) -> None:
    """Barman reports some with exit code 0."""
    with pytest.raises(error):
        made().check(outcome())


def test_an_ordinary_end_is_none() -> None:
    """What it informs about does not matter."""
    made().check(ended('{"_INFO": ["Processing xlog segments"]}'))
