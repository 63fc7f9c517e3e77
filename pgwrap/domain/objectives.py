"""How the owner's promises are kept: observed seconds against the limits. It sets no limit of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias

from pgwrap.domain.facts import Backup, DrillReport, ObjectiveStatus, Observation, Severity, WalStatus
from pgwrap.domain.model import Objectives
from pgwrap.domain.plan import PostgresSetting
from pgwrap.records import dataclass

ObjectiveName: TypeAlias = Literal["rpo", "rto", "backup_age", "full_age", "drill_age"]
SHORTEST_ARCHIVE_TIMEOUT = 10
"""Seconds; each closed segment costs a whole one in the archive before compression, so not at any price."""
FULL_TYPES = ("full", "snapshot")
"""Backups that stand alone."""


def newest_done(backups: tuple[Backup, ...], *, full: bool = False) -> Backup | None:
    """The done backup that stopped last, of any type or among those that stand alone; None without one."""
    done = (
        backup
        for backup in backups
        if backup.state == "done" and backup.stopped_at is not None and (not full or backup.type in FULL_TYPES)
    )
    return max(done, key=lambda backup: backup.stopped_at.timestamp() if backup.stopped_at else 0.0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What the objectives are judged by."""

    observation: Observation
    wal: WalStatus
    last_drill: DrillReport | None
    now: datetime


def objective_statuses(objectives: Objectives, grounds: Grounds) -> tuple[ObjectiveStatus, ...]:
    """One status for each objective that was asked for, in a fixed order."""
    return tuple(
        _status(name, limit, rule, grounds)
        for name, rule in _RULES.items()
        if (limit := _limit(objectives, name)) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    observed: Callable[[Grounds], float | None]
    missed: Severity
    never: Severity
    """When there is nothing to measure although the engine was read: no backup, no drill, no bound."""


def _limit(objectives: Objectives, name: ObjectiveName) -> int | None:
    limits: dict[ObjectiveName, int | None] = {
        "rpo": objectives.rpo,
        "rto": objectives.rto,
        "backup_age": objectives.backup_age,
        "full_age": objectives.full_age,
        "drill_age": objectives.drill_age,
    }
    return limits[name]


def _status(name: ObjectiveName, limit: int, rule: _Rule, grounds: Grounds) -> ObjectiveStatus:
    observed = rule.observed(grounds) if grounds.observation.read else None
    return ObjectiveStatus(
        name=name, limit_seconds=limit, observed_seconds=observed, severity=_severity(observed, limit, rule, grounds)
    )


def _severity(observed: float | None, limit: int, rule: _Rule, grounds: Grounds) -> Severity:
    if not grounds.observation.read:
        return Severity.UNKNOWN
    if observed is None:
        return rule.never
    return rule.missed if observed > limit else Severity.OK


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _backup_age(grounds: Grounds) -> float | None:
    newest = newest_done(grounds.observation.backups)
    return None if newest is None else _age(newest.stopped_at, grounds.now)


def _full_age(grounds: Grounds) -> float | None:
    newest = newest_done(grounds.observation.backups, full=True)
    return None if newest is None else _age(newest.stopped_at, grounds.now)


def _rpo(grounds: Grounds) -> float | None:
    return grounds.wal.lag_seconds


def _rto(grounds: Grounds) -> float | None:
    """Only a restore measures it: the newest drill's."""
    return None if grounds.last_drill is None else grounds.last_drill.rto_seconds


def _drill_age(grounds: Grounds) -> float | None:
    """Since one that passed: a drill that failed keeps no promise."""
    return None if grounds.last_drill is None else _age(grounds.last_drill.passed_at, grounds.now)


_RULES: dict[ObjectiveName, _Rule] = {
    "rpo": _Rule(observed=_rpo, missed=Severity.CRITICAL, never=Severity.UNKNOWN),
    "rto": _Rule(observed=_rto, missed=Severity.WARNING, never=Severity.UNKNOWN),
    "backup_age": _Rule(observed=_backup_age, missed=Severity.CRITICAL, never=Severity.CRITICAL),
    "full_age": _Rule(observed=_full_age, missed=Severity.WARNING, never=Severity.WARNING),
    "drill_age": _Rule(observed=_drill_age, missed=Severity.WARNING, never=Severity.WARNING),
}


def archive_timeout(objectives: Objectives) -> tuple[PostgresSetting, ...]:
    """The setting without which an idle server keeps its newest changes to itself for longer than the rpo.

    Half of it, so that the segment has as long again to arrive; nothing when no rpo is asked for.
    """
    if objectives.rpo is None:
        return ()
    seconds = max(SHORTEST_ARCHIVE_TIMEOUT, objectives.rpo // 2)
    reason = "an idle server closes its WAL segment so that what was committed is archived within the rpo"
    return (PostgresSetting(name="archive_timeout", value=str(seconds), restart=False, reason=reason),)
