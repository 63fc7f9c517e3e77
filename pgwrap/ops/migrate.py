"""Moves a cluster from one engine to the other, step by step, each kept in the journal before and after it is done.

A run that was killed is finished by the next: a step that had begun is done again, and finds what is there already.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from pgwrap.domain.facts import EngineName
from pgwrap.domain.migration import Migration, MigrationStep, StepName, order
from pgwrap.domain.model import Cluster, EngineKind, Fleet
from pgwrap.errors import Refused, UsageError
from pgwrap.ops.migration_carry import carry, plan_carry
from pgwrap.ops.migration_feed import feed_both
from pgwrap.ops.migration_ground import Ground
from pgwrap.ops.migration_memory import keep_migration, migrations_of
from pgwrap.ops.migration_proof import prove
from pgwrap.ops.migration_refusals import standing_against
from pgwrap.ops.migration_steps import (
    cut_over,
    first_backup,
    prepare,
    retire,
    undo_backup,
    undo_carry,
    undo_dual,
    undo_nothing,
    undo_prepare,
)
from pgwrap.ops.world import World
from pgwrap.records import dataclass
from pgwrap.system.port import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doing:
    """How a step is done, and how it is undone: a sentence of what is then, or nothing."""

    do: Callable[[Ground, Migration], MigrationStep]
    undo: Callable[[Ground, Migration], str] = undo_nothing


_STEPS: Final[Mapping[StepName, _Doing]] = {
    StepName.PREPARE: _Doing(do=prepare, undo=undo_prepare),
    StepName.DUAL: _Doing(do=feed_both, undo=undo_dual),
    StepName.BACKUP: _Doing(do=first_backup, undo=undo_backup),
    StepName.CARRY: _Doing(do=carry, undo=undo_carry),
    StepName.PROVE: _Doing(do=prove),
    StepName.CUT_OVER: _Doing(do=cut_over),
    StepName.RETIRE: _Doing(do=retire),
}


def pair(fleet: Fleet, name: str) -> tuple[Cluster, Cluster]:
    """The entry that is replaced and the one that replaces it, whichever of them is named; UsageError for neither."""
    new = successor(fleet, name)
    if new is None or new.replaces is None:
        raise UsageError(
            f"no entry of the spec replaces {name!r}",
            hint=f"describe the cluster under its new engine as an entry of its own that says `replaces: {name}`; "
            f"`pgwrap migrate plan {name}` drafts one",
        )
    return fleet.cluster(new.replaces), new


def successor(fleet: Fleet, name: str) -> Cluster | None:
    """The entry that replaces another, whichever of the two is named; None where there is but one."""
    cluster = fleet.cluster(name)
    return (
        cluster if cluster.replaces is not None else next((one for one in fleet.clusters if one.replaces == name), None)
    )


def engine_name(cluster: Cluster) -> EngineName:
    """Its engine as status calls it."""
    return "barman" if cluster.engine.kind is EngineKind.BARMAN else "pgbackrest"


def alone(fleet: Fleet, cluster: str, world: World) -> AbstractContextManager[None]:
    """Only one run of a migration at a time; Busy for the second."""
    return world.files.exclusive(posixpath.join(fleet.state, "lock", f"migrate-{cluster}.lock"))


def current(journal: Journal, cluster: str) -> Migration | None:
    """The newest migration towards an entry."""
    return next(iter(migrations_of(journal, cluster)), None)


def begin(ground: Ground, *, history: bool) -> Migration:
    """The migration that is under way, or a new one, put into the journal."""
    journal = ground.tools.journal
    journal.prepare()
    known = current(journal, ground.new.name)
    if known is not None and known.state == "done":
        raise UsageError(
            f"{ground.new.name} has replaced {ground.old.name} already",
            hint=f"take `replaces:` and the entry {ground.old.name} out of the spec",
        )
    if known is not None and known.moving:
        return replace(known, state="running")
    now = ground.tools.clock()
    fresh = Migration(
        id=f"{now:%Y%m%dT%H%M%S}-{ground.tools.token}",
        cluster=ground.new.name,
        source=ground.old.name,
        from_engine=engine_name(ground.old),
        to_engine=engine_name(ground.new),
        began_at=now,
        changed_at=now,
        bases=ground.options.bases,
        steps=tuple(MigrationStep(name=name) for name in order(engine_name(ground.new), history=history)),
    )
    _require_ready(ground, fresh, history=history)
    return fresh


def _require_ready(ground: Ground, migration: Migration, *, history: bool) -> None:
    """Refused, before anything is touched, where something stands against it."""
    carry = plan_carry(ground, migration) if history else None
    against = standing_against(ground, migration, carry)
    of_history = carry.refusals if carry is not None else ()
    if against or of_history:
        leave = "" if against else "; or leave the old backups: --without-history"
        raise Refused(
            "; ".join(dict.fromkeys((*against, *of_history))),
            hint=f"see `pgwrap migrate plan {ground.new.name}`{leave}",
            cluster=ground.new.name,
        )


def run(ground: Ground, migration: Migration, until: StepName) -> Migration:
    """Go on to `until`, or to where it was paused; raises what a step raises, and the journal has how far it came."""
    keep_migration(migration, ground.tools.journal)
    for name in (step.name for step in migration.steps):
        if migration.is_done(name):
            continue
        if _paused(ground, migration):
            ground.say(f"paused before {name}: `pgwrap migrate resume {ground.new.name}` goes on")
            return replace(migration, state="paused")
        migration = _step(ground, migration, name)
        if name is until:
            break
    if migration.next is None:
        migration = replace(migration, state="done", changed_at=ground.tools.clock())
        ground.keep(migration)
    return migration


def _paused(ground: Ground, migration: Migration) -> bool:
    known = current(ground.tools.journal, migration.cluster)
    return known is not None and known.id == migration.id and known.state == "paused"


def _step(ground: Ground, migration: Migration, name: StepName) -> Migration:
    clock = ground.tools.clock
    step = migration.step(name)
    begun = replace(step, state="begun", began_at=step.began_at or clock())
    migration = migration.with_step(begun, clock())
    ground.keep(migration)
    ground.say(f"{name}: {_WORDS[name]}")
    done = _STEPS[name].do(ground, migration)
    migration = migration.with_step(replace(done, state="done", ended_at=clock()), clock())
    ground.keep(migration)
    ground.say(f"{name}: done. {done.proof}")
    return migration


_WORDS: Final[Mapping[StepName, str]] = {
    StepName.PREPARE: "configure the new engine, and stop expiry in both",
    StepName.DUAL: "have both engines receive WAL",
    StepName.BACKUP: "take the first full backup with the new engine",
    StepName.CARRY: "carry the old backups and their WAL over",
    StepName.PROVE: "restore what was carried, and compare both engines",
    StepName.CUT_OVER: "let the new engine's retention count",
    StepName.RETIRE: "take the cluster from the old engine, whose backups stay",
}


def pause(journal: Journal, migration: Migration) -> Migration:
    """Have a running migration stop before its next step."""
    paused = replace(migration, state="paused")
    keep_migration(paused, journal)
    return paused


def roll_back(ground: Ground, migration: Migration) -> tuple[Migration, tuple[str, ...]]:
    """Undo every step, last first; what is then. Refused once the old engine has begun to be retired."""
    if migration.step(StepName.RETIRE).state != "waiting":
        raise Refused(
            f"{ground.old.name} is being retired: there is no way back from here",
            hint=f"finish it: pgwrap migrate run {ground.new.name} --until retire; the way back is a new migration",
        )
    said = []
    for step in reversed(migration.steps):
        if step.state in ("waiting", "undone"):
            continue
        told = _STEPS[step.name].undo(ground, migration)
        migration = migration.with_step(replace(step, state="undone"), ground.tools.clock())
        ground.keep(migration)
        if told:
            said.append(told)
            ground.say(f"{step.name} undone: {told}")
    migration = replace(migration, state="rolled-back", changed_at=ground.tools.clock())
    ground.keep(migration)
    return migration, tuple(said)
