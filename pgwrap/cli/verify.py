"""`pgwrap verify`: are the backups whole, file by file?"""

from __future__ import annotations

from typing import Annotated

import typer

from pgwrap.cli.options import Clusters, LogFile, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, session


def verify(
    clusters: Clusters = None,
    backup: Annotated[
        str | None,
        typer.Option("--backup", "-b", metavar="BACKUP", help="This one alone: its id, or latest or oldest."),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option("--repository", "-r", metavar="NAME", help="In this repository alone. Default: in each."),
    ] = None,
    generate_manifest: Annotated[
        bool,
        typer.Option(
            "--generate-manifest",
            help="Write a manifest for backups without one (Barman's rsync methods), to compare with from now on.",
        ),
    ] = False,
    config: SpecFile = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="For each command of the engine.")
    ] = 86400.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Read every backup and say whether it is whole.

    The engine's own verification (`pgbackrest verify`, `barman verify-backup`) compares each file with the checksum
    that was noted when it was taken. pgwrap adds whether the WAL that each backup needs is in the archive, and whether
    what it builds on is whole, too.

    That files are unchanged does not prove that PostgreSQL starts from them: only a restore does. It reads all that is
    stored, which takes as long as it takes.

    Exit 0 all of it is whole, 1 some is damaged or could not be verified.
    """
    with session("verify", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.verify import VerifyOptions
        from pgwrap.ops.verify import verify as examine
        from pgwrap.present.verified import verified_json, verified_text

        fleet = run.fleet()
        options = VerifyOptions(
            backup=backup, repository=repository, generate_manifest=generate_manifest, deadline=timeout
        )
        say = run.say if verbose else _nothing
        answer, errors = examine(fleet, chosen(fleet, clusters), run.world(), options, say)
        run.answer(verified_json(answer, errors, run.now) if output is Output.JSON else verified_text(answer))
        for error in errors if output is Output.TEXT else ():
            if error.hint:
                run.say(f"{error.cluster}: {error.hint}")
        raise typer.Exit(0 if answer.state == "whole" else 1)


def _nothing(_: str) -> None:
    """Nobody asked to see the commands."""
