"""Has the engines verify backups, and judges with it whether each has its WAL. It writes nothing but a manifest that is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.verification import (
    ClusterVerification,
    Examination,
    Examined,
    FleetVerification,
    verifiable,
    verified,
    worst_of,
)
from pgwrap.engines.port import VerifyRequest, VerifyStep
from pgwrap.errors import PgwrapError, UsageError
from pgwrap.ops.foretelling import version_of
from pgwrap.ops.hold import named
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_LOOK = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """What to verify: one backup (an id, `latest` or `oldest`), one repository by its name, or all."""

    backup: str | None = None
    repository: str | None = None
    generate_manifest: bool = False
    deadline: float = 86400.0
    """Seconds for each command."""


def verify(
    fleet: Fleet, clusters: tuple[Cluster, ...], world: World, options: VerifyOptions, say: Callable[[str], None]
) -> tuple[FleetVerification, tuple[PgwrapError, ...]]:
    """The verdict on each cluster's backups; one that cannot be verified is unknown and holds nothing else back.

    UsageError for a backup or repository that is not there.
    """
    for cluster in clusters:
        _check_repository(cluster, options.repository)
    seen = observed(fleet, clusters, world, _LOOK)
    found: list[ClusterVerification] = []
    errors: list[PgwrapError] = []
    for cluster in clusters:
        started = monotonic()
        verifying = _Verifying(
            cluster=cluster, world=world, options=options, observation=seen[cluster.name], errors=errors, say=say
        )
        try:
            verdict = verifying.run()
        except UsageError:
            raise
        except PgwrapError as error:
            error.cluster = error.cluster or cluster.name
            errors.append(error)
            verdict = verified(cluster, seen[cluster.name], (), ())
            verdict = replace(verdict, problems=(error.message,))
        found.append(replace(verdict, seconds=monotonic() - started))
    return FleetVerification(state=worst_of(one.state for one in found), clusters=tuple(found)), tuple(errors)


def _check_repository(cluster: Cluster, name: str | None) -> None:
    known = [repository.name for repository in cluster.repositories] or ["repo1"]
    if name is not None and name not in known:
        hint = f"its repositories: {', '.join(known)}"
        raise UsageError(f"cluster {cluster.name!r} has no repository called {name!r}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verifying:
    """The verification of one cluster."""

    cluster: Cluster
    world: World
    options: VerifyOptions
    observation: Observation
    errors: list[PgwrapError]
    say: Callable[[str], None]

    def run(self) -> ClusterVerification:
        """Let the engine examine, then judge."""
        must_be_read(self.cluster, self.observation)
        wanted = self._wanted()
        return verified(self.cluster, self.observation, wanted, self._examinations(wanted) if wanted else ())

    def _wanted(self) -> tuple[Backup, ...]:
        here = tuple(
            backup for backup in self.observation.backups if self.options.repository in (None, backup.repository)
        )
        if self.options.backup is None:
            return tuple(backup for backup in here if verifiable(backup))
        chosen = named(self.cluster, here, self.options.backup)
        if not verifiable(chosen):
            state = chosen.state.replace("_", " ")
            raise UsageError(f"{chosen.id} is {state}: there is nothing to verify", hint="choose one that is done")
        return tuple(backup for backup in here if backup.id == chosen.id)

    def _examinations(self, wanted: tuple[Backup, ...]) -> tuple[Examination, ...]:
        """What was examined in each repository, in the order of the steps."""
        engine = self.world.engine(self.cluster.engine)
        request = VerifyRequest(
            cluster=self.cluster,
            backups=wanted,
            known=self.observation.backups,
            only=self.options.backup is not None,
            repository=self.options.repository,
            generate_manifest=self.options.generate_manifest,
            run_as=self.world.user_for(self.cluster),
            version=version_of(self.observation, engine.newest),
            deadline=self.options.deadline,
        )
        found: dict[str | None, Examination] = {}
        for step in engine.verification(request):
            before = found.setdefault(step.repository, Examination(repository=step.repository))
            try:
                found[step.repository] = replace(before, reports=(*before.reports, *self._examine(step)))
            except PgwrapError as error:
                error.cluster = error.cluster or self.cluster.name
                self.errors.append(error)
                found[step.repository] = replace(before, error=error.message)
        return tuple(found.values())

    def _examine(self, step: VerifyStep) -> tuple[Examined, ...]:
        outcomes = []
        for command in step.commands:
            self.say(f"{self.cluster.name}: {command.quoted()}")
            outcomes.append(self.world.runner.run(command))
        return step.read(tuple(outcomes))
