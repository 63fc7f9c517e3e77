"""The readers give the same facts from every recorded version, and never a password."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pgwrap.domain.facts import ReplicationSlot, Tablespace
from pgwrap.domain.wal import Lsn, SegmentRange, Timeline
from pgwrap.engines.barman.parse import (
    parse_diagnosis,
    parse_listing,
    parse_overrides,
    parse_taken,
    parse_wal_list,
)
from pgwrap.engines.barman.versions import parse_version
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import OutputNotUnderstood

VERSIONS = ("3.4.0", "3.10.1", "3.13.3", "3.17.0", "3.19.1", "3.20.1")
Recording = Callable[[str], str]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_diagnosis_names_its_version_and_every_server(recording: Recording, version: str) -> None:
    """The four servers of the recording are read in each version."""
    diagnosis = parse_diagnosis(recording(f"{version}/30_diagnose_raw.out"))

    assert (version, f"/srv/lab/h/{version}") == (diagnosis.version, diagnosis.home)
    assert ["s1", "s2", "s3", "s4"] == [server.name for server in diagnosis.servers]
    assert [True, True, False, True] == [server.settings.active for server in diagnosis.servers]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_diagnosis_gives_aware_utc_times_and_positions(recording: Recording, version: str) -> None:
    """Every backup that ended has its times, segments and positions."""
    backups = parse_diagnosis(recording(f"{version}/30_diagnose_raw.out")).servers[0].backups

    assert len(backups) == 4
    for backup in backups:
        assert backup.stopped_at is not None
        assert UTC == backup.stopped_at.tzinfo
        assert (150018, 16 << 20, Timeline(1)) == (backup.version, backup.segment_size, backup.timeline)
        assert backup.begin_lsn is not None
        assert backup.end_lsn is not None
        assert backup.begin_lsn < backup.end_lsn


@pytest.mark.parametrize("version", VERSIONS)
def test_a_diagnosis_tells_each_backups_tablespaces(recording: Recording, version: str) -> None:
    """The server of the recordings has one."""
    backups = parse_diagnosis(recording(f"{version}/30_diagnose_raw.out")).servers[0].backups
    number = 16387 if version == "3.20.1" else 16391

    assert {(Tablespace(name="ts1", oid=number, location="/srv/lab/ts1"),)} == {one.tablespaces for one in backups}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"tablespaces": None}, ()),
        ({}, None),
        ({"tablespaces": [["a", 16387, "/a"], ["b", "16388", "/b"]]}, None),
        ({"tablespaces": [["a", 16387]]}, None),
        ({"tablespaces": "[('a', 16387, '/a')]"}, None),
        ({"tablespaces": [{"name": "a", "oid": 16387, "location": "/a"}]}, None),
    ],
)
def test_tablespaces_that_are_not_all_told_are_not_known(said: dict[str, object], expected: object) -> None:
    """Barman's null is none; whatever else is not its list of three says nothing, so that a restore asks."""
    text = json.dumps({"global": {}, "servers": {"s": {"backups": {"1": {"status": "DONE"} | said}}}})

    assert expected == parse_diagnosis(text).servers[0].backups[0].tablespaces


def test_the_status_of_a_server_is_read(recording: Recording) -> None:
    """Position, slot and identity as Barman asked them from PostgreSQL."""
    status = parse_diagnosis(recording("3.4.0/30_diagnose_raw.out")).servers[0].status

    assert Lsn.parse("0/3E000090") == status.position
    assert ReplicationSlot(name="s1_3_4_0", active=True, restart_lsn=Lsn.parse("0/3E000000")) == status.slot
    assert ("7710953419407558548", "15.18", 16 << 20) == (
        status.system_identifier,
        status.version,
        status.segment_size,
    )


def test_a_server_without_postgresql_tells_its_connection_error(recording: Recording) -> None:
    """The error is one line, and the rest of the status is unknown."""
    status = parse_diagnosis(recording("3.19.1/30_diagnose_raw.out")).servers[3].status

    assert status.connection_error is not None
    assert "No such file or directory" in status.connection_error
    assert (None, None) == (status.position, status.slot)


