"""What PostgreSQL's answers to `pgwrap.system.statements` mean. It connects to nothing and knows no driver."""

from __future__ import annotations

from collections.abc import Mapping

from pgwrap.domain.facts import Archiver, PostgresView, ReplicationSlot
from pgwrap.domain.wal import Timeline
from pgwrap.text.json_fields import Fields


def unreachable(error: str) -> PostgresView:
    """The view of a server that gave no answer."""
    return PostgresView(reachable=False, error=error)


def view_of(answer: Mapping[str, object]) -> PostgresView:
    """A server's answer: `error`, or the column of `SERVER` with the values of `OPTIONAL` (null: not to be had).

    ValueError when it is none of ours.
    """
    fields = Fields(None, "the answer", answer)
    error = fields.optional_text("error")
    if error is not None:
        return unreachable(error)
    if "slots" not in answer:  # `SERVER` always has some, or an empty list
        raise fields.wrong("slots", "there")
    return PostgresView(
        reachable=True,
        version=fields.optional_text("version"),
        version_number=fields.optional_integer("version_number"),
        system_identifier=fields.optional_text("system_identifier"),
        in_recovery=fields.optional_flag("in_recovery"),
        timeline=_timeline(fields),
        data_checksums=fields.optional_flag("data_checksums"),
        archiver=_archiver(_row(fields, "archiver")),
        current_lsn=fields.optional_lsn("position"),
        wal_segment_size=fields.optional_integer("wal_segment_size"),
        ready_segments=fields.optional_integer("ready"),
        clock=fields.optional_moment("clock"),
        settings=tuple(sorted((name, str(value)) for name, value in _row(fields, "settings").values.items())),
        pending=fields.texts("pending"),
        slots=tuple(_slot(slot) for slot in fields.children("slots")),
    )


def _row(fields: Fields, key: str) -> Fields:
    """A row, empty where there is none: PostgreSQL's json_object_agg makes null of no rows."""
    return Fields(None, key, {}) if fields.values.get(key) is None else fields.child(key)


def _timeline(fields: Fields) -> Timeline | None:
    """A primary's is that of the segment it writes; a standby's is what it receives, else its last checkpoint's.

    A primary's checkpoint would be wrong: after a promotion it tells the old timeline until the next one is done.
    """
    segment = fields.optional_text("segment")
    if segment:
        return Timeline(int(segment[:8], 16))
    known = fields.optional_integer("received_timeline") or fields.optional_integer("checkpoint_timeline")
    return Timeline(known) if known else None


def _archiver(row: Fields) -> Archiver | None:
    if not row.values:
        return None
    return Archiver(
        last_archived_wal=row.optional_text("last_archived_wal"),
        last_archived_at=row.optional_moment("last_archived_time"),
        last_failed_wal=row.optional_text("last_failed_wal"),
        last_failed_at=row.optional_moment("last_failed_time"),
        failed_count=row.optional_integer("failed_count") or 0,
    )


def _slot(row: Fields) -> ReplicationSlot:
    return ReplicationSlot(
        name=row.optional_text("slot_name") or "",
        active=bool(row.optional_flag("active")),
        restart_lsn=row.optional_lsn("restart_lsn"),
        written_lsn=row.optional_lsn("write_lsn"),
        write_lag_seconds=row.optional_number("write_lag"),
    )
