"""The carrying step of a migration, whichever way it goes: its plan, the carrying, and what is there then."""

from __future__ import annotations

from dataclasses import replace

from pgwrap.domain.carrying import Bases, CarryPlan, CarryProgress, CarryResult
from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.domain.model import EngineKind
from pgwrap.engines.port import Progress
from pgwrap.errors import EngineFailed, UsageError
from pgwrap.ops.carry_into_pgbackrest import CarryOptions, CarryTools, carry_into_pgbackrest, plan_into_pgbackrest
from pgwrap.ops.migration_feed import both_have
from pgwrap.ops.migration_ground import Ground


def plan_carry(ground: Ground, migration: Migration) -> CarryPlan:
    """What would be carried; raises where that cannot be told."""
    fleet = ground.standing(migration)
    options = _options(ground, migration)
    if ground.new.engine.kind is EngineKind.PGBACKREST:
        old, new = fleet.cluster(ground.old.name), fleet.cluster(ground.new.name)
        return plan_into_pgbackrest(fleet, old, new, ground.world, _tools(ground), options)
    raise NotImplementedError


def carry(ground: Ground, migration: Migration) -> MigrationStep:
    """Carry the old backups and their WAL over, with all that was archived until now.

    EngineFailed where a backup that was to be carried is not there then, unless it was named to be left.
    """
    segment = both_have(ground, migration)
    ground.say(f"the old archive has WAL up to {segment}, with all that the new backup needs")
    plan = plan_carry(ground, migration)
    result = _carried(ground, migration, plan)
    for note in result.notes:
        ground.say(note)
    return _proven(ground, migration, result)


def _carried(ground: Ground, migration: Migration, plan: CarryPlan) -> CarryResult:
    fleet, options = ground.standing(migration), _options(ground, migration)
    if ground.new.engine.kind is EngineKind.PGBACKREST:
        return carry_into_pgbackrest(plan, fleet, ground.world, _tools(ground), options)
    raise NotImplementedError


def _proven(ground: Ground, migration: Migration, result: CarryResult) -> MigrationStep:
    """What is there now, by the catalogs themselves and not by what the carrying said."""
    after = plan_carry(ground, migration)
    missing = [one.backup.id for one in after.waiting if one.backup.id not in ground.options.leave]
    if missing:
        said = "; ".join(result.notes) or "no reason was given"
        raise EngineFailed(
            f"not carried: {', '.join(missing)} ({said})",
            hint=f"mend it, and run the migration again; or leave it behind with --leave {missing[0]}",
            cluster=ground.new.name,
        )
    ids = [one.becomes or one.backup.id for one in after.backups if one.already]
    gaps = "".join(f"; {gap.from_} to {gap.to} was missing and still is" for gap in after.gaps)
    proof = f"{len(ids)} backups and {after.segments_already} WAL files are in {ground.new.engine.kind}{gaps}"
    kept = (("backups", " ".join(ids)),)
    return replace(migration.step(StepName.CARRY), proof=proof, kept=kept)


def _options(ground: Ground, migration: Migration) -> CarryOptions:
    try:
        bases = Bases.parse(migration.bases)
    except ValueError as error:
        raise UsageError(f"--bases: {error}", hint="all, oldest, or such as 7d") from error
    return CarryOptions(
        bases=bases,
        directory=ground.options.directory,
        deadline=ground.options.deadline,
        progress=lambda done: ground.around.reporter.progress(ground.new.name, _told(done)),
    )


def _told(done: CarryProgress) -> Progress:
    """By bytes where they are known."""
    what = f"backup {done.name}" if done.phase == "backup" else "WAL"
    fraction = done.bytes / done.total_bytes if done.total_bytes else None
    message = f"{what}: {done.done} of {done.total}"
    return Progress(fraction=fraction, done_bytes=done.bytes, total_bytes=done.total_bytes, message=message)


def _tools(ground: Ground) -> CarryTools:
    return CarryTools(copies=ground.tools, spool=ground.spool)
