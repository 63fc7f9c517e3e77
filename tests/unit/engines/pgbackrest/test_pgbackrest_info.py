"""Reading `info --output=json`, on genuine answers of three versions."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwrap.domain.wal import Lsn
from pgwrap.engines.pgbackrest.info import stanzas_from
from pgwrap.errors import OutputNotUnderstood
from tests.unit.engines.pgbackrest.pgbackrest_fleet import RECORDINGS, VERSIONS, recorded

EVERY_INFO = sorted(path.relative_to(RECORDINGS) for path in RECORDINGS.glob("*/info_*.json"))


@pytest.mark.parametrize("path", EVERY_INFO, ids=str)
def test_every_recorded_answer_is_read(path: str) -> None:
    """Whatever state a stanza was in, its answer becomes one StanzaInfo."""
    stanzas = stanzas_from((RECORDINGS / path).read_bytes())
    assert 1 == len(stanzas)


def test_backups_of_two_repositories_are_told_apart() -> None:
    """A backup belongs to the repository that its database names."""
    stanza = stanzas_from(recorded("2.45", "info_ok.json"))[0]
    assert ["20261122-111953F"] == [backup.label for backup in stanza.backups if backup.repository_key == 2]


def test_a_backup_keeps_its_times_positions_and_chain() -> None:
    """Times become aware UTC, positions Lsn, and the reference list what a restore needs."""
    stanza = stanzas_from(recorded("2.60.0", "info_ok.json"))[0]
    backup = stanza.backups[3]
    assert ("incremental", "20261122-111950F_20261122-111959I") == (backup.type, backup.label)
    assert datetime(2026, 11, 22, 11, 19, 59, tzinfo=UTC) == backup.started_at
    assert (Lsn.parse("0/8000028"), Lsn.parse("0/9000050")) == (backup.lsn_start, backup.lsn_stop)
    assert ("20261122-111950F", "20261122-111950F_20261122-111956D") == backup.reference
    assert backup.reference[-1] == backup.prior


def test_annotations_are_kept() -> None:
    """Annotations come as pairs of text."""
    stanza = stanzas_from(recorded("2.45", "info_ok.json"))[0]
    assert (("note", "two words"), ("src", "barman")) == stanza.backups[1].annotations


def test_the_system_identifier_is_not_rounded() -> None:
    """It exceeds what a double holds, so it is kept as text."""
    stanza = stanzas_from(recorded("2.60.0", "info_multidb.json"))[0]
    assert {"7710953847771178519", "7710955316570680863"} == {one.system_identifier for one in stanza.databases}


@pytest.mark.parametrize("version", VERSIONS)
def test_warnings_before_the_json_are_skipped(version: str) -> None:
    """From 2.53 on, warnings about the configuration come on stdout, before the JSON."""
    assert ("main",) == tuple(stanza.name for stanza in stanzas_from(recorded(version, "info_warnings.out")))


@pytest.mark.parametrize("version", VERSIONS)
def test_raw_bytes_in_an_error_message_do_no_harm(version: str) -> None:
    """With a wrong passphrase the message quotes the encrypted file."""
    stanza = stanzas_from(recorded(version, "info_wrong_passphrase.bin"))[0]
    assert (0, 99) == tuple(repository.code for repository in stanza.repositories)


def test_control_characters_in_an_error_message_do_no_harm() -> None:
    """The JSON is not valid then, and yet the other repository's backup must be seen."""
    stanza = stanzas_from(recorded("2.60.0", "info_invalid_json_control_chars.bin"))[0]
    assert ["20261122-114755F"] == [backup.label for backup in stanza.backups]


def test_an_offline_backup_has_no_positions() -> None:
    """The key `lsn` is absent and the WAL names are null."""
    backup = stanzas_from(recorded("2.60.0", "info_invalid_json_control_chars.bin"))[0].backups[0]
    assert (None, None, None, None) == (backup.lsn_start, backup.lsn_stop, backup.wal_start, backup.wal_stop)


@pytest.mark.parametrize(("version", "sizes"), [("2.45", None), ("2.55.1", 299931217), ("2.60.0", 299931217)], ids=str)
def test_a_running_backup_holds_the_lock(version: str, sizes: int | None) -> None:
    """Sizes are told from 2.48 on."""
    lock = stanzas_from(recorded(version, "info_running.json"))[0].backup_lock
    assert (True, sizes) == (lock.held, lock.total_bytes)


def test_no_stanza_at_all_is_an_empty_answer() -> None:
    """An empty repository answers with an empty list."""
    assert () == stanzas_from(b"[]\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"command not found\n",
        b'{"name":"main"}',
        b"[",
        b"[1]",
        b'[{"name":1}]',
        b'[{"name":"main"}]',
        b'[{"name":"m","status":{"code":"0","message":"ok"}}]',
        b'[{"name":"m","status":{"code":0,"message":"ok"},"repo":{}}]',
        b"[" * 100_000,
    ],
    ids=str,
)
def test_nonsense_is_refused(answer: bytes) -> None:
    """What no version prints is OutputNotUnderstood, never a crash or a guess."""
    with pytest.raises(OutputNotUnderstood):
        stanzas_from(answer)


@given(st.integers(min_value=1, max_value=1400))
def test_a_truncated_answer_is_refused(length: int) -> None:
    """An answer that was cut anywhere is not half believed."""
    whole = recorded("2.45", "info_ok.json")
    with pytest.raises(OutputNotUnderstood):
        stanzas_from(whole[:length])


_KEYS = ["name", "status", "code", "message", "lock", "repo", "db", "archive", "backup", "info", "type", "timestamp"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=12,
)


@given(st.lists(_JSON, max_size=3))
def test_any_json_is_read_or_refused(value: list[object]) -> None:
    """No shape of JSON leads to another error than OutputNotUnderstood."""
    with contextlib.suppress(OutputNotUnderstood):
        stanzas_from(json.dumps(value).encode())
