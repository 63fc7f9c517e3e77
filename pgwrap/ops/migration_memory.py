"""What the journal remembers of migrations, and what the spec means by them."""

from __future__ import annotations

from dataclasses import replace

from pgwrap.domain.migration import Migration, as_it_stands
from pgwrap.domain.migration_record import from_data, to_data
from pgwrap.domain.model import Fleet
from pgwrap.errors import OutputNotUnderstood
from pgwrap.system.port import Journal, MigrationEntry


def keep_migration(migration: Migration, journal: Journal) -> None:
    """Put it into the journal, in the place of what was kept under its id."""
    journal.put_migration(
        MigrationEntry(
            id=migration.id, cluster=migration.cluster, began_at=migration.began_at, report=to_data(migration)
        )
    )


def keep_progress(migration: Migration, journal: Journal) -> None:
    """Keep how far it is; that it is to pause, which another process may have said meanwhile, stays said."""
    known = next((one for one in migrations_of(journal, migration.cluster) if one.id == migration.id), None)
    told = known is not None and known.state == "paused" and migration.state == "running"
    keep_migration(replace(migration, state="paused") if told else migration, journal)


def migrations_of(journal: Journal, cluster: str | None = None) -> tuple[Migration, ...]:
    """The migrations towards an entry of the spec, or all, newest first; raises where they cannot be read."""
    if not journal.exists():
        return ()
    return tuple(_read(entry) for entry in journal.migrations(cluster))


def _read(entry: MigrationEntry) -> Migration:
    try:
        return from_data(entry.report)
    except (KeyError, TypeError, ValueError) as error:
        raise OutputNotUnderstood(f"migration {entry.id} in the journal cannot be read: {error}") from error


def standing(fleet: Fleet, journal: Journal) -> Fleet:
    """The spec as its migrations have it stand; the journal is opened only where the spec has any."""
    if all(cluster.replaces is None for cluster in fleet.clusters):
        return fleet
    return as_it_stands(fleet, migrations_of(journal))
