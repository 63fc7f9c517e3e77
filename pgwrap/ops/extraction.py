"""Brings a database, a schema or a table back: restores the cluster into a private scratch place, as of the target,
dumps the selection from there and loads it, in one transaction, where that was asked for. The original stays untouched.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import field
from time import monotonic

from pgwrap.domain.choosing import Choice, Wanted, choose
from pgwrap.domain.command import Command, Outcome
from pgwrap.domain.extraction import Extraction, ExtractionPlan
from pgwrap.domain.facts import PostgresView
from pgwrap.domain.model import Cluster, Fleet
from pgwrap.domain.restoring import RecoveryTarget, RefusalCode
from pgwrap.domain.selection import Selection, one_database
from pgwrap.errors import EngineFailed, EngineMissing, Refused, UsageError
from pgwrap.ops.drill_probes import Looker
from pgwrap.ops.foretelling import told_version
from pgwrap.ops.holdings import holdings_of
from pgwrap.ops.restore_planning import refused
from pgwrap.ops.scratch_copy import ScratchCopy, Tools, major_of, private_place, sweep, user_for_copies
from pgwrap.ops.scratch_server import ScratchServer
from pgwrap.ops.world import World
from pgwrap.records import dataclass

_LOOK_DEADLINE = 30.0
"""Seconds for each question to an engine or a server."""
_DUMP = "selection.dump"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionOptions:
    """What is wanted, as of when, and where it goes; `deadline` is in seconds for each step."""

    selections: tuple[Selection, ...]
    load_into: str
    """A libpq connection string without a password."""
    target: RecoveryTarget = field(default_factory=RecoveryTarget)
    wanted: Wanted = field(default_factory=Wanted)
    directory: str | None = None
    accept: frozenset[RefusalCode] = frozenset()
    deadline: float = 604800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with what is needed to carry it out."""

    plan: ExtractionPlan
    copy: ScratchCopy
    source: Cluster
    options: ExtractionOptions


def plan_extraction(
    fleet: Fleet,
    cluster: Cluster,
    world: World,
    tools: Tools,
    options: ExtractionOptions,
    *,
    look: Callable[[str], PostgresView],
) -> Prepared:
    """Choose the backup and look at the place and at the server to load into (by `look`); nothing is changed.

    Refused, UsageError, EngineMissing, EngineUnsupported and what the engines' questions raise.
    """
    database = _database(options)
    held = holdings_of(fleet, cluster, world, _LOOK_DEADLINE, options.target)
    choice = choose(held.holdings, options.target, options.wanted, tools.clock())
    if not isinstance(choice, Choice):
        raise refused(choice, cluster.name)
    against = tuple(one for one in choice.refusals if not (one.acceptable and one.code in options.accept))
    if against:
        raise refused(against, cluster.name)
    source = fleet.cluster(choice.candidate.holding.cluster)
    backup = choice.candidate.backup
    copy = ScratchCopy(
        cluster=source,
        world=world,
        tools=tools,
        backup=backup,
        timeline=choice.candidate.stretch.timeline,
        user=user_for_copies(source, world, tools.user),
        major=major_of(backup, world, source.name),
        deadline=options.deadline,
        version=told_version(choice.candidate.holding.observation),
    )
    parent = options.directory or source.drill.directory or tools.scratch.default_parent()
    copy.require_room(parent)
    _require_programs(copy)
    _require_server(look(options.load_into), options.load_into)
    return Prepared(
        copy=copy,
        source=source,
        options=options,
        plan=ExtractionPlan(
            cluster=cluster.name,
            engine=backup.engine,
            backup=backup.id,
            repository=backup.repository,
            reason=choice.reason,
            target=options.target.in_words(),
            timeline=copy.timeline,
            directory=parent,
            database=database,
            selections=tuple(str(one) for one in options.selections),
            load_into=options.load_into,
            notes=(*held.notes, *choice.notes),
        ),
    )


def _database(options: ExtractionOptions) -> str:
    try:
        return one_database(options.selections)
    except ValueError as error:
        raise UsageError(f"--only: {error}", hint="such as --only shop.public.orders, once for each part") from error


def _require_programs(copy: ScratchCopy) -> None:
    for program in ("pg_dump", "pg_restore"):
        if copy.world.programs.postgres(program, copy.major) is None:
            message = f"{program} of PostgreSQL {copy.major} is not installed here"
            raise EngineMissing(message, hint=f"install PostgreSQL {copy.major}'s programs on this host")


