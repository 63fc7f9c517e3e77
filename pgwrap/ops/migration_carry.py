"""The carrying step of a migration, whichever way it goes: its plan, the carrying, and what is there then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pgwrap.domain.carrying import LEFT, Bases, CarryPlan, CarryProgress, CarryResult
from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.domain.model import Cluster, EngineKind, Fleet
from pgwrap.engines.port import Progress
from pgwrap.errors import EngineFailed, UsageError
from pgwrap.ops import carry_into_barman as into_barman
from pgwrap.ops import carry_into_pgbackrest as into_pgbackrest
from pgwrap.ops.migration_feed import both_have
from pgwrap.ops.migration_ground import Ground
from pgwrap.records import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What would be carried, and how to have it done."""

    plan: CarryPlan
    go: Callable[[], CarryResult]


def plan_carry(ground: Ground, migration: Migration) -> CarryPlan:
    """What would be carried; raises where that cannot be told."""
    return _way(ground, migration).plan


def _way(ground: Ground, migration: Migration) -> _Way:
    fleet = ground.standing(migration)
    old, new = fleet.cluster(ground.old.name), fleet.cluster(ground.new.name)
    into = _into_pgbackrest if new.engine.kind is EngineKind.PGBACKREST else _into_barman
    way = into(ground, migration, fleet, old, new)
    _check_left(ground, way.plan)
    return way


def _check_left(ground: Ground, plan: CarryPlan) -> None:
    """UsageError for a backup to be left behind that is not there: a slip of the pen would leave none."""
    known = [one.backup.id for one in plan.backups]
    unknown = [one for one in ground.options.leave if one not in known]
    if unknown:
        message = f"--leave: {ground.old.name} has no backup {unknown[0]}"
        raise UsageError(message, hint=f"its backups: {', '.join(known) or 'none'}")


def _into_pgbackrest(ground: Ground, migration: Migration, fleet: Fleet, old: Cluster, new: Cluster) -> _Way:
    tools = into_pgbackrest.CarryTools(copies=ground.tools, spool=ground.spool)
    options = into_pgbackrest.CarryOptions(
        bases=bases_of(migration.bases),
        leave=ground.options.leave,
        directory=ground.options.directory,
        planned=not migration.is_done(StepName.PREPARE),
        deadline=ground.options.deadline,
        progress=partial(_report, ground),
    )
    prepared = into_pgbackrest.plan_into_pgbackrest(fleet, old, new, ground.world, tools, options)
    return _Way(plan=prepared.plan, go=partial(into_pgbackrest.carry_into_pgbackrest, prepared))


def _into_barman(ground: Ground, migration: Migration, fleet: Fleet, old: Cluster, new: Cluster) -> _Way:
    own = ground.tools
    tools = into_barman.CarryTools(scratch=own.scratch, store=ground.store, token=own.token, user=own.user, say=own.say)
    options = into_barman.CarryOptions(
        bases=bases_of(migration.bases),
        leave=ground.options.leave,
        directory=ground.options.directory,
        deadline=ground.options.deadline,
        planned=not migration.is_done(StepName.PREPARE),
    )
    prepared = into_barman.plan_into_barman(fleet, old, new, ground.world, tools, options)
    return _Way(plan=prepared.plan, go=partial(into_barman.carry_into_barman, prepared, partial(_report, ground)))


def carry(ground: Ground, migration: Migration) -> MigrationStep:
    """Carry the old backups and their WAL over, with all that was archived until now.

    EngineFailed where a backup that was to be carried is not there then, unless it was named to be left.
    """
    segment = both_have(ground, migration)
    ground.say(f"the old archive has WAL up to {segment}, with all that the new backup needs")
    result = _way(ground, migration).go()
    for note in result.notes:
        ground.say(note)
    return _proven(ground, migration, result)


def _proven(ground: Ground, migration: Migration, result: CarryResult) -> MigrationStep:
    """What is there now, by the catalogs themselves and not by what the carrying said."""
    after = plan_carry(ground, migration)
    missing = [one.backup.id for one in after.waiting]
    if missing:
        said = "; ".join(result.notes) or "no reason was given"
        raise EngineFailed(
            f"not carried: {', '.join(missing)} ({said})",
            hint=f"mend it, and run the migration again; or leave it behind with --leave {missing[0]}",
            cluster=ground.new.name,
        )
    ids = [one.becomes or one.backup.id for one in after.backups if one.already]
    gaps = "".join(f"; {gap.from_} to {gap.to} was missing and still is" for gap in after.gaps)
    left = [one.backup.id for one in after.backups if one.reason == LEFT]
    proof = f"{len(ids)} backups and {after.segments_already} WAL files are in {ground.new.engine.kind}{gaps}"
    proof += f"; left behind: {', '.join(left)}" if left else ""
    kept = (("backups", " ".join(ids)),)
    return replace(migration.step(StepName.CARRY), proof=proof, kept=kept)


def bases_of(text: str) -> Bases:
    """How many bases are carried; UsageError for what says nothing."""
    try:
        return Bases.parse(text.removeprefix("every "))
    except ValueError as error:
        raise UsageError(f"--bases: {error}", hint="all, oldest, or such as 7d") from error


def _report(ground: Ground, done: CarryProgress) -> None:
    ground.around.reporter.progress(ground.new.name, _told(done))


def _told(done: CarryProgress) -> Progress:
    """By bytes where they are known."""
    what = f"backup {done.name}" if done.phase == "backup" else "WAL"
    fraction = done.bytes / done.total_bytes if done.total_bytes else None
    message = f"{what}: {done.done} of {done.total}"
    return Progress(fraction=fraction, done_bytes=done.bytes, total_bytes=done.total_bytes, message=message)
