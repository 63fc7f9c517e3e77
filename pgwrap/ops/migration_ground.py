"""What every step of a migration stands on: the two entries, the world, and how native files and settings are changed.

It knows no step and keeps nothing in the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from pgwrap.domain.facts import Observation, PostgresView
from pgwrap.domain.migration import Migration, as_it_stands
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.plan import AlterSystem, Check, Note, Retire, Run, Step, Switch, WriteFile
from pgwrap.engines.port import Engine, EngineVersion, Receiving
from pgwrap.errors import EngineFailed
from pgwrap.ops.apply import apply, clean_up, locked, require_consent
from pgwrap.ops.asking import look_at
from pgwrap.ops.backup import Surroundings
from pgwrap.ops.engine_change import note_engines
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.planning import PlanOptions, make_plan
from pgwrap.ops.records import read_records
from pgwrap.ops.scratch_copy import Tools
from pgwrap.ops.versions import choose
from pgwrap.ops.world import World, owned
from pgwrap.records import dataclass
from pgwrap.system.port import Store, WalSpool

LOOK: float = 60.0
"""Seconds for each command that only looks."""
FILES = (WriteFile, Retire, Switch, Check)
Effects: TypeAlias = tuple[type, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where copies are restored, how long each engine's command may take, how many old backups become new ones."""

    directory: str | None = None
    bases: str = "all"
    deadline: float = 604800.0
    patience: float = 120.0
    """Seconds for a WAL segment to arrive in both archives."""
    leave: tuple[str, ...] = ()
    """Old backups that need not come along."""
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One migration's surroundings."""

    fleet: Fleet
    """The spec as it is written."""
    old: Cluster
    new: Cluster
    world: World
    tools: Tools
    around: Surroundings
    options: Options
    spool: WalSpool
    store: Store
    keep: Callable[[Migration], None]
    """Puts a migration into the journal."""
    encode: Callable[[object], str]
    """Makes the text of a certificate."""

    @property
    def say(self) -> Callable[[str], None]:
        """Talk to the person."""
        return self.tools.say

    def standing(self, migration: Migration) -> Fleet:
        """What the spec means while the migration is as it is."""
        return as_it_stands(self.fleet, (migration,), preparing=True)

    def engine(self, cluster: Cluster) -> Engine:
        """The engine of one of the two."""
        return self.world.engine(cluster.engine)

    def version(self, cluster: Cluster) -> EngineVersion:
        """The version of its engine; raises where it cannot be asked."""
        return self.world.converse(self.engine(cluster).version(cluster.engine, self.world.user_for(cluster)))

    def receiving(self, cluster: Cluster) -> Receiving:
        """How its engine is had to fetch WAL."""
        return self.engine(cluster).receiving(cluster, self.version(cluster), self.world.user_for(cluster))

    def look(self, migration: Migration) -> tuple[Observation, Observation]:
        """What both engines say now, the old one first; raises where one tells nothing."""
        both = (self.old, self.new)
        seen = observed(self.standing(migration), both, self.world, LOOK)
        for cluster in both:
            must_be_read(cluster, seen[cluster.name])
        return seen[self.old.name], seen[self.new.name]

    def server(self) -> PostgresView:
        """What PostgreSQL says of itself; EngineFailed when it does not answer."""
        for cluster in (self.new, self.old):
            view = look_at(cluster, self.world)
            if view is not None and view.reachable:
                return view
        said = view.error if view is not None else "the spec does not say how to connect"
        raise EngineFailed(
            f"PostgreSQL of {self.new.name} does not answer: {said}",
            hint=f"give `postgres:` of {self.new.name} a host or a socket_directory, and a user",
        )

    def put_in_place(self, fleet: Fleet, names: tuple[str, ...], effects: Effects) -> tuple[str, ...]:
        """Do what `pgwrap apply` would do of these kinds for the entries; what is left to the operator.

        Refused where a file made by hand would be overwritten.
        """
        clusters = tuple(cluster for cluster in fleet.clusters if cluster.name in names)
        with locked(fleet, self.world):
            clean_up(fleet, self.world)
            records = read_records(self.world.files, fleet.state)
            options = PlanOptions(
                postgres=any(kind in effects for kind in (AlterSystem, Run)), force=self.options.force
            )
            plan = make_plan(fleet, clusters, choose(fleet.clusters, {}, self.world), self.world, records, options)
            require_consent(plan, force=self.options.force)
            plan = replace(plan, steps=tuple(step for step in plan.steps if isinstance(step.effect, effects)))
            done = apply(plan, self.world, records, self.say)
            if done.errors:
                raise done.errors[0]
            note_engines(clusters, records)
        return tuple(_left(one.step, one.message) for one in done.left)

    def as_run(self, cluster: Cluster) -> Cluster:
        """The entry with the user its engine's commands run as."""
        (known,) = owned((cluster,), self.world)
        return known


def _left(step: Step, message: str) -> str:
    by_hand = step.effect.by_hand if isinstance(step.effect, Note) else ""
    return f"{message}: {by_hand}" if by_hand else message