@pytest.mark.parametrize("version", ["3.4.0", "3.19.1"])
def test_the_json_form_of_a_diagnosis_reads_like_the_raw_one(recording: Recording, version: str) -> None:
    """`-f json` wraps the document in a string."""
    raw = parse_diagnosis(recording(f"{version}/30_diagnose_raw.out"))
    wrapped = parse_diagnosis(recording(f"{version}/31_diagnose_json.out"))

    assert [server.settings for server in raw.servers] == [server.settings for server in wrapped.servers]
    assert [server.backups for server in raw.servers] == [server.backups for server in wrapped.servers]


def test_a_diagnosis_with_config_sources_reads_alike(recording: Recording) -> None:
    """`--show-config-source` wraps every option."""
    plain = parse_diagnosis(recording("3.19.1/30_diagnose_raw.out"))
    sourced = parse_diagnosis(recording("3.19.1/60_diagnose_source.out"))

    assert plain.home == sourced.home
    assert [server.settings for server in plain.servers] == [server.settings for server in sourced.servers]


def test_a_seeded_diagnosis_with_a_snapshot_is_read(recording: Recording) -> None:
    """The snapshot, the inactive server and the policies come through the wrapped form of 3.17."""
    servers = {server.name: server for server in parse_diagnosis(recording("seeded/107-diagnose.json")).servers}

    assert [True] == [backup.snapshot for backup in servers["snap"].backups]
    assert not servers["old"].settings.active


@pytest.mark.parametrize("version", VERSIONS)
def test_no_password_is_kept(recording: Recording, version: str) -> None:
    """The recordings hold `s3cret`; what is read from them does not."""
    diagnosis = parse_diagnosis(recording(f"{version}/30_diagnose_raw.out"))
    wal = parse_wal_list(recording(f"{version}/43_sync_info.out"), None)

    assert "s3cret" in recording(f"{version}/43_sync_info.out")
    assert "s3cret" not in repr(diagnosis) + repr(wal)


def test_passwords_in_messages_are_masked() -> None:
    """Barman's JSON writer masks nothing."""
    text = json.dumps({"_ERROR": ["no: host=a password='x y' b", "postgresql://u:pw@h/db"], "s": []})

    errors = parse_listing(text).messages.errors

    assert ("no: host=a password=*REDACTED* b", "postgresql://u:*REDACTED*@h/db") == errors


@pytest.mark.parametrize("version", VERSIONS)
def test_a_listing_gives_every_backup_with_its_retention(recording: Recording, version: str) -> None:
    """The kept backup, and an end time from the epoch rather than the local text."""
    listing = parse_listing(recording(f"{version}/22_list_backups_all.out"))

    assert "KEEP:STANDALONE" == listing.servers["s1"][-1].retention
    assert (4, 3) == (len(listing.servers["s1"]), len(listing.servers["s2"]))
    assert all(line.ended_at is not None and line.ended_at.tzinfo is UTC for line in listing.servers["s1"])


def test_a_listing_with_an_exception_beside_partial_data_keeps_both(recording: Recording) -> None:
    """An older Barman on a newer catalog answers so, with exit code 1."""
    listing = parse_listing(recording("seeded/101-list-backups.json"))

    assert {"main": ()} == listing.servers
    assert "'LocalBackupInfo' object has no attribute 'backup_name'" in listing.messages.errors[0]


def test_a_backup_in_progress_has_no_end(recording: Recording) -> None:
    """Only id and status are printed for it."""
    (line,) = (
        b for b in parse_listing(recording("seeded/063-list-backups.json")).servers["pg"] if b.status == "STARTED"
    )

    assert None is line.ended_at


