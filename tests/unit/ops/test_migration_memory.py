"""What is kept of a migration while it runs, whoever else writes in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.ops.migration_memory import keep_migration, keep_progress, migrations_of
from pgwrap.system.journal import SqliteJournal

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
MIGRATION = Migration(
    id="m1",
    cluster="orders",
    source="orders-old",
    from_engine="barman",
    to_engine="pgbackrest",
    began_at=AT,
    changed_at=AT,
    steps=(MigrationStep(name=StepName.PREPARE),),
)


def test_a_pause_that_was_asked_for_during_a_step_outlasts_its_end(tmp_path: Path) -> None:
    """The step is kept as done, and the migration as paused; an end is an end all the same."""
    journal = SqliteJournal(state=str(tmp_path))
    keep_migration(MIGRATION, journal)
    keep_migration(replace(MIGRATION, state="paused"), journal)
    done = MIGRATION.with_step(MigrationStep(name=StepName.PREPARE, state="done"), AT)
    keep_progress(done, journal)
    (kept,) = migrations_of(journal, "orders")
    assert (kept.state, kept.is_done(StepName.PREPARE)) == ("paused", True)
    keep_progress(replace(done, state="done"), journal)
    assert [one.state for one in migrations_of(journal)] == ["done"]
