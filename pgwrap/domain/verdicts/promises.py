"""Findings about what the owner asked for: retention, objectives, drills. It removes and restores nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pgwrap.domain.amounts import duration
from pgwrap.domain.facts import (
    Backup,
    DrillReport,
    Finding,
    FindingCode,
    ObjectiveStatus,
    RetentionStatus,
    Severity,
)
from pgwrap.domain.model import RetentionPolicy
from pgwrap.domain.objectives import FULL_TYPES
from pgwrap.domain.verdicts import words
from pgwrap.domain.verdicts.evidence import Evidence

_BARMAN_SLACK = timedelta(hours=1)
"""`barman cron` runs each minute; an hour is a host that was down for a moment, not a policy that is not applied."""


def promise_findings(evidence: Evidence) -> Iterator[Finding]:
    """Every finding about retention, objectives and drills."""
    yield from _unset(evidence)
    yield from _not_enforced(evidence)
    yield from _objectives(evidence)
    yield from _drills(evidence)


def retention_status(evidence: Evidence) -> RetentionStatus:
    """The policy in words, who applies it, and whether as many full backups are there as it must never go below."""
    cluster, observation = evidence.cluster, evidence.observation
    described = "; ".join(_described(evidence)) or observation.policy
    applied = described is not None and described != _NONE
    enforcer = "barman cron" if words.is_barman(cluster) else "pgbackrest expire, after each backup"
    return RetentionStatus(
        policy=described,
        enforced_by=(observation.enforced_by or enforcer) if applied else None,
        satisfied=_satisfied(evidence) if observation.read and applied else None,
    )


_NONE = "none: nothing is ever expired"


def _described(evidence: Evidence) -> Iterator[str]:
    """The cluster's policy, then those of repositories that have their own."""
    policy = evidence.cluster.retention
    if not is_unset(policy):
        yield described(policy)
    elif policy.deliberate:
        yield _NONE
    for repository in evidence.cluster.repositories:
        if repository.retention is not None:
            yield f"{repository.name}: {described(repository.retention)}"


def described(policy: RetentionPolicy) -> str:
    """A policy in words."""
    parts = (
        (policy.window_days, "a window of {} days"),
        (policy.full, "{} full backups"),
        (policy.differential, "{} differential backups"),
        (policy.minimum_full, "at least {} full backups"),
        (policy.wal, f"WAL of the newest {{}} {policy.wal_type or 'full'} backups"),
        (policy.history_days, "history of {} days"),
    )
    return ", ".join(text.format(count) for count, text in parts if count is not None) or _NONE


def is_unset(policy: RetentionPolicy) -> bool:
    """Whether it expires nothing."""
    return policy.full is None and policy.differential is None and policy.window_days is None


def _policies(evidence: Evidence) -> dict[str | None, RetentionPolicy]:
    """The policy for each repository that holds backups."""
    own = {repository.name: repository.retention for repository in evidence.cluster.repositories}
    holding = dict.fromkeys(backup.repository for backup in evidence.done())
    return {name: own.get(name or "") or evidence.cluster.retention for name in holding}


def _fulls(evidence: Evidence, repository: str | None) -> tuple[Backup, ...]:
    return tuple(backup for backup in evidence.done() if backup.type in FULL_TYPES and backup.repository == repository)


def _satisfied(evidence: Evidence) -> bool:
    policies = _policies(evidence)
    return bool(policies) and all(
        len(_fulls(evidence, name)) >= (policy.minimum_full or 1) for name, policy in policies.items()
    )


def _unset(evidence: Evidence) -> Iterator[Finding]:
    policy = evidence.cluster.retention
    elsewhere = any(repository.retention is not None for repository in evidence.cluster.repositories)
    if not is_unset(policy) or elsewhere or evidence.observation.policy is not None:
        return
    yield Finding(
        code=FindingCode.RETENTION_UNSET,
        severity=Severity.OK if policy.deliberate else Severity.WARNING,
        message="no retention is set: backups and WAL are never expired"
        + (", as the spec asks" if policy.deliberate else " and fill the repository"),
        hint="" if policy.deliberate else "write `retention: {window: 14d}`, or `retention: none` to keep everything",
    )


def _not_enforced(evidence: Evidence) -> Iterator[Finding]:
    if evidence.observation.running:
        return
    for repository, policy in _policies(evidence).items():
        yield from _carried_overdue(evidence, repository, policy)
        own = tuple(backup for backup in _fulls(evidence, repository) if not _is_carried(backup, evidence))
        overdue = _overdue(own, policy, evidence)
        if overdue:
            oldest = overdue[0]
            yield Finding(
                code=FindingCode.RETENTION_NOT_ENFORCED,
                severity=Severity.WARNING,
                message=f"{len(overdue)} full backups are past the policy ({described(policy)}), "
                f"the oldest {oldest.id} of {words.moment(oldest.stopped_at)}",
                hint=words.native(evidence.cluster, pgbackrest=("expire", "--dry-run"), barman=("cron",)),
                repository=repository,
            )


