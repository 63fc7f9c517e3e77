"""A backup restored into a private scratch place, to be started, asked and removed: who may, where, and by which steps.

It never touches the original, its repository or its archive. What a killed one left behind is swept by the next.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.amounts import size
from pgwrap.domain.control_file import ControlFile
from pgwrap.domain.facts import Backup
from pgwrap.domain.model import Cluster
from pgwrap.domain.restoring import RecoveryTarget
from pgwrap.domain.wal import Timeline
from pgwrap.engines.port import CopyJob, CopyRequest, EngineVersion
from pgwrap.errors import EngineMissing, EngineUnsupported, Refused, UsageError
from pgwrap.ops.drill_memory import end_killed
from pgwrap.ops.scratch_server import OLDEST_MAJOR, Recovery, ScratchServer, Started
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import MARK_VARIABLE, Journal, Scratch, ScratchClaim, ScratchPlace, SqlDoor

MARGIN = 256 << 20
"""Bytes that a started copy needs beside its data: WAL segments of its own, temporary files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a copy needs beside the world."""

    journal: Journal
    scratch: Scratch
    sql: SqlDoor
    clock: Callable[[], datetime]
    chance: float
    token: str
    """Random; it names the directory and marks the processes."""
    user: str
    """Who runs pgwrap."""
    say: Callable[[str], None]


def user_for_copies(cluster: Cluster, world: World, own: str) -> str:
    """Who owns and runs the copies of a cluster, for `own`, who runs pgwrap; raises where nobody may here."""
    if cluster.engine.host is not None:
        message = (
            f"{cluster.name}: its engine runs on {cluster.engine.host}, and a copy is restored where the engine is"
        )
        raise EngineUnsupported(message, hint=f"run the same pgwrap command on {cluster.engine.host}")
    user = world.user_for(cluster) or own
    if user == "root":
        message = f"{cluster.name}: PostgreSQL refuses to run as root"
        raise UsageError(message, hint=f"say who its engine runs as: `run_as:` of cluster {cluster.name}")
    if own not in (user, "root"):
        message = f"{cluster.name}: a copy of {user}'s can be run, and ended in any event, by {user} or root alone"
        raise UsageError(message, hint=f"run it as root, or with: sudo -u {user}")
    return user


def major_of(backup: Backup, world: World, cluster: str) -> str:
    """The major version of a backup's PostgreSQL; raises where its programs are not here."""
    major = backup.postgres_version or ""
    if not major.isdecimal() or int(major) < OLDEST_MAJOR:
        message = f"a copy can be started of PostgreSQL {OLDEST_MAJOR} or later; this backup is of {major or 'unknown'}"
        raise EngineUnsupported(message, cluster=cluster)
    for program in ("pg_ctl", "pg_controldata"):
        if world.programs.postgres(program, major) is None:
            message = f"{program} of PostgreSQL {major} is not installed here: a restored copy cannot be started"
            raise EngineMissing(message, hint=f"install PostgreSQL {major} on this host")
    return major


def sweep(tools: Tools) -> None:
    """Remove what was left behind by those that were killed: only what the journal claims, and whose mark proves it."""
    for claim in tools.journal.claims():
        state = tools.scratch.abandoned(claim)
        if state is False:
            continue
        if state is True:
            left = tools.scratch.remove(claim)
            if left:
                tools.say(f"the remains of {claim.drill}, which was killed, could not be removed: {', '.join(left)}")
                continue
            tools.say(f"removed what {claim.drill}, which was killed, had left in {claim.path}")
        end_killed(claim.drill, tools.journal, tools.clock())
        tools.journal.release(claim)


@contextmanager
def private_place(tools: Tools, claim: ScratchClaim, owner: str) -> Iterator[ScratchPlace]:
    """A private place of `owner`'s, removed in any event; the journal has it until it is gone."""
    tools.journal.claim(claim)
    try:
        yield tools.scratch.make(claim, owner)
    finally:
        left = tools.scratch.remove(claim)
        if left:
            tools.say(f"the scratch copy could not be removed whole: {', '.join(left)}; the next drill tries again")
        else:
            tools.journal.release(claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchCopy:
    """A backup and how far along its timeline its copy is to go; `deadline` is in seconds for each step."""

    cluster: Cluster
    world: World
    tools: Tools
    backup: Backup
    timeline: Timeline
    user: str
    major: str
    deadline: float
    version: EngineVersion | None = None
    """The engine's, as a look has just told it; else it is asked."""

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What marks the copy's processes as its own."""
        return ((MARK_VARIABLE, self.tools.token),)

    def require_room(self, parent: str) -> None:
        """Refused, with figures, where the copy has no room; where the engine does not tell its size, no check."""
        free = self.tools.scratch.free_bytes(parent)
        backup = self.backup
        data = backup.cluster_bytes or max(backup.copied_bytes or 0, backup.stored_bytes or 0)
        if backup.cluster_bytes is None:
            self.tools.say(f"the engine does not tell the size of the cluster; it is taken to be {size(data)} at least")
        needed = data + data // 20 + MARGIN
        if free < needed:
            raise Refused(
                f"{parent} has {size(free)} free; a copy of backup {backup.id} needs {size(needed)} "
                f"({size(data)} of data, and room to run)",
                hint="name a larger place with --directory, or in the spec's drill.directory",
                cluster=self.cluster.name,
            )

    def claim(self, parent: str, purpose: str, identifier: str) -> ScratchClaim:
        """What the journal is to know of the place before it is made."""
        path = posixpath.join(parent, f"pgwrap-{purpose}-{self.tools.token}")
        return ScratchClaim(path=path, token=self.tools.token, drill=identifier)

    def server(self, place: ScratchPlace) -> ScratchServer:
        """Its PostgreSQL."""
        return ScratchServer(
            world=self.world,
            place=place,
            scratch=self.tools.scratch,
            user=self.user,
            major=self.major,
            environment=self.environment,
            deadline=self.deadline,
        )

    def job(self, place: ScratchPlace) -> CopyJob:
        """How its engine restores it there; raises what the engine's answers raise."""
        engine = self.world.engine(self.cluster.engine)
        keyed = self.cluster.keyed_repositories()
        request = CopyRequest(
            cluster=self.cluster,
            backup=self.backup,
            repository=next((pair for pair in keyed if pair[1].name == self.backup.repository), None),
            data=place.data,
            tablespaces=place.tablespaces,
            spool=place.spool,
            timeline=self.timeline,
            run_as=self.user,
            version=self.version or self.world.converse(engine.version(self.cluster.engine, self.user)),
            environment=self.environment,
            deadline=self.deadline,
        )
        return self.world.converse(engine.copy(request))

    def start(self, server: ScratchServer, control: ControlFile, job: CopyJob, target: RecoveryTarget) -> Started:
        """Recover the restored copy to `target` and have it answer, its own master."""
        added = self.tools.scratch.complete(server.place, self.user, signal=job.unless_signalled is not None)
        recovery = Recovery(
            target=replace(target, action="promote"),
            timeline=None if self.timeline == self.backup.timeline else self.timeline,
            restore_command=job.unless_signalled if added else job.restore_command,
        )
        server.configure()
        return server.start(control, recovery)
