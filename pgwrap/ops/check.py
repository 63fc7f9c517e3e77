"""Looks at everything that a cluster's backups need: what status sees, the engine's own check, directories, clocks,
versions. It mends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

from pgwrap.domain.checking import (
    Check,
    ClusterCheck,
    FleetCheck,
    Place,
    SeenPlace,
    checked,
    clock_check,
    place_check,
    setting_checks,
    space_check,
    without_repeats,
)
from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.facts import ClusterStatus, Severity, worst
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.engines.port import CheckRequest, CheckStep, EngineVersion
from pgwrap.errors import PgwrapError
from pgwrap.ops.observing import results
from pgwrap.ops.status import StatusOptions, status
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_ALONGSIDE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """Whether to leave out what changes something (a WAL switch), and seconds for each command."""

    passive: bool = False
    deadline: float = 120.0


def check(
    fleet: Fleet, clusters: tuple[Cluster, ...], world: World, *, clock: Callable[[], datetime], options: CheckOptions
) -> FleetCheck:
    """Everything that was looked at, cluster by cluster; what could not be looked at is unknown."""
    seen = status(
        fleet, clusters, world, now=clock(), options=StatusOptions(deadline=options.deadline, prove_commits=False)
    )
    with ThreadPoolExecutor(max_workers=_ALONGSIDE) as pool:
        futures = [
            pool.submit(_Checking(cluster=cluster, status=one, world=world, options=options, clock=clock).run)
            for cluster, one in zip(clusters, seen.clusters, strict=True)
        ]
        found = tuple(results(futures))
    return FleetCheck(severity=worst(tuple(one.severity for one in found)), clusters=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checking:
    """The checks of one cluster."""

    cluster: Cluster
    status: ClusterStatus
    world: World
    options: CheckOptions
    clock: Callable[[], datetime]

    def run(self) -> ClusterCheck:
        """All of them; the engine's own comes last, as it says what the others explain."""
        checks = (*self._settings(), *self._places(), *self._clock(), *self._engine())
        return checked(self.status, without_repeats(checks))

    def _settings(self) -> Iterator[Check]:
        engine = self.world.engine(self.cluster.engine)
        cluster = replace(self.cluster, run_as=self.world.user_for(self.cluster))
        expected = engine.settings(cluster, self._version() or engine.newest).settings
        if self.cluster.passive is None:
            yield from setting_checks(self.cluster, self.status.postgres, expected)

    def _version(self) -> EngineVersion | None:
        try:
            return EngineVersion.parse(self.status.engine_version or "")
        except ValueError:
            return None

    def _engine(self) -> Iterator[Check]:
        version = self._version()
        if version is None:
            yield Check(name="engine", severity=Severity.UNKNOWN, message="the engine's version is not known")
            return
        yield Check(name="engine", severity=Severity.OK, message=f"{self.status.engine} {version} is installed")
        request = CheckRequest(
            cluster=self.cluster,
            passive=self.options.passive,
            run_as=self.world.user_for(self.cluster),
            version=version,
            server_major=self._server_major(),
            deadline=self.options.deadline,
        )
        for step in self.world.engine(self.cluster.engine).check(request):
            yield from self._step(step)
        if self.options.passive:
            yield Check(
                name="engine-check",
                severity=Severity.OK,
                message=f"{self.status.engine}'s own check was left out (--passive), and with it the way of WAL",
            )

    def _server_major(self) -> int | None:
        server = self.status.postgres
        number = server.version_number if server is not None else None
        return number // 10000 if number is not None else self.cluster.postgres.version

    def _step(self, step: CheckStep) -> tuple[Check, ...]:
        try:
            return step.read(self.world.runner.run(step.command))
        except PgwrapError as error:
            severity = Severity.CRITICAL if error.slug == "engine-failed" else Severity.UNKNOWN
            return (Check(name=step.name, severity=severity, message=error.message, hint=error.hint),)

    def _places(self) -> Iterator[Check]:
        user = self.world.user_for(self.cluster)
        for place in self.world.engine(self.cluster.engine).places_needed(self.cluster):
            seen = self._look(place, user)
            yield place_check(seen, user)
            space = space_check(seen, self.status.backups)
            if space is not None:
                yield space

    def _look(self, place: Place, user: str | None) -> SeenPlace:
        """As the engine's user, on the engine's host; one command each, so that an answer is about one thing."""
        path = place.path
        write = ("-a", "-w", path) if place.written else ()
        asked = (
            self._command(user, "test", "-r", path, "-a", "-x", path, *write),
            self._command(user, "test", "-d", path),
            self._command(user, "stat", "--format=%U", "--", path),
            self._command(user, "df", "--block-size=1", "--output=avail,size", "--", path),
        )
        usable, exists, owner, space = self.world.runner.run_all(asked)
        free, total = _numbers(space)
        return SeenPlace(
            place=place,
            exists=_answer(exists),
            owner=owner.text().strip() or None if owner.succeeded else None,
            usable=_answer(usable),
            free_bytes=free,
            total_bytes=total,
        )

    def _clock(self) -> Iterator[Check]:
        """PostgreSQL's clock is status's affair; here it is the host that the engine runs on."""
        host = self.cluster.engine.host
        if host is None:
            return
        outcome = self.world.runner.run(self._command(None, "date", "+%s.%N"))
        try:
            there = float(outcome.text()) if outcome.succeeded else None
        except ValueError:
            there = None
        yield clock_check(host, None if there is None else there - self.clock().timestamp() + outcome.seconds / 2)

    def _command(self, user: str | None, *argv: str) -> Command:
        return Command(argv=argv, run_as=user, host=self.cluster.engine.host, deadline=self.options.deadline)


def _answer(outcome: Outcome) -> bool | None:
    """`test` says yes with 0 and no with 1; anything else is no answer."""
    return None if outcome.failure is not None or outcome.exit_code not in (0, 1) else outcome.exit_code == 0


def _numbers(outcome: Outcome) -> tuple[int | None, int | None]:
    lines = outcome.text().splitlines()
    numbers = lines[-1].split() if outcome.succeeded and lines else []
    return (
        (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(map(str.isdecimal, numbers)) else (None, None)
    )
