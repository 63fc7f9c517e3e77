"""What carrying a history from Barman into pgBackRest stands on: both sides, looked at. It carries nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import field

from pgwrap.domain.carry_choice import room_needed, segment_size
from pgwrap.domain.carrying import Bases, CarryProgress
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.model import Cluster, EngineKind, Fleet
from pgwrap.domain.wal_file import WalFile
from pgwrap.engines.history_port import HistorySource, HistoryStanza, Holdings, Side
from pgwrap.engines.port import EngineVersion
from pgwrap.errors import EngineUnsupported, UsageError
from pgwrap.ops.foretelling import installation_of, version_of
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.scratch_copy import Tools, private_place, user_for_copies
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import MARK_VARIABLE, ScratchClaim, ScratchPlace, WalSpool


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryTools:
    """What carrying needs beside the world."""

    copies: Tools
    spool: WalSpool


@dataclass(frozen=True, slots=True, kw_only=True)
class CarryOptions:
    """Which backups to carry, where copies of them are made, and for how long at most (seconds for each step)."""

    bases: Bases = field(default_factory=Bases)
    leave: tuple[str, ...] = ()
    """Backups that are not to come along."""
    directory: str | None = None
    incremental: bool = True
    """Whether a set is stored as its difference from the one before it, where that can be."""
    parallel: int | None = None
    """How many WAL files are on their way at a time; None: as the target's spec says, else a few."""
    planned: bool = False
    """Whether the target may be not configured yet: enough for a plan."""
    deadline: float = 86400.0
    look_deadline: float = 60.0
    progress: Callable[[CarryProgress], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Both sides of one carrying, and what it is done with."""

    fleet: Fleet
    source: Cluster
    target: Cluster
    world: World
    tools: CarryTools
    options: CarryOptions
    source_user: str
    target_user: str
    version: EngineVersion
    """Barman's."""
    observation: Observation
    wals: str
    """The directory of the source's WAL."""
    origin: HistorySource
    stanza: HistoryStanza

    @property
    def parent(self) -> str:
        """The directory that copies are made in."""
        said = self.options.directory or self.source.drill.directory
        return said or self.tools.copies.scratch.default_parent()

    @property
    def marked(self) -> tuple[tuple[str, str], ...]:
        """What marks the processes of its scratch places."""
        return ((MARK_VARIABLE, self.tools.copies.token),)

    @property
    def system(self) -> str | None:
        """The source's system identifier: of its newest backup, which the server at hand may have outlived."""
        told = [one.system_identifier for one in self.observation.backups if one.system_identifier is not None]
        return told[-1] if told else self.observation.system_identifier

    def files(self) -> tuple[WalFile, ...]:
        """The source's WAL files; raises what Barman's failures raise."""
        return self.world.converse(self.origin.wal_files(self.source, self.wals, self.source_user))

    def holdings(self) -> Holdings:
        """What the target has of it; raises what pgBackRest's failures raise."""
        if self.options.planned and self.world.files.access(self.target.engine.config) is None:
            return Holdings()
        return self.world.converse(self.stanza.holdings(self.source, self.system))

    def room_for(self, backup: Backup) -> int:
        """What a copy of it needs; Barman unpacks some, or puts them together, beside the place it restores to."""
        said = self.source.backup.compression
        staged = backup.type == "incremental" or said not in (None, "none")
        return room_needed(backup, segment_size(self.observation), staged=staged)

    def place(self, purpose: str) -> AbstractContextManager[ScratchPlace]:
        """A private place of the source's user, removed in any event."""
        tools = self.tools.copies
        path = posixpath.join(self.parent, f"pgwrap-{purpose}-{tools.token}")
        claim = ScratchClaim(path=path, token=tools.token, drill=f"the carrying of {self.source.name}")
        return private_place(tools, claim, self.source_user)


def crossing(
    fleet: Fleet, source: Cluster, target: Cluster, world: World, tools: CarryTools, options: CarryOptions
) -> Crossing:
    """Look at both sides; UsageError, EngineUnsupported or an engine's failure where nothing can be carried at all."""
    _check_pair(source, target)
    own = tools.copies.user
    source_user, target_user = (user_for_copies(one, world, own) for one in (source, target))
    observation = observed(fleet, (source,), world, options.look_deadline)[source.name]
    must_be_read(source, observation)
    engine, other = world.engine(source.engine), world.engine(target.engine)
    side = Side(
        installation=installation_of(fleet, target),
        version=world.converse(other.version(target.engine, target_user)),
        secret=world.secret,
        run_as=target_user,
    )
    return Crossing(
        fleet=fleet,
        source=source,
        target=target,
        world=world,
        tools=tools,
        options=options,
        source_user=source_user,
        target_user=target_user,
        version=version_of(observation, engine.newest),
        observation=observation,
        wals=_wals(source, observation),
        origin=engine.history_source(),
        stanza=other.history_stanza(target, side),
    )


def _wals(source: Cluster, observation: Observation) -> str:
    """Where the source's WAL lies; EngineUnsupported where that is not on a disk of this host."""
    directory = next((archive.directory for archive in observation.archives if archive.directory is not None), None)
    if directory is None or not directory.startswith("/"):
        raise EngineUnsupported(
            f"the WAL of {source.name} lies in {directory or 'a place that Barman does not tell'}, not on this host",
            hint="carry the history on the host whose disk holds it",
            cluster=source.name,
        )
    return directory.rstrip("/")


def _check_pair(source: Cluster, target: Cluster) -> None:
    if (source.engine.kind, target.engine.kind) != (EngineKind.BARMAN, EngineKind.PGBACKREST):
        message = f"{source.name} is {source.engine.kind.value}'s and {target.name} {target.engine.kind.value}'s"
        raise UsageError(message, hint="this way a history goes from Barman into pgBackRest")
