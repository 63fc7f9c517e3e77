"""Carries out a planned restore: prepared, done by the engine, completed and looked at. It starts no PostgreSQL.

A restore that does not come to its end is remembered, so that the next one knows what it finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from pgwrap.domain.command import Command
from pgwrap.domain.restoring import RestorePlan, RestoreResult
from pgwrap.engines.port import Progress, RestoreJob
from pgwrap.errors import EngineFailed
from pgwrap.ops.restore_memory import Marker, Speed
from pgwrap.ops.restore_planning import Prepared, refused
from pgwrap.ops.restore_steps import Finisher
from pgwrap.ops.survey import survey
from pgwrap.ops.world import World

_LOG = logging.getLogger("pgwrap.restore")


def require_clear(prepared: Prepared) -> None:
    """Refused, with every reason, when anything stands against the plan."""
    if prepared.plan.refusals:
        raise refused(prepared.plan.refusals, prepared.plan.cluster)


def carry_out(prepared: Prepared, world: World, report: Callable[[Progress], None], *, now: datetime) -> RestoreResult:
    """Do what the plan says; raises Refused, EngineMissing, EngineFailed, EngineTimeout, Busy or OutputNotUnderstood.

    A restore that does not come to its end is remembered, so that the next one knows what it finds.
    """
    require_clear(prepared)
    plan, job = prepared.plan, prepared.job
    for step in prepared.before:
        step.run(world, plan.cluster)
    marker = _begun(prepared, world, now)
    kept = prepared.memory.keep_marker(marker)
    outcome = world.runner.run(job.command, lambda line: _report(line, job, report))
    messages = job.check(outcome)
    finisher = Finisher(
        world=world, prepared_for=prepared.request, job=job, plan=plan, host=plan.host, as_root=prepared.as_root
    )
    notes = finisher.finish(prepared.choice)
    identifier = survey(world, plan.directory, (), plan.host).there.system_identifier
    _check_identity(identifier, prepared)
    prepared.memory.keep_marker(replace(marker, finished=True))
    _remember_speed(prepared, outcome.seconds)
    return RestoreResult(
        plan=plan,
        seconds=outcome.seconds,
        bytes=plan.bytes,
        system_identifier=identifier,
        messages=(*messages, *notes, *((f"an interruption could not be remembered: {kept}",) if kept else ())),
        start=finisher.how_to_start(),
        check=tuple(_what_to_check(plan)),
        undo=tuple(_how_to_undo(plan)),
    )


def _begun(prepared: Prepared, world: World, now: datetime) -> Marker:
    """The restore as it is remembered while it runs."""
    plan = prepared.plan
    site = survey(world, plan.directory, plan.tablespaces, plan.host)
    return Marker(
        directory=plan.directory,
        host=plan.host,
        identity=site.directory.identity,
        tablespaces=tuple(place.identity for place in site.tablespaces if place.identity is not None),
        cluster=plan.source,
        backup=plan.backup,
        started_at=now.isoformat(),
    )


def _remember_speed(prepared: Prepared, seconds: float) -> None:
    plan, size = prepared.plan, prepared.plan.bytes
    if size and not plan.delta:
        speed = Speed(engine=plan.engine, cluster=plan.source, repository=plan.repository, bytes=size, seconds=seconds)
        prepared.memory.keep_speed(speed)


def _report(line: str, job: RestoreJob, report: Callable[[Progress], None]) -> None:
    _LOG.debug("%s", line)
    progress = job.progress(line)
    if progress is not None:
        report(progress)


def _check_identity(identifier: str | None, prepared: Prepared) -> None:
    expected = prepared.system_identifier
    if identifier is None or expected not in (None, identifier):
        found = "no pg_control" if identifier is None else f"the system identifier {identifier}"
        raise EngineFailed(
            f"{prepared.plan.engine} reported no error, yet {prepared.plan.directory} holds {found}",
            hint="do not start what it restored; look at the engine's log",
            cluster=prepared.plan.cluster,
        )


def _what_to_check(plan: RestorePlan) -> Iterator[str]:
    yield "select pg_is_in_recovery(), pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()"
    if plan.standby:
        yield "select status, received_tli, sender_host from pg_stat_wal_receiver"
        return
    if plan.target.stops and plan.target.action == "pause":
        yield "select pg_wal_replay_resume() -- ends the pause: it promotes the copy, on a timeline of its own"
    if not any(setting.name == "archive_mode" for setting in plan.settings):
        return
    yield "alter system reset archive_mode -- and a restart, once the copy is to take the original's place"


def _how_to_undo(plan: RestorePlan) -> Iterator[str]:
    if plan.delta:
        return
    for path in (plan.directory, *(one.directory for one in plan.tablespaces)):
        command = Command(argv=("rm", "-r", "--", path), host=plan.host)
        yield command.quoted()
