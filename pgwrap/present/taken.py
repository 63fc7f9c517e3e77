"""`pgwrap backup` in its forms. It takes no backup."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pgwrap.domain.taking import FleetTaken, TakenBackup
from pgwrap.errors import PgwrapError
from pgwrap.present.encode import Json
from pgwrap.present.envelope import envelope, error_entries
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

BACKUP_SCHEMA: Final = "pgwrap/backup/1"


def taken_json(fleet: FleetTaken, errors: tuple[PgwrapError, ...], now: datetime) -> str:
    """The whole answer as JSON text; `partial` when some backup was not taken."""
    return json_text(taken_data(fleet, errors, now))


def taken_data(fleet: FleetTaken, errors: tuple[PgwrapError, ...], now: datetime) -> Json:
    """The whole answer as data."""
    entries = tuple(entry for error in errors for entry in error_entries(error))
    return envelope(BACKUP_SCHEMA, fleet, entries, now, "partial" if errors else "success")


def taken_text(fleet: FleetTaken) -> str:
    """The id of one backup, for a script; of several a line each with whose it is, and what became of it."""
    if len(fleet.backups) == 1:
        return fleet.backups[0].id or ""
    rows = [(one.cluster, one.repository or "-", one.id or "-", one.type or "-", one.state) for one in fleet.backups]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(harmless(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def remarks(taken: TakenBackup, *, verbose: bool) -> tuple[str, ...]:
    """What the operator should know of one result besides its id; the engine's own notes where they are wanted."""
    about = f"{taken.cluster} in {taken.repository}" if taken.repository else taken.cluster
    lines = []
    if taken.state == "skipped":
        lines.append(f"{about}: no backup is taken here: {taken.reason}")
    if taken.state == "waiting_for_wal":
        late = f" ({taken.reason})" if taken.reason else ""
        waits = f"{taken.id} can be restored once its last WAL segment is archived{late}"
        lines.append(f"{about}: {waits}; ask `pgwrap status {taken.cluster}`")
    lines += [f"{about}: {note}" for note in taken.notes if verbose]
    return tuple(lines)
