"""The two sides of a history that is carried: who holds it, who takes it in, and as whom. It carries nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Final

from pgwrap.domain.archived import segment_size_of
from pgwrap.domain.carrying import Bases
from pgwrap.domain.command import Command
from pgwrap.domain.facts import ArchiveContents, Observation
from pgwrap.domain.model import Cluster, EngineKind, Fleet, Repository
from pgwrap.engines.catalog_port import Incoming, IncomingRequest, Outgoing, OutgoingRequest
from pgwrap.errors import Busy, EngineUnsupported, OutputNotUnderstood, UsageError
from pgwrap.ops.foretelling import version_of
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import MARK_VARIABLE, Scratch, ScratchClaim, Store

WORK: Final = ".pgwrap-carry-"
"""How a work directory's name begins; Barman's `*` passes over hidden ones."""
_PROCESSES: Final = 2
"""More than there are processors only cost their start, with every batch of WAL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryTools:
    """What carrying needs beside the world."""

    scratch: Scratch
    store: Store
    token: str
    """Random; it names the work directory and marks the processes."""
    user: str
    """Who runs pgwrap."""
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOptions:
    """How a history is carried."""

    bases: Bases = Bases()
    repository: str | None = None
    """From which of the source's repositories; None: the first."""
    directory: str | None = None
    """Where to work; None: in the target's own directory of backups, so that nothing is copied twice."""
    leave: tuple[str, ...] = ()
    """Backups that are not to come along."""
    processes: int | None = None
    """How many of the source's copy at a time; None: as its `wal.parallel` says, else two."""
    look: float = 60.0
    """Seconds for each question to an engine."""
    deadline: float = 604800.0
    """Seconds for each command that copies."""
    planned: bool = False
    """Whether the target may be not configured yet: enough for a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides as they were found; `archive` is the one WAL archive that is carried."""

    fleet: Fleet
    source: Cluster
    target: Cluster
    world: World
    tools: CarryTools
    options: CarryOptions
    source_user: str
    target_user: str
    outgoing: Outgoing
    incoming: Incoming
    source_seen: Observation
    target_seen: Observation
    archive: ArchiveContents
    segment_size: int

    @property
    def work_parents(self) -> tuple[str, ...]:
        """Where work directories may lie, the one of this run first."""
        return tuple(dict.fromkeys((self.options.directory or self.incoming.bases, self.incoming.bases)))

    @property
    def work(self) -> str:
        """The work directory of this run."""
        return posixpath.join(self.work_parents[0], f"{WORK}{self.tools.token}")


