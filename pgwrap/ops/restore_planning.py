"""Plans a restore: chooses the backup, looks at the place, and puts together what would be run. It changes nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from datetime import datetime
from typing import Final

from pgwrap.domain.choosing import Choice, Wanted, choose
from pgwrap.domain.facts import PostgresView, Tablespace
from pgwrap.domain.model import Cluster, EngineKind, Fleet
from pgwrap.domain.obstacles import Intent, obstacles, spaces
from pgwrap.domain.restoring import (
    PlacedTablespace,
    PlannedSetting,
    RecoveryTarget,
    Refusal,
    RefusalCode,
    RestorePlan,
)
from pgwrap.domain.site import Site
from pgwrap.engines.port import EngineVersion, RestoreJob, RestoreRequest
from pgwrap.errors import Refused, UsageError
from pgwrap.ops.asking import look_at
from pgwrap.ops.foretelling import version_of
from pgwrap.ops.holdings import Held, holdings_of
from pgwrap.ops.observing import results
from pgwrap.ops.restore_memory import RestoreMemory
from pgwrap.ops.restore_steps import Step, preparation, shown_after
from pgwrap.ops.survey import real_path, survey
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_ROOT: Final = "root"
_DEADLINE: Final = 30.0
"""Seconds for each question to an engine."""
_EXCLUSIVE: Final = frozenset({"time", "lsn", "xid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """What to restore, to where, how, and what is accepted by name."""

    directory: str
    target: RecoveryTarget = field(default_factory=RecoveryTarget)
    wanted: Wanted = field(default_factory=Wanted)
    tablespaces: Mapping[str, str] | None = None
    """Where each tablespace goes, by its name or oid."""
    tablespaces_in: str | None = None
    """A directory in which each other tablespace gets a directory of its own name."""
    links: tuple[tuple[str, str], ...] = ()
    link_all: bool = False
    delta: bool = False
    replace: bool = False
    archive: bool = False
    standby: bool = False
    connection: str | None = None
    fetch_wal: bool = False
    staging: str | None = None
    destination: str | None = None
    """The ssh destination of the copy."""
    owner: str | None = None
    accept: frozenset[RefusalCode] = frozenset()
    as_root: bool = False
    """Whether pgwrap runs as root, and so can give files away."""
    deadline: float = 604800.0
    """Seconds for the engine's own restore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with what is needed to carry it out."""

    plan: RestorePlan
    source: Cluster
    request: RestoreRequest
    job: RestoreJob
    before: tuple[Step, ...]
    choice: Choice
    system_identifier: str | None
    memory: RestoreMemory
    as_root: bool


