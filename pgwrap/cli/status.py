"""`pgwrap status`: could every cluster be restored right now?"""

from __future__ import annotations

import shutil
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from pgwrap.cli.options import Clusters, LogFile, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, colour, session
from pgwrap.errors import UsageError

if TYPE_CHECKING:
    from pgwrap.domain.facts import FleetStatus


class Output(StrEnum):
    """The forms of the same answer."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "markdown"
    NAGIOS = "nagios"
    PROMETHEUS = "prometheus"


class StatusCommand(TyperCommand):
    """`status`, of which a monitoring system must never take a mistyped option for CRITICAL, the plugin code 2."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Read the command line; with `-o nagios` a usage error is UNKNOWN, as every failure of pgwrap's own."""
        asks_for_nagios = _asks_for_nagios(args)
        try:
            return super().make_context(info_name, args, *rest, **extra)
        except Exception as error:
            if asks_for_nagios and getattr(error, "exit_code", 0) == UsageError.exit_code:
                from pgwrap.present.nagios import EXIT_UNKNOWN, nagios_failure

                typer.echo(nagios_failure(UsageError(str(error))), nl=False)
                error.exit_code = EXIT_UNKNOWN  # type: ignore[attr-defined]  # every error of the parser has it
            raise


def _asks_for_nagios(arguments: list[str]) -> bool:
    """Whether the command line, however wrong, wants the plugin's output."""
    asking = {("-o", "nagios"), ("--output", "nagios")}
    return not asking.isdisjoint(pairwise(arguments)) or not {"-onagios", "--output=nagios"}.isdisjoint(arguments)


class FailOn(StrEnum):
    """From which severity on the exit code is 1; `unknown` always counts."""

    WARNING = "warning"
    CRITICAL = "critical"


def status(
    clusters: Clusters = None,
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="In which form.")] = Output.TABLE,
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", help="Exit 1 from this severity on; unknown always counts as worse than warning."),
    ] = FailOn.WARNING,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call of an engine.")
    ] = 30.0,
    local: Annotated[
        bool, typer.Option("--local", help="Leave out clusters whose engine runs on another host, and say so.")
    ] = False,
    postgres: Annotated[
        bool, typer.Option("--postgres/--no-postgres", help="Also ask PostgreSQL itself, for at most 5 seconds.")
    ] = True,
    commits: Annotated[
        bool,
        typer.Option("--commits/--no-commits", help="Read archived WAL to prove the newest restorable moment."),
    ] = True,
    write: Annotated[
        str | None,
        typer.Option("--write", metavar="FILE", help="Write the answer there, atomically, instead of printing it."),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Say which clusters could be restored now.

    Of each: to which moments, and what is wrong, with what to type next.

    One cluster named: its backups and recoverable window too. Reads only; changes nothing anywhere.
    Exit 0 all ok, 1 some cluster is not. `-o nagios` uses the plugin codes 0, 1, 2, 3 instead.
    """
    with session("status", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        if postgres:
            run.expect_postgres()

        from pgwrap.domain.plan import WriteFile
        from pgwrap.ops.status import StatusOptions
        from pgwrap.ops.status import status as look
        from pgwrap.present.formats import FORMATS
        from pgwrap.present.presentation import Presentation

        fleet = run.fleet()
        selected = chosen(fleet, clusters)
        world = run.world()
        options = StatusOptions(deadline=timeout, local=local, ask_postgres=postgres, prove_commits=commits)
        answer = look(fleet, selected, world, now=run.now, options=options, meanwhile=FORMATS[output.value])
        for name in answer.left_out:
            run.say(f"{name}: left out, its engine runs on another host")
        presentation = Presentation(
            colour=write is None and colour(),
            width=shutil.get_terminal_size((100, 24)).columns,
            verbose=verbose > 0,
            detail=bool(clusters) and len(selected) == 1,
            now=run.now,
        )
        text = FORMATS[output.value]()(answer, presentation)
        if write is None:
            run.answer(text)
        else:
            world.files.write(WriteFile(path=write, text=text, mode=0o644))
        raise typer.Exit(exit_code(answer, output, fail_on))


def exit_code(answer: FleetStatus, output: Output, fail_on: FailOn) -> int:
    """0 when nothing is at `fail_on` or worse, else 1; the plugin codes for nagios."""
    from pgwrap.domain.facts import Severity

    if output is Output.NAGIOS:
        from pgwrap.present.nagios import exit_status

        return exit_status(answer)
    threshold = Severity.WARNING if fail_on is FailOn.WARNING else Severity.UNKNOWN
    return int(answer.severity.rank >= threshold.rank)
