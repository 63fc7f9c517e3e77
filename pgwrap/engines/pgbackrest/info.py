"""`pgbackrest info --output=json` as typed facts, for 2.45 to 2.60. It judges nothing and asks nothing.

Source of the shape: pgBackRest's src/command/info/info.c. Keys that some versions leave out are None here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.facts import BackupType, Tablespace
from pgwrap.domain.wal import Lsn, is_segment_name
from pgwrap.errors import OutputNotUnderstood
from pgwrap.records import dataclass
from pgwrap.text.json_fields import Fields, WrongField, fields_of

_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"\s*")
_TYPES: dict[str, BackupType] = {"full": "full", "diff": "differential", "incr": "incremental"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryInfo:
    """One repository's state; codes are those of info.c (0 ok, 1 missing path, 2 no backup, 3 no data, 99 error)."""

    key: int
    cipher: str | None
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """One entry of the PostgreSQL history of a stanza in one repository."""

    id: int
    repository_key: int
    system_identifier: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInfo:
    """One WAL archive ("15-1"); minimum and maximum are file names, None while it is empty."""

    id: str
    database_id: int
    repository_key: int
    minimum: str | None
    maximum: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupInfo:
    """One backup in one repository; sizes are bytes. `lsn_start` and `wal_start` are None for an offline backup."""

    label: str
    type: BackupType
    repository_key: int
    database_id: int
    started_at: datetime
    stopped_at: datetime
    prior: str | None
    reference: tuple[str, ...]
    wal_start: str | None
    wal_stop: str | None
    lsn_start: Lsn | None
    lsn_stop: Lsn | None
    size: int | None
    delta: int | None
    repository_delta: int | None
    page_errors: bool | None
    annotations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockInfo:
    """A lock on the host that ran `info`; sizes are bytes and only there while a backup copies (2.48+)."""

    held: bool = False
    total_bytes: int | None = None
    done_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StanzaInfo:
    """Everything `info` says of one stanza; `name` is "[invalid]" when no repository could be listed."""

    name: str
    cipher: str | None
    code: int
    message: str
    repositories: tuple[RepositoryInfo, ...]
    databases: tuple[DatabaseInfo, ...]
    archives: tuple[ArchiveInfo, ...]
    backups: tuple[BackupInfo, ...]
    backup_lock: LockInfo
    restore_lock: LockInfo


def segments_in(stanza: StanzaInfo, key: int) -> int:
    """About how many WAL segments (of 16 MB, without gaps) its archives in repository `key` hold."""
    ends = ((one.minimum, one.maximum) for one in stanza.archives if one.repository_key == key)
    return sum(_position(last) - _position(first) + 1 for first, last in ends if first and last)


def _position(segment: str) -> int:
    """Where a segment stands on its timeline, counted in segments; 0 for what is no name of one."""
    return int(segment[8:16] + segment[22:24], 16) if is_segment_name(segment) else 0


def stanzas_from(stdout: bytes) -> tuple[StanzaInfo, ...]:
    """Read the whole answer; raises OutputNotUnderstood.

    Warnings may precede the JSON on stdout (2.53+), and error texts inside it may hold control characters and bytes
    that are not UTF-8.
    """
    stanzas = enumerate(_decoded(stdout.decode(errors="replace")))
    try:
        return tuple(_stanza(fields_of(value, f"info[{index}]")) for index, value in stanzas)
    except WrongField as error:
        raise OutputNotUnderstood(f"in the answer of `info`, {error}") from error


def parse_tablespaces(text: str, label: str) -> tuple[Tablespace, ...]:
    """The tablespaces of the backup that `info --set` was asked for; OutputNotUnderstood when it is not there."""
    try:
        for value in _decoded(text):
            for backup in fields_of(value, "the stanza").children("backup"):
                if backup.text("label") == label:
                    return _tablespaces(backup)
    except WrongField as error:
        raise OutputNotUnderstood(f"in the answer of `info`, {error}") from error
    raise OutputNotUnderstood(f"`info` tells nothing of backup {label}")


def _tablespaces(backup: Fields) -> tuple[Tablespace, ...]:
    if "tablespace" not in backup.values:
        raise backup.wrong("tablespace", "there")
    found = () if backup.values["tablespace"] is None else backup.children("tablespace")
    return tuple(
        Tablespace(name=one.text("name"), oid=one.integer("oid"), location=one.text("destination")) for one in found
    )