def plan_restore(fleet: Fleet, cluster: Cluster, world: World, options: RestoreOptions, *, now: datetime) -> Prepared:
    """Choose, look and put together; nothing is changed. What stands against writing is in the plan.

    Refused where no backup reaches the target; UsageError, EngineUnsupported, and what the engines' questions raise.
    """
    _check_options(options)
    seen = _look(fleet, cluster, world, options)
    choice = choose(seen.held.holdings, options.target, options.wanted, now)
    if not isinstance(choice, Choice):
        raise refused(choice, cluster.name)
    return _Planner(fleet=fleet, cluster=cluster, world=world, options=options, choice=choice, seen=seen).plan()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What engines hold of the cluster, and what its server says if it may be where the copy is to lie."""

    held: Held
    server: PostgresView | None


def _look(fleet: Fleet, cluster: Cluster, world: World, options: RestoreOptions) -> _Seen:
    """Ask the engines and the server side by side."""
    original = cluster.postgres.data_directory if cluster.postgres.ssh is None else None
    near = original is not None and options.destination in (None, cluster.engine.host)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answers = [pool.submit(look_at, cluster, world)] if near else []
        held = holdings_of(fleet, cluster, world, _DEADLINE, options.target)
        return _Seen(held=held, server=next(iter(results(answers)), None))


def refused(refusals: tuple[Refusal, ...], cluster: str) -> Refused:
    message = "; ".join(refusal.message for refusal in refusals)
    return Refused(message, hint="; ".join(dict.fromkeys(map(way_out, refusals))), cluster=cluster)


def way_out(refusal: Refusal) -> str:
    """What to do about it, with the word that accepts it where there is one."""
    return f"{refusal.hint}; or --accept {refusal.code}" if refusal.acceptable else refusal.hint


def _check_options(options: RestoreOptions) -> None:
    for path in (options.directory, *(options.tablespaces or {}).values(), options.tablespaces_in or "/"):
        if not path.startswith("/") or posixpath.normpath(path) == "/" != path:
            raise UsageError(f"{path!r} is no absolute path", hint="write the whole path, from / on")
    if posixpath.normpath(options.directory) == "/":
        raise UsageError("/ is no place for a data directory", hint="name a directory of its own")
    if options.target.exclusive and options.target.kind not in _EXCLUSIVE:
        raise UsageError("--exclusive goes with a time, an lsn or an xid", hint="leave it out")
    if options.standby and options.target.stops:
        raise UsageError("a standby follows its primary and stops at no target", hint="leave out the target or --as")
    if options.owner == _ROOT:
        raise UsageError("PostgreSQL refuses to run as root, so its files are not root's", hint="--owner postgres")
    if "password" in (options.connection or "").lower():
        raise UsageError(
            "--primary-conninfo holds a password, which every user of the host could see",
            hint="keep it in the .pgpass file of the standby's user, or name that with passfile=",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planner:
    fleet: Fleet
    cluster: Cluster
    world: World
    options: RestoreOptions
    choice: Choice
    seen: _Seen

    @property
    def source(self) -> Cluster:
        return self.fleet.cluster(self.choice.candidate.holding.cluster)

    @property
    def host(self) -> str | None:
        """Where the copy lies, as an ssh destination."""
        return self.options.destination or self.source.engine.host

    @property
    def version(self) -> EngineVersion:
        observation = self.choice.candidate.holding.observation
        return version_of(observation, self.world.engine(self.source.engine).newest)

    def plan(self) -> Prepared:
        engine = self.world.engine(self.source.engine)
        directory = posixpath.normpath(self.options.directory)
        site = survey(self.world, directory, (), self.host)
        owner = self._owner(site)
        user = engine.restore_user(self.source, owner)
        backup = self.choice.candidate.backup
        asker = user if self.source.engine.host is None else self.source.run_as or self.source.engine.run_as
        there = self.world.converse(engine.tablespaces(self.source, backup, asker))
        placed = self._placed(there)
        site = survey(self.world, directory, placed, self.host) if placed else site
        request = self._request(directory, placed, user)
        job = engine.restore(request)
        refusals = self._refusals(site, request, owner)
        return Prepared(
            plan=self._plan(site, request, job, owner, refusals),
            source=self.source,
            request=request,
            job=job,
            before=self._before(site, request),
            choice=self.choice,
            system_identifier=self._system,
            memory=RestoreMemory(world=self.world, state=self.fleet.state),
            as_root=self._as_root,
        )

    @property
    def _as_root(self) -> bool:
        """Whether pgwrap can give files away where the copy lies."""
        return self.options.as_root and self.host is None

    def _owner(self, site: Site) -> str | None:
        """Who PostgreSQL runs as: as said, else the owner of the original, of the directory, of the one above it."""
        data = self.source.postgres.data_directory if self.host is None and self.source.postgres.ssh is None else None
        place = site.directory
        found = (
            self.options.owner,
            self._login(),
            self.world.files.owner(data) if data is not None else None,
            place.owner,
            self.source.run_as if self.source.engine.kind is EngineKind.PGBACKREST else None,
            place.parent_owner,
            self.world.user_for(self.source),
        )
        return next((user for user in found if user not in (None, _ROOT)), None)

    def _login(self) -> str | None:
        """The user of the ssh destination: who writes there owns what is written."""
        user, at, _ = (self.options.destination or "").rpartition("@")
        return user if at and user else None

    def _placed(self, found: tuple[Tablespace, ...]) -> tuple[PlacedTablespace, ...]:
        named = dict(self.options.tablespaces or {})
        known = {word for one in found for word in (one.name, str(one.oid))}
        unknown = sorted(named.keys() - known)
        if unknown:
            raise UsageError(
                f"the backup has no tablespace {unknown[0]!r}",
                hint=f"its tablespaces: {', '.join(one.name for one in found) or 'none'}",
            )
        return tuple(self._place(one, named) for one in found)

    def _place(self, one: Tablespace, named: Mapping[str, str]) -> PlacedTablespace:
        inside = self.options.tablespaces_in
        default = posixpath.join(inside, one.name) if inside is not None else one.location
        directory = named.get(one.name) or named.get(str(one.oid)) or default
        return PlacedTablespace(
            name=one.name, oid=one.oid, original=one.location, directory=posixpath.normpath(directory)
        )

    def _request(self, directory: str, placed: tuple[PlacedTablespace, ...], user: str | None) -> RestoreRequest:
        options = self.options
        return RestoreRequest(
            cluster=self.source,
            backup=self.choice.candidate.backup,
            target=options.target,
            timeline=self.choice.candidate.stretch.timeline,
            directory=directory,
            tablespaces=placed,
            links=options.links,
            link_all=options.link_all,
            delta=options.delta,
            archive=options.archive,
            standby=options.standby,
            connection=(options.connection or self._connection()) if options.standby else None,
            fetch_wal=options.fetch_wal,
            page_errors=RefusalCode.PAGE_ERRORS in options.accept,
            staging=options.staging,
            destination=options.destination,
            run_as=user,
            version=self.version,
            deadline=options.deadline,
        )

    def _connection(self) -> str:
        """How a standby reaches its primary, from the spec's words."""
        server = self.cluster.postgres
        where = server.host or server.socket_directory
        user = server.streaming_user or server.user
        if where is None:
            raise UsageError("the spec does not say how the primary is reached", hint="name it with --primary-conninfo")
        words = (("host", where), ("port", str(server.port)), ("user", user), ("sslmode", server.sslmode))
        return " ".join(f"{name}={_quoted(value)}" for name, value in words if value is not None)

    def _refusals(self, site: Site, request: RestoreRequest, owner: str | None) -> tuple[Refusal, ...]:
        intent = self._intent(site, request)
        return (*self.choice.refusals, *obstacles(site, intent), *self._wrong_user(request, owner))

    def _intent(self, site: Site, request: RestoreRequest) -> Intent:
        original = self.cluster.postgres.data_directory if self.cluster.postgres.ssh is None else None
        here = self.host == self.cluster.engine.host
        server = self.seen.server if original is not None and here else None
        left = self._left(site)
        return Intent(
            system_identifier=self._system,
            original=real_path(self.world, original, self.host) if original is not None and here else None,
            original_answers=server is not None and server.reachable,
            needed_bytes=self._needed(request),
            delta=request.delta,
            replace=self.options.replace,
            interrupted=bool(left),
            left=left,
            resumable=self.source.engine.kind is EngineKind.PGBACKREST,
            tablespaces=request.tablespaces,
        )

    def _left(self, site: Site) -> frozenset[str]:
        """What a restore that did not come to its end left, if the directory is what it filled."""
        marker = RestoreMemory(world=self.world, state=self.fleet.state).marker(site.directory.path, self.host)
        if marker is None or marker.finished or marker.identity is None or site.there.is_postgres:
            return frozenset()
        same = marker.identity == site.directory.identity
        return frozenset((marker.identity, *marker.tablespaces)) if same else frozenset()

    @property
    def _size(self) -> int | None:
        """Of the restored files; before 3.11 Barman told no more than what a backup takes."""
        backup = self.choice.candidate.backup
        stored = backup.stored_bytes if backup.type == "full" and backup.engine == "barman" else None
        return backup.cluster_bytes or stored

    @property
    def _system(self) -> str | None:
        """The system identifier, of the backup or, before Barman 3.11 told it, of the server that is backed up."""
        candidate = self.choice.candidate
        return candidate.backup.system_identifier or candidate.holding.observation.system_identifier

    def _needed(self, request: RestoreRequest) -> int | None:
        size = self._size
        copied = self.source.engine.kind is EngineKind.BARMAN and not request.fetch_wal
        return None if size is None else size + (self.choice.wal.bytes if copied else 0)

    def _wrong_user(self, request: RestoreRequest, owner: str | None) -> Iterator[Refusal]:
        if owner is None:
            yield Refusal(
                code=RefusalCode.WRONG_USER,
                message="nothing tells to which user the restored files should belong, and PostgreSQL refuses root",
                hint="name that user: --owner postgres",
            )
        elif request.run_as not in (None, owner) and not self._as_root and request.destination is None:
            yield Refusal(
                code=RefusalCode.WRONG_USER,
                message=f"{self.source.engine.kind} restores as {request.run_as}, and only root can give the files to "
                f"{owner} then",
                hint=f"run pgwrap as root, have it restored over ssh: --ssh {owner}@localhost, or start PostgreSQL as "
                f"{request.run_as}: --owner {request.run_as}",
            )

    def _before(self, site: Site, request: RestoreRequest) -> tuple[Step, ...]:
        left = self._left(site) if self.options.replace else frozenset()
        places = (site.directory, *site.tablespaces)
        emptied = tuple(place.path for place in places if place.identity in left)
        return preparation(request, self.host, as_root=self._as_root, emptied=emptied)

    def _plan(
        self, site: Site, request: RestoreRequest, job: RestoreJob, owner: str | None, refusals: tuple[Refusal, ...]
    ) -> RestorePlan:
        best, options = self.choice.candidate, self.options
        backup = best.backup
        memory = RestoreMemory(world=self.world, state=self.fleet.state)
        try:
            seconds, basis = memory.expectation(backup.engine, self.source.name, backup.repository, self._size)
        except LookupError as error:
            seconds, basis = None, str(error)
        accepted = tuple(one for one in refusals if one.acceptable and one.code in options.accept)
        before = self._before(site, request)
        after = shown_after(request, job, self.host, owner, as_root=self._as_root)
        return RestorePlan(
            cluster=self.cluster.name,
            source=self.source.name,
            engine=backup.engine,
            engine_version=str(self.version),
            engine_name=backup.engine_name,
            repository=backup.repository,
            backup=backup.id,
            backup_type=backup.type,
            backup_stopped_at=backup.stopped_at,
            bytes=self._size,
            reason=self.choice.reason,
            target=options.target,
            target_text=options.target.in_words(),
            timeline=best.stretch.timeline,
            proven=best.proven,
            wal=self.choice.wal,
            directory=request.directory,
            host=self.host,
            user=request.run_as,
            owner=owner,
            standby=request.standby,
            delta=request.delta,
            tablespaces=request.tablespaces,
            space=spaces(site, self._needed(request)),
            expected_seconds=seconds,
            expected_from=basis,
            settings=(*job.written, *_added(job)),
            commands=(*(step.shown for step in before), job.command.quoted(), *(step.shown for step in after)),
            refusals=tuple(one for one in refusals if one not in accepted),
            accepted=accepted,
            notes=(*self.choice.notes, *self.seen.held.notes, *job.notes, *self._notes(request, owner)),
        )

    def _notes(self, request: RestoreRequest, owner: str | None) -> Iterator[str]:
        if self._size is None:
            yield f"{request.backup.engine} does not tell the backup's size: whether there is room is not known"
        elif request.backup.cluster_bytes is None:
            yield f"{request.backup.engine} tells only what the backup takes: unpacked it may need more room"
        if request.destination is None and request.run_as not in (None, owner) and self._as_root:
            yield f"{request.backup.engine} writes the files as {request.run_as}; root gives them to {owner} at the end"
        if not request.archive:
            yield "the copy does not archive (archive_mode = off), so that it cannot write into the original's archive"
        yield (
            "where the copy has no postgresql.conf, pg_hba.conf or pg_ident.conf, as on Debian, it gets small ones "
            "with what recovery needs"
        )


def _added(job: RestoreJob) -> Iterator[PlannedSetting]:
    for name, value in job.settings:
        yield PlannedSetting(file="postgresql.auto.conf", name=name, value=value, by="pgwrap")


def _quoted(value: str) -> str:
    """A value in a libpq connection string."""
    if value and not any(character in value for character in " '\\"):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
