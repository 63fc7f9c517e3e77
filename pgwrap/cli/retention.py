"""`pgwrap retention`: what is kept and why, what goes next and when, and what another policy would do."""

from __future__ import annotations

import shutil
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import Clusters, LogFile, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, colour, session

if TYPE_CHECKING:
    from pgwrap.ops.retention import Instead
    from pgwrap.present.retention import RetentionPresenter


class Output(StrEnum):
    """The forms of the same answer."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def retention(
    clusters: Clusters = None,
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="In which form.")] = Output.TABLE,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="WORD=VALUE",
            help="Compare with another policy in the spec's words, such as window=30d or full=4,differential=6, "
            "or with engine=barman. Repeatable.",
        ),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", metavar="N", min=0, max=36500, help="How far the calendar looks ahead.")
    ] = 30,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call of an engine.")
    ] = 30.0,
    commits: Annotated[
        bool,
        typer.Option("--commits/--no-commits", help="Read archived WAL to prove the newest restorable moment."),
    ] = True,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Say what is kept, what goes next and when, and why.

    Of each repository: every backup with the reason it stays or goes, the WAL that the next expiry deletes, the
    moments that can be restored now and then. Reads only; deletes nothing (`pgwrap expire` does).

    `--what-if` shows what another policy, or the other engine's rules, would do to the same backups.
    Exit 0 answered, 1 a cluster could not be read.
    """
    with session("retention", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.retention import RetentionOptions
        from pgwrap.ops.retention import retention as foretell
        from pgwrap.present.presentation import Presentation

        instead = _instead(what_if) if what_if else None
        fleet = run.fleet()
        options = RetentionOptions(deadline=timeout, days=days, instead=instead, prove_commits=commits)
        presenter = partial(_presenter, output)
        answer = foretell(
            fleet, chosen(fleet, clusters), run.world(), now=run.now, options=options, meanwhile=presenter
        )
        presentation = Presentation(
            colour=colour(), width=shutil.get_terminal_size((100, 24)).columns, verbose=verbose > 0, now=run.now
        )
        run.answer(presenter()(answer, presentation))
        raise typer.Exit(0 if all(cluster.read for cluster in answer.clusters) else 1)


def _presenter(output: Output) -> RetentionPresenter:
    """What makes text of the answer, with all that it needs loaded."""
    from pgwrap.present.retention import FORMATS

    if output is Output.TABLE:
        from pgwrap.text.tables import load

        load()
    return FORMATS[output.value]


def _instead(words: list[str]) -> Instead | None:
    """What to compare with; only here are the spec's words needed when the spec itself is remembered."""
    from pgwrap.ops.retention import Instead
    from pgwrap.spec.what_if import what_if_question

    question = what_if_question(words)
    return Instead(text=question.text, policy=question.retention, engine=question.engine) if question else None
