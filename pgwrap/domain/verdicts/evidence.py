"""All that is known of one cluster, gathered for the findings. It concludes nothing by itself."""

from __future__ import annotations

from datetime import datetime

from pgwrap.domain.facts import (
    Backup,
    DrillReport,
    ObjectiveStatus,
    Observation,
    PostgresView,
    RecoverableInterval,
    WalStatus,
)
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import PostgresSetting
from pgwrap.domain.wholeness import Assessment
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Facts, and what was already concluded from them."""

    cluster: Cluster
    observation: Observation
    postgres: PostgresView | None
    expected: tuple[PostgresSetting, ...]
    now: datetime
    assessments: tuple[Assessment, ...]
    """One for each backup of the observation, in its order."""
    recoverable: tuple[RecoverableInterval, ...]
    wal: WalStatus
    objectives: tuple[ObjectiveStatus, ...]
    last_drill: DrillReport | None

    @property
    def server(self) -> PostgresView | None:
        """PostgreSQL's own view when it answered."""
        return self.postgres if self.postgres is not None and self.postgres.reachable else None

    def objective(self, name: str) -> ObjectiveStatus | None:
        """The state of an objective; None when it was not asked for."""
        return next((objective for objective in self.objectives if objective.name == name), None)

    def done(self) -> tuple[Backup, ...]:
        """The backups the engine calls done."""
        return tuple(backup for backup in self.observation.backups if backup.state == "done")
