"""What `info` and the listings say, as one Observation. It asks nothing, and judges neither age nor policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Final

from pgwrap.domain.facts import (
    ArchiveContents,
    Backup,
    Finding,
    FindingCode,
    Observation,
    RunningOperation,
    Severity,
)
from pgwrap.domain.model import Cluster
from pgwrap.domain.wal import (
    DEFAULT_SEGMENT_SIZE,
    Ancestry,
    SegmentRange,
    Timeline,
    is_segment_name,
    ranges_of_names,
    segment_size_from,
)
from pgwrap.engines.pgbackrest.info import ArchiveInfo, BackupInfo, DatabaseInfo, LockInfo, StanzaInfo
from pgwrap.engines.pgbackrest.listing import ArchiveListing, fits
from pgwrap.engines.pgbackrest.repository_states import (
    repository_findings,
    repository_name,
    repository_state,
    was_read,
)
from pgwrap.records import dataclass

ENGINE: Final = "pgbackrest"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogReading:
    """All that was read about one cluster; by repository number, and by archive where one has several."""

    stanza: StanzaInfo | None
    version: str | None = None
    listings: Mapping[int, tuple[ArchiveListing, ...]] = field(default_factory=dict)
    ancestries: Mapping[tuple[int, str], Ancestry] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def observation_from(cluster: Cluster, reading: CatalogReading) -> Observation:
    """The Observation of one cluster; without a stanza only its findings."""
    stanza = reading.stanza
    if stanza is None:
        return Observation(
            engine=ENGINE,
            engine_name=cluster.engine_name,
            engine_version=reading.version,
            read=False,
            findings=reading.findings,
        )
    names = {repository.key: repository_name(cluster, repository.key) for repository in stanza.repositories}
    newest = max(stanza.databases, key=lambda database: (database.id, -database.repository_key), default=None)
    archives = _archives(cluster, stanza, reading, names)
    return Observation(
        engine=ENGINE,
        engine_name=cluster.engine_name,
        engine_version=reading.version,
        read=any(was_read(repository) for repository in stanza.repositories),
        findings=(*reading.findings, *repository_findings(cluster, stanza, names), *_doubts(archives, reading, names)),
        repositories=tuple(repository_state(cluster, repository) for repository in stanza.repositories),
        backups=_backups(cluster, stanza, names),
        archives=archives,
        running=_running(stanza),
        system_identifier=None if newest is None else newest.system_identifier,
        postgres_version=None if newest is None else newest.version,
    )


# Backups


def _backups(
    cluster: Cluster,
    stanza: StanzaInfo,
    names: Mapping[int, str],
) -> tuple[Backup, ...]:
    databases = {(database.repository_key, database.id): database for database in stanza.databases}
    archives = {(archive.repository_key, archive.database_id): archive.id for archive in stanza.archives}
    labels = {(backup.repository_key, backup.label) for backup in stanza.backups}
    return tuple(
        _backup(
            cluster,
            backup,
            names.get(backup.repository_key, f"repo{backup.repository_key}"),
            databases.get((backup.repository_key, backup.database_id)),
            archives.get((backup.repository_key, backup.database_id)),
            whole=all((backup.repository_key, label) in labels for label in backup.reference),
        )
        for backup in stanza.backups
    )


def _backup(
    cluster: Cluster,
    backup: BackupInfo,
    repository: str,
    database: DatabaseInfo | None,
    archive: str | None,
    *,
    whole: bool,
) -> Backup:
    return Backup(
        engine=ENGINE,
        engine_name=cluster.engine_name,
        id=backup.label,
        repository=repository,
        archive=archive or (None if database is None else f"{database.version}-{database.id}"),
        type=backup.type,
        state="done",
        started_at=backup.started_at,
        stopped_at=backup.stopped_at,
        duration_seconds=(backup.stopped_at - backup.started_at).total_seconds(),
        cluster_bytes=backup.size,
        copied_bytes=backup.delta,
        stored_bytes=backup.repository_delta,
        wal_start=backup.wal_start,
        wal_stop=backup.wal_stop,
        lsn_start=backup.lsn_start,
        lsn_stop=backup.lsn_stop,
        timeline=_timeline(backup.wal_start),
        postgres_version=None if database is None else database.version,
        system_identifier=None if database is None else database.system_identifier,
        parent=backup.prior,
        needs=backup.reference,
        page_errors=backup.page_errors,
        annotations=backup.annotations,
        restorable=None if whole else False,
    )


def _timeline(wal: str | None) -> Timeline | None:
    return Timeline(int(wal[:8], 16)) if wal is not None and is_segment_name(wal) else None


# WAL archives


def _archives(
    cluster: Cluster, stanza: StanzaInfo, reading: CatalogReading, names: Mapping[int, str]
) -> tuple[ArchiveContents, ...]:
    return tuple(_contents(cluster, stanza, reading, names, archive) for archive in stanza.archives)


def _contents(
    cluster: Cluster, stanza: StanzaInfo, reading: CatalogReading, names: Mapping[int, str], archive: ArchiveInfo
) -> ArchiveContents:
    key = archive.repository_key
    listed = _listed(reading, archive)
    size = _segment_size(cluster, stanza, archive, listed)
    database = _database(stanza, archive)
    ancestry = reading.ancestries.get((key, archive.id))
    return ArchiveContents(
        repository=names.get(key, f"repo{key}"),
        archive=archive.id,
        system_identifier=None if database is None else database.system_identifier,
        postgres_version=None if database is None else database.version,
        current=archive.database_id == _newest_database(stanza, key),
        segment_size=size,
        minimum=archive.minimum,
        maximum=archive.maximum,
        ranges=_ranges(listed, size),
        newest_at=None if listed is None else listed.newest_at,
        ancestries=() if ancestry is None else (ancestry,),
    )


def _database(stanza: StanzaInfo, archive: ArchiveInfo) -> DatabaseInfo | None:
    wanted = (archive.repository_key, archive.database_id)
    return next((one for one in stanza.databases if (one.repository_key, one.id) == wanted), None)


def _newest_database(stanza: StanzaInfo, key: int) -> int | None:
    return max((database.id for database in stanza.databases if database.repository_key == key), default=None)


def _listed(reading: CatalogReading, archive: ArchiveInfo) -> ArchiveListing | None:
    """The archive's files: None when they could not be listed, empty when the listing does not show it."""
    listings = reading.listings.get(archive.repository_key)
    if listings is None:
        return None
    empty = ArchiveListing(archive=archive.id)
    return next((listing for listing in listings if listing.archive == archive.id), empty)


