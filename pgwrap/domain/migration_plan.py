"""What a migration would do, as data: nothing in it was done. Its JSON is `pgwrap/migrate-plan/1`."""

from __future__ import annotations

from pgwrap.domain.carrying import CarryPlan
from pgwrap.domain.facts import EngineName, RecoverableInterval, UnitedInterval
from pgwrap.domain.losses import Loss
from pgwrap.domain.migration import StepName
from pgwrap.domain.retention import BackupFate
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step: what it does, and the commands that it runs, as far as they are known beforehand."""

    name: StepName
    does: str
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Native files that are written."""
    by_hand: tuple[str, ...] = ()
    """What is left to the operator, such as a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPlan:
    """Whether a cluster can move, what comes along and what does not."""

    cluster: str
    source: str
    from_engine: EngineName
    from_version: str | None
    to_engine: EngineName
    to_version: str
    steps: tuple[PlannedStep, ...]
    losses: tuple[Loss, ...]
    remarks: tuple[str, ...]
    """What the new engine's version makes of the new entry's words."""
    carry: CarryPlan | None
    """None: no history is to be carried, or it cannot be told (see refusals)."""
    recoverable_now: tuple[RecoverableInterval, ...]
    recoverable_then: tuple[UnitedInterval, ...]
    """What the new engine alone can restore of it."""
    retention: tuple[BackupFate, ...]
    """What the new entry's retention makes of each backup that is there now."""
    expected_seconds: float | None = None
    expected_by: str = ""
    """What that stands on, or why it is not known."""
    refusals: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing stands against it."""
        return not self.refusals
