"""`pgwrap init`: a commented spec to start from."""

from __future__ import annotations

from typing import Annotated

import typer

from pgwrap.cli.options import Quiet, Verbose
from pgwrap.cli.session import session


def init(
    from_postgres: Annotated[
        str | None,
        typer.Option(
            "--from-postgres",
            metavar="DSN",
            help="Ask this server for its version, data directory and WAL settings, such as "
            "'host=/run/postgresql dbname=postgres'. A password belongs in ~/.pgpass.",
        ),
    ] = None,
    write: Annotated[
        str | None, typer.Option("--write", metavar="FILE", help="Write it there instead of to standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists; the old one is kept.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Print a commented spec to start from.

    With --from-postgres it is filled in with what a running server says of itself.
    """
    with session("init", verbose=verbose, quiet=quiet) as run:
        from pgwrap.domain.plan import WriteFile
        from pgwrap.errors import Refused
        from pgwrap.spec.starter import starter

        world = run.world()
        discovered = None
        if from_postgres is not None:
            from pgwrap.cli.discovery import discover
            from pgwrap.system.database import PostgresDoorway

            discovered = discover(from_postgres, PostgresDoorway(runner=world.runner))
        text = starter(discovered)
        if write is None:
            run.answer(text)
            return
        if world.files.read(write) is not None and not force:
            raise Refused(f"{write} exists", hint="name another file, or --force to replace it (the old one is kept)")
        world.files.write(WriteFile(path=write, text=text, mode=0o640))
        run.say(f"wrote {write}; next: pgwrap validate --config {write}")
