"""A server's next `barman cron`, foretold from what was observed of it. The rules are in expiry.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pgwrap.domain.facts import Backup, BackupRetention, Observation
from pgwrap.domain.retention import Forecast, backup_fates, sized_archives
from pgwrap.engines.barman.expiry import Expiry, Policy, expiry
from pgwrap.engines.barman.policy import ENFORCED_BY, described, native
from pgwrap.engines.port import ForecastRequest

ENGINE: Final = "barman"


def forecast(request: ForecastRequest) -> tuple[Forecast, ...]:
    """Of each repository of the observation: Barman has one, another engine's catalog may have several."""
    names = dict.fromkeys(
        (
            *(repository.name for repository in request.observation.repositories),
            *(backup.repository for backup in request.observation.backups),
        )
    )
    return tuple(_of_repository(request, name) for name in names)


def _of_repository(request: ForecastRequest, name: str | None) -> Forecast:
    observation = request.observation
    backups = _in_order(tuple(one for one in observation.backups if one.repository == name), observation)
    policy, options = _policy(request)
    applied = policy.text is not None and (request.hypothetical or observation.enforced_by is not None)
    rules = policy if applied else Policy(minimum=policy.minimum)
    archives = sized_archives(name, observation)
    found = expiry(
        backups,
        archives,
        rules,
        now=request.now.astimezone(request.zone),
        version=request.version,
        by_hand=request.by_hand,
    )
    verdicts = found.backups if request.hypothetical else _doubted(backups, found, applied=applied)
    return Forecast(
        repository=name,
        engine=ENGINE,
        engine_name=request.cluster.engine_name,
        policy=described(policy.text, policy.minimum) if policy.text is not None else None,
        native=options,
        enforced_by=f"{ENFORCED_BY}, every minute" if applied else None,
        backups=backup_fates(backups, verdicts),
        wal=found.wal,
    )


def _in_order(backups: tuple[Backup, ...], observation: Observation) -> tuple[Backup, ...]:
    """Barman goes by its ids, which are times; another engine's backups are put in the order of theirs."""
    if observation.engine == ENGINE:
        return tuple(sorted(backups, key=lambda backup: backup.id))
    dated = (backup for backup in backups if backup.stopped_at is not None)
    return tuple(sorted(dated, key=lambda backup: (backup.stopped_at, backup.id)))


def _policy(request: ForecastRequest) -> tuple[Policy, tuple[tuple[str, str], ...]]:
    """The policy that holds, and the options that say it."""
    told = request.observation.retention_options
    if request.hypothetical or told is None:
        wanted = request.cluster.retention
        pairs = {"retention_policy": native(wanted) or "", "minimum_redundancy": str(wanted.minimum_full or 0)}
    else:
        pairs = dict(told)
    policy = Policy.parse(pairs["retention_policy"], int(pairs["minimum_redundancy"]))
    return policy, tuple(pairs.items())


def _doubted(backups: tuple[Backup, ...], found: Expiry, *, applied: bool) -> dict[str, BackupRetention]:
    """The verdicts, unknown where Barman itself says otherwise of a backup, or did not tell what is held."""
    return {
        backup.id: _against(found.backups[backup.id], backup.retention) if applied else found.backups[backup.id]
        for backup in backups
    }


def _against(own: BackupRetention, told: BackupRetention | None) -> BackupRetention:
    if told is None or told.kept == own.kept:
        return own
    if told.kept is None:
        return replace(own, kept=None, reason=told.reason, expires=None, event=None)
    reason = f"Barman says: {told.reason}; its rules as pgwrap knows them say: {own.reason}"
    return replace(own, kept=None, reason=reason, expires=None, event=None)
