"""`pgwrap backup`: take backups, watch them, say which they are."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import Clusters, LogFile, Output, Quiet, SpecFile, Verbose
from pgwrap.cli.session import Session, chosen, session
from pgwrap.errors import UsageError

if TYPE_CHECKING:
    from pgwrap.domain.model import Cluster, Fleet
    from pgwrap.domain.taking import FleetTaken
    from pgwrap.errors import PgwrapError

DEFAULT_WAIT = 600.0
_ANNOTATION = re.compile(r"(?P<key>[^=\s]+)=(?P<value>.*)", re.DOTALL)


class Type(StrEnum):
    """What to back up, in both engines' words."""

    FULL = "full"
    DIFFERENTIAL = "differential"
    INCREMENTAL = "incremental"
    AUTO = "auto"


def backup(
    clusters: Clusters = None,
    type_: Annotated[
        Type,
        typer.Option(
            "--type",
            "-t",
            help="auto: full where there is none to build on or it would get older than full_age, else what the "
            "schedule names, else incremental.",
        ),
    ] = Type.FULL,
    everything: Annotated[bool, typer.Option("--all", help="Every cluster of the spec.")] = False,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository", "-r", metavar="NAME", help="Into this repository alone. Default: into each, one by one."
        ),
    ] = None,
    annotation: Annotated[
        list[str] | None,
        typer.Option("--annotation", metavar="KEY=VALUE", help="Keep this with the backup (pgBackRest). Repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A name for the backup besides its id (Barman).")
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait until the backup's last WAL segment is archived; pgwrap has it closed."),
    ] = False,
    wait_timeout: Annotated[
        float | None,
        typer.Option("--wait-timeout", metavar="SECONDS", min=0, help="Wait for it no longer; implies --wait. 600."),
    ] = None,
    lock_wait: Annotated[
        float,
        typer.Option(
            "--lock-wait",
            metavar="SECONDS",
            min=0,
            help="While another backup runs, try again for so long; then exit 7.",
        ),
    ] = 0.0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, max=64, help="Clusters at a time.")] = 1,
    hook_timeout: Annotated[
        float, typer.Option("--hook-timeout", metavar="SECONDS", min=1, help="For each program of the spec's hooks.")
    ] = 300.0,
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

    Name clusters, or say --all. A cluster with several repositories is backed up to each, as each has a retention of
    its own; of several backups each is a line: cluster, repository, id, type, state.

    Progress goes to standard error: live on a terminal, a line now and then elsewhere. Hooks of the spec are run
    around it.

    Exit 0 taken, also where this is not the node to take it on (a standby), which is said; 1 it was taken, but its
    last WAL segment did not arrive within --wait-timeout; 5 the engine or a hook failed; 7 busy. The highest counts.
    """
    with session("backup", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        from pgwrap.cli.reporting import Reporting
        from pgwrap.ops.backup import BackupOptions, Surroundings
        from pgwrap.ops.backup import backup as take
        from pgwrap.ops.hooks import Hooks
        from pgwrap.present.encode import encode
        from pgwrap.present.json_format import json_text

        fleet = run.fleet()
        selected = _selected(fleet, clusters, everything=everything)
        options = BackupOptions(
            type=type_.value,
            repository=repository,
            annotations=tuple(_annotation(text) for text in annotation or ()),
            name=name,
            deadline=timeout,
            lock_wait=lock_wait,
            wait=wait_timeout if wait_timeout is not None else DEFAULT_WAIT if wait else None,
            jobs=jobs,
        )
        world = run.world()
        reporting = Reporting(run=run, several=jobs > 1 and len(selected) > 1)
        around = Surroundings(
            world=world,
            hooks=Hooks(world=world, encode=lambda context: json_text(encode(context)).encode(), deadline=hook_timeout),
            reporter=reporting,
            clock=lambda: datetime.now(UTC),
        )
        try:
            answer, errors = take(fleet, selected, options, around)
        finally:
            reporting.end()
        _answer(run, answer, errors)
        late = options.wait is not None and any(one.state == "waiting_for_wal" for one in answer.backups)
        raise typer.Exit(max((error.exit_code for error in errors), default=int(late)))


def _selected(fleet: Fleet, names: list[str] | None, *, everything: bool) -> tuple[Cluster, ...]:
    """A backup is never taken of what was not named."""
    if everything and names:
        raise UsageError("--all and names of clusters exclude each other", hint="leave one of them out")
    if not everything and not names:
        raise UsageError("no cluster is named", hint="name one or more, or say --all")
    return chosen(fleet, names)


def _annotation(text: str) -> tuple[str, str]:
    match = _ANNOTATION.fullmatch(text)
    if match is None:
        raise UsageError(f"--annotation {text}: not KEY=VALUE", hint="for example --annotation ticket=OPS-42")
    return match["key"], match["value"]


def _answer(run: Session, answer: FleetTaken, errors: tuple[PgwrapError, ...]) -> None:
    """Ids on standard output, what else is to be known on standard error; a single failure is an error like any."""
    from pgwrap.present.taken import remarks, taken_json, taken_text

    alone = len(answer.backups) == 1
    if alone and errors and answer.backups[0].id is None:
        for note in answer.backups[0].notes:
            run.say(f"note: {note}")
        raise errors[0]
    if run.output == Output.JSON:
        run.answer(taken_json(answer, errors, run.now))
    elif text := taken_text(answer):
        run.answer(text)
    for taken in answer.backups:
        for remark in remarks(taken, verbose=run.verbose > 0):
            run.say(remark)
    _say_errors(run, errors)


def _say_errors(run: Session, errors: tuple[PgwrapError, ...]) -> None:
    for error in errors:
        typer.echo(f"{error.cluster}: {error.message}", err=True)
        if error.hint:
            run.say(f"  → {error.hint}")
