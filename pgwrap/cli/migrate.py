"""`pgwrap migrate`: move a cluster from one engine to the other, with its backup history."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

from pgwrap.cli.options import LogFile, Output, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.session import Session, journal_of, session
from pgwrap.errors import Refused, UsageError

if TYPE_CHECKING:
    from pgwrap.domain.migration import Migration
    from pgwrap.domain.model import Fleet
    from pgwrap.ops.migration_ground import Ground, Options

migrate = typer.Typer(
    name="migrate",
    help="Move a cluster from one engine to the other, with its backup history.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Until(StrEnum):
    """The steps that a run can stop after."""

    PREPARE = "prepare"
    DUAL = "dual"
    BACKUP = "backup"
    CARRY = "carry"
    PROVE = "prove"
    CUT_OVER = "cut-over"
    RETIRE = "retire"


class Engine(StrEnum):
    """Where to."""

    PGBACKREST = "pgbackrest"
    BARMAN = "barman"


ClusterName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="CLUSTER",
        help="The entry of the spec that replaces another (`replaces:`), or the one that is replaced.",
        autocompletion=cluster_names,
    ),
]
Directory: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--directory", metavar="DIR", help="Restore copies under DIR. Default: the spec's drill.directory, or TMPDIR."
    ),
]
OutputForm: TypeAlias = Annotated[Output, typer.Option("--output", "-o", help="text or json.")]
Bases: TypeAlias = Annotated[
    str,
    typer.Option(
        "--bases",
        metavar="all|oldest|every Nd",
        help="Which old backups to carry. The oldest one and all WAL reach every moment; more of them shorten replay.",
    ),
]
WithoutHistory: TypeAlias = Annotated[
    bool, typer.Option("--without-history", help="Carry no old backups: they stay in the old repository alone.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="For each command of an engine.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@migrate.command()
def plan(
    cluster: ClusterName,
    to: Annotated[Engine | None, typer.Option("--to", help="The engine to move to: a check on the spec.")] = None,
    without_history: WithoutHistory = False,
    bases: Bases = "all",
    directory: Directory = None,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Say whether a cluster can move and what that would do. Nothing is touched.

    What is lost with the old engine's abilities, which backups are carried and why not, how much room and time that
    takes, which moments the new engine can restore afterwards, what the new retention makes of them, every step with
    its commands. Where the spec has no entry for the new engine yet, one is drafted.

    Exit 0 ready, 1 something stands against it.
    """
    with _session("migrate plan", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migration_ground import Options
        from pgwrap.ops.migration_plan import plan_migration
        from pgwrap.present.migration_plan import plan_json, plan_text

        _draft_if_missing(run_, cluster, to)
        with _ground(run_, cluster, Options(directory=_absolute(directory), bases=_bases(bases))) as ground:
            found = plan_migration(ground, history=not without_history)
            run_.answer(plan_json(found, run_.now) if output is Output.JSON else plan_text(found))
            raise typer.Exit(0 if found.ready else 1)


@migrate.command()
def run(
    cluster: ClusterName,
    until: Annotated[
        Until, typer.Option("--until", help="Stop after this step. Only `--until retire` takes the old engine away.")
    ] = Until.CUT_OVER,
    without_history: WithoutHistory = False,
    bases: Bases = "all",
    leave: Annotated[
        list[str] | None,
        typer.Option("--leave", metavar="ID", help="An old backup that need not come along. Repeatable."),
    ] = None,
    directory: Directory = None,
    wal_patience: Annotated[
        float, typer.Option("--wal-patience", metavar="SECONDS", min=1, help="For a segment to reach both archives.")
    ] = 120.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace native files that were made or edited by hand (kept as NAME.old).")
    ] = False,
    timeout: Timeout = 604800.0,
    yes: Yes = False,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Move a cluster, step by step: prepare, dual, backup, carry, prove, cut-over; retire when you say so.

    The spec describes the cluster twice: as it is backed up now, and as an entry of the other engine that says
    `replaces:` the first. Nothing of the old engine is removed before `--until retire`, and that refuses without the
    certificate that `prove` writes. Killed or failed anywhere, the same command goes on; `pgwrap migrate rollback`
    undoes everything until then.

    Exit 0 came as far as was asked, 1 paused, 5 an engine failed, 7 another run is at it, 8 refused.
    """
    with _session("migrate run", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migration_ground import Options

        options = Options(
            directory=_absolute(directory),
            bases=_bases(bases),
            leave=tuple(leave or ()),
            deadline=timeout,
            patience=wal_patience,
            force=force,
        )
        _go_on(run_, cluster, options, until, history=not without_history, yes=yes)


@migrate.command()
def status(
    clusters: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLUSTER", help="Default: every migration.", autocompletion=cluster_names),
    ] = None,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """How far migrations are, step by step, with the proof of each step. It looks into the journal alone.

    What can be restored meanwhile, from both engines together, is in `pgwrap status`.
    """
    with _session("migrate status", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migrate import pair
        from pgwrap.ops.migration_memory import migrations_of

        fleet = run_.fleet(as_written=True)
        names = {pair(fleet, name)[1].name for name in clusters or ()}
        found = migrations_of(journal_of(fleet.state))
        _answer(run_, tuple(one for one in found if not names or one.cluster in names))


@migrate.command()
def pause(
    cluster: ClusterName,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Have a running migration stop before its next step. Both engines go on receiving WAL."""
    with _session("migrate pause", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migrate import pause as hold_on

        fleet, migration = _under_way(run_, cluster)
        _answer(run_, (hold_on(journal_of(fleet.state), migration),))


@migrate.command()
def resume(
    cluster: ClusterName,
    until: Annotated[Until, typer.Option("--until", help="Stop after this step.")] = Until.CUT_OVER,
    directory: Directory = None,
    timeout: Timeout = 604800.0,
    yes: Yes = False,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Go on with a migration that was paused, failed or killed; `run` does the same."""
    with _session("migrate resume", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migration_ground import Options

        _under_way(run_, cluster)
        options = Options(directory=_absolute(directory), deadline=timeout)
        _go_on(run_, cluster, options, until, history=True, yes=yes)


@migrate.command()
def rollback(
    cluster: ClusterName,
    timeout: Timeout = 604800.0,
    yes: Yes = False,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Undo a migration, at any point before retire: the old engine alone, as it was. No backup is deleted."""
    with _session("migrate rollback", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.ops.migrate import alone, roll_back
        from pgwrap.ops.migration_ground import Options

        _, migration = _under_way(run_, cluster)
        _ask(f"undo the migration of {migration.cluster}?", yes=yes)
        with (
            _ground(run_, cluster, Options(deadline=timeout)) as ground,
            alone(ground.fleet, ground.new.name, ground.world),
        ):
            undone, _ = roll_back(ground, migration)
            _answer(run_, (undone,))


@migrate.command()
def prove(
    cluster: ClusterName,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Compare this moment, as 2026-11-25T10:00:00Z. Default: the newest."),
    ] = None,
    directory: Directory = None,
    timeout: Timeout = 604800.0,
    config: SpecFile = None,
    output: OutputForm = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Restore one moment from both engines, and compare every table and sequence.

    Row counts and sums of hashes of all tables, and the values of sequences, of two private copies that are removed
    afterwards. Exit 0 the same, 1 they differ.
    """
    with _session("migrate prove", output, verbose, quiet=quiet, log_file=log_file, spec_file=config) as run_:
        from pgwrap.cli.drill import parsed_moment
        from pgwrap.ops.migration_ground import Options
        from pgwrap.ops.migration_proof import compare
        from pgwrap.present.migration import comparison_json, comparison_text

        _, migration = _under_way(run_, cluster)
        moment = parsed_moment(at) if at is not None else None
        with _ground(run_, cluster, Options(directory=_absolute(directory), deadline=timeout)) as ground:
            found = compare(ground, migration, moment)
            as_json = output is Output.JSON
            run_.answer(comparison_json(found, run_.now) if as_json else comparison_text(found))
            raise typer.Exit(0 if found.same else 1)


# What they share


def _go_on(run_: Session, name: str, options: Options, until: Until, *, history: bool, yes: bool) -> NoReturn:
    """Begin, or go on, up to a step; then leave with the answer's exit code."""
    from pgwrap.domain.migration import StepName
    from pgwrap.ops.migrate import alone, begin, run

    with _ground(run_, name, options) as ground, alone(ground.fleet, ground.new.name, ground.world):
        migration = begin(ground, history=history)
        _confirm(migration, until, yes=yes)
        done = run(ground, migration, StepName(until.value))
        _answer(run_, (done,))
        raise typer.Exit(1 if done.state == "paused" else 0)


def _draft_if_missing(run_: Session, name: str, to: Engine | None) -> None:
    """Where no entry replaces the named one, say what one could look like; exit 1."""
    from pgwrap.ops.migrate import successor

    fleet = run_.fleet(as_written=True)
    cluster, new = fleet.cluster(name), successor(fleet, name)
    if new is None:
        from pgwrap.domain.draft_successor import draft

        if to is not None and to.value == cluster.engine.kind.value:
            raise UsageError(f"{name} is backed up by {to.value} already", hint="name the other engine")
        run_.say(f"the spec describes {name} under {cluster.engine.kind} alone; add an entry such as this to clusters:")
        run_.answer(draft(cluster))
        raise typer.Exit(1)
    if to is not None and new.engine.kind.value != to.value:
        message = f"the spec moves {new.replaces} to {new.engine.kind}, not to {to.value}"
        raise UsageError(message, hint=f"change `engine:` of {new.name}, or leave out --to")


@contextmanager
def _session(
    command: str, output: Output, verbose: int, *, quiet: bool, log_file: str | None, spec_file: str | None
) -> Iterator[Session]:
    with session(command, output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=spec_file) as run_:
        yield run_


def _under_way(run_: Session, name: str) -> tuple[Fleet, Migration]:
    """The migration of an entry; UsageError when there is none to act on."""
    from pgwrap.ops.migrate import current, pair

    fleet = run_.fleet(as_written=True)
    _, new = pair(fleet, name)
    migration = current(journal_of(fleet.state), new.name)
    if migration is None or not migration.moving:
        raise UsageError(f"no migration of {new.name} is under way", hint=f"begin with `pgwrap migrate run {new.name}`")
    return fleet, migration


@contextmanager
def _ground(run_: Session, name: str, options: Options) -> Iterator[Ground]:
    """All that the steps stand on."""
    from pgwrap.cli.drill import tools_for
    from pgwrap.cli.reporting import Reporting
    from pgwrap.ops.backup import Surroundings
    from pgwrap.ops.hooks import Hooks
    from pgwrap.ops.migrate import pair
    from pgwrap.ops.migration_ground import Ground
    from pgwrap.ops.migration_memory import keep_progress
    from pgwrap.present.encode import encode
    from pgwrap.present.json_format import json_text
    from pgwrap.system.spool import LocalSpool
    from pgwrap.system.store import LocalStore

    fleet = run_.fleet(as_written=True)
    old, new = pair(fleet, name)
    world, tools = run_.world(), tools_for(run_, fleet)
    reporting = Reporting(run=run_)
    try:
        yield Ground(
            fleet=fleet,
            old=old,
            new=new,
            world=world,
            tools=tools,
            around=Surroundings(
                world=world,
                hooks=Hooks(world=world, encode=lambda context: json_text(encode(context)).encode()),
                reporter=reporting,
                clock=tools.clock,
            ),
            options=options,
            spool=LocalSpool(),
            store=LocalStore(),
            keep=lambda migration: keep_progress(migration, tools.journal),
            encode=lambda value: json_text(encode(value)),
        )
    finally:
        reporting.end()


def _confirm(migration: Migration, until: Until, *, yes: bool) -> None:
    """Retiring is the one step that nothing undoes."""
    if until is Until.RETIRE:
        _ask(f"move {migration.cluster} from {migration.from_engine} to {migration.to_engine} for good?", yes=yes)
    else:
        _ask(f"move {migration.cluster} from {migration.from_engine} to {migration.to_engine}?", yes=yes)


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("nothing was changed: there is nobody to ask", hint="say --yes")
    if not typer.confirm(question, err=True):
        raise Refused("nothing was changed: it was not confirmed", hint="see `pgwrap migrate plan`")


def _answer(run_: Session, migrations: tuple[Migration, ...]) -> None:
    from pgwrap.present.migration import migrations_json, migrations_text

    if run_.output == Output.JSON:
        run_.answer(migrations_json(migrations, run_.now))
    else:
        run_.answer(migrations_text(migrations))


def _bases(text: str) -> str:
    """Refused before anything is looked at when it says nothing."""
    from pgwrap.ops.migration_carry import bases_of

    bases_of(text)
    return text


def _absolute(directory: str | None) -> str | None:
    return None if directory is None else str(Path(directory).resolve())
