"""`pgwrap apply`: make what runs be what the spec says, after showing every step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.choices import engine_choices
from pgwrap.cli.options import Clusters, LogFile, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import Session, chosen, session
from pgwrap.errors import EXIT_NO, EXIT_OK, UsageError

if TYPE_CHECKING:
    from pgwrap.domain.applying import Applied
    from pgwrap.domain.plan import Plan


def apply(
    clusters: Clusters = None,
    config: SpecFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also replace files that pgwrap did not make, or that were edited by hand."),
    ] = False,
    postgres: Annotated[
        bool,
        typer.Option("--postgres/--no-postgres", help="Also ask PostgreSQL, and set what it needs (ALTER SYSTEM)."),
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call of an engine that looks.")
    ] = 30.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Make what runs be what the spec says.

    Shows the plan, asks, then goes step by step: native files, stanza or slot, PostgreSQL's settings by ALTER SYSTEM
    and a reload. Nothing is restarted; what needs a restart is said.

    The engine itself checks the new configuration, first as a copy, then in place; where it refuses, the old files come
    back. A file that was edited by hand is not replaced without --force; each old file stays beside as NAME.old.

    Killed at any point, run it again. Exit 0 done or nothing to do, 1 something is left to you (with --dry-run:
    something would be done), 5 the engine refused, 7 another one is at work, 8 a file was edited by hand.
    """
    with session("apply", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from contextlib import nullcontext

        from pgwrap.ops.apply import apply as carry_out
        from pgwrap.ops.apply import clean_up, locked, require_consent, show
        from pgwrap.ops.engine_change import note_engines, require_same_engines
        from pgwrap.ops.planning import PlanOptions, make_plan
        from pgwrap.ops.records import read_records
        from pgwrap.ops.standing import remember_in_place

        fleet = run.fleet()
        selected = chosen(fleet, clusters)
        world = run.world()
        options = PlanOptions(postgres=postgres, force=force, deadline=timeout)
        with nullcontext() if dry_run else locked(fleet, world):
            if not dry_run:
                clean_up(fleet, world)
            choices = engine_choices(run, fleet, world, None, offline=False)
            records = read_records(world.files, fleet.state)
            require_same_engines(fleet, selected, records)
            plan = make_plan(fleet, selected, choices, world, records, options)
            if dry_run:
                _answer(run, show(plan), plan)
                raise typer.Exit(EXIT_NO if plan.actions or plan.left or plan.objections else EXIT_OK)
            if not plan.actions and not plan.objections:
                note_engines(selected, records)
                remember_in_place(fleet, choices, world)
                _answer(run, show(plan), plan)
                raise typer.Exit(EXIT_NO if plan.left else EXIT_OK)
            _show(run, plan)
            require_consent(plan, force=force)
            _confirm(yes=yes)
            applied = carry_out(plan, world, records, run.say)
            if not applied.errors:
                note_engines(selected, records)
            remember_in_place(fleet, choices, world)
            _report(run, applied)


def _answer(run: Session, applied: Applied, plan: Plan) -> None:
    """The plan as the command's result."""
    from pgwrap.present.plan import applied_json, plan_text

    if run.output == Output.JSON:
        run.answer(applied_json(applied, run.now))
        return
    text = plan_text(plan)
    run.answer(text if plan.actions else f"{text}nothing to do\n")
    for objection in plan.objections:
        run.say(f"not without --force: {objection}")


def _show(run: Session, plan: Plan) -> None:
    """The plan before it is done: talk, for the result comes afterwards."""
    from pgwrap.present.plan import plan_text

    run.say(plan_text(plan).rstrip("\n"))


def _confirm(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to ask", hint="--yes does what the plan says; --dry-run only shows it")
    if not typer.confirm("Do this?", err=True):
        typer.echo("nothing was changed", err=True)
        raise typer.Exit(EXIT_NO)


def _report(run: Session, applied: Applied) -> None:
    from pgwrap.present.plan import applied_json, applied_text

    run.answer(applied_json(applied, run.now) if run.output == Output.JSON else applied_text(applied))
    for error in applied.errors:
        typer.echo(f"{error.cluster}: {error.message}", err=True)
        if error.hint:
            run.say(f"  → {error.hint}")
    left = EXIT_NO if applied.left else EXIT_OK
    raise typer.Exit(max((error.exit_code for error in applied.errors), default=left))