def _decoded(text: str) -> Iterator[object]:
    """The stanzas of the list one by one, so that only one at a time is held as raw JSON."""
    position = _after_space(text, 0) if text.lstrip().startswith("[") else text.find("\n[") + 1
    if text[position : position + 1] != "[":
        raise OutputNotUnderstood(f"`info` printed no JSON list but {_excerpt(text)}")
    position = _after_space(text, position + 1)
    while text[position : position + 1] != "]":
        try:
            value, position = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise OutputNotUnderstood(f"`info` printed broken or truncated JSON: {error}") from error
        yield value
        position = _after_comma(text, _after_space(text, position))


def _after_comma(text: str, position: int) -> int:
    """Where the next entry begins; the list's end stays where it is."""
    if text[position : position + 1] == "]":
        return position
    if text[position : position + 1] != ",":
        raise OutputNotUnderstood(f"`info` printed broken or truncated JSON: no comma at character {position}")
    return _after_space(text, position + 1)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _excerpt(text: str) -> str:
    return repr(text.strip()[:120]) if text.strip() else "nothing"


def _stanza(entry: Fields) -> StanzaInfo:
    status = entry.child("status")
    lock = status.child("lock")
    return StanzaInfo(
        name=entry.text("name"),
        cipher=entry.optional_text("cipher"),
        code=status.integer("code"),
        message=status.text("message"),
        repositories=tuple(_repository(repository) for repository in entry.children("repo")),
        databases=tuple(_database(database) for database in entry.children("db")),
        archives=tuple(_archive(archive) for archive in entry.children("archive")),
        backups=tuple(_backup(backup) for backup in entry.children("backup")),
        backup_lock=_lock(lock.child("backup")),
        restore_lock=_lock(lock.child("restore")),
    )


def _repository(entry: Fields) -> RepositoryInfo:
    status = entry.child("status")
    return RepositoryInfo(
        key=entry.integer("key"),
        cipher=entry.optional_text("cipher"),
        code=status.integer("code"),
        message=status.text("message"),
    )


def _database(entry: Fields) -> DatabaseInfo:
    return DatabaseInfo(
        id=entry.integer("id"),
        repository_key=entry.integer("repo-key"),
        system_identifier=str(entry.integer("system-id")),
        version=entry.text("version"),
    )


def _archive(entry: Fields) -> ArchiveInfo:
    database = entry.child("database")
    return ArchiveInfo(
        id=entry.text("id"),
        database_id=database.integer("id"),
        repository_key=database.integer("repo-key"),
        minimum=entry.optional_text("min"),
        maximum=entry.optional_text("max"),
    )


def _backup(entry: Fields) -> BackupInfo:
    database, timestamp, archive = entry.child("database"), entry.child("timestamp"), entry.child("archive")
    lsn, sizes = entry.child("lsn"), entry.child("info")
    return BackupInfo(
        label=entry.text("label"),
        type=_backup_type(entry),
        repository_key=database.integer("repo-key"),
        database_id=database.integer("id"),
        started_at=timestamp.epoch("start"),
        stopped_at=timestamp.epoch("stop"),
        prior=entry.optional_text("prior"),
        reference=entry.texts("reference"),
        wal_start=archive.optional_text("start"),
        wal_stop=archive.optional_text("stop"),
        lsn_start=lsn.optional_lsn("start"),
        lsn_stop=lsn.optional_lsn("stop"),
        size=sizes.optional_integer("size"),
        delta=sizes.optional_integer("delta"),
        repository_delta=sizes.child("repository").optional_integer("delta"),
        page_errors=entry.optional_flag("error"),
        annotations=entry.pairs("annotation"),
    )


def _backup_type(entry: Fields) -> BackupType:
    try:
        return _TYPES[entry.text("type")]
    except KeyError as error:
        raise entry.wrong("type", f"one of {', '.join(_TYPES)}") from error


def _lock(entry: Fields) -> LockInfo:
    return LockInfo(
        held=entry.optional_flag("held") or False,
        total_bytes=entry.optional_integer("size"),
        done_bytes=entry.optional_integer("size-cplt"),
    )
