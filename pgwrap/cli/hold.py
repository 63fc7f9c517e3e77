"""`pgwrap hold` and `pgwrap release`: keep one backup whatever retention says, and let it go again."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from pgwrap.cli.options import LogFile, Output, Quiet, SpecFile, Verbose, cluster_names
from pgwrap.cli.session import Session, session

if TYPE_CHECKING:
    from pgwrap.domain.facts import Held
    from pgwrap.domain.holding import HoldResult

HOLD_SCHEMA = "pgwrap/hold/1"
Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="The cluster, by its name in the spec.", autocompletion=cluster_names)
]
Which: TypeAlias = Annotated[
    str, typer.Argument(metavar="BACKUP", help="Its id, or the latest or oldest that is done (`pgwrap list` has all).")
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Print the engine's command that would be run, and change nothing.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each call of an engine.")
]


class Target(StrEnum):
    """What stays of the WAL of a held backup."""

    FULL = "full"
    STANDALONE = "standalone"


def hold(
    cluster: Name,
    backup: Which,
    target: Annotated[
        Target,
        typer.Option(
            "--target",
            help="full: with all WAL from it on, for a restore to any later moment. standalone: only with the WAL that "
            "makes it whole, for a restore to its own end.",
        ),
    ] = Target.FULL,
    dry_run: DryRun = False,
    config: SpecFile = None,
    timeout: Timeout = 30.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Hold a backup, whatever retention says, and print its id.

    Barman holds backups (`barman keep`); pgBackRest cannot, and the answer then says what comes nearest.

    What holds afterwards is asked of the engine. Exit 0 held, also when it was so already, 4 the engine cannot.
    """
    with session("hold", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        _change(run, cluster, backup, target.value, dry_run=dry_run, timeout=timeout)


def release(
    cluster: Name,
    backup: Which,
    dry_run: DryRun = False,
    config: SpecFile = None,
    timeout: Timeout = 30.0,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Release a held backup to retention, and print its id.

    The next expiry deletes it if the policy does not keep it: `pgwrap retention` says so beforehand.

    Exit 0 released, also when it was not held, 4 the engine cannot hold backups at all.
    """
    with session("hold", output=output, verbose=verbose, quiet=quiet, log_file=log_file, spec_file=config) as run:
        _change(run, cluster, backup, False, dry_run=dry_run, timeout=timeout)


def _change(run: Session, cluster: str, backup: str, target: Held, *, dry_run: bool, timeout: float) -> None:
    from pgwrap.ops.hold import HoldOptions, apply_hold, plan_hold, show_hold

    fleet, world = run.fleet(), run.world()
    options = HoldOptions(backup=backup, target=target, deadline=timeout)
    plan = plan_hold(fleet, fleet.cluster(cluster), world, options)
    _answer(run, show_hold(plan) if dry_run else apply_hold(plan, world))


def _answer(run: Session, result: HoldResult) -> None:
    """The id, or with --dry-run the command, on standard output; what it means on standard error."""
    from pgwrap.ops.hold import in_words
    from pgwrap.present.envelope import envelope
    from pgwrap.present.json_format import json_text

    now = in_words(result.held)
    if result.changed:
        run.say(f"{result.cluster} {result.id}: {now}; it was {in_words(result.before)} before")
    elif result.command is None:
        run.say(f"{result.cluster} {result.id}: already {now}; nothing to do")
    else:
        run.say(f"{result.cluster} {result.id}: {now}; nothing was changed, this was a dry run")
    for note in result.notes:
        run.say(f"note: {note}")
    if run.output == Output.JSON:
        run.answer(json_text(envelope(HOLD_SCHEMA, result, (), run.now, "success")))
    elif not result.dry_run:
        run.answer(result.id)
    elif result.command is not None:
        run.answer(result.command)
