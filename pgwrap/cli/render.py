"""`pgwrap render`: the engines' native files from the spec."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pgwrap.cli.choices import engine_choices
from pgwrap.cli.options import Clusters, EngineVersions, LogFile, Offline, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, session


def render(
    clusters: Clusters = None,
    config: SpecFile = None,
    directory: Annotated[
        str | None,
        typer.Option(
            "--to",
            "--directory",
            metavar="DIR",
            help="Write each file under DIR at its native path; --to / puts them in place. Default: print them, "
            "secrets masked.",
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    engine_version: EngineVersions = None,
    offline: Offline = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Render the engines' native files.

    They are pgbackrest.conf, barman.conf with a file per server, and the PostgreSQL settings each cluster needs.

    Naming clusters selects the files that hold them; a file is always whole. Files are replaced atomically and the
    old one is kept beside it as NAME.old.
    """
    with session("render", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.render import render as render_spec
        from pgwrap.ops.render import under
        from pgwrap.ops.standing import note_in_place
        from pgwrap.present.envelope import envelope
        from pgwrap.present.rendered import rendered_data, rendered_text

        fleet = run.fleet()
        world = run.world()
        choices = engine_choices(run, fleet, world, engine_version, offline=offline)
        secret = world.masked if directory is None else world.secret
        result = render_spec(fleet, chosen(fleet, clusters), choices, world, secret=secret)
        for warning in (item for item in result.warnings if item not in fleet.warnings):
            run.say(str(warning))
        if directory is not None:
            for file in (under(directory, file) for file in result.files):
                world.files.write(file)
                run.say(f"wrote {file.path}")
            if directory == "/":
                note_in_place(fleet, choices, result.files, world)
        if output is Output.JSON:
            frame = envelope("pgwrap/render/1", rendered_data(result.files, result.settings), (), run.now, "success")
            run.answer(json.dumps(frame, indent=2, ensure_ascii=False))
        elif directory is None:
            run.answer(rendered_text(result.files))
