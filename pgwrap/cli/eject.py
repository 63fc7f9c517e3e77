"""`pgwrap eject`: leave everything so that it works without pgwrap."""

from __future__ import annotations

from typing import Annotated

import typer

from pgwrap.cli.choices import engine_choices
from pgwrap.cli.options import Clusters, EngineVersions, LogFile, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, session


def eject(
    clusters: Clusters = None,
    config: SpecFile = None,
    directory: Annotated[
        str, typer.Option("--directory", metavar="DIR", help="Where everything is put for review.")
    ] = "pgwrap-ejected",
    write: Annotated[
        bool,
        typer.Option("--write", help="Also put files and timers in their places; nothing is enabled or stopped."),
    ] = False,
    engine_version: EngineVersions = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Leave everything so that it works without pgwrap.

    Below DIR: the native files without pgwrap's claim on them, a systemd timer for each word of `schedule:` that calls
    the engine directly, and RUNBOOK.md, with the commands to check, back up, restore and expire each cluster.

    The native files hold their secrets, and keep their mode. Nothing outside DIR changes without --write.
    """
    with session("eject", verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.apply import locked
        from pgwrap.ops.eject import eject as leave
        from pgwrap.ops.records import read_records

        fleet = run.fleet()
        world = run.world()
        choices = engine_choices(run, fleet, world, engine_version, offline=False)
        left, warnings = leave(fleet, chosen(fleet, clusters), choices, world)
        for warning in (item for item in warnings if item not in fleet.warnings):
            run.say(str(warning))
        for file in left.under(directory):
            world.files.write(file)
            run.say(f"wrote {file.path}")
        if write:
            with locked(fleet, world):
                records = read_records(world.files, fleet.state)
                for file in (*left.native, *left.units):
                    world.files.write(file)
                    records.forget(file.path)
                    run.say(f"wrote {file.path}")
        run.say(f"next: read {directory}/RUNBOOK.md")
