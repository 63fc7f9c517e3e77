"""Readers of what Barman 3.4 to 3.20 prints: text in, catalog types out. They keep no configuration, which may hold
passwords, and judge nothing.

Shapes: barman/diagnose.py, barman/output.py (JsonOutputWriter), barman/infofile.py (BackupInfo.to_json),
barman/server.py (sync_status).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from datetime import datetime
from typing import Final

from pgwrap.domain.facts import ReplicationSlot, Tablespace
from pgwrap.domain.wal import DEFAULT_SEGMENT_SIZE, Lsn, Timeline, is_segment_name, ranges_of_names
from pgwrap.engines.barman.catalog import (
    CatalogBackup,
    Diagnosis,
    ListedBackup,
    Listing,
    Model,
    NewestWal,
    ServerReport,
    ServerSettings,
    ServerStatus,
    SyncInfo,
    WalList,
)
from pgwrap.engines.barman.envelope import messages_of, read_object, redacted, redacted_all
from pgwrap.engines.barman.records import Record
from pgwrap.errors import OutputNotUnderstood

_MODEL_IDENTITY: Final = frozenset({"cluster", "model", "name"})


def parse_diagnosis(text: str) -> Diagnosis:
    """Read `diagnose`, raw or as the string that `-f json` wraps it in; OutputNotUnderstood when it is neither."""
    document = read_object(text)
    if "servers" not in document.values:
        document = _wrapped(document)
    overall = document.record("global")
    return Diagnosis(
        version=overall.record("system_info").text("barman_ver"),
        home=overall.record("config").text("barman_home"),
        servers=tuple(_server(name, record) for name, record in document.record("servers").items()),
        models=tuple(_model(name, record) for name, record in document.record("models").items()),
        problems=redacted_all(overall.record("config").texts("errors_list")),
    )


def parse_listing(text: str) -> Listing:
    """Read `-f json list-backups`; servers and messages alike, also when an exception stands beside partial data."""
    envelope = read_object(text)
    servers = {
        name: tuple(_listed(record) for record in envelope.records(name))
        for name in envelope.values
        if isinstance(envelope.raw(name), list) and not name.startswith("_")
    }
    return Listing(servers=servers, messages=messages_of(envelope))


def parse_wal_list(text: str, segment_size: int | None) -> SyncInfo:
    """Read `sync-info`; `segment_size` in bytes, None when only the backups in the answer can tell it."""
    document = read_object(text, _WAL_DECODER)
    wals = document.values.get("wals")
    if not isinstance(wals, list) or "backups" not in document.values:
        raise OutputNotUnderstood("Barman's sync-info has no list of WAL files")
    backups = tuple(_backup(backup_id, record) for backup_id, record in document.record("backups").items())
    size = segment_size or next((b.segment_size for b in backups if b.segment_size), DEFAULT_SEGMENT_SIZE)
    try:
        listed = wal_list_of(((wal.name, wal.at) for wal in wals if isinstance(wal, _Wal)), size)
    except ValueError as error:
        raise OutputNotUnderstood(f"Barman's sync-info: {error}") from error
    return SyncInfo(
        version=document.text("version"),
        ranges=listed.ranges,
        minimum=listed.minimum,
        maximum=listed.maximum,
        newest_at=listed.newest_at,
        settings=_settings(document.record("config")),
        backups=backups,
    )


def wal_list_of(entries: Iterable[tuple[str, float]], segment_size: int) -> WalList:
    """The list of WAL files by name and time (seconds since 1970); ValueError for a name impossible at that size."""
    segments = [(name, at) for name, at in entries if is_segment_name(name)]
    return WalList(
        ranges=ranges_of_names((name for name, _ in segments), segment_size),
        minimum=min((name for name, _ in segments), default=None),
        maximum=max((name for name, _ in segments), default=None),
        newest_at=_newest_at(at for _, at in segments),
    )


def parse_overrides(text: str) -> dict[str, tuple[str, ...]]:
    """Read `.barman.auto.conf`, which Barman writes itself and loads last: the options set, by section; no values."""
    parser = ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except ConfigParserError as error:
        raise OutputNotUnderstood(f"Barman's .barman.auto.conf cannot be read: {type(error).__name__}") from error
    return {section: tuple(sorted(parser.options(section))) for section in parser.sections()}


def parse_taken(text: str) -> tuple[CatalogBackup | None, Record]:
    """Read `-f json backup`: the new backup (None when there is none) and the envelope that holds the messages."""
    envelope = read_object(text)
    backup_id = envelope.text("backup_id")
    return (None if backup_id is None else _backup(backup_id, envelope)), envelope


def _wrapped(envelope: Record) -> Record:
    for text in envelope.texts("_INFO"):
        if text.lstrip().startswith("{"):
            return read_object(text)
    errors = messages_of(envelope).errors
    raise OutputNotUnderstood(f"Barman's diagnose names no servers{': ' + errors[0] if errors else ''}")


def _server(name: str, record: Record) -> ServerReport:
    config = record.record("config")
    return ServerReport(
        name=name,
        settings=_settings(config),
        status=_status(record.record("status")),
        backups=tuple(_backup(backup_id, backup) for backup_id, backup in record.record("backups").items()),
        newest_wal=_newest_wal(record.record("wals").record("last_archived_wal_per_timeline")),
        active_model=record.text("active_model"),
        problems=redacted_all(record.texts("msg_list") + config.texts("msg_list")),
    )


def _settings(config: Record) -> ServerSettings:
    return ServerSettings(
        active=config.boolean("active") is not False,
        disabled=config.boolean("disabled") is True,
        passive=config.text("primary_ssh_command") is not None,
        retention_policy=config.text("retention_policy"),
        minimum_redundancy=config.integer("minimum_redundancy") or 0,
        encryption=config.text("encryption"),
        wals_directory=config.text("wals_directory"),
        xlogdb_directory=config.text("xlogdb_directory"),
    )


def _status(status: Record) -> ServerStatus:
    error = status.text("connection_error")
    return ServerStatus(
        connection_error=None if error is None else redacted(" ".join(error.split())),
        position=status.lsn("current_lsn") or status.lsn("xlogpos"),
        system_identifier=status.text("postgres_systemid") or status.text("streaming_systemid"),
        version=status.text("server_txt_version"),
        segment_size=status.integer("xlog_segment_size"),
        slot=_slot(status.raw("replication_slot")),
    )


def _slot(value: object) -> ReplicationSlot | None:
    match value:
        case [str(name), bool(active), restart_lsn]:
            return ReplicationSlot(name=name, active=active, restart_lsn=_lsn(restart_lsn))
    return None


def _lsn(value: object) -> Lsn | None:
    try:
        return Lsn.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _newest_wal(timelines: Record) -> tuple[NewestWal, ...]:
    return tuple(
        NewestWal(timeline=Timeline(int(name[:8], 16)), name=name, archived_at=wal.epoch("time"))
        for _, wal in timelines.items()
        if is_segment_name(name := wal.text("name") or "")
    )


def _model(name: str, record: Record) -> Model:
    config = record.record("config")
    return Model(
        name=name,
        options=tuple(
            sorted(key for key in config.values if key not in _MODEL_IDENTITY and config.raw(key) is not None)
        ),
    )


def _backup(backup_id: str, record: Record) -> CatalogBackup:
    statistics = record.record("copy_stats")
    return CatalogBackup(
        id=backup_id,
        name=record.text("backup_name"),
        status=record.text("status") or "",
        snapshot=record.raw("snapshots_info") is not None or (record.text("mode") or "").startswith("snapshot"),
        started_at=record.moment("begin_time") or record.moment("begin_time_iso"),
        stopped_at=record.moment("end_time") or record.moment("end_time_iso"),
        seconds=statistics.number("total_time"),
        size=record.integer("size"),
        deduplicated_size=record.integer("deduplicated_size"),
        cluster_size=record.integer("cluster_size"),
        begin_wal=record.text("begin_wal"),
        end_wal=record.text("end_wal"),
        begin_lsn=record.lsn("begin_xlog"),
        end_lsn=record.lsn("end_xlog"),
        timeline=None if (timeline := record.integer("timeline")) is None else Timeline(timeline),
        version=record.integer("version"),
        system_identifier=record.text("systemid"),
        parent=record.text("parent_backup_id"),
        segment_size=record.integer("xlog_segment_size"),
        tablespaces=_tablespaces(record.values.get("tablespaces", ...)),
        error=None if (error := record.text("error")) is None else redacted(error),
    )


def _tablespaces(value: object) -> tuple[Tablespace, ...] | None:
    """Barman writes null for a backup that has none, and else a list of name, number and place for each."""
    match value:
        case None:
            return ()
        case [*items]:
            found = tuple(
                Tablespace(name=name, oid=oid, location=location)
                for item in items
                for name, oid, location in _named(item)
            )
            return found if len(found) == len(items) else None
    return None


def _named(item: object) -> Iterator[tuple[str, int, str]]:
    match item:
        case [str(name), int(oid), str(location)]:
            yield name, oid, location


def _listed(record: Record) -> ListedBackup:
    return ListedBackup(
        id=record.text("backup_id") or "",
        status=record.text("status") or "",
        retention=record.text("retention_status") or "-",
        ended_at=record.epoch("end_time_timestamp"),
    )


def _newest_at(times: Iterable[float]) -> datetime | None:
    newest = max(times, default=None)
    return None if newest is None else Record({"time": newest}).epoch("time")


class _Wal:
    """A WAL file of sync-info; a plain slotted class, for there may be hundreds of thousands."""

    __slots__ = ("at", "name")

    def __init__(self, name: str, at: float) -> None:
        self.name = name
        self.at = at


def _slim(values: dict[str, object]) -> object:
    """Keep two fields of each WAL file while the text is decoded, so that the whole list is never held as dicts."""
    name, at = values.get("name"), values.get("time")
    if isinstance(name, str) and isinstance(at, int | float) and "compression" in values:
        return _Wal(name, at)
    return values


_WAL_DECODER: Final = json.JSONDecoder(object_hook=_slim)
