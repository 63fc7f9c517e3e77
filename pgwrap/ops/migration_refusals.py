"""What stands against a migration before it begins, beside what carrying needs. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pgwrap.domain.carry_choice import MARGIN, data_bytes, no_room
from pgwrap.domain.carrying import CarryPlan
from pgwrap.domain.facts import Backup, Observation
from pgwrap.domain.migration import Migration
from pgwrap.domain.occupied import occupied
from pgwrap.errors import PgwrapError
from pgwrap.ops.migration_ground import LOOK, Ground
from pgwrap.ops.observing import observed
from pgwrap.ops.planning import foreseen
from pgwrap.ops.records import read_records
from pgwrap.ops.scratch_copy import major_of
from pgwrap.ops.versions import choose


def standing_against(ground: Ground, migration: Migration, carry: CarryPlan | None) -> tuple[str, ...]:
    """Why it is not begun: another cluster in its place, no programs to prove it with, no room for that."""
    old = observed(ground.standing(migration), (ground.old,), ground.world, LOOK)[ground.old.name]
    backups = _restored(old, carry)
    known = carry.refusals if carry is not None else ()
    rooms = (one for parent, one in _without_room(ground, backups) if not _is_named(parent, known))
    found = (*_mixed(ground, migration, old), *_without_programs(ground, backups), *rooms)
    return tuple(dict.fromkeys(found))


def _is_named(parent: str, refusals: tuple[str, ...]) -> bool:
    return any(one.startswith(f"{parent} has ") for one in refusals)


def _restored(old: Observation, carry: CarryPlan | None) -> tuple[Backup, ...]:
    """Those that the proof may restore."""
    if carry is not None:
        return tuple(one.backup for one in carry.backups if one.carried)
    return tuple(one for one in old.backups if one.state == "done")[-1:]


def _mixed(ground: Ground, migration: Migration, old: Observation) -> Iterator[str]:
    """The place of the new engine, asked by the configuration that it is going to have, holds another cluster."""
    fleet, world = ground.standing(migration), ground.world
    new = fleet.cluster(ground.new.name)
    records = read_records(world.files, fleet.state)
    with foreseen(fleet, new, choose(fleet.clusters, {}, world), world, records) as instance:
        asked = replace(ground.as_run(new), engine=instance)
        seen = observed(replace(fleet, clusters=(asked,)), (asked,), world, LOOK)[asked.name]
    for place, systems in occupied(seen, old.system_identifier):
        key = "history" if place == new.history else "engine_name"
        yield (
            f"{'stanza' if seen.engine == 'pgbackrest' else 'server'} {place} is in use for another cluster "
            f"(system identifier {', '.join(systems)}, not {old.system_identifier}): "
            f"give {new.name} another {key}, or look what is in that one"
        )


def _without_programs(ground: Ground, backups: tuple[Backup, ...]) -> Iterator[str]:
    for one in backups:
        try:
            major_of(one, ground.world, ground.old.name)
        except PgwrapError as error:
            yield f"{error.message}: {error.hint}" if error.hint else error.message


def _without_room(ground: Ground, backups: tuple[Backup, ...]) -> Iterator[tuple[str, str]]:
    """One copy is there at a time: the largest counts."""
    largest = max(backups, key=data_bytes, default=None)
    if largest is None:
        return
    scratch, needed = ground.tools.scratch, data_bytes(largest) + data_bytes(largest) // 20 + MARGIN
    for cluster in (ground.old, ground.new):
        parent = ground.options.directory or cluster.drill.directory or scratch.default_parent()
        free = scratch.free_bytes(parent)
        if free < needed:
            yield parent, f"{no_room(parent, free, largest, needed)}: name a larger place with --directory"
