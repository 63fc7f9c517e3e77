"""`pgwrap canary`: write a row by which drills measure what a restore would lose."""

from __future__ import annotations

from typing import Annotated

import typer

from pgwrap.cli.options import LogFile, Output, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.session import journal_of, session


def canary(
    cluster: Annotated[
        str,
        typer.Argument(metavar="CLUSTER", help="The cluster, by its name in the spec.", autocompletion=cluster_names),
    ],
    prune: Annotated[
        bool, typer.Option("--prune", help="Write none: remove all rows but the newest from pgwrap.canary.")
    ] = False,
    config: SpecFile = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each statement.")] = 10.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Write a canary row on the primary, so that a drill can tell what a restore would lose.

    The row goes into the table pgwrap.canary, which is made on first use and keeps the newest 1000 rows. A drill finds
    the newest one in the restored copy: its age is the loss, measured. Run it more often than the rpo that you promise:
    `* * * * * pgwrap canary orders --quiet` in a crontab.
    """
    with session("canary", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.canary import prune_canaries, write_canary
        from pgwrap.present.drill import canary_data, canary_text
        from pgwrap.present.json_format import json_text
        from pgwrap.system.database import PostgresDoorway

        fleet = run.fleet()
        target = fleet.cluster(cluster)
        sql = PostgresDoorway(runner=run.processes())
        if prune:
            done = prune_canaries(target, run.world(), sql, timeout)
        else:
            done = write_canary(target, run.world(), sql, journal_of(fleet.state), timeout)
        run.answer(json_text(canary_data(done, run.now)) if output is Output.JSON else canary_text(done))
