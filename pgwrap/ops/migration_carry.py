"""The carrying step of a migration, whichever way it goes."""

from __future__ import annotations

from pgwrap.domain.carrying import CarryPlan
from pgwrap.domain.migration import Migration, MigrationStep
from pgwrap.ops.migration_ground import Ground


def plan_carry(ground: Ground, migration: Migration) -> CarryPlan:
    """What would be carried; raises where that cannot be told."""
    raise NotImplementedError


def carry(ground: Ground, migration: Migration) -> MigrationStep:
    """Carry the old backups and their WAL over."""
    raise NotImplementedError
