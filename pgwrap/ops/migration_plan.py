"""What a migration would do and what stands against it, from the spec, both engines and the live server. It changes
nothing: what an engine is asked about a configuration, it is asked about a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.carrying import CarryPlan
from pgwrap.domain.facts import Observation, UnitedInterval
from pgwrap.domain.feeding import together
from pgwrap.domain.losses import losses
from pgwrap.domain.migration import Migration, MigrationStep, StepName, order
from pgwrap.domain.migration_plan import MigrationPlan, PlannedStep
from pgwrap.domain.moving import united
from pgwrap.domain.plan import AlterSystem, Note, Plan, Retire, Run, Switch, WriteFile
from pgwrap.domain.recovery import ProofKey, recoverable, stretches
from pgwrap.domain.retention import BackupFate
from pgwrap.domain.settings import setting_states
from pgwrap.engines.port import BackupRequest, ForecastRequest
from pgwrap.errors import PgwrapError
from pgwrap.ops.altering import setting_steps
from pgwrap.ops.migrate import current, engine_name
from pgwrap.ops.migration_carry import plan_carry
from pgwrap.ops.migration_ground import LOOK, Ground
from pgwrap.ops.migration_refusals import standing_against
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.planning import PlanOptions, make_plan
from pgwrap.ops.proofs import CommitCache, ProofReader
from pgwrap.ops.records import read_records
from pgwrap.ops.restore_memory import RestoreMemory
from pgwrap.ops.versions import choose


def plan_migration(ground: Ground, *, history: bool) -> MigrationPlan:
    """The whole plan; raises where the old engine cannot be read at all."""
    migration = _imagined(ground, history=history)
    fleet = ground.standing(migration)
    seen = observed(fleet, (fleet.cluster(ground.old.name),), ground.world, LOOK)[ground.old.name]
    must_be_read(ground.old, seen)
    refusals: list[str] = []
    carry = _carry(ground, migration, refusals) if history else None
    refusals += _against(ground, migration, carry)
    steps = tuple(_steps(ground, migration, carry, refusals))
    now = recoverable(stretches(seen), _proofs(ground, seen))
    seconds, by = _expected(ground, carry)
    return MigrationPlan(
        cluster=ground.new.name,
        source=ground.old.name,
        from_engine=engine_name(ground.old),
        from_version=seen.engine_version,
        to_engine=engine_name(ground.new),
        to_version=str(ground.version(ground.new)),
        steps=steps,
        losses=losses(ground.old, seen.backups),
        remarks=tuple(one.message for one in ground.engine(ground.new).review(ground.new, ground.version(ground.new))),
        carry=carry,
        recoverable_now=now,
        recoverable_then=_then(carry, united(now)),
        retention=_fates(ground, seen),
        expected_seconds=seconds,
        expected_by=by,
        refusals=tuple(dict.fromkeys((*refusals, *(carry.refusals if carry is not None else ())))),
        notes=() if history else ("no backup is carried: until the old repository is not needed any more, keep it",),
    )


def _imagined(ground: Ground, *, history: bool) -> Migration:
    """The migration that is under way, or one as it would begin; the journal never sees it."""
    known = current(ground.tools.journal, ground.new.name)
    if known is not None and known.moving:
        return known
    now = ground.tools.clock()
    names = order(engine_name(ground.new), history=history)
    return Migration(
        id="plan",
        cluster=ground.new.name,
        source=ground.old.name,
        from_engine=engine_name(ground.old),
        to_engine=engine_name(ground.new),
        began_at=now,
        changed_at=now,
        bases=ground.options.bases,
        steps=tuple(MigrationStep(name=name) for name in names),
    )


def _carry(ground: Ground, migration: Migration, refusals: list[str]) -> CarryPlan | None:
    try:
        return plan_carry(ground, migration)
    except PgwrapError as error:
        refusals.append(f"what can be carried is not known: {error.message}")
        return None


def _against(ground: Ground, migration: Migration, carry: CarryPlan | None) -> tuple[str, ...]:
    try:
        return standing_against(ground, migration, carry)
    except PgwrapError as error:
        return (error.message,)


def _steps(ground: Ground, migration: Migration, carry: CarryPlan | None, refusals: list[str]) -> Iterator[PlannedStep]:
    for step in migration.steps:
        try:
            yield _STEPS[step.name](ground, migration, carry)
        except PgwrapError as error:
            refusals.append(f"{step.name}: {error.message}")


def _prepare(ground: Ground, migration: Migration, _carry: CarryPlan | None) -> PlannedStep:
    fleet = ground.standing(migration)
    clusters = tuple(one for one in fleet.clusters if one.name in (ground.old.name, ground.new.name))
    choices = choose(fleet.clusters, {}, ground.world)
    records = read_records(ground.world.files, fleet.state)
    plan = make_plan(fleet, clusters, choices, ground.world, records, PlanOptions(force=True))
    runs = tuple(step.effect.command.quoted() for step in plan.steps if isinstance(step.effect, Run))
    return PlannedStep(
        name=StepName.PREPARE,
        does="write the new engine's files, take retention out of the old one's, make the stanza or slot",
        commands=runs,
        files=tuple(_files(plan)),
        by_hand=(*plan.objections, *(_by_hand(step.effect) for step in plan.steps if isinstance(step.effect, Note))),
    )


def _files(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        if isinstance(step.effect, WriteFile | Retire):
            yield step.effect.path
        elif isinstance(step.effect, Switch):
            yield step.effect.file.path


def _by_hand(note: Note) -> str:
    return f"{note.message}: {note.by_hand}" if note.by_hand else note.message


def _dual(ground: Ground, _migration: Migration, _carry: CarryPlan | None) -> PlannedStep:
    new, old = ground.as_run(ground.new), ground.as_run(ground.old)
    needed = (ground.engine(one).settings(one, ground.version(one)).settings for one in (new, old))
    steps = tuple(setting_steps(new, setting_states(together(*needed), ground.server()), ground.world))
    alterations = tuple(step.effect.command.quoted() for step in steps if isinstance(step.effect, AlterSystem))
    starts = tuple(command.quoted() for command in ground.receiving(new).start)
    return PlannedStep(
        name=StepName.DUAL,
        does="hand WAL to both engines, and see one segment in both archives",
        commands=(*alterations, *starts),
        by_hand=tuple(_by_hand(step.effect) for step in steps if isinstance(step.effect, Note)),
    )


def _backup(ground: Ground, migration: Migration, _carry: CarryPlan | None) -> PlannedStep:
    new = ground.standing(migration).cluster(ground.new.name)
    keyed = new.keyed_repositories() if new.engine.kind == "pgbackrest" else ()
    jobs = tuple(
        ground.engine(new).backup(
            BackupRequest(
                cluster=new,
                type="full",
                repository=one,
                run_as=ground.world.user_for(new),
                version=ground.version(new),
            )
        )
        for one in keyed or (None,)
    )
    return PlannedStep(
        name=StepName.BACKUP, does="the first full backup", commands=tuple(job.command.quoted() for job in jobs)
    )


def _carrying(ground: Ground, _migration: Migration, carry: CarryPlan | None) -> PlannedStep:
    count = len(carry.waiting) if carry is not None else 0
    segments = carry.segments_to_move if carry is not None else 0
    place = f"stanza {ground.new.history}" if ground.new.history else f"server {ground.new.engine_name}"
    return PlannedStep(name=StepName.CARRY, does=f"{count} backups and {segments} WAL files into {place}")


def _proof(_ground: Ground, _migration: Migration, carry: CarryPlan | None) -> PlannedStep:
    count = sum(one.carried for one in carry.backups) if carry is not None else 0
    does = f"drill {count} carried backups, restore one moment from both engines and compare every table"
    return PlannedStep(name=StepName.PROVE, does=does)


def _cut_over(ground: Ground, _migration: Migration, _carry: CarryPlan | None) -> PlannedStep:
    return PlannedStep(
        name=StepName.CUT_OVER,
        does=f"the retention of {ground.new.name} counts; timers and runbooks call the new engine from here on",
        files=(ground.new.engine.config,),
    )


def _retire(ground: Ground, _migration: Migration, _carry: CarryPlan | None) -> PlannedStep:
    return PlannedStep(
        name=StepName.RETIRE,
        does=f"only with --until retire: {ground.old.engine.kind} gets no more WAL, its backups stay where they are",
        commands=tuple(command.quoted() for command in ground.receiving(ground.old).stop),
    )


_STEPS = {
    StepName.PREPARE: _prepare,
    StepName.DUAL: _dual,
    StepName.BACKUP: _backup,
    StepName.CARRY: _carrying,
    StepName.PROVE: _proof,
    StepName.CUT_OVER: _cut_over,
    StepName.RETIRE: _retire,
}


def _proofs(ground: Ground, seen: Observation) -> Mapping[ProofKey, datetime | None]:
    cache = CommitCache(files=ground.world.files, state=ground.fleet.state)
    return ProofReader(world=ground.world, cluster=ground.old, cache=cache, deadline=LOOK).prove(seen)


def _then(carry: CarryPlan | None, now: tuple[UnitedInterval, ...]) -> tuple[UnitedInterval, ...]:
    """What of today's window is restorable from what is carried: each stretch from its first carried base on."""
    if carry is None:
        return ()
    stops = sorted(one.backup.stopped_at for one in carry.backups if one.carried and one.backup.stopped_at is not None)
    found = []
    for span in now:
        first = next((stop for stop in stops if span.from_ <= stop <= span.to), None)
        if first is not None:
            found.append(replace(span, from_=first, engines=()))
    return tuple(found)


def _fates(ground: Ground, seen: Observation) -> tuple[BackupFate, ...]:
    engine = ground.engine(ground.new)
    request = ForecastRequest(
        cluster=ground.new,
        observation=seen,
        version=ground.version(ground.new),
        now=ground.tools.clock(),
        zone=ground.world.zone,
        hypothetical=True,
        by_hand=True,
    )
    return tuple(fate for forecast in engine.forecast(request) for fate in forecast.backups)


def _expected(ground: Ground, carry: CarryPlan | None) -> tuple[float | None, str]:
    """Seconds for the restores alone, from measured ones: of the WAL nothing is known before the first run."""
    if carry is None:
        return None, ""
    memory = RestoreMemory(world=ground.world, state=ground.fleet.state)
    total = sum(one.bytes or 0 for one in carry.waiting)
    try:
        return memory.expectation(engine_name(ground.old), ground.old.name, None, total or None)
    except LookupError as error:
        return None, str(error)
