"""`pgwrap verify` in its forms. It verifies nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pgwrap.domain.amounts import duration
from pgwrap.domain.retention import plural
from pgwrap.domain.verification import ClusterVerification, FleetVerification, VerifiedBackup, VerifiedRepository
from pgwrap.errors import PgwrapError
from pgwrap.present.encode import Json
from pgwrap.present.envelope import envelope, error_entries
from pgwrap.present.harmless import harmless
from pgwrap.present.json_format import json_text

VERIFY_SCHEMA: Final = "pgwrap/verify/1"
_INDENT = "  "


def verified_json(fleet: FleetVerification, errors: tuple[PgwrapError, ...], now: datetime) -> str:
    """The whole answer as JSON text; `partial` when something could not be verified."""
    return json_text(verified_data(fleet, errors, now))


def verified_data(fleet: FleetVerification, errors: tuple[PgwrapError, ...], now: datetime) -> Json:
    """The whole answer as data."""
    entries = tuple(entry for error in errors for entry in error_entries(error))
    return envelope(VERIFY_SCHEMA, fleet, entries, now, "partial" if errors else "success")


def verified_text(fleet: FleetVerification) -> str:
    """A block for each cluster: its verdict, its backups, and what is wrong with which."""
    return "\n\n".join("\n".join(_cluster(cluster)) for cluster in fleet.clusters) + "\n"


def _cluster(cluster: ClusterVerification) -> Iterator[str]:
    yield harmless(f"{cluster.name} ({cluster.engine}): {cluster.state}, in {duration(cluster.seconds)}")
    yield from _below(1, cluster.problems)
    for backup in cluster.backups:
        yield from _below(1, (_backup(backup),))
        yield from _below(2, backup.problems)
    for repository in cluster.repositories:
        yield from _below(1, (_repository(repository),))
        yield from _below(2, repository.problems)
    yield from _below(1, tuple(f"note: {note}" for note in cluster.notes))


def _below(depth: int, lines: tuple[str, ...]) -> Iterator[str]:
    yield from (_INDENT * depth + harmless(line) for line in lines)


def _backup(backup: VerifiedBackup) -> str:
    files = "" if backup.files_checked is None else f", {plural(backup.files_checked, 'file')} read"
    wal = {True: ", WAL there", False: "", None: ""}[backup.wal_complete]
    place = f"{backup.repository}  " if backup.repository else ""
    return f"{place}{backup.id}  {backup.type}  {backup.state}{files}{wal}"


def _repository(repository: VerifiedRepository) -> str:
    name = repository.repository or "repository"
    if repository.state is None:
        return f"{name}: its WAL is judged by name alone; this engine reads none"
    read = "" if repository.wal_checked is None else f", {plural(repository.wal_checked, 'WAL file')} read"
    return f"{name}: {repository.state}{read}"
