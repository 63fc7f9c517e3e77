"""`pgwrap check`: is everything in place that backups need, and what mends it if not?"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import Clusters, LogFile, Quiet, SpecFile, Verbose
from pgwrap.cli.session import chosen, colour, session
from pgwrap.cli.status import FailOn

if TYPE_CHECKING:
    from pgwrap.domain.checking import FleetCheck


class Output(StrEnum):
    """The forms of the same answer."""

    TABLE = "table"
    JSON = "json"
    NAGIOS = "nagios"


def check(
    clusters: Clusters = None,
    passive: Annotated[
        bool,
        typer.Option("--passive", help="Change nothing: leave out the engine's own check, which may switch WAL."),
    ] = False,
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="In which form.")] = Output.TABLE,
    fail_on: Annotated[
        FailOn,
        typer.Option("--fail-on", help="Exit 1 from this severity on; unknown always counts as worse than warning."),
    ] = FailOn.WARNING,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each command.")] = 120.0,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Check all that backups need, and say what mends it.

    Beyond what `pgwrap status` sees: the engine's own check, the settings PostgreSQL should have, whether the engine's
    user may use its directories, free space, clocks, and versions that must fit together.

    `pgbackrest check` closes a WAL segment and waits until it is archived, `barman check` may do so, too: that is how
    the way of WAL is proved. With --passive nothing is changed, and that way is not checked.

    Exit 0 all is right, 1 something is not. `-o nagios` uses the plugin codes 0, 1, 2, 3 instead.
    """
    with session("check", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.ops.check import CheckOptions
        from pgwrap.ops.check import check as look
        from pgwrap.present.checked import FORMATS
        from pgwrap.present.presentation import Presentation

        fleet = run.fleet()
        answer = look(
            fleet,
            chosen(fleet, clusters),
            run.world(),
            clock=lambda: datetime.now(UTC),
            options=CheckOptions(passive=passive, deadline=timeout),
        )
        presentation = Presentation(colour=colour(), width=shutil.get_terminal_size((100, 24)).columns, now=run.now)
        run.answer(FORMATS[output.value](answer, presentation))
        raise typer.Exit(_exit_code(answer, output, fail_on))


def _exit_code(answer: FleetCheck, output: Output, fail_on: FailOn) -> int:
    from pgwrap.domain.facts import Severity

    if output is Output.NAGIOS:
        from pgwrap.present.checked import nagios_exit

        return nagios_exit(answer)
    threshold = Severity.WARNING if fail_on is FailOn.WARNING else Severity.UNKNOWN
    return int(answer.severity.rank >= threshold.rank)
