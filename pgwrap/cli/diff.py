"""`pgwrap diff`: what runs against what the spec says."""

from __future__ import annotations

from typing import Annotated

import typer

from pgwrap.cli.choices import engine_choices
from pgwrap.cli.options import Clusters, EngineVersions, LogFile, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, colour, session
from pgwrap.errors import EXIT_NO, EXIT_OK


def diff(
    clusters: Clusters = None,
    config: SpecFile = None,
    postgres: Annotated[
        bool, typer.Option("--postgres/--no-postgres", help="Also ask PostgreSQL for its settings and slots.")
    ] = True,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    engine_version: EngineVersions = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Show what differs from the spec.

    Three looks: each native file line by line (- in place, + by the spec), what the engine reads option by option
    (compress-type from gz to zst), and the settings of the live PostgreSQL. Secrets are masked on both sides.

    What cannot be looked at is unknown, and counts as a difference. Nothing is changed; `pgwrap apply` does that.
    Exit 0 no difference, 1 some.
    """
    with session("diff", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.diff import diff as compare
        from pgwrap.present.diff import diff_json, diff_text

        fleet = run.fleet()
        world = run.world()
        choices = engine_choices(run, fleet, world, engine_version, offline=False)
        answer, warnings = compare(fleet, chosen(fleet, clusters), choices, world, postgres=postgres)
        for warning in (item for item in warnings if item not in fleet.warnings):
            run.say(str(warning))
        run.answer(diff_json(answer, run.now) if output is Output.JSON else diff_text(answer, colour=colour()))
        raise typer.Exit(EXIT_OK if answer.clean else EXIT_NO)