def _segment_size(
    cluster: Cluster, stanza: StanzaInfo, archive: ArchiveInfo, listed: ArchiveListing | None
) -> int | None:
    """From a backup's position and file name, else from the spec, else 16 MiB where every name allows it."""
    told = _told_segment_size(stanza, archive) or cluster.postgres.wal_segment_size
    if told is None and listed is not None and fits(listed.segments):
        return DEFAULT_SEGMENT_SIZE
    return told


def _told_segment_size(stanza: StanzaInfo, archive: ArchiveInfo) -> int | None:
    for backup in reversed(stanza.backups):
        here = (backup.repository_key, backup.database_id) == (archive.repository_key, archive.database_id)
        if here and backup.lsn_start is not None and backup.wal_start is not None:
            size = segment_size_from(backup.lsn_start, backup.wal_start)
            if size is not None:
                return size
    return None


def _ranges(listed: ArchiveListing | None, size: int | None) -> tuple[SegmentRange, ...] | None:
    if listed is None or size is None:
        return None
    try:
        return ranges_of_names(listed.segments, size)
    except ValueError:
        return None


def _doubts(
    archives: Iterable[ArchiveContents], reading: CatalogReading, names: Mapping[int, str]
) -> tuple[Finding, ...]:
    """Archives that were listed, but whose file names say nothing without the right segment size."""
    listed = {names[key] for key in reading.listings}
    return tuple(
        Finding(
            code=FindingCode.WAL_UNKNOWN,
            severity=Severity.UNKNOWN,
            message=f"the WAL segment size of archive {contents.archive} is not known, so gaps cannot be found",
            hint="state it in the spec (postgres: wal_segment_size:), or take a backup",
            repository=contents.repository,
        )
        for contents in archives
        if contents.ranges is None and contents.repository in listed
    )


# What is going on


def _running(stanza: StanzaInfo) -> tuple[RunningOperation, ...]:
    return (
        *_operation("backup", stanza.backup_lock),
        *_operation("restore", stanza.restore_lock),
    )


def _operation(name: str, lock: LockInfo) -> tuple[RunningOperation, ...]:
    """A lock without sizes may be a backup that has not begun to copy, or expire, annotate or a stanza command."""
    if not lock.held:
        return ()
    certain = lock.total_bytes is not None or name == "restore"
    return (
        RunningOperation(
            operation=name if certain else "backup or maintenance",
            done_bytes=lock.done_bytes,
            total_bytes=lock.total_bytes,
        ),
    )
