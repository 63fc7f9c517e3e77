"""`pgwrap expire` in its forms. It deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwrap.domain.amounts import size
from pgwrap.domain.retention import ClusterExpiry, FleetExpiry, RepositoryExpiry, plural
from pgwrap.errors import PgwrapError
from pgwrap.present.encode import Json
from pgwrap.present.envelope import envelope, error_entries
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

EXPIRE_SCHEMA = "pgwrap/expire/1"
_INDENT = "  "


def expiry_json(fleet: FleetExpiry, errors: tuple[PgwrapError, ...], now: datetime) -> str:
    """The whole answer as JSON text; `partial` when some cluster could not be looked at or expired."""
    return json_text(expiry_data(fleet, errors, now))


def expiry_data(fleet: FleetExpiry, errors: tuple[PgwrapError, ...], now: datetime) -> Json:
    """The whole answer as data."""
    entries = tuple(entry for error in errors for entry in error_entries(error))
    return envelope(EXPIRE_SCHEMA, fleet, entries, now, "partial" if errors else "success")


def expiry_text(fleet: FleetExpiry) -> str:
    """A block for each cluster, and what to type next after a dry run."""
    blocks = ["\n".join(_cluster(cluster)) for cluster in fleet.clusters]
    waiting = fleet.dry_run and any(cluster.commands and not cluster.refused for cluster in fleet.clusters)
    closing = ["nothing was deleted: this was a dry run; `pgwrap expire --yes` deletes"] if waiting else []
    return "\n\n".join([*blocks, *closing]) + "\n" if blocks or closing else ""


def _cluster(cluster: ClusterExpiry) -> Iterator[str]:
    yield harmless(f"{cluster.name} ({cluster.engine})")
    for repository in cluster.repositories:
        yield from (_INDENT * depth + harmless(line) for depth, line in _repository(repository, cluster))
    yield from (_INDENT + harmless(f"$ {command}") for command in cluster.commands)
    if cluster.refused is not None:
        yield _INDENT + harmless(f"refused: {cluster.refused}")
    if cluster.done:
        yield _INDENT + harmless(f"deleted: {', '.join(cluster.deleted) or 'no backup'}")
    yield from (_INDENT + harmless(f"note: {note}") for note in cluster.notes)


def _repository(repository: RepositoryExpiry, cluster: ClusterExpiry) -> Iterator[tuple[int, str]]:
    """Lines, each with how deep it stands."""
    name = repository.repository or "repository"
    wal = "WAL not known" if repository.wal_segments is None else plural(repository.wal_segments, "WAL segment")
    if not repository.backups and not repository.wal_segments:
        yield 1, f"{name}: nothing to expire"
    else:
        yield 1, f"{name}: {plural(len(repository.backups), 'backup')} ({size(repository.bytes)}) and {wal}"
        yield from ((2, id_) for id_ in repository.backups)
    if repository.engine_backups is not None:
        agreed = not repository.more and not repository.less
        says = f"{cluster.engine}'s own dry run: {plural(len(repository.engine_backups), 'backup')}"
        yield 2, f"{says}, {'the same' if agreed else 'not the same'}"
    yield from ((2, f"the engine would delete, too: {what}") for what in repository.more)
    yield from ((2, f"the engine would keep: {what}") for what in repository.less)
