"""Deletes what retention lets go: foretold first, held against the engine's own dry run, then done by the engine.

Nothing is deleted that was not foretold, none while a verdict is unknown, and never below the spec's minimum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.facts import Observation
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.objectives import FULL_TYPES
from pgwrap.domain.retention import (
    Announced,
    ClusterExpiry,
    FleetExpiry,
    Forecast,
    announced_together,
    compared,
    plural,
)
from pgwrap.engines.port import ExpiryJob, ExpiryRequest
from pgwrap.errors import EngineFailed, PgwrapError, Refused
from pgwrap.ops.foretelling import forecast, version_of
from pgwrap.ops.observing import observed
from pgwrap.ops.world import World
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireOptions:
    """Whether to delete at all, and the seconds for each command that looks and each that deletes."""

    delete: bool = False
    deadline: float = 30.0
    deletion_deadline: float = 86400.0


def expire(
    fleet: Fleet,
    clusters: tuple[Cluster, ...],
    world: World,
    *,
    now: datetime,
    options: ExpireOptions,
    say: Callable[[str], None],
) -> tuple[FleetExpiry, tuple[PgwrapError, ...]]:
    """What goes of each cluster, or went; and the errors of those where it could not be said or done.

    One cluster's error holds nothing else back.
    """
    seen = observed(fleet, clusters, world, options.deadline)
    answers, errors = [], []
    for cluster in clusters:
        expiring = _Expiring(
            fleet=fleet, cluster=cluster, world=world, now=now, options=options, observation=seen[cluster.name], say=say
        )
        try:
            answers.append(expiring.run())
        except PgwrapError as error:
            error.cluster = error.cluster or cluster.name
            errors.append(error)
    return FleetExpiry(dry_run=not options.delete, clusters=tuple(answers)), tuple(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expiring:
    """The expiry of one cluster."""

    fleet: Fleet
    cluster: Cluster
    world: World
    now: datetime
    options: ExpireOptions
    observation: Observation
    say: Callable[[str], None]

    def run(self) -> ClusterExpiry:
        """Foretell, hold against the engine's dry run, and delete if that is asked for and nothing is against it."""
        self._be_read(self.observation)
        forecasts = self._forecasts(self.observation)
        job = self._job(forecasts)
        said = self._said(job)
        plan = self._plan(forecasts, job, said)
        if not self.options.delete or not job.steps:
            return plan
        if plan.refused is not None:
            raise Refused(
                f"{self.cluster.name}: {plan.refused}", hint="look with `pgwrap retention`", cluster=self.cluster.name
            )
        for step in job.steps:
            self.say(f"{self.cluster.name}: {step.command.quoted()}")
            step.check(self.world.runner.run(step.command))
        return self._done(plan, forecasts)

    def _said(self, job: ExpiryJob) -> dict[str | None, Announced]:
        """What the engine's dry runs say of each repository."""
        parts: dict[str | None, list[Announced]] = {}
        for rehearsal in job.rehearsals:
            outcome = self.world.runner.run(rehearsal.command)
            parts.setdefault(rehearsal.repository, []).append(rehearsal.read(outcome))
        return {repository: announced_together(several) for repository, several in parts.items()}

    def _be_read(self, observation: Observation) -> None:
        if observation.read:
            return
        why = next((finding for finding in observation.findings), None)
        message = why.message if why else "the engine told nothing of it"
        raise EngineFailed(f"{self.cluster.name} could not be read: {message}", hint=why.hint if why else "")

    def _forecasts(self, observation: Observation) -> tuple[Forecast, ...]:
        return forecast(self.fleet, self.cluster, observation, self.world, self.now, by_hand=True)

    def _job(self, forecasts: tuple[Forecast, ...]) -> ExpiryJob:
        engine = self.world.engine(self.cluster.engine)
        return engine.expiry(
            ExpiryRequest(
                cluster=self.cluster,
                forecasts=forecasts,
                run_as=self.world.user_for(self.cluster),
                version=version_of(self.observation, engine.newest),
                deadline=self.options.deletion_deadline,
            )
        )

    def _plan(
        self, forecasts: tuple[Forecast, ...], job: ExpiryJob, said: Mapping[str | None, Announced]
    ) -> ClusterExpiry:
        repositories = tuple(compared(one, said.get(one.repository)) for one in forecasts)
        beyond = [f"{one.repository}: {', '.join(one.more)}" for one in repositories if one.more]
        return ClusterExpiry(
            name=self.cluster.name,
            engine=self.observation.engine,
            engine_name=self.observation.engine_name,
            repositories=repositories,
            commands=tuple(step.command.quoted() for step in job.steps),
            refused=f"the engine would delete more than foretold: {'; '.join(beyond)}"
            if beyond
            else next((reason for one in forecasts if (reason := self._objection(one)) is not None), None),
            notes=job.notes,
        )

    def _objection(self, forecast: Forecast) -> str | None:
        """Why nothing of this repository may go."""
        unknown = next((fate for fate in forecast.backups if fate.kept is None), None)
        if unknown is not None:
            return f"what becomes of {unknown.id} is not known: {unknown.reason}"
        if forecast.refuses is not None:
            return f"the engine refuses: {forecast.refuses}"
        minimum = self._minimum(forecast.repository)
        fulls = [fate for fate in forecast.backups if fate.type in FULL_TYPES and fate.state == "done"]
        left = [fate for fate in fulls if fate.kept]
        if len(left) < min(minimum, len(fulls)):
            left_over = f"only {plural(len(left), 'full backup')} would be left in {forecast.repository}"
            return f"{left_over}; minimum_full is {minimum}"
        return None

    def _minimum(self, repository: str | None) -> int:
        """Never below one: an engine told to keep nothing is told so by mistake."""
        own = {one.name: one.retention for one in self.cluster.repositories}.get(repository or "")
        return (own or self.cluster.retention).minimum_full or 1

    def _done(self, plan: ClusterExpiry, forecasts: tuple[Forecast, ...]) -> ClusterExpiry:
        """Look again: what is gone, and whether all of it and nothing else is."""
        after = observed(self.fleet, (self.cluster,), self.world, self.options.deadline)[self.cluster.name]
        self._be_read(after)
        left = {(backup.repository, backup.id) for backup in after.backups}
        before = {(backup.repository, backup.id) for backup in self.observation.backups}
        expected = {(one.repository, fate.id) for one in forecasts for fate in one.going()}
        still = sorted(id_ for _, id_ in expected & left)
        more = sorted(id_ for _, id_ in before - left - expected)
        notes = (
            *(f"{id_} is still there, though the engine reported no error" for id_ in still),
            *(
                f"{id_} is gone, too, though nothing said so: something else deletes here at the same time"
                for id_ in more
            ),
        )
        return replace(
            plan, done=True, deleted=tuple(sorted(id_ for _, id_ in before - left)), notes=(*plan.notes, *notes)
        )
