"""Takes backups of clusters with their engines, repository by repository, and says what came of each. It restores and
deletes nothing, save what an engine expires by itself after a backup.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Event, Thread
from typing import Literal, Protocol, TypeAlias

from pgwrap.domain.amounts import duration
from pgwrap.domain.facts import Observation, PostgresView
from pgwrap.domain.hooks import HookContext, HookEvent
from pgwrap.domain.model import Cluster, EngineKind, Fleet, Repository
from pgwrap.domain.taking import Choice, FleetTaken, TakenBackup, choose, not_here
from pgwrap.domain.wal_status import setting
from pgwrap.engines.port import BackupJob, BackupRequest, BackupResult, EngineVersion, NotHere, Progress
from pgwrap.errors import Busy, EngineUnsupported, PgwrapError, UsageError
from pgwrap.ops.asking import look_at, question_for
from pgwrap.ops.hooks import Hooks
from pgwrap.ops.observing import must_be_read, observed, results
from pgwrap.ops.patience import Patience
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_LOOK = 30.0
"""Seconds for each command that only looks."""
_SWITCH = 10.0
_POLL = 3.0
"""Seconds that PostgreSQL has to close a WAL segment, and to tell how far a copy is."""
_BUSY_PAUSE = 5.0
_LOG = logging.getLogger("pgwrap.backup")

Keyed: TypeAlias = tuple[int, Repository]
Ended: TypeAlias = tuple[TakenBackup, PgwrapError | None]


class Reporter(Protocol):
    """Tells a person how far backups are."""

    @property
    def interval(self) -> float | None:
        """Seconds between questions to PostgreSQL about progress; None: nobody wants to know."""

    def progress(self, cluster: str, progress: Progress) -> None:
        """How far the backup of `cluster` is."""

    def say(self, text: str) -> None:
        """A sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions:
    """What to take and how long to wait, in seconds: for the engine, for its lock, for the last WAL segment."""

    type: Literal["full", "differential", "incremental", "auto"] = "full"
    repository: str | None = None
    """By its name; None: every one of the cluster's, in the order of their numbers."""
    annotations: tuple[tuple[str, str], ...] = ()
    name: str | None = None
    deadline: float = 86400.0
    lock_wait: float = 0.0
    wait: float | None = None
    """For a backup's last WAL segment; None: not at all."""
    jobs: int = 1
    """Clusters at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What taking a backup needs besides the cluster: the world, the hooks, a reporter and a clock."""

    world: World
    hooks: Hooks
    reporter: Reporter
    clock: Callable[[], datetime]


def backup(
    fleet: Fleet, clusters: tuple[Cluster, ...], options: BackupOptions, around: Surroundings
) -> tuple[FleetTaken, tuple[PgwrapError, ...]]:
    """A result for every cluster and repository, and the errors of those that failed; one holds no other back.

    UsageError, before anything is done, for a repository that one of the clusters does not have.
    """
    backings = tuple(
        _Backing(fleet=fleet, cluster=cluster, options=options, around=around, repositories=_chosen(cluster, options))
        for cluster in clusters
    )
    with ThreadPoolExecutor(max_workers=max(1, options.jobs)) as pool:
        ended = [one for run in results([pool.submit(backing.run) for backing in backings]) for one in run]
    return FleetTaken(backups=tuple(taken for taken, _ in ended)), tuple(error for _, error in ended if error)


