"""What PostgreSQL is asked, and what its answers mean. It connects to nothing and knows no driver.

The statements run on PostgreSQL 10 and later. `SERVER` is for everybody; each of `OPTIONAL` may fail for want of
privileges or on a standby, and then only that fact stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pgwrap.domain.facts import Archiver, PostgresView, ReplicationSlot
from pgwrap.domain.wal import Lsn, Timeline

SETTINGS = (
    "archive_command",
    "archive_library",
    "archive_mode",
    "archive_timeout",
    "cluster_name",
    "data_directory",
    "max_replication_slots",
    "max_wal_senders",
    "port",
    "summarize_wal",
    "synchronous_standby_names",
    "unix_socket_directories",
    "wal_level",
)
"""Those that this server knows, and shows to this role, come back as pg_settings has them."""

SERVER = """
select json_build_object(
    'version', split_part(current_setting('server_version'), ' ', 1),
    'version_number', current_setting('server_version_num')::int,
    'in_recovery', pg_is_in_recovery(),
    'data_checksums', current_setting('data_checksums') = 'on',
    'wal_segment_size', pg_size_bytes(current_setting('wal_segment_size')),
    'clock', clock_timestamp(),
    'settings', (select json_object_agg(name, setting) from pg_settings where name = any(%s)),
    'archiver', (select row_to_json(a) from (
        select last_archived_wal, last_archived_time, last_failed_wal, last_failed_time, failed_count
        from pg_stat_archiver) a),
    'slots', (select coalesce(json_agg(row_to_json(s)), '[]') from (
        select slot_name, active, restart_lsn, write_lsn, extract(epoch from write_lag)::float as write_lag
        from pg_replication_slots left join pg_stat_replication on pid = active_pid
        where slot_type = 'physical' order by slot_name) s))
"""
OPTIONAL = {
    "position": (
        "select (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text"
    ),
    "segment": "select case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_lsn()) end",
    "received_timeline": "select received_tli from pg_stat_wal_receiver",
    "checkpoint_timeline": "select timeline_id from pg_control_checkpoint()",
    "system_identifier": "select system_identifier::text from pg_control_system()",
    "ready": "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'",
}


def unreachable(error: str) -> PostgresView:
    """The view of a server that gave no answer."""
    return PostgresView(reachable=False, error=error)


def view_of(answer: Mapping[str, object]) -> PostgresView:
    """A server's answer: `error`, or the column of `SERVER` with the values of `OPTIONAL` (null: not to be had).

    ValueError when it is none of ours.
    """
    error = _text(answer, "error")
    if error is not None:
        return unreachable(error)
    position = _text(answer, "position")
    return PostgresView(
        reachable=True,
        version=_text(answer, "version"),
        version_number=_number(answer, "version_number"),
        system_identifier=_text(answer, "system_identifier"),
        in_recovery=_truth(answer, "in_recovery"),
        timeline=_timeline(answer),
        data_checksums=_truth(answer, "data_checksums"),
        archiver=_archiver(_fields(answer, "archiver")),
        current_lsn=Lsn.parse(position) if position else None,
        wal_segment_size=_number(answer, "wal_segment_size"),
        ready_segments=_number(answer, "ready"),
        clock=_moment(answer, "clock"),
        settings=tuple(sorted((name, str(value)) for name, value in _fields(answer, "settings").items())),
        slots=tuple(_slot(slot) for slot in _rows(answer, "slots")),
    )


def _timeline(answer: Mapping[str, object]) -> Timeline | None:
    """A primary's is that of the segment it writes; a standby's is what it receives, else its last checkpoint's.

    A primary's checkpoint would be wrong: after a promotion it tells the old timeline until the next one is done.
    """
    segment = _text(answer, "segment")
    if segment:
        return Timeline(int(segment[:8], 16))
    known = _number(answer, "received_timeline") or _number(answer, "checkpoint_timeline")
    return Timeline(known) if known else None


def _archiver(row: Mapping[str, object]) -> Archiver | None:
    if not row:
        return None
    return Archiver(
        last_archived_wal=_text(row, "last_archived_wal"),
        last_archived_at=_moment(row, "last_archived_time"),
        last_failed_wal=_text(row, "last_failed_wal"),
        last_failed_at=_moment(row, "last_failed_time"),
        failed_count=_number(row, "failed_count") or 0,
    )


def _slot(row: Mapping[str, object]) -> ReplicationSlot:
    return ReplicationSlot(
        name=_text(row, "slot_name") or "",
        active=bool(_truth(row, "active")),
        restart_lsn=_lsn(row, "restart_lsn"),
        written_lsn=_lsn(row, "write_lsn"),
        write_lag_seconds=_seconds(row, "write_lag"),
    )


def _lsn(row: Mapping[str, object], name: str) -> Lsn | None:
    text = _text(row, name)
    return Lsn.parse(text) if text else None


def _seconds(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return None if value is None else float(value)
    raise ValueError(f"{name} is not a number of seconds: {value!r}")


def _text(row: Mapping[str, object], name: str) -> str | None:
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name} is not text: {value!r}")


def _number(row: Mapping[str, object], name: str) -> int | None:
    value = row.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{name} is not a whole number: {value!r}")


def _truth(row: Mapping[str, object], name: str) -> bool | None:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"{name} is not true or false: {value!r}")


def _moment(row: Mapping[str, object], name: str) -> datetime | None:
    text = _text(row, name)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _fields(row: Mapping[str, object], name: str) -> dict[str, object]:
    value = row.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise ValueError(f"{name} is not an object: {value!r}")


def _rows(row: Mapping[str, object], name: str) -> tuple[dict[str, object], ...]:
    value = row.get(name)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return tuple(value)
    raise ValueError(f"{name} is not a list of objects: {value!r}")
