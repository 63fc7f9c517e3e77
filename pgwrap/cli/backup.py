"""`pgwrap backup`: take one backup, watch it, say which it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import LogFile, Output, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.session import Session, session

if TYPE_CHECKING:
    from pgwrap.engines.port import Progress

PLAIN_INTERVAL = 30.0
"""Seconds between progress lines where standard error is not a terminal."""


class Type(StrEnum):
    """What to back up, in both engines' words."""

    FULL = "full"
    DIFFERENTIAL = "differential"
    INCREMENTAL = "incremental"


def backup(
    cluster: Annotated[
        str,
        typer.Argument(metavar="CLUSTER", help="The cluster, by its name in the spec.", autocompletion=cluster_names),
    ],
    type_: Annotated[Type, typer.Option("--type", "-t", help="full, differential or incremental.")] = Type.FULL,
    repository: Annotated[
        str | None,
        typer.Option("--repository", "-r", metavar="NAME", help="Into which repository. Default: the first."),
    ] = None,
    config: SpecFile = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="Stop the engine after so long.")
    ] = 86400.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Take a backup and print its id.

    Progress goes to standard error: live on a terminal, a line now and then elsewhere.
    """
    with session("backup", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.backup import BackupOptions
        from pgwrap.ops.backup import backup as take_backup
        from pgwrap.present.envelope import envelope

        target = run.fleet().cluster(cluster)
        options = BackupOptions(type=type_.value, repository=repository, deadline=timeout)
        report = _reporter(run)
        result = take_backup(target, run.world(), options, report)
        if sys.stderr.isatty() and not quiet:
            typer.echo("\r\x1b[K", nl=False, err=True)
        if verbose:
            for message in result.messages:
                run.say(message)
        if output is Output.JSON:
            taken = {"cluster": cluster, "id": result.id, "type": result.type, "state": result.state}
            answer = envelope("pgwrap/backup/1", taken, (), run.now, "success")
            run.answer(json.dumps(answer, indent=2, ensure_ascii=False))
            return
        if result.state == "waiting_for_wal":
            run.say(f"{result.id} can be restored once its last WAL segment is archived; ask `pgwrap status {cluster}`")
        run.answer(result.id)


def _reporter(run: Session) -> Callable[[Progress], None]:
    """Show progress: rewritten in place on a terminal, else a plain line every half minute."""
    from pgwrap.present.progress import progress_line

    started = monotonic()
    terminal = sys.stderr.isatty()
    shown = [started]

    def report(progress: Progress) -> None:
        if run.quiet:
            return
        line = progress_line(
            fraction=progress.fraction,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
            elapsed=monotonic() - started,
            message=progress.message,
        )
        if terminal:
            typer.echo(f"\r\x1b[K{line}", nl=False, err=True)
        elif monotonic() - shown[0] >= PLAIN_INTERVAL:
            shown[0] = monotonic()
            run.say(line)

    return report