def _chosen(cluster: Cluster, options: BackupOptions) -> tuple[Keyed | None, ...]:
    """The repositories to back up to, by number; None: the engine has but one."""
    keyed = tuple(sorted(cluster.keyed_repositories(), key=lambda one: one[0]))
    if options.repository is None:
        return keyed if keyed and cluster.engine.kind is EngineKind.PGBACKREST else (None,)
    for one in keyed:
        if one[1].name == options.repository:
            return (one,)
    known = ", ".join(repository.name for _, repository in keyed) or "none"
    raise UsageError(
        f"cluster {cluster.name!r} has no repository called {options.repository!r}", hint=f"its repositories: {known}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backing:
    """The backups of one cluster."""

    fleet: Fleet
    cluster: Cluster
    options: BackupOptions
    around: Surroundings
    repositories: tuple[Keyed | None, ...]

    def run(self) -> tuple[Ended, ...]:
        """One after the other: they read the same data."""
        started = self.around.clock()
        try:
            view = look_at(self.cluster, self.around.world)
            elsewhere = not_here(self.cluster, view)
            if elsewhere is not None:
                return ((self._taken(None, started, state="skipped", reason=elsewhere), None),)
            ground = self._ground(view)
        except PgwrapError as error:
            return (self._failure(self._taken(None, started), error),)
        return tuple(self._one(repository, ground) for repository in self.repositories)

    def _ground(self, view: PostgresView | None) -> _Ground:
        world, cluster = self.around.world, self.cluster
        engine, user = world.engine(cluster.engine), world.user_for(cluster)
        version = world.converse(engine.version(cluster.engine, user))
        observation = None
        if self.options.type == "auto":
            observation = observed(self.fleet, (cluster,), world, _LOOK)[cluster.name]
            must_be_read(cluster, observation)
        return _Ground(version=version, user=user, view=view, observation=observation)

    def _one(self, repository: Keyed | None, ground: _Ground) -> Ended:
        """One backup with what stands around it; every way it can fail is its result."""
        started = self.around.clock()
        taken = self._taken(repository, started)
        try:
            choice, job = self._job(repository, ground)
            self._hook("before_backup", taken, choice.kind)
            result = self._take(job)
            if isinstance(result, NotHere):
                return self._taken(repository, started, state="skipped", reason=result.reason), None
            taken = self._whole(repository, started, choice, result)
            taken = self._settled(taken, job)
        except PgwrapError as error:
            return self._failure(taken, error)
        try:
            self._hook("after_backup", taken, taken.type or choice.kind)
        except PgwrapError as error:
            return self._failure(taken, error)
        return taken, None

    def _job(self, repository: Keyed | None, ground: _Ground) -> tuple[Choice, BackupJob]:
        """What to take, and how; of its own accord never what the engine cannot."""
        choice = self._choice(repository, ground)
        engine = self.around.world.engine(self.cluster.engine)
        request = BackupRequest(
            cluster=self.cluster,
            type=choice.kind,
            repository=repository,
            annotations=self.options.annotations,
            name=self.options.name,
            run_as=ground.user,
            version=ground.version,
            deadline=self.options.deadline,
        )
        try:
            return choice, engine.backup(request)
        except EngineUnsupported as error:
            if self.options.type != "auto" or choice.kind == "full":
                raise
            return Choice(kind="full", reason=error.message), engine.backup(replace(request, type="full"))

    def _choice(self, repository: Keyed | None, ground: _Ground) -> Choice:
        asked = self.options.type
        if asked != "auto" or ground.observation is None:
            return Choice(kind="full" if asked == "auto" else asked, reason="")
        name = repository[1].name if repository is not None else None
        choice = choose(self.cluster, ground.observation, name, self.around.clock())
        if choice.kind != "full" and self.cluster.engine.kind is EngineKind.BARMAN and not ground.summarizes:
            choice = Choice(kind="full", reason="PostgreSQL keeps no summaries of its WAL (summarize_wal)")
        self.around.reporter.say(f"{self.cluster.name}: {choice.kind}, because {choice.reason}")
        return choice

    def _take(self, job: BackupJob) -> BackupResult | NotHere:
        """Run it; while another process holds the engine's lock, try again as long as there is patience."""
        patience = Patience(seconds=self.options.lock_wait, pause=_BUSY_PAUSE)
        while True:
            try:
                with self._watched(job):
                    outcome = self.around.world.runner.run(job.command, self._on_line(job))
                return self.around.world.converse(job.conclude(outcome))
            except Busy as busy:
                waited = f"after {duration(patience.spent)} of waiting, "
                if not patience.wait():
                    if self.options.lock_wait:
                        busy.message = f"{waited}{busy.message}"
                    raise
                self._tell(Progress(message="waiting for another backup to end"))

    def _on_line(self, job: BackupJob) -> Callable[[str], None]:
        def on_line(line: str) -> None:
            _LOG.debug("%s", line)
            progress = job.progress(line)
            if progress is not None:
                self._tell(progress)

        return on_line

    @contextmanager
    def _watched(self, job: BackupJob) -> Iterator[None]:
        """Meanwhile ask PostgreSQL how far it is, where the engine does not tell and anybody wants to know."""
        interval = self.around.reporter.interval
        if interval is None or not job.streamed or not self.cluster.postgres.connects:
            yield
            return
        ended = Event()
        watcher = Thread(target=self._watch, args=(ended, interval), name="progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _watch(self, ended: Event, interval: float) -> None:
        world = self.around.world
        try:
            question = question_for(self.cluster, world)
        except PgwrapError as error:
            _LOG.info("progress is not known: %s", error.message)
            return
        while not ended.wait(interval):
            copying = world.postgres.copying(question, _POLL)
            if copying is not None and not ended.is_set():
                self._tell(Progress(done_bytes=copying.done_bytes, total_bytes=copying.total_bytes))

    def _settled(self, taken: TakenBackup, job: BackupJob) -> TakenBackup:
        """Wait for the last WAL segment of a backup, if that is asked for; PostgreSQL is told to close it."""
        if taken.state != "waiting_for_wal" or self.options.wait is None or job.settle is None or taken.id is None:
            return taken
        world, patience = self.around.world, Patience(seconds=self.options.wait)
        settling = job.settle(taken.id)
        self._tell(Progress(message="waiting for its last WAL segment"))
        obstacle = self._close_segment()
        while True:
            *_, last = [world.runner.run(command) for command in settling.commands]
            if settling.settled(last):
                return replace(taken, state="done")
            if not patience.wait():
                break
        late = f"its last WAL segment did not arrive within {duration(self.options.wait)}"
        return replace(taken, reason=f"{late}{f'; {obstacle}' if obstacle else ''}")

    def _close_segment(self) -> str | None:
        """An idle server closes no segment by itself. Why it could not be told to, if so."""
        if not self.cluster.postgres.connects:
            return "the spec gives no connection by which pgwrap could have the segment closed"
        question = question_for(self.cluster, self.around.world)
        error = self.around.world.postgres.switch_wal(question, _SWITCH).error
        return None if error is None else f"PostgreSQL could not be told to close it: {error}"

    def _hook(self, event: HookEvent, taken: TakenBackup, kind: str) -> None:
        context = HookContext(
            event=event,
            action="backup",
            cluster=self.cluster.name,
            engine=taken.engine,
            engine_name=taken.engine_name,
            repository=taken.repository,
            type=kind,
            backup=None if event == "before_backup" else taken,
        )
        self.around.hooks.run(self.cluster, context)

    def _failure(self, taken: TakenBackup, error: PgwrapError) -> Ended:
        """What failed; a backup that was taken before stays taken."""
        error.cluster = error.cluster or self.cluster.name
        failed = replace(taken, state="failed", reason=error.message) if taken.id is None else taken
        try:
            self._hook("on_failure", replace(failed, reason=error.message), taken.type or self.options.type)
        except PgwrapError as second:
            failed = replace(failed, notes=(*failed.notes, second.message))
        seconds = (self.around.clock() - taken.started_at).total_seconds()
        return replace(failed, seconds=seconds), error

    def _whole(self, repository: Keyed | None, started: datetime, choice: Choice, result: BackupResult) -> TakenBackup:
        return replace(
            self._taken(repository, started, state=result.state, reason=choice.reason),
            id=result.id,
            type=result.type,
            notes=result.messages,
        )

    def _taken(
        self,
        repository: Keyed | None,
        started: datetime,
        *,
        state: Literal["done", "waiting_for_wal", "skipped", "failed"] = "failed",
        reason: str = "",
    ) -> TakenBackup:
        known = self.cluster.repositories
        only = None
        if self.cluster.engine.kind is EngineKind.BARMAN:
            only = known[0].name if known else "repo1"
        return TakenBackup(
            cluster=self.cluster.name,
            engine=self.cluster.engine.kind.value,
            engine_name=self.cluster.engine_name,
            repository=repository[1].name if repository is not None else only,
            state=state,
            reason=reason,
            started_at=started,
            seconds=(self.around.clock() - started).total_seconds(),
        )

    def _tell(self, progress: Progress) -> None:
        self.around.reporter.progress(self.cluster.name, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What is known before the first backup of a cluster."""

    version: EngineVersion
    user: str | None
    view: PostgresView | None
    observation: Observation | None

    @property
    def summarizes(self) -> bool:
        """Whether PostgreSQL keeps what its own incremental backups need; assumed where it was not asked."""
        reachable = self.view is not None and self.view.reachable
        return not reachable or self.view is None or setting(self.view, "summarize_wal") == "on"
