"""`barman delete` of what the policy lets go, one backup at a time. Barman has no dry run, and this runs nothing.

A chain goes from its end: what builds on a backup is deleted before it, so that a stop on the way leaves none broken.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from pgwrap.domain.command import Outcome
from pgwrap.domain.retention import BackupFate, Forecast, plural
from pgwrap.engines.barman.commands import barman
from pgwrap.engines.barman.envelope import messages_of, read_object
from pgwrap.engines.barman.failures import check_ran, is_busy, reason
from pgwrap.engines.port import ExpiryJob, ExpiryRequest, ExpiryStep
from pgwrap.errors import Busy, EngineFailed, OutputNotUnderstood

_REFUSED: Final = "Skipping delete"


def expiry(request: ExpiryRequest) -> ExpiryJob:
    """A command for each backup that goes, oldest chain first."""
    going = [(forecast, fate) for forecast in request.forecasts for fate in _from_the_end(forecast)]
    steps = tuple(_step(request, forecast, fate) for forecast, fate in going)
    return ExpiryJob(rehearsals=(), steps=steps, notes=_notes(request, len(going)))


def _from_the_end(forecast: Forecast) -> tuple[BackupFate, ...]:
    """Chains in the order of their roots, each from its newest member to the root."""
    chains: dict[str, list[BackupFate]] = {}
    for fate in forecast.going():
        chains.setdefault(fate.needs[0] if fate.needs else fate.id, []).append(fate)
    return tuple(fate for chain in chains.values() for fate in reversed(chain))


def _step(request: ExpiryRequest, forecast: Forecast, fate: BackupFate) -> ExpiryStep:
    cluster = request.cluster
    return ExpiryStep(
        repository=forecast.repository,
        backups=(fate.id,),
        command=barman(
            cluster.engine,
            *("-f", "json", "delete", cluster.engine_name, fate.id),
            run_as=request.run_as,
            deadline=request.deadline,
        ),
        check=partial(_check, cluster.name, fate.id),
    )


def _check(cluster: str, backup: str, outcome: Outcome) -> None:
    check_ran(outcome)
    if outcome.succeeded and not _warning(outcome):
        return
    message = _warning(outcome) or reason(outcome)
    if is_busy(message):
        raise Busy(f"{backup} was not deleted: {message}", hint="wait for it to end, then again", cluster=cluster)
    hint = f"try by hand: {outcome.command.quoted()}"
    raise EngineFailed(
        f"{backup} was not deleted: {message}", hint=hint, cluster=cluster, engine_exit=outcome.exit_code
    )


def _warning(outcome: Outcome) -> str | None:
    """Up to 3.10 a refusal is a warning and exit code 0."""
    try:
        messages = messages_of(read_object(outcome.text()))
    except OutputNotUnderstood:
        return None
    return next((text for text in messages.warnings if text.startswith(_REFUSED)), None)


def _notes(request: ExpiryRequest, count: int) -> tuple[str, ...]:
    if not count:
        return ()
    enforced = any(forecast.enforced_by for forecast in request.forecasts)
    itself = f"barman cron deletes the same {plural(count, 'backup')} by itself, within a minute where it runs"
    return (
        "Barman has no dry run: what goes is foretold by its rules alone",
        itself if enforced else "barman cron does not act on this server",
    )
