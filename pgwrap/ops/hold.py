"""Holds a backup against retention, or releases it: resolved first, done by the engine, then asked for. It deletes
nothing, and writes nothing itself."""

from __future__ import annotations

from difflib import get_close_matches

from pgwrap.domain.facts import Backup, Held
from pgwrap.domain.holding import HoldResult
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.engines.port import HoldJob, HoldRequest
from pgwrap.errors import EngineFailed, UsageError
from pgwrap.ops.observing import must_be_read, observed
from pgwrap.ops.world import World
from pgwrap.records import dataclass

LATEST, OLDEST = "latest", "oldest"
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOptions:
    """Which backup (an id, `latest` or `oldest`), how to hold it (False: release it), seconds per engine command."""

    backup: str
    target: Held
    deadline: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlan:
    """A hold that has not happened: the backup it is about, what holds now, and what would be run."""

    cluster: Cluster
    backup: Backup
    target: Held
    before: Held
    job: HoldJob

    @property
    def needed(self) -> bool:
        """Whether anything is to be done."""
        return self.before != self.target


def plan_hold(fleet: Fleet, cluster: Cluster, world: World, options: HoldOptions) -> HoldPlan:
    """Find the backup and ask what holds it; raises UsageError for an unknown one, EngineUnsupported, EngineMissing,
    EngineFailed, EngineTimeout, Busy or OutputNotUnderstood."""
    engine = world.engine(cluster.engine)
    engine.check_holds(cluster)
    observation = observed(fleet, (cluster,), world, options.deadline)[cluster.name]
    must_be_read(cluster, observation)
    backup = named(cluster, observation.backups, options.backup)
    request = HoldRequest(
        cluster=cluster,
        backup=backup,
        target=options.target,
        policy=observation.policy,
        run_as=world.user_for(cluster),
        deadline=options.deadline,
    )
    job = engine.hold(request)
    before = job.answer(world.runner.run(job.question))
    return HoldPlan(cluster=cluster, backup=backup, target=options.target, before=before, job=job)


def apply_hold(plan: HoldPlan, world: World) -> HoldResult:
    """Do it where it is needed, and ask the engine what holds now; EngineFailed when that is not what was asked."""
    if not plan.needed:
        return _result(plan, held=plan.before, command=None)
    plan.job.check(world.runner.run(plan.job.command))
    held = plan.job.answer(world.runner.run(plan.job.question))
    if held != plan.target:
        raise EngineFailed(
            f"{plan.cluster.engine.kind} reported no error, yet {plan.backup.id} is {in_words(held)}",
            hint=f"try by hand: {plan.job.command.quoted()}",
            cluster=plan.cluster.name,
        )
    return _result(plan, held=held, command=plan.job.command.quoted(), notes=plan.job.notes)


def show_hold(plan: HoldPlan) -> HoldResult:
    """What would be run; nothing is."""
    command, notes = (plan.job.command.quoted(), plan.job.notes) if plan.needed else (None, ())
    return _result(plan, held=plan.before, command=command, notes=notes, dry_run=True)


def in_words(held: Held) -> str:
    """`held (full)` or `not held`."""
    return f"held ({held})" if held else "not held"


def named(cluster: Cluster, backups: tuple[Backup, ...], text: str) -> Backup:
    """The backup that `text` names: by its id, or the latest or oldest that is done. UsageError for none."""
    if text in (LATEST, OLDEST):
        done = sorted((backup for backup in backups if backup.state == "done"), key=lambda backup: backup.id)
        if not done:
            raise UsageError(f"{cluster.name} has no backup that is done", hint=f"see: pgwrap list {cluster.name}")
        return done[-1] if text == LATEST else done[0]
    for backup in backups:
        if backup.id == text:
            return backup
    ids = [backup.id for backup in backups]
    close = get_close_matches(text, ids, n=_SHOWN) or sorted(ids, reverse=True)[:_SHOWN]
    near = f"did you mean {' or '.join(close)}? " if close else "it has none; "
    raise UsageError(f"{cluster.name} has no backup {text!r}", hint=f"{near}All: pgwrap list {cluster.name}")


def _result(
    plan: HoldPlan, *, held: Held, command: str | None, notes: tuple[str, ...] = (), dry_run: bool = False
) -> HoldResult:
    backup = plan.backup
    return HoldResult(
        cluster=plan.cluster.name,
        engine=backup.engine,
        engine_name=backup.engine_name,
        id=backup.id,
        repository=backup.repository,
        type=backup.type,
        stopped_at=backup.stopped_at,
        asked=plan.target,
        before=plan.before,
        held=held,
        changed=held != plan.before,
        dry_run=dry_run,
        command=command,
        notes=notes,
    )
