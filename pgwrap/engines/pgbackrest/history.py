"""The stanza beside a cluster's own that holds what was carried over to it: asked as a stanza, told as its backups.

It stands in no configuration file, so every command names it. Archives in it are called `STANZA/ID`. Nothing is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pgwrap.domain.facts import ArchiveContents, Backup, Finding, FindingCode, ImportedFrom, Observation, Severity
from pgwrap.domain.model import Cluster
from pgwrap.engines.pgbackrest.carried import Carried, provenance
from pgwrap.engines.pgbackrest.info import BackupInfo, StanzaInfo
from pgwrap.engines.port import ObserveRequest

_TOLD: Final = frozenset(
    {
        FindingCode.ENGINE_FAILED,
        FindingCode.ENGINE_TIMEOUT,
        FindingCode.OUTPUT_NOT_UNDERSTOOD,
        FindingCode.REPOSITORY_ERROR,
        FindingCode.WAL_UNKNOWN,
    }
)
"""What is said of a history that is there and cannot be read. That a repository has none is no news."""


# Which stanza


def history_of(cluster: Cluster) -> Cluster | None:
    """The cluster as its history stanza knows it, by a name that no cluster of a spec can have; None without one."""
    if cluster.history is None:
        return None
    return replace(cluster, name=f"{cluster.name}/{cluster.history}", engine_name=cluster.history, history=None)


def is_history(cluster: Cluster) -> bool:
    """Whether this is what `history_of` made."""
    return "/" in cluster.name


def with_histories(request: ObserveRequest) -> ObserveRequest:
    """The request with the history of each cluster behind it."""
    return replace(
        request,
        clusters=tuple(one for cluster in request.clusters for one in _both(cluster)),
        run_as={one.name: request.run_as.get(cluster.name) for cluster in request.clusters for one in _both(cluster)},
        installation=request.installation or request.clusters,
    )


def _both(cluster: Cluster) -> tuple[Cluster, ...]:
    history = history_of(cluster)
    return (cluster,) if history is None else (cluster, history)


def of_backup(cluster: Cluster, backup: Backup) -> Cluster:
    """The cluster as the stanza that holds the backup knows it: its history, or itself."""
    return _of_stanza(cluster, backup.engine_name)


def of_archive(cluster: Cluster, archive: str | None) -> Cluster:
    """The cluster as the stanza that holds the archive knows it: its history for `STANZA/ID`, else itself."""
    stanza, _, _ = (archive or "").rpartition("/")
    return _of_stanza(cluster, stanza)


def _of_stanza(cluster: Cluster, stanza: str) -> Cluster:
    history = history_of(cluster)
    return history if history is not None and history.engine_name == stanza else cluster


# What was seen of it


def as_before(stanza: StanzaInfo | None) -> StanzaInfo | None:
    """The stanza with the WAL that its backups named before they were carried, from which its segment size follows."""
    return None if stanza is None else replace(stanza, backups=tuple(_named_before(one) for one in stanza.backups))


def _named_before(backup: BackupInfo) -> BackupInfo:
    was = provenance(backup.annotations)
    if was is None:
        return backup
    return replace(
        backup, wal_start=was.wal_start, wal_stop=was.wal_stop, lsn_start=was.lsn_start, lsn_stop=was.lsn_stop
    )


def with_history(own: Observation, history: Observation, *, there: bool) -> Observation:
    """What was seen of a cluster, with what was carried over to it; `there` False: its stanza told nothing."""
    if not own.read:
        return own
    said = tuple(_said(own, history))
    if not there:
        return replace(own, findings=(*own.findings, *said))
    return replace(
        own,
        findings=(*own.findings, *said, *_doubts(history.backups)),
        backups=(*own.backups, *(_original(backup) for backup in history.backups)),
        archives=(*own.archives, *(_renamed(archive, history.engine_name) for archive in history.archives)),
        running=(*own.running, *history.running),
    )


def _said(own: Observation, history: Observation) -> Iterator[Finding]:
    """What is wrong with the history alone."""
    known = {(finding.code, finding.repository) for finding in own.findings}
    for finding in history.findings:
        if finding.code in _TOLD and (finding.code, finding.repository) not in known:
            yield replace(finding, message=f"carried history {history.engine_name}: {finding.message}")


def _doubts(backups: Iterable[Backup]) -> Iterator[Finding]:
    """What of a carried backup nobody can know any more."""
    for backup in backups:
        was = provenance(backup.annotations)
        if was is None or not (was.damaged or None in (was.engine, was.id, was.stopped_at)):
            continue
        what = f"cannot be read: {', '.join(was.damaged)}" if was.damaged else "is not complete"
        yield Finding(
            code=FindingCode.OUTPUT_NOT_UNDERSTOOD,
            severity=Severity.UNKNOWN,
            message=f"carried history {backup.engine_name}: what backup {backup.id} was before {what}",
            hint=f"compare its annotations with the original's: pgbackrest --stanza={backup.engine_name} "
            f"--set={backup.id} info",
            backup=backup.id,
            repository=backup.repository,
        )


def _original(backup: Backup) -> Backup:
    """The backup with the times it had before: when it was stored says nothing of how new it is."""
    was = provenance(backup.annotations) or Carried()
    started, stopped = was.started_at, was.stopped_at
    came = None
    if was.engine is not None and was.id is not None:
        came = ImportedFrom(engine=was.engine, id=was.id, stopped_at=stopped)
    return replace(
        backup,
        archive=_archive_name(backup.engine_name, backup.archive),
        started_at=started,
        stopped_at=stopped,
        duration_seconds=(stopped - started).total_seconds() if started and stopped else None,
        timeline=was.timeline or backup.timeline,
        imported_from=came,
    )


def _renamed(archive: ArchiveContents, stanza: str) -> ArchiveContents:
    """Nothing archives there any more, and its name is told from the same one in the cluster's own stanza."""
    return replace(archive, archive=_archive_name(stanza, archive.archive), engine_name=stanza, current=False)


def _archive_name(stanza: str, archive: str | None) -> str | None:
    return None if archive is None else f"{stanza}/{archive}"
