"""WAL to both engines, proven by a segment that both have; and back to what it was, or on to the new one alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from pgwrap.domain.command import Command
from pgwrap.domain.facts import Observation, PostgresView
from pgwrap.domain.feeding import COMMAND, together
from pgwrap.domain.migration import Migration, MigrationStep, StepName
from pgwrap.domain.model import Cluster
from pgwrap.domain.plan import AlterSystem, PostgresSetting
from pgwrap.domain.settings import setting_states, sql_literal
from pgwrap.domain.wal import Segment
from pgwrap.errors import EngineFailed, Refused
from pgwrap.ops.altering import alteration, psql, setting_steps
from pgwrap.ops.asking import question_for
from pgwrap.ops.migration_ground import Ground
from pgwrap.ops.patience import Patience

_SWITCH = 10.0
_DROPPING = 20.0
_BETWEEN = 3.0
"""Seconds between two segments that are closed only so that one of them comes."""
NO_ARCHIVING = "/bin/true"
"""While archive_mode is on and nobody wants WAL: with an empty archive_command PostgreSQL would keep it all."""
_HIDDEN = "(disabled)"
_BEFORE = "settings"
"""What the step keeps: the settings that it changed, as they were."""


def feed_both(ground: Ground, migration: Migration) -> MigrationStep:
    """Both engines receive each segment from now on; what is needed is set, and a restart is asked for by name."""
    step = migration.step(StepName.DUAL)
    new, old = ground.as_run(ground.new), ground.as_run(ground.old)
    wanted = together(_needed(ground, new), _needed(ground, old))
    before = ground.server()
    step = replace(step, kept=step.kept or ((_BEFORE, json.dumps(_as_they_are(wanted, before))),))
    ground.keep(migration.with_step(step, ground.tools.clock()))
    _set(ground, new, wanted, before)
    _require_archiving(ground.server(), wanted)
    for command in ground.receiving(new).start:
        _must(ground, command)
    segment = both_have(ground, migration)
    return replace(step, proof=f"both engines have {segment}, which was closed for that")


def _needed(ground: Ground, cluster: Cluster) -> tuple[PostgresSetting, ...]:
    return ground.engine(cluster).settings(cluster, ground.version(cluster)).settings


def _as_they_are(wanted: Iterable[PostgresSetting], server: PostgresView) -> dict[str, str]:
    """The values of those that do not suffice."""
    states = setting_states(wanted, server)
    return {one.wanted.name: one.actual for one in states if one.verdict == "differs" and one.actual is not None}


def _set(ground: Ground, cluster: Cluster, wanted: tuple[PostgresSetting, ...], server: PostgresView) -> None:
    for step in setting_steps(cluster, setting_states(wanted, server), ground.world):
        if isinstance(step.effect, AlterSystem):
            _change(ground, step.effect.settings)


def _change(ground: Ground, settings: tuple[PostgresSetting, ...]) -> None:
    """ALTER SYSTEM by the role of either entry; EngineFailed, with what to type, where neither may."""
    for setting in settings:
        ground.say(f"PostgreSQL: {setting.name} = {setting.value!r}, for {setting.reason}")
    by_either(ground, tuple(alteration(one, settings, ground.world) for one in _both(ground)), 0.0)


def by_either(ground: Ground, commands: tuple[Command, ...], seconds: float) -> None:
    """Run the same by one role or the other, again and again for so long; EngineFailed when none succeeds."""
    patience = Patience(seconds=seconds, pause=1.0)
    while True:
        outcomes = [ground.world.runner.run(command) for command in commands]
        if any(outcome.succeeded for outcome in outcomes):
            return
        if not patience.wait():
            break
    said = "; ".join(dict.fromkeys(one.message or one.error_text().strip() for one in outcomes))
    raise EngineFailed(
        f"PostgreSQL could not be changed: {said}",
        hint=f"as a superuser type: {commands[0].quoted()}; then run the migration again: it goes on from here",
        cluster=ground.new.name,
    )


def _both(ground: Ground) -> tuple[Cluster, Cluster]:
    return ground.as_run(ground.new), ground.as_run(ground.old)


def _require_archiving(server: PostgresView, wanted: tuple[PostgresSetting, ...]) -> None:
    waiting = [
        state.wanted.name
        for state in setting_states(wanted, server)
        if state.wanted.restart and state.verdict in ("differs", "pending")
    ]
    if waiting:
        raise Refused(
            f"PostgreSQL must be restarted before {', '.join(waiting)} count, and pgwrap restarts nothing",
            hint="restart it when it suits, then run the migration again: it goes on from here",
        )


def both_have(ground: Ground, migration: Migration) -> str:
    """Have PostgreSQL close segments until both archives hold one; its name. EngineFailed when none comes to both
    in time: a receiver that has just been started gets only what is written from then on."""
    closed: list[str] = []
    takes = tuple(ground.receiving(cluster).take for cluster in (ground.old, ground.new))
    patience = Patience(seconds=ground.options.patience, pause=1.0)
    due = 0.0
    while True:
        if patience.spent >= due:
            closed.append(_close_segment(ground))
            due = patience.spent + _BETWEEN
        for take in takes:  # what fails shows in what is missing then
            ground.world.runner.run_all(take)
        seen = ground.look(migration)
        arrived = next((one for one in reversed(closed) if all(has_segment(side, one) for side in seen)), None)
        if arrived is not None:
            return arrived
        if not patience.wait():
            break
    late = " and ".join(side.engine for side in seen if not any(has_segment(side, one) for one in closed))
    raise EngineFailed(
        f"no WAL segment closed since reached {late or 'both'} within {ground.options.patience:g} s",
        hint=f"see `pgwrap check {ground.old.name} {ground.new.name}`, and PostgreSQL's log",
        cluster=ground.new.name,
    )


def _close_segment(ground: Ground) -> str:
    switched = ground.world.postgres.switch_wal(question_for(ground.new, ground.world), _SWITCH)
    if switched.segment is None:
        switched = ground.world.postgres.switch_wal(question_for(ground.old, ground.world), _SWITCH)
    if switched.segment is None:
        raise EngineFailed(
            f"PostgreSQL could not be told to close a WAL segment: {switched.error}",
            hint="the role needs pg_switch_wal(): grant execute on function pg_switch_wal() to it",
            cluster=ground.new.name,
        )
    return switched.segment


def has_segment(observation: Observation, segment: str) -> bool:
    """Whether it is in one of the engine's archives of the cluster's own."""
    for archive in observation.archives:
        if archive.segment_size is None:
            continue
        wanted = Segment.parse(segment, archive.segment_size)
        if any(wanted in one for one in archive.ranges or ()):
            return True
    return False


def feed_old_again(ground: Ground, migration: Migration) -> str:
    """Undo: the settings as they were before, and no slot that nobody reads."""
    before = json.loads(migration.step(StepName.DUAL).told(_BEFORE) or "{}")
    changed = tuple(
        PostgresSetting(name=name, value=_reloaded(name, value, before), restart=False, reason="as it was")
        for name, value in before.items()
    )
    if changed:
        _change(ground, changed)
    let_go(ground, ground.new)
    return f"PostgreSQL's settings are as they were ({', '.join(before) or 'none was changed'})"


def _reloaded(name: str, value: str, before: dict[str, str]) -> str:
    """Until the restart that archive_mode needs, an empty archive_command would keep all WAL. PostgreSQL shows none
    while archive_mode is off."""
    off = name == COMMAND and value in ("", _HIDDEN) and "archive_mode" in before
    return NO_ARCHIVING if off else value


def feed_new_alone(ground: Ground) -> None:
    """After the cut-over: the old engine receives nothing any more, and its slot is gone."""
    new, old = ground.as_run(ground.new), ground.as_run(ground.old)
    wanted = _command_for(ground, new) or (NO_ARCHIVING if _command_for(ground, old) else None)
    if wanted is not None and dict(ground.server().settings).get(COMMAND) != wanted:
        reason = "WAL to the new engine alone"
        _change(ground, (PostgresSetting(name=COMMAND, value=wanted, restart=False, reason=reason),))
    let_go(ground, ground.old)


def _command_for(ground: Ground, cluster: Cluster) -> str | None:
    return next((one.value for one in _needed(ground, cluster) if one.name == COMMAND), None)


def let_go(ground: Ground, cluster: Cluster) -> None:
    """Stop the engine's receiver and drop its slot; EngineFailed, with what to type, while the slot is there."""
    receiving = ground.receiving(cluster)
    ground.world.runner.run_all(receiving.stop)
    if receiving.slot is None:
        return
    name = sql_literal(receiving.slot)
    where = f"from pg_catalog.pg_replication_slots where slot_name = {name}"
    statements = (  # a receiver that a timer has started again in the meantime is sent away first
        f"select pg_catalog.pg_terminate_backend(active_pid) {where} and active",
        f"select pg_catalog.pg_drop_replication_slot(slot_name) {where}",
    )
    by_either(ground, tuple(psql(one, statements, ground.world) for one in _both(ground)), _DROPPING)


def _must(ground: Ground, command: Command) -> None:
    """Run a command of an engine that has to succeed."""
    outcome = ground.world.runner.run(command)
    if not outcome.succeeded:
        said = outcome.message or outcome.error_text().strip() or outcome.text().strip()
        raise EngineFailed(
            f"{command.argv[0]} failed: {said}",
            hint=f"try by hand: {command.quoted()}; then run the migration again",
            engine_exit=outcome.exit_code,
        )