def _require_server(view: PostgresView, connection: str) -> None:
    """Before an hour of restoring: somebody answers there, and may be written to."""
    if not view.reachable:
        raise Refused(
            f"the server to load into does not answer: {view.error}",
            hint=f"try by hand: psql -d {connection!r}; a password belongs in ~/.pgpass",
        )
    if view.in_recovery:
        raise Refused("the server to load into is a standby: nothing can be loaded", hint="name its primary")


def carry_out(prepared: Prepared, *, say: Callable[[str], None]) -> Extraction:
    """Restore, dump, load, remove; raises EngineFailed, EngineTimeout, Busy, OutputNotUnderstood or Refused.

    What was loaded is there whole or not at all; the scratch copy is gone in either case.
    """
    copy, tools = prepared.copy, prepared.copy.tools
    tools.journal.prepare()
    sweep(tools)
    began = monotonic()
    claim = copy.claim(prepared.plan.directory, "only", f"the copy of {prepared.plan.cluster} for --only")
    with private_place(tools, claim, copy.user) as place:
        server = copy.server(place)
        say(f"restoring {copy.backup.id} into {place.path} ({prepared.plan.reason})")
        job = copy.job(place)
        job.check(copy.world.runner.run(job.command))
        say(f"recovering it to {prepared.plan.target}")
        started = copy.start(server, server.control_file(), job, prepared.options.target)
        if not started.ready:
            raise _not_reached(server, prepared)
        restored = monotonic()
        say(f"dumping {', '.join(prepared.plan.selections)}")
        dump = posixpath.join(place.spool, _DUMP)
        _dump(server, dump, prepared)
        say("loading it, in one transaction")
        loaded = _load(server, dump, prepared)
    return Extraction(
        plan=prepared.plan,
        restore_seconds=restored - began,
        seconds=monotonic() - began,
        entries=loaded,
    )


def _not_reached(server: ScratchServer, prepared: Prepared) -> EngineFailed:
    """Why the copy does not answer, in PostgreSQL's own last words."""
    log = server.scratch.tail(server.place.log)
    fatal = [line for line in log.splitlines() if "FATAL" in line or "PANIC" in line]
    said = fatal[-1].split(":", 1)[-1].strip() if fatal else "its log says no reason"
    return EngineFailed(
        f"the restored copy did not come up at {prepared.plan.target}: {said}",
        hint=f"see how far recovery can go with `pgwrap status {prepared.plan.cluster}`; nothing was loaded",
        cluster=prepared.plan.cluster,
    )


def _dump(server: ScratchServer, path: str, prepared: Prepared) -> None:
    looker = Looker(cluster=prepared.source, server=server, sql=prepared.copy.tools.sql, deadline=_LOOK_DEADLINE)
    login = looker.login()
    if login.error:
        raise EngineFailed(f"the copy takes no connection: {login.error}", cluster=prepared.plan.cluster)
    outcome = server.run(
        "pg_dump",
        *server.connection(),
        *(f"--username={login.role}", "--no-password", "--format=custom", "--strict-names", f"--file={path}"),
        *(word for one in prepared.options.selections for word in one.arguments()),
        prepared.plan.database,
    )
    _check(outcome, "pg_dump", "look at what is there as of the target with a plain `pgwrap restore`", prepared)


def _load(server: ScratchServer, path: str, prepared: Prepared) -> int:
    """The number of entries of the dump that were loaded."""
    listed = server.run("pg_restore", "--list", path)
    _check(listed, "pg_restore --list", "the dump cannot be read back", prepared)
    program = server.program("pg_restore") or "pg_restore"
    outcome = prepared.copy.world.runner.run(
        Command(
            argv=(
                program,
                *("--no-password", "--exit-on-error", "--single-transaction"),
                *(f"--dbname={prepared.options.load_into}", path),
            ),
            environment=prepared.copy.environment,
            deadline=prepared.options.deadline,
        )
    )
    hint = "nothing was loaded; move what is in the way aside, create the schemas and roles it names, and try again"
    _check(outcome, "pg_restore", hint, prepared)
    return sum(1 for line in listed.text().splitlines() if line and not line.startswith(";"))


def _check(outcome: Outcome, program: str, hint: str, prepared: Prepared) -> None:
    if outcome.succeeded:
        return
    lines = [line.strip() for line in outcome.error_text().splitlines() if line.strip()]
    said = next(
        (line for line in lines if "error:" in line), lines[0] if lines else outcome.message or "no reason given"
    )
    raise EngineFailed(
        f"{program} failed: {said.split('error:', 1)[-1].strip()}",
        hint=hint,
        cluster=prepared.plan.cluster,
        engine_exit=outcome.exit_code,
    )