@pytest.mark.parametrize(
    ("version", "first", "last"), [("3.4.0", 0x30, 0x3A), ("3.13.3", 0x52, 0x5D), ("3.20.1", 0x06, 0x11)]
)
def test_a_wal_list_gives_the_unbroken_ranges(recording: Recording, version: str, first: int, last: int) -> None:
    """History and backup files are not segments."""
    wal = parse_wal_list(recording(f"{version}/43_sync_info.out"), None)

    assert (SegmentRange(Timeline(1), first, last),) == wal.ranges
    assert f"{1:08X}{0:08X}{last:08X}" == wal.maximum


def test_a_missing_wal_file_breaks_the_range() -> None:
    """Names out of order, a history file and a hole."""
    names = ["000000010000000000000005", "00000002.history", "000000010000000000000003", "000000010000000000000002"]
    wals = [{"name": name, "time": 1.5, "size": 1, "compression": None} for name in names]

    wal = parse_wal_list(json.dumps({"backups": {}, "wals": wals, "version": "3.4.0", "config": {}}), 16 << 20)

    assert (SegmentRange(Timeline(1), 2, 3), SegmentRange(Timeline(1), 5, 5)) == wal.ranges
    assert datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC) == wal.newest_at


def test_the_segment_size_decides_what_a_name_means() -> None:
    """With 1 MB segments a name can end in 0xFFF; with 16 MB it cannot exist."""
    wals = [{"name": "000000010000000000000FFF", "time": 1, "compression": None}]
    text = json.dumps({"backups": {}, "wals": wals})

    assert (SegmentRange(Timeline(1), 0xFFF, 0xFFF),) == parse_wal_list(text, 1 << 20).ranges
    with pytest.raises(OutputNotUnderstood):
        parse_wal_list(text, 16 << 20)


@pytest.mark.parametrize("text", ["", "nonsense", "{", "[]", '{"_INFO": ["hello"]}', '{"a": 1', "\x00\xff"])
def test_nonsense_is_not_understood(text: str) -> None:
    """Never an empty answer for an unreadable one."""
    with pytest.raises(OutputNotUnderstood):
        parse_diagnosis(text)
    with pytest.raises(OutputNotUnderstood):
        parse_wal_list(text, None)


def test_warnings_before_the_json_do_not_matter(recording: Recording) -> None:
    """Something may print to stdout before Barman does."""
    text = "WARNING: something {odd}\nanother line\n" + recording("3.4.0/30_diagnose_raw.out")

    assert 4 == len(parse_diagnosis(text).servers)


def test_truncated_json_is_not_understood(recording: Recording) -> None:
    """A diagnosis cut in the middle is no diagnosis."""
    text = recording("3.4.0/30_diagnose_raw.out")

    with pytest.raises(OutputNotUnderstood):
        parse_diagnosis(text[: len(text) // 2])


def test_an_incremental_backup_knows_its_parent_although_barman_threw(recording: Recording) -> None:
    """The exception stands beside the whole backup in one JSON object."""
    backup, _ = parse_taken(recording("pg17-incremental/out19-inc1.json"))

    assert backup is not None
    assert ("20261122T114827", "20261122T114825") == (backup.id, backup.parent)


def test_overrides_name_options_but_no_values() -> None:
    """Values may be secrets."""
    overrides = parse_overrides("[s1]\nconninfo = password=s3cret%\ncompression = gzip\n")

    assert {"s1": ("compression", "conninfo")} == overrides


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3.4.0 Barman by EnterpriseDB (www.enterprisedb.com)\n\n", (3, 4, 0)), ("noise 1.2\nBarman 3.21\n", (3, 21))],
)
def test_the_version_is_read_from_the_line_that_names_barman(text: str, numbers: tuple[int, ...]) -> None:
    """Whatever stands before it."""
    assert EngineVersion(numbers) == parse_version(text)


def test_a_version_of_something_else_is_not_understood() -> None:
    """Another program under the name barman."""
    with pytest.raises(OutputNotUnderstood):
        parse_version("busybox 1.36")
