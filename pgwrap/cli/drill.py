"""`pgwrap drill`: prove that a backup restores, and report the proofs that are kept."""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import LogFile, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.session import Session, chosen, journal_of, session
from pgwrap.errors import UsageError

if TYPE_CHECKING:
    from pgwrap.domain.drill import Drill, DrillHistory
    from pgwrap.domain.drill_choice import Wish
    from pgwrap.domain.model import Cluster, Fleet
    from pgwrap.ops.scratch_copy import Tools

QUESTIONS = 2
"""About as often PostgreSQL is asked of a drill: who may look, and for the canary."""
REPORT = "report"
"""As the first word it asks for kept drills instead of a new one."""


class Output(StrEnum):
    """The forms of the same answer."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    HTML = "html"


def drill(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CLUSTER|report [CLUSTER]",
            help="The cluster to drill; or the word report, and clusters whose kept drills to show (default: all).",
            autocompletion=cluster_names,
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="latest|oldest|middle|random|TIME",
            help="Recover to there; TIME as 2026-11-25T10:00:00Z. Default: the spec's drill.target, or latest.",
        ),
    ] = None,
    backup: Annotated[
        str | None, typer.Option("--backup", "-b", metavar="ID", help="Restore this backup. Default: the newest fit.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", "-r", metavar="NAME", help="Restore from this repository.")
    ] = None,
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Take the backup, repository and target whose last drill is longest ago."),
    ] = False,
    negative_control: Annotated[
        bool,
        typer.Option("--negative-control", help="Damage the copy on purpose: exit 0 when the drill finds it out."),
    ] = False,
    directory: Annotated[
        str | None,
        typer.Option(
            "--directory", metavar="DIR", help="Restore under DIR. Default: the spec's drill.directory, or TMPDIR."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stopped copy there, and say where.")] = False,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, help="With report: the newest N drills of each cluster.")
    ] = 10,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="For the restore, the replay, each probe.")
    ] = 86400.0,
    config: SpecFile = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="In which form.")] = Output.TEXT,
    write: Annotated[
        str | None,
        typer.Option("--write", metavar="FILE", help="Write the answer there, atomically, instead of printing it."),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Restore a backup, start it, look at it, remove it: the proof that it restores.

    The copy lies in a private directory and answers on a private socket alone: no TCP, no archiving, nothing of the
    original is touched. It is recovered to the target and looked at: consistent start, pg_amcheck, data checksums,
    a schema dump, the spec's assertions, canary rows (`pgwrap canary`). What could not be measured is unknown, never
    passed. Then the copy is removed, also when the drill is interrupted.

    `pgwrap drill report` shows the drills that are kept in the journal; `-o junit` and `-o html` are for CI and audits.
    Exit 0 passed, 1 failed or unknown, 8 refused (no room for the copy).
    """
    with session("drill", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.domain.drill import DrillHistory
        from pgwrap.ops.drill import DrillOptions
        from pgwrap.ops.drill import drill as try_out
        from pgwrap.present.drill import exit_code

        if words[0] != REPORT:
            run.expect_postgres(QUESTIONS)
        fleet = run.fleet()
        if words[0] == REPORT:
            from pgwrap.ops.drill_memory import history

            found = history(journal_of(fleet.state), chosen(fleet, words[1:]), last)
            _answer(run, found, None, output, write)
            return
        if len(words) > 1:
            raise UsageError("one cluster at a time can be drilled", hint=f"`pgwrap drill {words[0]}`, then the next")
        cluster = fleet.cluster(words[0])
        options = DrillOptions(
            wish=_wish(run, cluster, target, backup, repository, coverage=coverage),
            coverage=coverage,
            directory=_absolute(directory),
            keep=keep,
            control=negative_control,
            deadline=timeout,
        )
        done = try_out(fleet, cluster, run.world(), tools_for(run, fleet), options)
        _answer(run, DrillHistory(drills=(done,)), done, output, write)
        raise typer.Exit(exit_code(done))


def _answer(run: Session, found: DrillHistory, one: Drill | None, output: Output, write: str | None) -> None:
    """Kept drills, or the `one` that has just ended, in the form asked for."""
    from pgwrap.domain.plan import WriteFile
    from pgwrap.present import drill as forms

    if output is Output.JUNIT:
        text = forms.junit(found)
    elif output is Output.HTML:
        text = forms.html(found, run.now)
    elif output is Output.JSON:
        text = forms.drill_json(one, run.now) if one is not None else forms.report_json(found, run.now)
    else:
        text = forms.report_text(found)
    if write is None:
        run.answer(text)
    else:
        run.world().files.write(WriteFile(path=write, text=text, mode=0o640))


def tools_for(run: Session, fleet: Fleet) -> Tools:
    """What copies in scratch places need."""
    from pgwrap.ops.scratch_copy import Tools
    from pgwrap.system.database import PostgresDoorway
    from pgwrap.system.launch import Identity
    from pgwrap.system.scratch import ScratchDirectories

    return Tools(
        journal=journal_of(fleet.state),
        scratch=ScratchDirectories(),
        sql=PostgresDoorway(runner=run.processes(), waiting=run.probers),
        clock=lambda: datetime.now(UTC),
        chance=random.random(),  # noqa: S311 - which moment is drilled is no secret
        token=secrets.token_hex(4),
        user=Identity.current().name,
        say=run.say,
    )


def _wish(
    run: Session, cluster: Cluster, target: str | None, backup: str | None, repository: str | None, *, coverage: bool
) -> Wish:
    """What the options and the spec ask for; UsageError for what means nothing."""
    from pgwrap.domain.drill import Aim
    from pgwrap.domain.drill_choice import Wish

    if coverage and (target or backup):
        raise UsageError("--coverage chooses the backup and the target itself", hint="leave out --target and --backup")
    text = (target or cluster.drill.target or "latest").strip()
    aims = {"latest": Aim.NEWEST, "newest": Aim.NEWEST, "random": Aim.RANDOM}
    aims |= {"oldest": Aim.OLDEST, "middle": Aim.MIDDLE}
    if text.lower() in aims:
        return Wish(aim=aims[text.lower()], backup=backup, repository=repository)
    moment = parsed_moment(text)
    if moment > run.now:
        now = run.now.isoformat(timespec="seconds")
        raise UsageError(f"the target {text} is still to come", hint=f"it is now {now}")
    return Wish(aim=Aim.MOMENT, moment=moment, backup=backup, repository=repository)


def parsed_moment(text: str) -> datetime:
    """A target with its zone; UsageError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no target"
        raise UsageError(message, hint="latest, oldest, middle, random, or a time: 2026-11-25T10:00:00Z") from None
    if moment.tzinfo is None:
        hint = f"{text}Z is meant in UTC, {text}+01:00 an hour east of it"
        raise UsageError(f"the target {text} has no time zone", hint=hint)
    return moment.astimezone(UTC)


def _absolute(directory: str | None) -> str | None:
    """So that PostgreSQL, which works elsewhere, finds it."""
    return None if directory is None else str(Path(directory).resolve())
