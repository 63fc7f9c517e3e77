"""`pgwrap expire`: delete what retention lets go, after showing it; a dry run unless told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import Clusters, LogFile, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import Session, chosen, session

if TYPE_CHECKING:
    from pgwrap.errors import PgwrapError


def expire(
    clusters: Clusters = None,
    config: SpecFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete. Without it nothing is deleted, only shown.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call that looks.")
    ] = 30.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Delete what the policy lets go; a dry run without --yes.

    What goes is foretold, held against the engine's own dry run where it has one (pgBackRest), and refused when the
    engine would delete more. Never below `minimum_full`, and never while a verdict is not known.

    With Barman each backup is deleted by its id, what builds on it first; `barman cron` does the same by itself.
    Exit 0 shown or done, 8 refused.
    """
    with session("expire", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.expire import ExpireOptions
        from pgwrap.ops.expire import expire as let_go
        from pgwrap.present.expiry import expiry_json, expiry_text

        fleet = run.fleet()
        options = ExpireOptions(delete=yes, deadline=timeout)
        answer, errors = let_go(fleet, chosen(fleet, clusters), run.world(), now=run.now, options=options, say=run.say)
        if not answer.clusters and len(errors) == 1:
            raise errors[0]
        run.answer(expiry_json(answer, errors, run.now) if output is Output.JSON else expiry_text(answer))
        _say_errors(run, errors)
        refused = any(cluster.refused for cluster in answer.clusters)
        raise typer.Exit(max((error.exit_code for error in errors), default=8 if refused else 0))


def _say_errors(run: Session, errors: tuple[PgwrapError, ...]) -> None:
    for error in errors:
        typer.echo(f"{error.cluster}: {error.message}", err=True)
        if error.hint:
            run.say(f"  → {error.hint}")