def _is_carried(backup: Backup, evidence: Evidence) -> bool:
    return backup.engine_name != evidence.observation.engine_name


def _carried_overdue(evidence: Evidence, repository: str | None, policy: RetentionPolicy) -> Iterator[Finding]:
    """What was carried over goes when somebody says so; the forecast tells which of it may."""
    overdue = tuple(
        backup
        for backup in evidence.done()
        if backup.repository == repository
        and _is_carried(backup, evidence)
        and backup.retention is not None
        and backup.retention.kept is False
    )
    if overdue:
        ended = words.moment(overdue[0].stopped_at)
        yield Finding(
            code=FindingCode.RETENTION_NOT_ENFORCED,
            severity=Severity.WARNING,
            message=f"{len(overdue)} carried backups are past the policy ({described(policy)}), "
            f"the oldest {overdue[0].id} of {ended}; the engine itself never deletes them",
            hint=f"pgwrap expire {evidence.cluster.name} --yes",
            repository=repository,
        )


def _overdue(fulls: tuple[Backup, ...], policy: RetentionPolicy, evidence: Evidence) -> tuple[Backup, ...]:
    """The full backups that the policy lets go and that should be gone by now, oldest first."""
    dated = sorted(((stop, b.id, b) for b in fulls if (stop := b.stopped_at) is not None), reverse=True)
    kept = max(policy.full or 0, policy.minimum_full or 0)
    if policy.window_days is not None:
        edge = _applied_at(evidence, dated[0][0] if dated else evidence.now) - timedelta(days=policy.window_days)
        inside = sum(stop >= edge for stop, _, _ in dated)
        kept = max(kept, inside + 1)
    elif policy.full is None:
        return ()
    return tuple(backup for _, _, backup in reversed(dated[kept:]) if not backup.held)


def _applied_at(evidence: Evidence, newest: datetime) -> datetime:
    """When the policy was last applied: pgBackRest expires after each backup, Barman every minute."""
    return evidence.now - _BARMAN_SLACK if words.is_barman(evidence.cluster) else newest


def _objectives(evidence: Evidence) -> Iterator[Finding]:
    """What no finding of its own tells: an rpo or rto that is missed, or asked for and not established."""
    for objective in evidence.objectives:
        if objective.severity is Severity.OK or _told_elsewhere(objective, evidence):
            continue
        yield Finding(
            code=FindingCode.OBJECTIVE_MISSED,
            severity=objective.severity,
            message=_missed(objective),
            hint=_hint(objective, evidence),
        )


def _told_elsewhere(objective: ObjectiveStatus, evidence: Evidence) -> bool:
    if objective.name == "rpo":
        return objective.severity is Severity.CRITICAL and bool(evidence.wal.lag_bytes)
    return objective.name != "rto"


def _missed(objective: ObjectiveStatus) -> str:
    limit = duration(objective.limit_seconds)
    if objective.observed_seconds is None:
        return f"whether the {objective.name} of {limit} is kept is not known"
    return f"the {objective.name} is {limit}; {duration(objective.observed_seconds)} were observed"


def _hint(objective: ObjectiveStatus, evidence: Evidence) -> str:
    if objective.name == "rto":
        return f"take the time of a restore drill: {_drill(evidence)}"
    return words.native(evidence.cluster, pgbackrest=("check",), barman=("check", "{}"))


def _drill(evidence: Evidence) -> str:
    return f"pgwrap drill {evidence.cluster.name}"


def _drills(evidence: Evidence) -> Iterator[Finding]:
    objective, drill = evidence.objective("drill_age"), evidence.last_drill
    if drill is None:
        yield Finding(
            code=FindingCode.DRILL_NEVER,
            severity=Severity.OK if objective is None else Severity.WARNING,
            message="no restore of this cluster has ever been tried out",
            hint=_drill(evidence),
        )
        return
    yield from _failed(drill, evidence)
    if objective is not None and objective.severity is not Severity.OK:
        yield Finding(
            code=FindingCode.DRILL_TOO_OLD,
            severity=objective.severity,
            message=f"{_last_passed(drill)}; the limit is {duration(objective.limit_seconds)}",
            hint=_drill(evidence),
        )


def _last_passed(drill: DrillReport) -> str:
    if drill.passed_at is None:
        return "no restore drill has ever passed"
    return f"the last restore drill that passed was at {words.moment(drill.passed_at)}"


def _failed(drill: DrillReport, evidence: Evidence) -> Iterator[Finding]:
    if drill.severity is not Severity.OK:
        yield Finding(
            code=FindingCode.DRILL_FAILED,
            severity=drill.severity,
            message=f"the restore drill of {words.moment(drill.at)} {_how(drill)}: {drill.message}",
            hint=f"pgwrap drill report {evidence.cluster.name}",
            backup=drill.backup,
            repository=drill.repository,
        )


def _how(drill: DrillReport) -> str:
    return _OUTCOMES.get(drill.severity, "failed")


_OUTCOMES = {Severity.UNKNOWN: "could not tell", Severity.WARNING: "missed a promise"}
