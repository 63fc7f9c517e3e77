"""The text of a backup.info, by which a directory becomes a backup of Barman's catalog. It opens no file.

Barman refuses to read any backup of a server once one has a key it does not know (3.4), so each version gets the keys
it has (barman/infofile.py of 3.4, 3.13 and 3.20), in Barman's own order and spelling.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from pgwrap.domain.wal import Lsn
from pgwrap.engines.catalog_port import Arrived
from pgwrap.engines.port import EngineVersion

SEPARATE_SINCE: Final = EngineVersion((3, 13, 2))
"""From here on in a directory of its own, meta, beside the backups."""
_SIZES_SINCE: Final = EngineVersion((3, 11))
_ENCRYPTION_SINCE: Final = EngineVersion((3, 14))


def info_path(server: str, bases: str, backup_id: str, version: EngineVersion) -> str:
    """Where this version writes it; `server` is the server's own directory, `bases` the one of its backups."""
    if version >= SEPARATE_SINCE:
        return f"{server}/meta/{backup_id}-backup.info"
    return f"{bases}/{backup_id}/backup.info"


def info_text(arrived: Arrived, server_name: str, version: EngineVersion) -> str:
    """Every key that this version has: `key=value`, sorted, None for what there is not."""
    values = {**dict(_known_to_all(arrived, server_name)), **dict(_known_since(arrived, version))}
    return "".join(f"{key}={values[key]}\n" for key in sorted(values))


def _known_to_all(arrived: Arrived, server_name: str) -> Iterator[tuple[str, object]]:
    backup = arrived.backup
    yield "backup_label", repr(arrived.label)
    yield "backup_name", backup.id
    yield from _place("begin", backup.started_at, backup.lsn_start, backup.wal_start, arrived.segment_size)
    yield from _place("end", backup.stopped_at, backup.lsn_stop, backup.wal_stop, arrived.segment_size)
    yield from ((key, None) for key in ("compression", "config_file", "copy_stats", "error", "hba_file"))
    yield from ((key, None) for key in ("ident_file", "included_files"))
    yield "deduplicated_size", arrived.size
    yield "mode", "postgres"
    yield "pgdata", arrived.data_directory
    yield "server_name", server_name
    yield "size", arrived.size
    yield "status", "DONE"
    yield "systemid", backup.system_identifier
    yield "tablespaces", _tablespaces(arrived)
    yield "timeline", backup.timeline
    yield "version", version_number(backup.postgres_version)
    yield "xlog_segment_size", arrived.segment_size


def _place(
    end: str, moment: datetime | None, lsn: Lsn | None, wal: str | None, segment_size: int
) -> Iterator[tuple[str, object]]:
    yield f"{end}_time", None if moment is None else moment.astimezone(UTC)
    yield f"{end}_xlog", lsn
    yield f"{end}_wal", wal
    yield f"{end}_offset", None if lsn is None else lsn % segment_size


def _tablespaces(arrived: Arrived) -> str | None:
    found = [(one.name, one.oid, one.location) for one in arrived.tablespaces]
    return repr(found) if found else None


def _known_since(arrived: Arrived, version: EngineVersion) -> Iterator[tuple[str, object]]:
    if version >= _SIZES_SINCE:
        yield "children_backup_ids", None
        yield "cluster_size", arrived.backup.cluster_bytes or arrived.size
        yield "data_checksums", None if arrived.checksums is None else "on" if arrived.checksums else "off"
        yield "parent_backup_id", None
        yield "summarize_wal", None
    if version >= _ENCRYPTION_SINCE:
        yield "encryption", None


def version_number(major: str | None) -> int | None:
    """PostgreSQL's number for the first release of a major version: "15" → 150000, "9.6" → 90600."""
    if major is None:
        return None
    first, _, second = major.partition(".")
    return int(first) * 10000 + int(second or 0) * 100