def find_sides(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> Sides:
    """Look at both engines; raises EngineUnsupported, UsageError or what the engines' answers raise."""
    _check_places(source, target)
    users = world.user_for(source) or tools.user, world.user_for(target) or tools.user
    _check_users(source, target, users, tools.user)
    seen = observed(fleet, (source, target), world, options.look)
    planned = options.planned and not seen[target.name].read
    for cluster in (source,) if planned else (source, target):
        must_be_read(cluster, seen[cluster.name])
    repository = _repository(source, options.repository)
    archive = _archive(source, seen[source.name], repository)
    environment = ((MARK_VARIABLE, tools.token),)
    arriving = IncomingRequest(
        cluster=target,
        version=version_of(seen[target.name], world.engine(target.engine).newest),
        run_as=users[1],
        environment=environment,
        deadline=options.deadline,
        planned=planned,
    )
    leaving = OutgoingRequest(
        cluster=source,
        repository=repository,
        archive=archive.archive or "",
        run_as=users[0],
        environment=environment,
        processes=options.processes or source.wal.parallel or _PROCESSES,
        deadline=options.deadline,
    )
    return Sides(
        fleet=fleet,
        source=source,
        target=target,
        world=world,
        tools=tools,
        options=options,
        source_user=users[0],
        target_user=users[1],
        outgoing=world.engine(source.engine).outgoing(leaving),
        incoming=world.converse(world.engine(target.engine).incoming(arriving)),
        source_seen=seen[source.name],
        target_seen=seen[target.name],
        archive=archive,
        segment_size=_segment_size(source, archive, seen[source.name]),
    )


def _check_places(source: Cluster, target: Cluster) -> None:
    kinds = (source.engine.kind, target.engine.kind)
    if kinds != (EngineKind.PGBACKREST, EngineKind.BARMAN):
        message = f"{source.name} and {target.name}: this way a history goes from pgBackRest to Barman, not back"
        raise EngineUnsupported(message)
    for cluster in (source, target):
        if cluster.engine.host is not None:
            message = f"{cluster.name}: its engine runs on {cluster.engine.host}, and history is carried where both are"
            raise EngineUnsupported(message, hint=f"run the same pgwrap command on {target.engine.host or 'that host'}")


def _check_users(source: Cluster, target: Cluster, users: tuple[str, str], own: str) -> None:
    if own == "root" or users == (own, own):
        return
    needed = "root" if users[0] != users[1] else f"{users[0]} or root"
    message = (
        f"{source.name} is read as {users[0]} and {target.name} is written as {users[1]}: "
        f"only {needed} can carry its history, not {own}"
    )
    hint = "run it as root" if users[0] != users[1] else f"run it as root, or with: sudo -u {users[0]}"
    raise UsageError(message, hint=hint)


def _repository(source: Cluster, name: str | None) -> tuple[int, Repository] | None:
    keyed = source.keyed_repositories()
    if name is None:
        return keyed[0] if keyed else None
    for key, repository in keyed:
        if repository.name == name:
            return key, repository
    known = ", ".join(repository.name for _, repository in keyed) or "none"
    raise UsageError(f"cluster {source.name!r} has no repository called {name!r}", hint=f"its repositories: {known}")


def _archive(source: Cluster, seen: Observation, repository: tuple[int, Repository] | None) -> ArchiveContents:
    """The archive that the cluster writes to now: what lies before an upgrade is of another system."""
    name = "repo1" if repository is None else repository[1].name
    for archive in seen.archives:
        if archive.repository == name and archive.current and archive.archive is not None:
            return archive
    message = f"{source.name}: repository {name} holds no WAL of the present PostgreSQL"
    raise UsageError(message, hint=f"look with: pgwrap status {source.name}")


def _segment_size(source: Cluster, archive: ArchiveContents, seen: Observation) -> int:
    size = segment_size_of(archive, seen.backups)
    if size is None or archive.ranges is None:
        message = f"{source.name}: the WAL of repository {archive.repository} could not be listed"
        raise OutputNotUnderstood(message, hint=f"look with: pgwrap status {source.name}")
    return size


def sweep(sides: Sides) -> None:
    """Remove the work directories of those that were killed; Busy when somebody else is carrying."""
    tools = sides.tools
    for parent in sides.work_parents:
        for name in sides.world.files.entries(parent):
            if not name.startswith(WORK):
                continue
            claim = ScratchClaim(path=posixpath.join(parent, name), token=name.removeprefix(WORK), drill="")
            if tools.scratch.abandoned(claim) is False:
                raise Busy(f"another pgwrap is carrying a history here: it holds {claim.path}", hint="let it end")
            left = tools.scratch.remove(claim)
            if left:
                raise Busy(f"what was left by a carrying that was killed cannot be removed: {', '.join(left)}")
            tools.say(f"removed what a carrying that was killed had left in {claim.path}")


def open_work(sides: Sides) -> ScratchClaim:
    """Make the work directory of this run; UsageError where one of the two users cannot reach it."""
    for directory in sides.incoming.directories():
        sides.tools.store.ensure(directory, sides.target_user)
    _check_reach(sides)
    claim = ScratchClaim(path=sides.work, token=sides.tools.token, drill="")
    sides.tools.scratch.hold(claim)
    return claim


def _check_reach(sides: Sides) -> None:
    parent = sides.work_parents[0]
    for user in sorted({sides.source_user, sides.target_user}):
        outcome = sides.world.runner.run(Command(argv=("test", "-x", parent), run_as=user, deadline=sides.options.look))
        if outcome.failure is not None or not outcome.succeeded:
            raise UsageError(
                f"{user} cannot enter {parent}, where the history of {sides.source.name} is to be put together",
                hint="name a directory that both users can enter, best on the same file system: --directory DIR",
            )
